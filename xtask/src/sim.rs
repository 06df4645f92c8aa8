//! `cargo xtask sim …`: the simulation, built for speed and started.
//!
//! Owns what people would otherwise have to remember: the release build, and where failing plans are
//! kept so that they run for ever. Everything else is the binary's own; its exit code is passed on.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::step;

/// The folder in which failing plans are kept, below the root.
const KEPT: &str = "sim/regressions";

/// What the runtime is compiled with for tier 2.
pub(crate) const MADSIM: &str = "--cfg madsim";

/// What runs, and with which arguments.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    program: &'static str,
    /// Whether it is built for tier 2.
    driven: bool,
    arguments: Vec<&'a str>,
}

/// Cargo, with everything compiled for tier 2, and a folder of its own for that.
pub(crate) fn cargo_for_tier_2(arguments: &[&str]) -> Command {
    let mut cargo = step::cargo(arguments);
    cargo.env("RUSTFLAGS", MADSIM).env("CARGO_TARGET_DIR", tier_2_folder());
    cargo
}

/// The program of tier 2, once it is built under a profile.
pub(crate) fn tier_2_program(profile: &str) -> PathBuf {
    tier_2_folder().join(profile).join("anteroom-sim")
}

fn tier_2_folder() -> PathBuf {
    step::root().join("target/madsim")
}

/// Runs the simulation with these arguments.
///
/// # Errors
/// When it does not build, cannot be started, or another tier is asked for.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let Wanted { program, driven, arguments } = Wanted::parse(arguments)?;
    let build = ["build", "--release", "--package", "anteroom-sim", "--bin", program];
    let mut command = if driven {
        step::run("the simulation", &mut cargo_for_tier_2(&build))?;
        let mut command = Command::new(tier_2_program("release"));
        command.current_dir(step::root());
        command
    } else {
        step::run("the simulation", &mut step::cargo(build))?;
        let run = ["run", "--quiet", "--release", "--package", "anteroom-sim", "--bin", program];
        let mut command = step::cargo(run);
        command.arg("--");
        command
    };
    let status = command.args(arguments).status().context("cannot start the simulation")?;
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
                    bail!("--tier needs a number: 0, 1 or 2")
                };
                (*tier, [&arguments[..place], &arguments[place + 2..]].concat())
            }
        };
        match tier {
            "0" => Ok(Self { program: "anteroom-exhaustive", driven: false, arguments: others }),
            "1" | "2" => {
                let arguments = [&["--keep", KEPT], others.as_slice()].concat();
                Ok(Self { program: "anteroom-sim", driven: tier == "2", arguments })
            }
            tier => bail!("there is no tier {tier}: tiers are 0, 1 and 2"),
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
        let swarm = |driven: bool, arguments: &[&'static str]| {
            let arguments = [&["--keep", KEPT], arguments].concat();
            Ok(Wanted { program: "anteroom-sim", driven, arguments })
        };
        assert_eq!(parsed(&["--seeds", "5"]), swarm(false, &["--seeds", "5"]));
        assert_eq!(parsed(&["--tier", "1", "--seed", "5"]), swarm(false, &["--seed", "5"]));
        assert_eq!(parsed(&["--seed", "5", "--tier", "2"]), swarm(true, &["--seed", "5"]));
        let (program, arguments) = ("anteroom-exhaustive", vec!["--only", "worlds"]);
        let tiny = Wanted { program, driven: false, arguments };
        assert_eq!(parsed(&["--tier", "0", "--only", "worlds"]), Ok(tiny));
        assert!(parsed(&["--tier", "3"]).is_err());
        assert!(parsed(&["--tier"]).is_err());
    }
}
