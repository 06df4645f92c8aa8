//! `cargo xtask sim …`: the simulation, built for speed and started.
//!
//! Owns what people would otherwise have to remember: the release build, and where failing plans are
//! kept so that they run for ever. Everything else is the binary's own; its exit code is passed on.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::step;

/// The folder in which failing plans are kept, below the root.
const KEPT: &str = "sim/regressions";

/// Runs the simulation with these arguments.
///
/// # Errors
/// When it does not build, cannot be started, or another tier is asked for.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let arguments = first_tier(arguments)?;
    let build = ["build", "--release", "--package", "anteroom-sim", "--bin", "anteroom-sim"];
    step::run("the simulation", &mut step::cargo(build))?;
    let run = ["run", "--quiet", "--release", "--package", "anteroom-sim", "--bin", "anteroom-sim"];
    let mut command = step::cargo(run);
    command.args(["--", "--keep", KEPT]).args(arguments);
    let status = command.status().context("cannot start the simulation")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The arguments without `--tier 1`, which is the only tier that runs here.
fn first_tier<'a>(arguments: &[&'a str]) -> Result<Vec<&'a str>> {
    let Some(place) = arguments.iter().position(|argument| *argument == "--tier") else {
        return Ok(arguments.to_vec());
    };
    match arguments.get(place + 1) {
        Some(&"1") => Ok([&arguments[..place], &arguments[place + 2..]].concat()),
        Some(tier) => bail!("there is no tier {tier} here: only tier 1 can be run"),
        None => bail!("--tier needs a number: 1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the tier is taken out and everything else passed on; another tier is refused.
    #[test]
    fn only_the_first_tier_runs() {
        let passed = first_tier(&["--tier", "1", "--seeds", "5"]).expect("tier 1 is there");
        assert_eq!(passed, ["--seeds", "5"]);
        assert_eq!(first_tier(&["--seeds", "5"]).expect("no tier is fine"), ["--seeds", "5"]);
        assert!(first_tier(&["--tier", "2"]).is_err());
        assert!(first_tier(&["--tier"]).is_err());
    }
}
