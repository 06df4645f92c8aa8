//! `cargo xtask bench media`: how full media pools are, and how well apart.
//!
//! Owns the targets; what is measured is in `bench_media` of the tests.

use anyhow::{Context, Result, bail};

use super::results::{self, Figure};
use crate::step;

/// A case, what it is called, its target in words, and whether a figure meets it.
type Case = (&'static str, &'static str, &'static str, fn(f64) -> Option<bool>);

const CASES: &[Case] = &[
    ("utilisation 1", "the only slot at work while short jobs wait", "≥ 95 %", at_least_95),
    ("utilisation 2", "two slots at work while jobs wait", "≥ 95 %", at_least_95),
    ("utilisation 4", "four slots at work while jobs wait", "≥ 95 %", at_least_95),
    ("utilisation 8", "eight slots at work while jobs wait", "≥ 95 %", at_least_95),
    ("quick alone", "a document through an idle node", "none", |_| None),
    ("quick beside slow", "a document beside a pool that is full", "none", |_| None),
    ("quick ratio", "that against an idle node", "≤ 1.5 ×", |ratio| Some(ratio <= 1.5)),
    ("routing", "the pool of a MIME type", "< 5 µs", |us| Some(us < 5.0)),
    ("formatting", "a message of 4,000 characters", "< 100 µs", |us| Some(us < 100.0)),
];

fn at_least_95(percent: f64) -> Option<bool> {
    Some(percent >= 95.0)
}

/// Runs the benchmark and publishes what it shows.
///
/// # Errors
/// When it does not build or run, prints something else, or the results cannot be kept.
pub(crate) fn run() -> Result<()> {
    let build = ["build", "--release", "--package", "anteroom-runtime", "--bin", "anteroom"];
    step::run("the binary under test", &mut step::cargo(build))?;
    let run = ["run", "--release", "--package", "anteroom-tests", "--bin", "bench_media"];
    let printed = step::output("media", &mut step::cargo(run))?;
    results::publish("media", &read(&printed)?)
}

/// Reads the lines `case | value | unit | how`.
fn read(printed: &str) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for line in printed.lines() {
        let [case, value, unit, how] = line.split(" | ").collect::<Vec<_>>()[..] else { continue };
        let value: f64 = value.parse().with_context(|| format!("no figure: {line:?}"))?;
        let found = CASES.iter().find(|(name, ..)| *name == case);
        let Some((_, what, target, is_met)) = found else { bail!("no such case: {line:?}") };
        let unit = ["%", "ms", "µs", "×"].into_iter().find(|known| *known == unit);
        figures.push(Figure {
            what: (*what).to_owned(),
            target: (*target).to_owned(),
            value,
            unit: unit.with_context(|| format!("no such unit: {line:?}"))?,
            method: how.to_owned(),
            met: is_met(value),
        });
    }
    if figures.is_empty() {
        bail!("the benchmark printed no figure");
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: figures are held against their targets, and a line that means nothing is refused or passed
    /// over.
    #[test]
    fn figures_are_held_against_their_targets() {
        let printed = "noise\nutilisation 2 | 96.1 | % | how\nquick ratio | 1.6 | × | how\n\
                       quick alone | 3 | ms | how\n";
        let met: Vec<_> = read(printed).expect("figures").iter().map(|figure| figure.met).collect();
        assert_eq!(met, [Some(true), Some(false), None]);
        assert!(read("sleep | 1 | ms | how\n").is_err());
        assert!(read("routing | 1 | furlongs | how\n").is_err());
        assert!(read("").is_err());
    }
}
