//! `cargo xtask sim …`: the simulation, built for speed and started.
//!
//! Owns what people would otherwise have to remember: the release build, and where failing plans are
//! kept so that they run for ever. Everything else is the binary's own; its exit code is passed on.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::step;

/// The folder in which failing plans are kept, below the root.
const KEPT: &str = "sim/regressions";

/// What runs, and with which arguments.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    program: &'static str,
    arguments: Vec<&'a str>,
}

/// Runs the simulation with these arguments.
///
/// # Errors
/// When it does not build, cannot be started, or another tier is asked for.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let Wanted { program, arguments } = Wanted::parse(arguments)?;
    let build = ["build", "--release", "--package", "anteroom-sim", "--bin", program];
    step::run("the simulation", &mut step::cargo(build))?;
    let run = ["run", "--quiet", "--release", "--package", "anteroom-sim", "--bin", program];
    let mut command = step::cargo(run);
    command.arg("--").args(arguments);
    let status = command.status().context("cannot start the simulation")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

impl<'a> Wanted<'a> {
    /// Takes the tier out of the arguments; without one it is tier 1.
    fn parse(arguments: &[&'a str]) -> Result<Self> {
        let place = arguments.iter().position(|argument| *argument == "--tier");
        let (tier, others) = match place {
            None => ("1", arguments.to_vec()),
            Some(place) => {
                let Some(tier) = arguments.get(place + 1) else {
                    bail!("--tier needs a number: 0 or 1")
                };
                (*tier, [&arguments[..place], &arguments[place + 2..]].concat())
            }
        };
        match tier {
            "0" => Ok(Self { program: "anteroom-exhaustive", arguments: others }),
            "1" => {
                let arguments = [&["--keep", KEPT], others.as_slice()].concat();
                Ok(Self { program: "anteroom-sim", arguments })
            }
            tier => bail!("there is no tier {tier} here: only tiers 0 and 1 can be run"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the tier says which program runs, and everything else is passed on; an unknown tier is
    /// refused.
    #[test]
    fn the_tier_says_what_runs() {
        let parsed = |words: &[&'static str]| Wanted::parse(words).map_err(|it| it.to_string());
        let swarm =
            Wanted { program: "anteroom-sim", arguments: vec!["--keep", KEPT, "--seeds", "5"] };
        assert_eq!(parsed(&["--seeds", "5"]), Ok(swarm));
        let swarm =
            Wanted { program: "anteroom-sim", arguments: vec!["--keep", KEPT, "--seed", "5"] };
        assert_eq!(parsed(&["--tier", "1", "--seed", "5"]), Ok(swarm));
        let tiny = Wanted { program: "anteroom-exhaustive", arguments: vec!["--only", "worlds"] };
        assert_eq!(parsed(&["--tier", "0", "--only", "worlds"]), Ok(tiny));
        assert!(parsed(&["--tier", "2"]).is_err());
        assert!(parsed(&["--tier"]).is_err());
    }
}
