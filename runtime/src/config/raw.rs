//! What was written, before anybody knows what it should mean, and where it was written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A text, in quotation marks.
    Text(String),
    /// A variable's or a flag's words, whose type only the key knows.
    Word(String),
    /// A whole number.
    Integer(i128),
    /// True or false.
    Boolean(bool),
    /// A list.
    List(Vec<Raw>),
    /// Something that no key takes; what it is.
    Other(&'static str),
}

impl Raw {
    /// The text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            Self::Integer(_) | Self::Boolean(_) | Self::List(_) | Self::Other(_) => None,
        }
    }

    /// The whole number.
    pub fn integer(&self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Word(word) => word.parse().ok(),
            Self::Text(_) | Self::Boolean(_) | Self::List(_) | Self::Other(_) => None,
        }
    }

    /// The list; words are taken apart at commas.
    pub fn list(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(list) => Some(list.clone()),
            Self::Word(words) => {
                let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
                Some(words.map(|word| Self::Word(word.to_owned())).collect())
            }
            Self::Text(_) | Self::Integer(_) | Self::Boolean(_) | Self::Other(_) => None,
        }
    }

    /// What it is, without saying what it says.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Word(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }

    /// Says that it is not what it should be.
    pub fn is_not(&self, form: &str) -> String {
        format!("{self} is not understood: expected {form}")
    }
}

/// As it was written, cut where it is long.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_CHARACTERS_MAX: usize = 60;
        match self {
            Self::Text(text) | Self::Word(text) => {
                let shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
                let cut = if shown.len() < text.len() { "…" } else { "" };
                write!(f, "{shown:?}{cut}")
            }
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::List(_) | Self::Other(_) => f.write_str(self.kind()),
        }
    }
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In the section whose values are taken for those that are not given.
    Inherited(String),
    /// In the file, at a line.
    File {
        /// Which file.
        path: Arc<str>,
        /// Which line, from 1.
        line: usize,
    },
    /// In a variable of the environment.
    Variable(String),
    /// In a flag of the command line.
    Flag(&'static str),
}

impl Origin {
    /// Which layer it is: what is written in a higher one goes before.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::Default | Self::Inherited(_) => 0,
            Self::File { .. } => 1,
            Self::Variable(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Inherited(name) | Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// What was written under one key.
#[derive(Debug)]
pub(super) enum Node {
    /// A value.
    Value(Raw, Origin),
    /// A section, and where it first appears.
    Section(Tree, Origin),
}

/// What was written in one section.
pub(super) type Tree = BTreeMap<String, Node>;

impl Node {
    pub(super) fn origin(&self) -> &Origin {
        match self {
            Self::Value(_, origin) | Self::Section(_, origin) => origin,
        }
    }
}

/// The path of `name` in the section `path`, as TOML writes it.
pub(super) fn join(path: &str, name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        serde_json::Value::from(name).to_string()
    };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}
