//! The core's decisions in instructions: the same in every run, whatever else the machine does.
//!
//! Counted by gungraun under valgrind. Where valgrind is missing, or what reads it cannot be
//! installed, this is said, and the other benches go on.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::results::{self, Figure};
use crate::step;

/// The case that is a window of texts, and the texts in it.
const TEXT: &str = "text_message";
const TEXTS: f64 = 256.0;

/// The cases that are groups of operations: their operations, their sizes, and what is compared.
const OPERATIONS: &[(&str, f64, [u64; 2], &str)] = &[
    ("add_text", 8.0, [10, 100_000], "add a text, 100,000 against 10"),
    ("add_voice_note", 8.0, [10, 100_000], "add a placeholder, 100,000 against 10"),
    ("complete_oldest", 8.0, [10, 100_000], "complete the oldest placeholder, 100,000 against 10"),
    ("complete_any", 8.0, [10, 100_000], "complete any placeholder, 100,000 against 10"),
    ("pop_behind", 8.0, [10, 100_000], "pop a text behind placeholders, 100,000 against 10"),
    (
        "evict_700",
        1.0,
        [1_000, 100_000],
        "an addition that evicts 700, of 100,000 against of 1,000",
    ),
];

/// Counts, compares the sizes, and publishes. Says so when this machine cannot count.
///
/// # Errors
/// When the bench does not build or run, does not say what it counted, or the results cannot be kept.
pub(crate) fn run() -> Result<()> {
    match runner() {
        Ok(runner) => results::publish("instructions", &figures(runner)?),
        Err(missing) => {
            println!("\n=== instructions\n    not counted: {missing:#}");
            Ok(())
        }
    }
}

fn figures(runner: PathBuf) -> Result<Vec<Figure>> {
    let mut bench = step::cargo(["bench", "--package", "anteroom-instructions"]);
    bench.args(["--features", "callgrind", "--bench", "instructions", "--", "--save-summary"]);
    bench.env("GUNGRAUN_RUNNER", runner).env("GUNGRAUN_HOME", home());
    step::run("instructions", &mut bench)?;
    let mut figures = Vec::new();
    for correspondents in [64, 1_000] {
        figures.push(Figure {
            what: format!("a text through the machine, {correspondents} correspondents"),
            target: "none".to_owned(),
            value: counted(TEXT, correspondents)? / TEXTS,
            unit: "instructions",
            method: format!("a window of {TEXTS} texts, its node included"),
            met: None,
        });
    }
    for (case, operations, [few, many], what) in OPERATIONS {
        let of_few = counted(case, *few)? / operations;
        let of_many = counted(case, *many)? / operations;
        figures.push(compared(what, of_few, of_many));
    }
    Ok(figures)
}

fn compared(what: &str, of_few: f64, of_many: f64) -> Figure {
    let ratio = of_many / of_few;
    let (of_few, of_many) = (results::shown(of_few), results::shown(of_many));
    Figure {
        what: what.to_owned(),
        target: "≤ 2 ×".to_owned(),
        value: ratio,
        unit: "×",
        method: format!("{of_many} and {of_few} instructions"),
        met: Some(ratio <= 2.0),
    }
}

/// The instructions of a case, from the summary that its run left behind.
fn counted(case: &str, size: u64) -> Result<f64> {
    let folder = format!("anteroom-instructions/instructions/decisions/{case}.of_{size}");
    let path = home().join(folder).join("summary.json");
    let summary =
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let summary: Value = serde_json::from_slice(&summary).context("a summary")?;
    let instructions = &summary["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"];
    instructions.as_f64().with_context(|| format!("{} tells no instructions", path.display()))
}

/// Where the runs leave what they counted.
fn home() -> PathBuf {
    step::root().join("target/gungraun")
}

/// What runs the bench under valgrind; it is installed if it is not there.
fn runner() -> Result<PathBuf> {
    if !step::succeeds(Command::new("valgrind").arg("--version")) {
        bail!("there is no valgrind");
    }
    let lock = std::fs::read_to_string(step::root().join("Cargo.lock")).context("Cargo.lock")?;
    let version = locked_version(&lock, "gungraun")?;
    let folder = step::root().join("target/gungraun-runner");
    let runner = folder.join("bin/gungraun-runner");
    let output = Command::new(&runner).arg("--version").output();
    let is_here = output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == version)
    });
    if !is_here {
        let mut install = step::cargo(["install", "gungraun-runner", "--locked"]);
        install.args(["--version", version]).arg("--root").arg(&folder);
        step::run("what counts instructions", &mut install)?;
    }
    Ok(runner)
}

/// The version of a package in a lock file: the runner has to be of the same.
fn locked_version<'a>(lock: &'a str, package: &str) -> Result<&'a str> {
    let (_, entry) = lock
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .with_context(|| format!("Cargo.lock knows no {package}"))?;
    let (version, _) = entry.split_once('"').context("Cargo.lock is cut short")?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the runner's version is the crate's own, not that of a crate whose name begins alike.
    #[test]
    fn the_version_is_the_packages_own() {
        let lock = "[[package]]\nname = \"count-runner\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"count\"\nversion = \"2.0.0\"\n";
        assert_eq!(locked_version(lock, "count").expect("it is there"), "2.0.0");
        assert!(locked_version(lock, "runner").is_err());
    }

    /// Goal: twice as much is still good, and more is not.
    #[test]
    fn the_target_is_met_up_to_twice_as_much() {
        assert_eq!(compared("", 10.0, 20.0).met, Some(true));
        assert_eq!(compared("", 10.0, 20.1).met, Some(false));
    }
}
