//! `docs/known-failures.md` names for each known failure what rules it out. Here: that it does.

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../docs/known-failures.md");

/// A failure of the page: its number, and the types and tests that it names.
struct Failure {
    number: u32,
    names: Vec<Name>,
}

/// Something in a source file: `core/src/job.rs::Place`, `core/tests/effects.rs::claims_rotate`.
struct Name {
    file: &'static str,
    item: &'static str,
}

impl Name {
    fn is_type(&self) -> bool {
        self.item.starts_with(char::is_uppercase)
    }

    /// Whether the file has it.
    fn exists(&self) -> bool {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let source = fs::read_to_string(root.join(self.file)).unwrap_or_default();
        let kinds: &[&str] = if self.is_type() { &["struct ", "enum "] } else { &["fn "] };
        kinds.iter().any(|kind| {
            let declared = format!("{kind}{}", self.item);
            let mut rests =
                source.match_indices(&declared).map(|(at, _)| &source[at + declared.len()..]);
            rests.any(|rest| rest.starts_with([' ', '(', '<', ';']))
        })
    }
}

fn failures() -> Vec<Failure> {
    let entries = PAGE.split("\n* **K").skip(1);
    let failure = |entry: &'static str| {
        let entry = entry.split("\n##").next().unwrap_or(entry);
        let (number, text) = entry.split_once("**").expect("a number ends in bold");
        let quoted = text.split('`').skip(1).step_by(2);
        let names = quoted.filter_map(|quoted| quoted.split_once("::"));
        let names = names.map(|(file, item)| Name { file, item });
        Failure { number: number.parse().expect("a number"), names: names.collect() }
    };
    entries.map(failure).collect()
}

/// Goal: every known failure that concerns the core, the stores, the driver, the wire or media is on the page, once.
#[test]
fn every_failure_is_listed() {
    let numbers: Vec<_> = failures().iter().map(|failure| failure.number).collect();
    let expected: Vec<_> = (1..=47).chain([49, 50, 51, 55, 56]).collect();
    assert_eq!(numbers, expected);
}

/// Goal: each names a test that would show it.
#[test]
fn every_failure_names_a_test() {
    for Failure { number, names } in failures() {
        assert!(names.iter().any(|name| !name.is_type()), "K{number} names no test");
    }
}

/// Goal: what is named exists, so that no test is renamed or deleted unnoticed. Method: the sources
/// are searched.
#[test]
fn everything_named_exists() {
    for Failure { number, names } in failures() {
        for name in names {
            assert!(name.exists(), "K{number}: there is no {} in {}", name.item, name.file);
        }
    }
}

/// Goal: the search finds what is there, and nothing else.
#[test]
fn the_search_tells_names_apart() {
    let file = "core/tests/known_failures_page.rs";
    let exists = |item| Name { file, item }.exists();
    assert!(exists("every_failure_is_listed") && exists("Failure"));
    assert!(!exists("every_failure_is") && !exists("Fail"));
    assert!(!Name { file: "core/tests/no_such.rs", item: "Failure" }.exists());
}
