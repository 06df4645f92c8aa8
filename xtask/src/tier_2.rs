//! Tier 2 of the simulation within `cargo xtask test`: its lints, a sample of its seeds, the plans that
//! failed once, worlds that must fail, and whether a seed runs the same in two processes.
//!
//! It is not a test of the test runner, because it is compiled with `--cfg madsim`, into a folder of its
//! own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::sim::{cargo_for_tier_2, tier_2_program};
use crate::step;

/// Built fast, and fast enough for a few hundred seeds.
const PROFILE: &str = "planted";

/// The seeds of the sample: enough for the rarest situation, workers lost three times in a row, which one
/// seed in a thousand meets.
const SAMPLE: &str = "6000";

/// Runs all of it, and stops at the first step that fails.
///
/// # Errors
/// The step that failed.
pub(crate) fn check() -> Result<()> {
    let lints = ["clippy", "--package", "anteroom-runtime", "--lib", "--", "--deny", "warnings"];
    step::run("lints of the driver in tier 2", &mut cargo_for_tier_2(&lints))?;
    let lints =
        ["clippy", "--package", "anteroom-sim", "--bins", "--lib", "--", "--deny", "warnings"];
    step::run("lints of tier 2", &mut cargo_for_tier_2(&lints))?;
    let build = ["build", "--profile", PROFILE, "--package", "anteroom-sim", "--bin"];
    let build = [&build[..], &["anteroom-sim"]].concat();
    step::run("the simulation, tier 2", &mut cargo_for_tier_2(&build))?;
    let sample = ["--from", "1", "--seeds", SAMPLE, "--gate"];
    step::run("a sample of tier 2", simulation().args(sample))?;
    for plan in kept_plans()? {
        step::run("a plan that failed once", simulation().arg("--quiet").arg("--plan").arg(plan))?;
    }
    let canaries = ["--canary", "--seeds", "14", "--quiet"];
    step::run("worlds of tier 2 that must fail", simulation().args(canaries))?;
    let [first, second] = [digests("1")?, digests("2")?];
    if first != second || !first.contains("DIGEST") {
        bail!("tier 2: the same seeds do not run the same in two processes");
    }
    Ok(())
}

fn simulation() -> Command {
    let mut command = Command::new(tier_2_program(PROFILE));
    command.current_dir(step::root());
    command
}

/// A hash over everything that happens in each of some seeds, one seed a process.
fn digests(at_once: &str) -> Result<String> {
    let arguments = ["--from", "1", "--seeds", "20", "--digest", "--quiet", "--threads", at_once];
    let output = step::output("two processes of tier 2 do the same", simulation().args(arguments))?;
    Ok(output.lines().filter(|line| line.starts_with("DIGEST")).collect::<Vec<_>>().join("\n"))
}

/// The plans in `sim/regressions`, by name.
fn kept_plans() -> Result<Vec<PathBuf>> {
    let folder = step::root().join("sim/regressions");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut plans = Vec::new();
    for entry in entries {
        plans.push(entry?.path());
    }
    plans.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    plans.sort();
    Ok(plans)
}
