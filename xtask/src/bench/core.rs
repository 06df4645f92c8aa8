//! `cargo xtask bench core`: the core's speed and memory against what the design promises.
//!
//! Owns the comparison of cases; what is measured is in `core/benches`. Sizes are compared by
//! their medians in one run, for the machine may be busy with other things, and by the instructions
//! they take, which it does not change.

use anyhow::{Context, Result};

use super::divan::{self, Case};
use super::instructions;
use super::results::{self, Figure};
use crate::step;

/// Messages of one sample of the `machine` bench.
const MESSAGES: f64 = 256.0;

/// Runs the core's benches and publishes what they show, times first and then instructions.
///
/// # Errors
/// When a bench does not build or run, prints something else, or the results cannot be kept.
pub(crate) fn run() -> Result<()> {
    let bench = |name| {
        let arguments = ["bench", "--package", "anteroom-core", "--bench", name];
        step::output(name, &mut step::cargo(arguments))
    };
    let mut figures = throughput(&divan::read(&bench("machine")?)?)?;
    figures.extend(queue(&divan::read(&bench("queue")?)?)?);
    figures.extend(memory(&bench("memory")?)?);
    results::publish("core", &figures)?;
    instructions::run()
}

fn throughput(cases: &[Case]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for correspondents in [64, 1_000] {
        let case = find(cases, &format!("text_message {correspondents}"))?;
        let median = MESSAGES * 1e9 / case.median_ns;
        let fastest = MESSAGES * 1e9 / case.fastest_ns;
        for (which, value) in [("median", median), ("fastest sample", fastest)] {
            figures.push(Figure {
                what: format!(
                    "texts through the machine, {correspondents} correspondents, {which}"
                ),
                target: "≥ 1,000,000/s".to_owned(),
                value,
                unit: "messages/s",
                method: format!("{} samples of {MESSAGES} messages", case.samples),
                met: Some(value >= 1e6),
            });
        }
    }
    Ok(figures)
}

fn queue(cases: &[Case]) -> Result<Vec<Figure>> {
    let ratios = [
        ("complete_oldest", 10, 100_000, "complete the oldest placeholder, 100,000 against 10"),
        ("complete", 10, 100_000, "complete any placeholder, 100,000 against 10"),
        ("pop_behind", 10, 100_000, "pop a text behind placeholders, 100,000 against 10"),
        ("evict_700", 1_000, 100_000, "an addition that evicts 700, of 100,000 against of 1,000"),
    ];
    let mut figures = Vec::new();
    for (bench, few, many, what) in ratios {
        let few = find(cases, &format!("{bench} {few}"))?;
        let many = find(cases, &format!("{bench} {many}"))?;
        let ratio = many.median_ns / few.median_ns;
        figures.push(Figure {
            what: what.to_owned(),
            target: "≤ 2 ×".to_owned(),
            value: ratio,
            unit: "×",
            method: format!(
                "medians {:.2} and {:.2} µs, {} samples",
                many.median_ns / 1e3,
                few.median_ns / 1e3,
                few.samples
            ),
            met: Some(ratio <= 2.0),
        });
    }
    let seventy = find(cases, "evict_70 100000")?.median_ns;
    let seven_hundred = find(cases, "evict_700 100000")?.median_ns;
    figures.push(Figure {
        what: "evicting 700 against 70, of 100,000".to_owned(),
        target: "about 10 ×".to_owned(),
        value: seven_hundred / seventy,
        unit: "×",
        method: "medians in one run".to_owned(),
        met: Some(seven_hundred / seventy <= 12.0),
    });
    let all = find(cases, "complete_all 10000")?;
    figures.push(Figure {
        what: "complete all 10,000 placeholders of a queue".to_owned(),
        target: "< 20 ms".to_owned(),
        value: all.median_ns / 1e6,
        unit: "ms",
        method: format!("median of {} samples", all.samples),
        met: Some(all.median_ns < 20e6),
    });
    Ok(figures)
}

/// Reads the lines `case | bytes | target` of the `memory` bench.
fn memory(output: &str) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for line in output.lines() {
        let [case, bytes, target] = line.split(" | ").collect::<Vec<_>>()[..] else { continue };
        let bytes: f64 = bytes.parse().with_context(|| format!("no bytes: {line:?}"))?;
        let target: Option<f64> = target.parse().ok();
        figures.push(Figure {
            what: format!("a placeholder beyond its strings, {case}"),
            target: target.map_or("none".to_owned(), |target| format!("≤ {target} bytes")),
            value: bytes,
            unit: "bytes",
            method: "asked of the allocator, 100,000 placeholders".to_owned(),
            met: target.map(|target| bytes <= target),
        });
    }
    Ok(figures)
}

fn find<'a>(cases: &'a [Case], name: &str) -> Result<&'a Case> {
    let case = cases.iter().find(|case| case.name == name);
    case.with_context(|| format!("the bench printed no case {name:?}"))
}
