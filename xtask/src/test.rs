//! `cargo xtask test`: everything that must hold, the cheapest checks first.
//!
//! **Invariant**: the test runner comes last, so that its summary is the last thing printed.

use std::process::Command;

use anyhow::Result;

use crate::{engines, step, tier_2};

/// Runs all steps and stops at the first that fails.
///
/// # Errors
/// The step that failed.
pub(crate) fn run(runner_arguments: &[&str]) -> Result<()> {
    let skipped = engines::install();
    step::run("format", &mut step::cargo(["fmt", "--all", "--check"]))?;
    step::run(
        "lints",
        &mut step::cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    )?;
    step::run(
        "documentation",
        step::cargo(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    step::run("documentation's examples", &mut step::cargo(["test", "--doc", "--workspace"]))?;
    // By itself, so that it has the features that users get and none that only tests ask for.
    let build = ["build", "--package", "anteroom-runtime", "--bin", "anteroom"];
    step::run("the binary under test", &mut step::cargo(build))?;
    tier_2::check()?;
    step::run_last("tests", &mut runner(runner_arguments, &skipped))
}

/// The test runner: nextest where it is installed, else cargo's own.
fn runner(arguments: &[&str], skipped: &[&str]) -> Command {
    let is_nextest = step::succeeds(&mut step::cargo(["nextest", "--version"]));
    let mut command = step::cargo(if is_nextest { &["nextest", "run"][..] } else { &["test"] });
    if !is_nextest && arguments.is_empty() {
        // The documentation's examples have run already.
        command.arg("--tests");
    }
    let names_a_package = arguments
        .iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    if !names_a_package {
        command.arg("--workspace");
    }
    command.args(arguments);
    if !skipped.is_empty() && !arguments.contains(&"--") {
        command.arg("--");
    }
    for name in skipped {
        command.args(["--skip", name]);
    }
    command
}
