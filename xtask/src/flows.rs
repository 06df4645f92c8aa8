//! `cargo xtask flows`: draws `docs/flows.md` anew from the scenarios of the core.

use anyhow::Result;

use crate::step;

/// Writes the page; what has changed in it is to be read before it is committed.
///
/// # Errors
/// When the scenarios do not build or do not run.
pub(crate) fn run() -> Result<()> {
    let arguments = ["test", "--package", "anteroom-core", "--test", "core", "flows"];
    step::run("flows", step::cargo(arguments).env("ANTEROOM_UPDATE_FLOWS", "1"))
}
