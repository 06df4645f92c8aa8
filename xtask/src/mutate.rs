//! `cargo xtask mutate …`: breaks the core's rules one by one, and sees whether a test notices.
//!
//! Its settings are in `.cargo/mutants.toml`; what is to be thought of a survivor is in
//! `docs/mutants.md`.

use anyhow::Result;

use crate::step;

/// Runs the mutants of some files, or of the whole core.
///
/// # Errors
/// When mutants survive, or cargo-mutants is not installed.
pub(crate) fn run(files: &[&str]) -> Result<()> {
    let mut mutants = step::cargo(["mutants", "--package", "anteroom-core"]);
    mutants.args(["--output", "target/mutants"]);
    for file in files {
        mutants.args(["--file", file]);
    }
    // Kept, so that only the first run builds what the core depends on.
    mutants.env("CARGO_TARGET_DIR", step::root().join("target/mutants-build"));
    // A case that fails is enough; finding the smallest one takes longer than all else.
    mutants.env("PROPTEST_MAX_SHRINK_ITERS", "0");
    step::run_last("mutate", &mut mutants)
}
