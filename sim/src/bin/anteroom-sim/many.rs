//! Many seeds: progress while they run, and what came of them.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anteroom_sim::campaign::{Range, Summary};
use anteroom_sim::checker::marks::Mark;

use crate::{Arguments, failure};

/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_secs(2);

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let range = Range {
        from: arguments.from,
        count: if arguments.minutes.is_some() { u64::MAX } else { arguments.seeds },
        threads: arguments.threads.unwrap_or(cores),
        canary: arguments.canary,
        digest: arguments.digest,
    };
    let clock = Clock::start(arguments.minutes);
    let goes_on = arguments.all || arguments.canary;
    let summary = range.run_by(crate::run_one, |summary| {
        if !arguments.quiet {
            clock.show(summary);
        }
        clock.is_over() || (!goes_on && !summary.failures.is_empty())
    });
    for (seed, digest) in &summary.digests {
        println!("DIGEST seed={seed} {digest:016x}");
    }
    if arguments.figures {
        println!("{}", clock.figures(&summary));
    }
    if arguments.canary {
        return judge_canary(&summary);
    }
    if !arguments.quiet {
        eprintln!("{}", clock.line(&summary));
    }
    let Some((_, first)) = summary.failures.first() else {
        return judge_marks(arguments, &summary);
    };
    for (seed, broken) in &summary.failures {
        failure::tell_programs(*seed, broken);
    }
    if !arguments.quiet {
        let (seed, broken) = &summary.failures[0];
        let source = failure::Source::Seed(*seed);
        failure::tell_people(
            &source,
            &range.subject(*seed).plan(),
            broken,
            arguments.keep.as_deref(),
        );
    }
    failure::exit_code(first.rule)
}

fn judge_marks(arguments: &Arguments, summary: &Summary) -> ExitCode {
    println!(
        "PASSED seeds={} events={} marks={}/{}",
        summary.seeds,
        summary.steps,
        summary.marks.count(),
        Mark::ALL.len()
    );
    let missing = summary.marks.missing();
    if !missing.is_empty() {
        println!("never reached: {missing:?}");
        if arguments.gate {
            return ExitCode::from(13);
        }
    }
    ExitCode::SUCCESS
}

/// A canary that lives is a checker that sleeps.
fn judge_canary(summary: &Summary) -> ExitCode {
    for (seed, broken) in &summary.failures {
        println!("CANARY rule={} seed={seed}", broken.rule);
    }
    if summary.failures.len() as u64 == summary.seeds {
        return ExitCode::SUCCESS;
    }
    let missed = summary.seeds - summary.failures.len() as u64;
    println!("FAILED canary: {missed} of {} worlds that are wrong passed", summary.seeds);
    ExitCode::from(14)
}

/// The time outside, which only decides how long is run and what is shown.
struct Clock {
    begun: Instant,
    limit: Option<Duration>,
    shown: Mutex<Instant>,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "how long the run takes is no part of it")]
    fn start(minutes: Option<u64>) -> Self {
        let now = Instant::now();
        let limit = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
        Self { begun: now, limit, shown: Mutex::new(now) }
    }

    fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.begun.elapsed() >= limit)
    }

    fn show(&self, summary: &Summary) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let since = shown.elapsed();
        if since >= SHOW_EVERY {
            *shown += since;
            eprintln!("{}", self.line(summary));
        }
    }

    fn rates(&self, summary: &Summary) -> [f64; 3] {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-9);
        [summary.seeds, summary.steps, summary.simulated_ms / 1_000].map(|it| it as f64 / seconds)
    }

    fn line(&self, summary: &Summary) -> String {
        let [seeds, events, simulated] = self.rates(summary);
        format!(
            "{} seeds, {seeds:.1}/s; {events:.0} events/s; simulated {simulated:.0} times as fast; \
             {} callbacks, {} again; {} of {} marks; {} failed",
            summary.seeds,
            summary.callbacks,
            summary.repeated,
            summary.marks.count(),
            Mark::ALL.len(),
            summary.failures.len()
        )
    }

    fn figures(&self, summary: &Summary) -> String {
        let [seeds, events, simulated] = self.rates(summary);
        let seconds = self.begun.elapsed().as_secs_f64();
        serde_json::json!({
            "seeds": summary.seeds, "events": summary.steps, "seconds": seconds,
            "seeds_per_second": seeds, "events_per_second": events,
            "simulated_per_wall": simulated, "failures": summary.failures.len(),
            "cpu_seconds": cpu_seconds(), "marks": summary.marks.count(), "marks_of": Mark::ALL.len(),
            "never_reached": format!("{:?}", summary.marks.missing()),
        })
        .to_string()
    }
}

/// The processor time that this process has used and those that it started, as far as the system tells.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Behind the name, from the twelfth field on: user and system time, and those of the children that
    // have ended, in hundredths.
    let ticks = fields.get(11..15)?.iter().map(|ticks| ticks.parse::<f64>());
    Some(ticks.sum::<Result<f64, _>>().ok()? / 100.0)
}

#[cfg(test)]
mod tests {
    use anteroom_sim::checker::Broken;
    use anteroom_sim::checker::rule::Rule;
    use clap::Parser;

    use super::*;

    /// Goal: a situation that never occurred fails a run that is gated, and no other.
    #[test]
    fn a_missing_mark_has_its_code() {
        let judged =
            |words: &[&str]| judge_marks(&Arguments::parse_from(words), &Summary::default());
        assert_eq!(judged(&["sim", "--gate"]), ExitCode::from(13));
        assert_eq!(judged(&["sim"]), ExitCode::SUCCESS);
    }

    /// Goal: a world that is wrong and passes fails the run.
    #[test]
    fn a_canary_that_lives_has_its_code() {
        let lived = Summary { seeds: 1, ..Summary::default() };
        assert_eq!(judge_canary(&lived), ExitCode::from(14));
        let broken = Broken { rule: Rule::S1, what: String::new() };
        let died = Summary { seeds: 1, failures: vec![(1, broken)], ..Summary::default() };
        assert_eq!(judge_canary(&died), ExitCode::SUCCESS);
    }
}
