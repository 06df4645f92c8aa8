//! `cargo xtask bench sim`: how fast the simulation is, with every rule looking.
//!
//! One thread runs the default mix of seeds. What is held against the targets is processor time, for
//! the machine may be busy with other things.

use anyhow::{Context, Result};
use serde_json::Value;

use super::results::{self, Figure};
use crate::step;

/// The seeds that are measured.
const SEEDS: &str = "1000";

/// Runs the seeds and publishes what they show.
///
/// # Errors
/// When the simulation does not build, a seed fails, or the results cannot be kept.
pub(crate) fn run() -> Result<()> {
    let arguments =
        ["run", "--release", "--package", "anteroom-sim", "--bin", "anteroom-sim", "--"];
    let options = ["--from", "1", "--seeds", SEEDS, "--threads", "1", "--quiet", "--figures"];
    let mut command = step::cargo(arguments);
    let printed = step::output("simulation", command.args(options))?;
    let figures = printed.lines().find(|line| line.starts_with('{'));
    let figures = figures.context("the simulation printed no figures")?;
    results::publish("sim", &read(&serde_json::from_str(figures)?)?)
}

fn read(figures: &Value) -> Result<Vec<Figure>> {
    let of = |name: &str| {
        let value = figures.get(name).and_then(Value::as_f64);
        value.with_context(|| format!("no figure {name:?}"))
    };
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
    }
}
