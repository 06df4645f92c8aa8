//! The sections as a list: what is printed, referred to, and searched for the nearest key.

use serde_json::Value as Json;

use super::raw::join;
use super::section::{Keys, Section, Sections};
use super::value::Value;

/// One section and its keys.
pub(super) struct Block {
    /// Its path; empty at the top.
    pub path: String,
    /// What it is about; empty for one of several that are alike.
    pub about: &'static str,
    /// The section whose values are taken where it has none of its own.
    pub inherits: Option<String>,
    /// The section that shows what a new one of its kind has.
    pub template: Option<String>,
    /// Its keys, in the order of their description.
    pub keys: Vec<Key>,
}

impl Block {
    /// The whole key of one of its keys.
    pub fn key(&self, name: &str) -> String {
        below(&self.path, name)
    }
}

/// One key.
pub(super) struct Key {
    pub name: &'static str,
    pub about: &'static str,
    pub form: String,
    pub shown: Option<Json>,
    pub is_secret: bool,
}

/// The whole key of a key that needs no quotation marks.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Every section under `section`, itself first, with the sections that have names.
pub(super) fn effective(section: &mut dyn Section) -> Vec<Block> {
    Block::new(String::new(), "").list(section, false)
}

/// The same, and before sections that have names one that stands for all of them.
pub(super) fn described(section: &mut dyn Section) -> Vec<Block> {
    Block::new(String::new(), "").list(section, true)
}

impl Block {
    fn new(path: String, about: &'static str) -> Self {
        Self { path, about, inherits: None, template: None, keys: Vec::new() }
    }

    /// This block, filled with the keys of `section`, and the blocks of the sections within.
    fn list(self, section: &mut dyn Section, describes: bool) -> Vec<Self> {
        let mut lister = Lister { block: self, within: Vec::new(), describes };
        section.visit(&mut lister);
        let Lister { block, mut within, .. } = lister;
        within.insert(0, block);
        within
    }
}

struct Lister {
    block: Block,
    within: Vec<Block>,
    describes: bool,
}

impl Keys for Lister {
    fn key(&mut self, name: &'static str, value: &mut dyn Value, about: &'static str) {
        let (form, shown, is_secret) = (value.form(), value.shown(), value.is_secret());
        self.block.keys.push(Key { name, about, form, shown, is_secret });
    }

    fn section(&mut self, name: &'static str, section: &mut dyn Section, about: &'static str) {
        let Block { path, inherits, template, .. } = &self.block;
        let block = Block {
            inherits: inherits.as_ref().map(|path| below(path, name)),
            template: template.as_ref().map(|path| below(path, name)),
            ..Block::new(below(path, name), about)
        };
        self.within.append(&mut block.list(section, self.describes));
    }

    fn sections(&mut self, name: &'static str, sections: &mut dyn Sections, about: &'static str) {
        let path = below(&self.block.path, name);
        let template = below(&path, sections.placeholder());
        let inherits = sections.inherits().map(str::to_owned);
        if self.describes {
            let block = Block { inherits: inherits.clone(), ..Block::new(template.clone(), about) };
            self.within.append(&mut block.list(sections.template().as_mut(), true));
        }
        for entry in sections.names() {
            let block = Block {
                inherits: inherits.clone(),
                template: Some(template.clone()),
                ..Block::new(join(&path, &entry), "")
            };
            if let Ok(section) = sections.entry(&entry) {
                self.within.append(&mut block.list(section, self.describes));
            }
        }
    }
}
