//! `cargo xtask bench store`: media jobs through the shipped stores, against what the design promises.
//!
//! Owns the targets; what is measured is in `anteroom_tests::store_bench`.

use anyhow::{Context, Result, bail};

use super::results::{self, Figure};
use crate::step;

/// The stores that are measured, one after the other.
const STORES: [&str; 2] = ["sqlite", "mongodb"];

/// What a figure is held against.
#[derive(Debug, Clone, Copy)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
    None,
}

/// What is promised of a rate: on SQLite; BullMQ on Redis with AOF does 12,600.
const SQLITE_RATE: Target = Target::AtLeast(20_000.0);

/// What is promised against the driver alone, on MongoDB.
const AGAINST_DRIVER: Target = Target::AtLeast(0.7);

/// A case, what it is called, and what is promised of it on SQLite and on MongoDB.
type Case = (&'static str, &'static str, Target, Target);

const CASES: &[Case] = &[
    ("live", "media jobs as they arrive", SQLITE_RATE, Target::None),
    ("live raw", "the same writes by the driver alone", Target::None, Target::None),
    ("live ratio", "media jobs against the driver alone", Target::None, AGAINST_DRIVER),
    ("live batch", "jobs in one durable write", Target::None, Target::None),
    ("live processor", "processor time of a media job", Target::None, Target::None),
    ("live server", "processor time of a media job in the server", Target::None, Target::None),
    ("live raw processor", "processor time of the same writes", Target::None, Target::None),
    (
        "live processor ratio",
        "processor time of the driver alone against a media job's",
        Target::None,
        Target::None,
    ),
    ("plain", "a plain queue by the driver alone", Target::None, Target::None),
    ("plain ratio", "media jobs against a plain queue", Target::None, Target::None),
    (
        "live deep",
        "media jobs as they arrive, as many of a correspondent as its queue may hold",
        Target::None,
        Target::None,
    ),
    ("live deep raw", "the same writes by the driver alone", Target::None, Target::None),
    ("live deep ratio", "that against the driver alone", Target::None, AGAINST_DRIVER),
    ("live deep batch", "jobs in one durable write", Target::None, Target::None),
    ("backlog 100", "a backlog of 100 media jobs", Target::None, Target::None),
    ("backlog 100 ratio", "that against the driver alone", Target::None, AGAINST_DRIVER),
    ("backlog 1000", "a backlog of 1,000 media jobs", SQLITE_RATE, Target::None),
    ("backlog 1000 ratio", "that against the driver alone", Target::None, AGAINST_DRIVER),
    ("backlog 10000", "a backlog of 10,000 media jobs", SQLITE_RATE, Target::None),
    ("backlog 10000 ratio", "that against the driver alone", Target::None, AGAINST_DRIVER),
    ("backlog 100000", "a backlog of 100,000 media jobs", SQLITE_RATE, Target::None),
    ("backlog 100000 ratio", "that against the driver alone", Target::None, AGAINST_DRIVER),
    ("recovery", "recovery of 10,000 held jobs", Target::AtMost(1.0), Target::AtMost(3.0)),
    (
        "latency text called back",
        "a text, from its frame to the callback that is acknowledged, median",
        Target::AtMost(3.0),
        Target::AtMost(5.0),
    ),
    (
        "latency text",
        "a text, to the confirmation that the acknowledgement is durable, median",
        Target::AtMost(3.0),
        Target::AtMost(5.0),
    ),
    (
        "latency media called back",
        "media that need no time, to the callback that is acknowledged, median",
        Target::AtMost(9.0),
        Target::AtMost(15.0),
    ),
    (
        "latency media",
        "media that need no time, to the confirmation, median",
        Target::AtMost(9.0),
        Target::AtMost(15.0),
    ),
    ("idle", "database operations of an idle node", Target::Below(2.0), Target::Below(2.0)),
    ("agenda", "Agenda's jobs as they arrive", Target::None, Target::None),
    (
        "agenda ratio",
        "media jobs as they arrive against Agenda's",
        Target::None,
        Target::AtLeast(20.0),
    ),
    ("agenda backlog", "a backlog of Agenda's jobs", Target::None, Target::None),
    (
        "agenda backlog ratio",
        "a backlog of media jobs against Agenda's",
        Target::None,
        Target::None,
    ),
];

/// Runs the store benchmark with its own arguments and publishes what it shows.
///
/// # Errors
/// When it does not build or run, prints something else, or the results cannot be kept.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let mut figures = Vec::new();
    for store in STORES {
        let run = ["run", "--release", "--package", "anteroom-tests", "--bin", "bench_store", "--"];
        let mut command = step::cargo(run);
        let printed = step::output(store, command.arg(store).args(arguments))?;
        figures.extend(read(&printed)?);
    }
    results::publish("store", &figures)
}

/// Reads the lines `store | case | value | unit | how`.
fn read(printed: &str) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for line in printed.lines() {
        let [store, case, value, unit, how] = line.split(" | ").collect::<Vec<_>>()[..] else {
            continue;
        };
        let value: f64 = value.parse().with_context(|| format!("no figure: {line:?}"))?;
        let found = CASES.iter().find(|(name, ..)| *name == case);
        let Some((_, what, sqlite, mongodb)) = found else { bail!("no such case: {line:?}") };
        let target = if store == "SQLite" { sqlite } else { mongodb };
        figures.push(Figure {
            what: format!("{store}: {what}"),
            target: target.shown(unit),
            value,
            unit: known(unit).with_context(|| format!("no such unit: {line:?}"))?,
            method: how.to_owned(),
            met: target.is_met_by(value),
        });
    }
    if figures.is_empty() {
        bail!("the benchmark printed no figure");
    }
    Ok(figures)
}

/// The units that figures have.
fn known(unit: &str) -> Option<&'static str> {
    ["jobs/s", "jobs", "×", "µs", "ms", "s", "operations/s"]
        .into_iter()
        .find(|known| *known == unit)
}

impl Target {
    fn shown(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {} {unit}", results::shown(least)),
            Self::AtMost(most) => format!("≤ {} {unit}", results::shown(most)),
            Self::Below(limit) => format!("< {} {unit}", results::shown(limit)),
            Self::None => "none".to_owned(),
        }
    }

    fn is_met_by(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            Self::Below(limit) => Some(value < limit),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each store's figures are held against its own targets, and a line that means nothing is
    /// refused or passed over.
    #[test]
    fn figures_are_held_against_their_stores_targets() {
        let printed = "noise\n\
            SQLite | recovery | 1.5000 | s | 10000 held jobs of one bot, median of 3 (1.40 to 1.60)\n\
            MongoDB | recovery | 1.5000 | s | 10000 held jobs of one bot\n\
            MongoDB | live raw | 9000 | jobs/s | how\n";
        let figures = read(printed).expect("figures");
        let met: Vec<_> = figures.iter().map(|figure| figure.met).collect();
        assert_eq!(met, [Some(false), Some(true), None]);
        assert_eq!(figures[0].what, "SQLite: recovery of 10,000 held jobs");
        assert_eq!(figures[0].target, "≤ 1.00 s");
        assert!(read("SQLite | sleep | 1 | s | how\n").is_err());
        assert!(read("SQLite | idle | 1 | furlongs | how\n").is_err());
        assert!(read("").is_err());
    }
}
