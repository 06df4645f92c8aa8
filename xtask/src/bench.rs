//! `cargo xtask bench …`: measures, and asserts nothing.

pub(crate) mod core;
mod divan;
pub(crate) mod instructions;
pub(crate) mod media;
mod results;
pub(crate) mod sim;
pub(crate) mod store;

use anyhow::Result;

use crate::step;

/// How long a text takes through an idle server.
///
/// # Errors
/// When something does not build, or a promise is broken meanwhile.
pub(crate) fn latency() -> Result<()> {
    let build = ["build", "--release", "--package", "anteroom-runtime", "--bin", "anteroom"];
    step::run("the binary under test", &mut step::cargo(build))?;
    let run = ["run", "--release", "--package", "anteroom-tests", "--bin", "bench_latency"];
    step::run_last("latency", &mut step::cargo(run))
}

/// What metrics and the log cost, in texts through a node.
///
/// # Errors
/// When something does not build, or a promise is broken meanwhile.
pub(crate) fn observe() -> Result<()> {
    let build = ["build", "--release", "--package", "anteroom-runtime", "--bin", "anteroom"];
    step::run("the binary under test", &mut step::cargo(build))?;
    let run = ["run", "--release", "--package", "anteroom-tests", "--bin", "bench_observe"];
    step::run_last("observe", &mut step::cargo(run))
}

/// A thousand providers, texts in and called back over the stream, and the memory of an idle connection.
///
/// # Errors
/// When something does not build, or a promise is broken meanwhile.
pub(crate) fn wire() -> Result<()> {
    let build = ["build", "--release", "--package", "anteroom-runtime", "--bin", "anteroom"];
    step::run("the binary under test", &mut step::cargo(build))?;
    let run = ["run", "--release", "--package", "anteroom-tests", "--bin", "bench_wire"];
    step::run_last("wire", &mut step::cargo(run))
}
