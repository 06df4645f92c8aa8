//! The effective values, and where each came from; secrets are only said to be set.

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use super::listing::{Block, Key, below, effective};
use super::raw::Origin;
use super::reading::Origins;
use super::section::Section;

/// The values as a file that could be read. What cannot be written there, a secret or a value that
/// is not set, is a comment.
pub(super) fn toml(section: &mut dyn Section, origins: &Origins) -> String {
    let mut text = String::new();
    for block in effective(section).iter().filter(|block| !block.keys.is_empty()) {
        if !block.path.is_empty() {
            append(&mut text, &format!("\n[{}]", block.path));
        }
        for key in &block.keys {
            let Key { name, shown, .. } = key;
            let origin = origin(block, key, origins);
            let line = match shown {
                None => format!("# {name} is not set"),
                Some(_) if is_hidden(key) => format!("# {name} = (set)"),
                Some(value) => format!("{name} = {value}"),
            };
            append(&mut text, &format!("{line:<46} # {origin}"));
        }
    }
    text
}

/// The values by their whole keys.
pub(super) fn json(section: &mut dyn Section, origins: &Origins) -> Json {
    let mut values = Map::new();
    for block in effective(section) {
        for key in &block.keys {
            let from = origin(&block, key, origins).to_string();
            values.insert(block.key(key.name), json!({ "value": key.shown, "from": from }));
        }
    }
    Json::Object(values)
}

/// Whether the value is a secret's stand-in.
fn is_hidden(key: &Key) -> bool {
    key.is_secret && key.shown.as_ref().is_some_and(|shown| shown == "(set)")
}

fn origin(block: &Block, key: &Key, origins: &Origins) -> Origin {
    let own = origins.get(&block.key(key.name));
    let inherited = || {
        let section = block.inherits.as_ref()?;
        let is_written = origins.contains_key(&below(section, key.name));
        is_written.then(|| Origin::Inherited(section.clone()))
    };
    own.cloned().or_else(inherited).unwrap_or(Origin::Default)
}

fn append(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes every line");
}
