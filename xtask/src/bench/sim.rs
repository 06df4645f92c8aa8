//! `cargo xtask bench sim`: how fast the simulation is, with every rule looking.
//!
//! One thread runs the default mix of seeds, in tier 2 two processes at a time. What is held against the targets is processor time, for
//! the machine may be busy with other things.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::results::{self, Figure};
use crate::sim::{cargo_for_tier_2, tier_2_program};
use crate::step;

/// The seeds that are measured.
const SEEDS: &str = "1000";

/// The seeds that are measured in tier 2.
const DRIVEN_SEEDS: &str = "500";

/// Runs the seeds and publishes what they show.
///
/// # Errors
/// When the simulation does not build, a seed fails, or the results cannot be kept.
pub(crate) fn run() -> Result<()> {
    let build = ["build", "--release", "--package", "anteroom-sim", "--bin", "anteroom-sim"];
    step::run("the simulation", &mut step::cargo(build))?;
    // Not by `cargo run`: cargo turns into what it runs, whose processor time then has the compilers' in it.
    let mut command = Command::new(step::root().join("target/release/anteroom-sim"));
    let options = ["--from", "1", "--seeds", SEEDS, "--threads", "1", "--quiet", "--figures"];
    let printed = step::output("simulation", command.args(options))?;
    let mut results = read(&figures(&printed)?)?;
    step::run("the simulation, tier 2", &mut cargo_for_tier_2(&build))?;
    let mut command = Command::new(tier_2_program("release"));
    let options = ["--seeds", DRIVEN_SEEDS, "--threads", "2", "--quiet", "--figures"];
    let printed = step::output("simulation, tier 2", command.args(options))?;
    results.push(read_driven(&figures(&printed)?)?);
    results::publish("sim", &results)
}

fn figures(printed: &str) -> Result<Value> {
    let figures = printed.lines().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(figures.context("the simulation printed no figures")?)?)
}

fn figure(figures: &Value, name: &str) -> Result<f64> {
    let value = figures.get(name).and_then(Value::as_f64);
    value.with_context(|| format!("no figure {name:?}"))
}

/// Each plan of tier 2 is a process, whose start counts.
fn read_driven(figures: &Value) -> Result<Figure> {
    let of = |name: &str| figure(figures, name);
    let (seeds, seconds, cpu) = (of("seeds")?, of("seconds")?, of("cpu_seconds")?);
    let on_two_cores = 2.0 * seeds / cpu;
    Ok(Figure {
        what: "plans of tier 2 on two cores, a process each".to_owned(),
        target: "≥ 50/s".to_owned(),
        value: on_two_cores,
        unit: "plans/s",
        method: format!(
            "{seeds:.0} seeds, {cpu:.1} s of processor time, {:.0} plans/s by the clock",
            seeds / seconds
        ),
        met: Some(on_two_cores >= 50.0),
    })
}

fn read(figures: &Value) -> Result<Vec<Figure>> {
    let of = |name: &str| figure(figures, name);
    let (events, seconds, cpu) = (of("events")?, of("seconds")?, of("cpu_seconds")?);
    let (seeds, simulated) = (of("seeds")?, of("simulated_per_wall")? * seconds);
    let method = format!("{seeds:.0} seeds on one thread, {cpu:.1} s of processor time");
    let figure = |what: &str, target: &str, value: f64, unit, met| Figure {
        what: what.to_owned(),
        target: target.to_owned(),
        value,
        unit,
        method: method.clone(),
        met: Some(met),
    };
    Ok(vec![
        figure(
            "checked events",
            "≥ 200,000/s",
            events / cpu,
            "events/s",
            events / cpu >= 200_000.0,
        ),
        figure(
            "simulated time against processor time",
            "≥ 10,000 ×",
            simulated / cpu,
            "×",
            simulated / cpu >= 10_000.0,
        ),
        figure("1,000 seeds", "< 180 s", cpu * 1_000.0 / seeds, "s", cpu * 1_000.0 / seeds < 180.0),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: figures are judged by processor time; one that is missing is an error.
    #[test]
    fn figures_are_read() {
        let printed = r#"{"events":500000,"seconds":4.0,"cpu_seconds":2.0,"seeds":100,
            "simulated_per_wall":9000.0}"#;
        let figures = read(&serde_json::from_str(printed).expect("JSON")).expect("all figures");
        let values: Vec<_> = figures.iter().map(|figure| figure.value).collect();
        assert_eq!(values, [250_000.0, 18_000.0, 20.0]);
        assert!(figures.iter().all(|figure| figure.met == Some(true)));
        assert!(read(&serde_json::json!({"events": 1})).is_err());
        let printed = serde_json::json!({"seconds": 3.0, "cpu_seconds": 4.0, "seeds": 120});
        let driven = read_driven(&printed).expect("all figures");
        assert_eq!((driven.value, driven.met), (60.0, Some(true)));
    }
}
