//! Reading what was written into the sections: the visitor that sets values.
//!
//! **Invariants:** what is not known is a problem, never skipped; one problem hides no other; a value
//! that is refused leaves the one before it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::layers::bounded_text;
use super::listing::{Block, below};
use super::problem::{Problems, nearest};
use super::raw::{Node, Origin, Raw, Tree, join};
use super::section::{Faults, Keys, Section, Sections};
use super::value::Value;

/// Bytes of a file that holds a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// How the key that names a secret's file ends.
pub(super) const FILE_SUFFIX: &str = "_file";

/// Where each value that is not a default was written, by its whole key.
pub(super) type Origins = BTreeMap<String, Origin>;

/// What reading finds beside the values.
#[derive(Default)]
pub(super) struct Findings {
    pub problems: Problems,
    pub origins: Origins,
}

/// Reads what was written into a section, and checks it.
///
/// `all` describes the whole configuration, for keys that were written in the wrong section.
pub(super) fn read(section: &mut dyn Section, tree: &Tree, all: &[Block], found: &mut Findings) {
    read_section(section, tree, "", all, found);
}

fn read_section(
    section: &mut dyn Section,
    tree: &Tree,
    path: &str,
    all: &[Block],
    found: &mut Findings,
) {
    let mut reader = Reader { tree, path, all, found, known: Vec::new() };
    section.visit(&mut reader);
    reader.complain_of_unknown();
    let mut faults = Faults::default();
    section.check(&mut faults);
    report(faults, path, found);
}

/// Says what makes no sense together, at the first of its keys that was written somewhere.
fn report(faults: Faults, path: &str, found: &mut Findings) {
    for fault in faults.into_faults() {
        let keys: Vec<String> = fault.keys.iter().map(|key| below(path, key)).collect();
        let written = keys.iter().find_map(|key| Some((key, found.origins.get(key)?.clone())));
        // What was not written here was inherited, and is reported where it was written.
        match written {
            Some((key, origin)) => found.problems.of_key(&origin, key, fault.why),
            None => {
                debug_assert!(!found.problems.is_empty(), "the defaults make sense: {}", fault.why)
            }
        }
    }
}

struct Reader<'a> {
    tree: &'a Tree,
    path: &'a str,
    all: &'a [Block],
    found: &'a mut Findings,
    known: Vec<String>,
}

impl Keys for Reader<'_> {
    fn key(&mut self, name: &'static str, value: &mut dyn Value, _about: &'static str) {
        self.known.push(name.to_owned());
        let given = self.given(name);
        let file = if value.is_secret() {
            let file_name = format!("{name}{FILE_SUFFIX}");
            let file = self.given(&file_name);
            self.known.push(file_name);
            file
        } else {
            None
        };
        let (raw, origin) = match (given, file) {
            (None, None) => return,
            (Some((raw, origin)), None) => (raw.clone(), origin),
            (given, Some((raw, origin))) => match self.secret_of(name, given, raw, origin) {
                Some(secret) => secret,
                None => return,
            },
        };
        let key = join(self.path, name);
        match value.set(&raw) {
            Ok(()) => {
                self.found.origins.insert(key, origin.clone());
            }
            Err(why) => self.found.problems.of_key(origin, &key, why),
        }
    }

    fn section(&mut self, name: &'static str, section: &mut dyn Section, _about: &'static str) {
        self.known.push(name.to_owned());
        let nothing = Tree::new();
        let path = join(self.path, name);
        let tree = self.inner(name, &path).unwrap_or(&nothing);
        read_section(section, tree, &path, self.all, self.found);
    }

    fn sections(&mut self, name: &'static str, sections: &mut dyn Sections, _about: &'static str) {
        self.known.push(name.to_owned());
        let nothing = Tree::new();
        let path = join(self.path, name);
        let tree = self.inner(name, &path).unwrap_or(&nothing);
        for entry in tree.keys() {
            self.read_entry(sections, entry, tree, &path);
        }
        for entry in sections.names().iter().filter(|entry| !tree.contains_key(*entry)) {
            self.read_entry(sections, entry, &nothing, &path);
        }
        let mut faults = Faults::default();
        sections.check(&mut faults);
        report(faults, &path, self.found);
    }
}

impl<'a> Reader<'a> {
    fn given(&mut self, name: &str) -> Option<(&'a Raw, &'a Origin)> {
        match self.tree.get(name)? {
            Node::Value(raw, origin) => Some((raw, origin)),
            Node::Section(_, origin) => {
                let key = join(self.path, name);
                self.found.problems.of_key(origin, &key, "this is a value, and no section");
                None
            }
        }
    }

    fn inner(&mut self, name: &str, path: &str) -> Option<&'a Tree> {
        match self.tree.get(name)? {
            Node::Section(tree, _) => Some(tree),
            Node::Value(raw, origin) => {
                let why = format!(
                    "this is a section, and {} no value for it: write [{path}]",
                    raw.kind()
                );
                self.found.problems.of_key(origin, path, why);
                None
            }
        }
    }

    fn read_entry(&mut self, sections: &mut dyn Sections, name: &str, tree: &Tree, path: &str) {
        let entry_path = join(path, name);
        let inner = match tree.get(name) {
            None => None,
            Some(Node::Section(inner, origin)) => Some((inner, origin)),
            Some(Node::Value(raw, origin)) => {
                let placeholder = sections.placeholder();
                let why = format!(
                    "{} stands where a section belongs: write [{path}.{placeholder}], and the keys below",
                    raw.kind()
                );
                self.found.problems.of_key(origin, &entry_path, why);
                return;
            }
        };
        match (sections.entry(name), inner) {
            (Ok(section), Some((inner, _))) => {
                read_section(section, inner, &entry_path, self.all, self.found);
            }
            (Ok(section), None) => {
                read_section(section, &Tree::new(), &entry_path, self.all, self.found);
            }
            (Err(why), Some((_, origin))) => self.found.problems.of_key(origin, &entry_path, why),
            (Err(_), None) => {}
        }
    }

    /// The secret that the higher layer says, by itself or by a file.
    fn secret_of(
        &mut self,
        name: &str,
        given: Option<(&'a Raw, &'a Origin)>,
        file: &'a Raw,
        file_origin: &'a Origin,
    ) -> Option<(Raw, &'a Origin)> {
        let key = join(self.path, &format!("{name}{FILE_SUFFIX}"));
        if let Some((raw, origin)) = given {
            if origin.layer() > file_origin.layer() {
                return Some((raw.clone(), origin));
            }
            if origin.layer() == file_origin.layer() {
                let why = format!("{name} is given as well ({origin}): give one of them");
                self.found.problems.of_key(file_origin, &key, why);
                return None;
            }
        }
        let mut path = PathBuf::new();
        let read = path.set(file).and_then(|()| secret_in(&path));
        match read {
            Ok(secret) => Some((Raw::Text(secret), file_origin)),
            Err(why) => {
                self.found.problems.of_key(file_origin, &key, why);
                None
            }
        }
    }

    fn complain_of_unknown(&mut self) {
        for (name, node) in self.tree {
            if !self.known.contains(name) {
                let why = format!("unknown key; {}", self.instead_of(name));
                self.found.problems.of_key(node.origin(), &join(self.path, name), why);
            }
        }
    }

    /// What may have been meant: a key of this section, or else one like it anywhere, or else what
    /// there is.
    fn instead_of(&self, name: &str) -> String {
        if let Some(near) = nearest(name, self.known.iter().map(String::as_str)) {
            return format!("did you mean {}?", join(self.path, near));
        }
        let elsewhere = self.all.iter().flat_map(|block| {
            let keys = block.keys.iter().map(|key| key.name);
            keys.map(move |key| (key, below(&block.path, key)))
        });
        let elsewhere: Vec<(&str, String)> = elsewhere.collect();
        if let Some(near) = nearest(name, elsewhere.iter().map(|(key, _)| *key)) {
            let places = elsewhere.iter().filter(|(key, _)| *key == near);
            let places: Vec<&str> = places.map(|(_, place)| place.as_str()).collect();
            return format!("did you mean {}?", places.join(" or "));
        }
        format!("known here: {}", self.known.join(", "))
    }
}

/// The secret in a file, without the end of its line.
fn secret_in(path: &Path) -> Result<String, String> {
    let text = bounded_text(path, SECRET_BYTES_MAX)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(secret.to_owned())
}
