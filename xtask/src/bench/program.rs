//! Benchmarks that are a program of the tests, which drives the real binary and prints what it measures.
//!
//! Owns the targets; what is measured, and how, is in the program.

use anyhow::{Context, Result, bail};

use super::results::{self, Figure};
use crate::step;

/// A case, what it is called, its target in words, and whether a figure meets it.
type Case = (&'static str, &'static str, &'static str, fn(f64) -> Option<bool>);

/// One of these benchmarks.
pub(crate) struct Program {
    /// As its command and its section of `docs/benchmarks.md` are called.
    name: &'static str,
    binary: &'static str,
    cases: &'static [Case],
}

/// How full media pools are while work waits, and how well apart.
pub(crate) const MEDIA: Program = Program {
    name: "media",
    binary: "bench_media",
    cases: &[
        ("utilisation 1", "the only slot at work while short jobs wait", "≥ 95 %", at_least_95),
        ("utilisation 2", "two slots at work while jobs wait", "≥ 95 %", at_least_95),
        ("utilisation 4", "four slots at work while jobs wait", "≥ 95 %", at_least_95),
        ("utilisation 8", "eight slots at work while jobs wait", "≥ 95 %", at_least_95),
        ("quick alone", "a document through an idle node", "none", no_target),
        ("quick beside slow", "a document beside a pool that is full", "none", no_target),
        ("quick ratio", "that against an idle node", "≤ 1.5 ×", |ratio| Some(ratio <= 1.5)),
        ("routing", "the pool of a MIME type", "< 5 µs", |us| Some(us < 5.0)),
        ("formatting", "a message of 4,000 characters", "< 100 µs", |us| Some(us < 100.0)),
    ],
};

/// How long a text takes through an idle server.
pub(crate) const LATENCY: Program = Program {
    name: "latency",
    binary: "bench_latency",
    cases: &[
        ("receipt", "from a text's frame to its receipt, median", "none", no_target),
        ("receipt p95", "the same, p95", "none", no_target),
        ("callback", "to its callback, median", "none", no_target),
        ("callback p95", "the same, p95", "none", no_target),
        ("confirmed", "to its confirmed acknowledgement, median", "≤ 3 ms", |ms| Some(ms <= 3.0)),
        ("confirmed p95", "the same, p95", "none", no_target),
    ],
};

/// A thousand providers, texts in and called back over the stream, and the memory of an idle connection.
pub(crate) const WIRE: Program = Program {
    name: "wire",
    binary: "bench_wire",
    cases: &[
        ("accepted", "texts accepted", "≥ 20,000/s", |rate| Some(rate >= 20_000.0)),
        ("called back", "texts called back, acknowledged and confirmed", "≥ 20,000/s", |rate| {
            Some(rate >= 20_000.0)
        }),
        ("receipt", "a receipt under this load, median", "none", no_target),
        ("receipt p99", "a receipt under this load, p99", "none", no_target),
        ("paced", "a receipt at a tenth of this load, median", "none", no_target),
        ("paced p99", "a receipt at a tenth of this load, p99", "none", no_target),
        ("operated", "the same while operators ask, median", "none", no_target),
        ("operated p99", "the same while operators ask, p99", "none", no_target),
        (
            "operated ratio",
            "p99 while operators ask, against nobody asking",
            "≤ 1.1 ×",
            |ratio| Some(ratio <= 1.1),
        ),
        ("beside", "the same while operators ask a stand-in, median", "none", no_target),
        ("beside p99", "the same while operators ask a stand-in, p99", "none", no_target),
        (
            "beside ratio",
            "p99 while operators ask a stand-in, against nobody asking",
            "none",
            no_target,
        ),
        ("idle", "an idle connection and its bot", "< 64 KiB", |kib| Some(kib < 64.0)),
        ("resident", "resident at the end", "none", no_target),
    ],
};

/// What metrics and the log cost, in texts through a node.
pub(crate) const OBSERVE: Program = Program {
    name: "observe",
    binary: "bench_observe",
    cases: &[
        ("rate", "texts a second, seen against unseen", "≥ 0.95 ×", |ratio| Some(ratio >= 0.95)),
        (
            "processor time",
            "the node's processor time a text, seen against unseen",
            "≤ 1.05 ×",
            |ratio| Some(ratio <= 1.05),
        ),
    ],
};

/// How long operators wait where much has been kept.
pub(crate) const OPERATE: Program = Program {
    name: "operate",
    binary: "bench_operate",
    cases: &[
        ("SQLite: failed jobs", "SQLite: a page of failed jobs", "≤ 10 ms", at_most_10),
        ("SQLite: failed jobs of a bot", "SQLite: one of a bot's", "≤ 10 ms", at_most_10),
        (
            "SQLite: failed jobs by reason",
            "SQLite: one of those with a reason",
            "≤ 10 ms",
            at_most_10,
        ),
        (
            "SQLite: open jobs",
            "SQLite: a page of open jobs, of which there are none",
            "≤ 10 ms",
            at_most_10,
        ),
        (
            "SQLite: owed callbacks",
            "SQLite: a page of owed callbacks, of which there are none",
            "≤ 10 ms",
            at_most_10,
        ),
        ("SQLite: count of failed jobs", "SQLite: how many jobs have failed", "none", no_target),
        ("SQLite: one failed job", "SQLite: one failed job", "≤ 10 ms", at_most_10),
        ("MongoDB: failed jobs", "MongoDB: a page of failed jobs", "≤ 10 ms", at_most_10),
        ("MongoDB: failed jobs of a bot", "MongoDB: one of a bot's", "≤ 10 ms", at_most_10),
        (
            "MongoDB: failed jobs by reason",
            "MongoDB: one of those with a reason",
            "≤ 10 ms",
            at_most_10,
        ),
        (
            "MongoDB: open jobs",
            "MongoDB: a page of open jobs, of which there are none",
            "≤ 10 ms",
            at_most_10,
        ),
        (
            "MongoDB: owed callbacks",
            "MongoDB: a page of owed callbacks, of which there are none",
            "≤ 10 ms",
            at_most_10,
        ),
        ("MongoDB: count of failed jobs", "MongoDB: how many jobs have failed", "none", no_target),
        ("MongoDB: one failed job", "MongoDB: one failed job", "≤ 10 ms", at_most_10),
    ],
};

fn at_most_10(ms: f64) -> Option<bool> {
    Some(ms <= 10.0)
}

fn at_least_95(percent: f64) -> Option<bool> {
    Some(percent >= 95.0)
}

fn no_target(_: f64) -> Option<bool> {
    None
}

impl Program {
    /// Runs the benchmark and publishes what it shows.
    ///
    /// # Errors
    /// When it does not build or run, prints something else, or the results cannot be kept.
    pub(crate) fn run(&self) -> Result<()> {
        let build = ["build", "--release", "--package", "anteroom-runtime", "--bin", "anteroom"];
        step::run("the binary under test", &mut step::cargo(build))?;
        let run = ["run", "--release", "--package", "anteroom-tests", "--bin", self.binary];
        let printed = step::output(self.name, &mut step::cargo(run))?;
        results::publish(self.name, &self.read(&printed)?)
    }

    /// Reads the lines `case | value | unit | how`.
    fn read(&self, printed: &str) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for line in printed.lines() {
            let [case, value, unit, how] = line.split(" | ").collect::<Vec<_>>()[..] else {
                continue;
            };
            let value: f64 = value.parse().with_context(|| format!("no figure: {line:?}"))?;
            let found = self.cases.iter().find(|(name, ..)| *name == case);
            let Some((_, what, target, is_met)) = found else { bail!("no such case: {line:?}") };
            let unit = ["%", "ms", "µs", "×", "/s", "KiB"].into_iter().find(|known| *known == unit);
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
        let met: Vec<_> =
            MEDIA.read(printed).expect("figures").iter().map(|figure| figure.met).collect();
        assert_eq!(met, [Some(true), Some(false), None]);
        assert!(MEDIA.read("sleep | 1 | ms | how\n").is_err());
        assert!(MEDIA.read("routing | 1 | furlongs | how\n").is_err());
        assert!(MEDIA.read("").is_err());
    }
}
