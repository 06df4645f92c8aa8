//! What was written, layer upon layer: the file, over it the environment, over it the flags.
//!
//! Owns where things are written and what is written under which key; it knows no key. **Invariants:**
//! a file is read up to a bound; what a syntax error says never repeats the file's words, which may be
//! a secret's.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::raw::{Node, Origin, Raw, Tree, join};

/// The file that is read when there is one and none is named.
pub const DEFAULT_FILE: &str = "anteroom.toml";

/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How our variables begin.
const PREFIX: &str = "ANTEROOM_";

/// Variables of ours that are no keys: what the clients, the bots and the tests use, and the file itself.
const NO_KEYS: [&str; 5] = [
    "ANTEROOM_CONFIG",
    "ANTEROOM_SERVER",
    "ANTEROOM_TOKEN",
    "ANTEROOM_WEBHOOK_SECRET",
    "ANTEROOM_BIN",
];

/// How the variables of the tests begin.
const TESTS_PREFIX: &str = "ANTEROOM_TEST_";

/// Where a configuration is written.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, which must be there; without it, [`DEFAULT_FILE`], which need not.
    pub file: Option<PathBuf>,
    /// The variables of the environment.
    pub environment: Vec<(OsString, OsString)>,
    /// What flags say.
    pub flags: Vec<Flag>,
}

impl Sources {
    /// The file (`ANTEROOM_CONFIG` when no flag names one), the environment of this process, and flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let named = env::var_os("ANTEROOM_CONFIG").filter(|path| !path.is_empty());
        let file = file.or_else(|| named.map(PathBuf::from));
        Self { file, environment: env::vars_os().collect(), flags }
    }
}

/// What a flag says of a key at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag, as in `--listen`.
    pub name: &'static str,
    /// The key that it sets.
    pub key: &'static str,
    /// What was written.
    pub value: String,
}

/// All layers as one, and the file that was read.
pub(super) fn merged(sources: &Sources, problems: &mut Problems) -> (Tree, Option<PathBuf>) {
    let mut tree = Tree::new();
    let file = read_file(sources.file.as_deref(), &mut tree, problems);
    // In the order of their names, so that problems come in one order.
    let variables: BTreeMap<_, _> = sources.environment.iter().cloned().collect();
    for (name, value) in variables {
        read_variable(&name, value, &mut tree, problems);
    }
    for Flag { name, key, value } in &sources.flags {
        let value = Node::Value(Raw::Word(value.clone()), Origin::Flag(name));
        put(&mut tree, &[key], "", value, problems);
    }
    (tree, file)
}

fn read_file(named: Option<&Path>, tree: &mut Tree, problems: &mut Problems) -> Option<PathBuf> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match bounded_text(path, FILE_BYTES_MAX) {
        Ok(text) => {
            *tree = parse(&text, path, problems);
            Some(path.to_owned())
        }
        Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            problems.of_place(path.display(), format!("the file cannot be read: {error}"));
            None
        }
    }
}

/// The text of a file of at most `bytes_max` bytes.
pub(super) fn bounded_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        let why = format!("it is longer than {bytes_max} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}

/// What a file says.
fn parse(text: &str, path: &Path, problems: &mut Problems) -> Tree {
    let place = Place { path: path.display().to_string().into(), text };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        problems.of_place(place.origin(start), error.message());
    }
    section(table.get_ref(), &place)
}

/// A file and its text, to tell lines by.
struct Place<'a> {
    path: Arc<str>,
    text: &'a str,
}

impl Place<'_> {
    fn origin(&self, start: usize) -> Origin {
        let before = self.text.as_bytes().get(..start).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        Origin::File { path: Arc::clone(&self.path), line }
    }
}

fn section(table: &DeTable<'_>, place: &Place<'_>) -> Tree {
    let entries = table.iter().map(|(name, value)| {
        let origin = place.origin(name.span().start);
        let node = match value.get_ref() {
            DeValue::Table(table) => Node::Section(section(table, place), origin),
            value => Node::Value(raw(value), origin),
        };
        (name.get_ref().clone().into_owned(), node)
    });
    entries.collect()
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.clone().into_owned()),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            parsed.map_or(Raw::Other("a number beyond all bounds"), Raw::Integer)
        }
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Datetime(_) => Raw::Other("a date or time"),
        DeValue::Array(list) => Raw::List(list.iter().map(|value| raw(value.get_ref())).collect()),
        DeValue::Table(_) => Raw::Other("a section"),
    }
}

fn read_variable(name: &OsString, value: OsString, tree: &mut Tree, problems: &mut Problems) {
    let shown = name.to_string_lossy();
    let Some(key) = shown.strip_prefix(PREFIX) else { return };
    if NO_KEYS.contains(&&*shown) || shown.starts_with(TESTS_PREFIX) || is_service_link(&shown) {
        return;
    }
    let origin = Origin::Variable(shown.to_string());
    let Ok(value) = value.into_string() else {
        problems.of_place(origin, "its value is no valid UTF-8");
        return;
    };
    if value.is_empty() {
        return;
    }
    let path: Vec<&str> = key.split("__").collect();
    if path.iter().any(|name| name.is_empty()) {
        let why = "it names no key: write ANTEROOM_SECTION__KEY, each part with a name";
        problems.of_place(origin, why);
        return;
    }
    put(tree, &path, "", Node::Value(Raw::Word(value), origin), problems);
}

/// Whether it is one of the variables that containers get for a service called `anteroom` or
/// `anteroom-something`. No key at the top has such a name, and what is in a section is no such variable.
pub(super) fn is_service_link(name: &str) -> bool {
    let ends = ["_PORT", "_SERVICE_HOST", "_TCP", "_UDP"];
    let within = ["_SERVICE_PORT", "_TCP_", "_UDP_"];
    !name.contains("__")
        && (ends.iter().any(|end| name.ends_with(end))
            || within.iter().any(|part| name.contains(part)))
}

/// Writes a value over what lower layers say under the path, whose case is that of what is there, or
/// small.
fn put(tree: &mut Tree, path: &[&str], above: &str, value: Node, problems: &mut Problems) {
    let Some((first, rest)) = path.split_first() else { return };
    let origin = value.origin().clone();
    let name = match existing(tree, first) {
        Ok(name) => name,
        Err((one, another)) => {
            let why = format!(
                "it can mean {one:?} or {another:?}, which a variable cannot tell apart: write it \
                 in the file"
            );
            problems.of_place(origin, why);
            return;
        }
    };
    let key = join(above, &name);
    if rest.is_empty() {
        match tree.get(&name) {
            Some(Node::Section(..)) => {
                problems.of_key(&origin, &key, "this is a section: it has keys, and no value");
            }
            Some(Node::Value(..)) | None => {
                tree.insert(name, value);
            }
        }
        return;
    }
    let made = || Node::Section(Tree::new(), origin.clone());
    match tree.entry(name).or_insert_with(made) {
        Node::Section(section, _) => put(section, rest, &key, value, problems),
        Node::Value(_, place) => {
            let why = format!("{place} gives it a value, so it has no keys");
            problems.of_key(&origin, &key, why);
        }
    }
}

/// The name in the tree that differs from `name` in case only; `name` in small letters if none does.
fn existing(tree: &Tree, name: &str) -> Result<String, (String, String)> {
    let small = name.to_ascii_lowercase();
    let mut same = tree.keys().filter(|known| known.eq_ignore_ascii_case(name));
    match (same.next(), same.next()) {
        (None, _) => Ok(small),
        (Some(one), None) => Ok(one.clone()),
        (Some(one), Some(another)) => Err((one.clone(), another.clone())),
    }
}
