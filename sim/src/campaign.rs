//! Many seeds, on several threads: what failed, and what was reached.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::checker::Broken;
use crate::checker::marks::Marks;
use crate::checker::rule::Rule;
use crate::plan::Plan;
use crate::world::{Looks, Report, World};

/// Of so many seeds one is replayed.
const REPLAY_EVERY: u64 = 16;

/// What came of a plan.
pub fn run(plan: Plan, looks: Looks) -> Report {
    let panicked = |what: String| Report {
        broken: Some(Broken { rule: Rule::Panic, what }),
        lasted: anteroom_core::time::Millis::ZERO,
        steps: 0,
        callbacks: 0,
        repeated: 0,
        marks: Marks::default(),
        digest: 0,
        trace: String::new(),
    };
    catch_unwind(AssertUnwindSafe(|| World::new(plan, looks).run())).unwrap_or_else(|payload| {
        let what = payload.downcast_ref::<String>().cloned();
        let what = what.or(payload.downcast_ref::<&str>().map(|what| (*what).to_owned()));
        panicked(what.unwrap_or_else(|| "without a word".to_owned()))
    })
}

/// Which seeds, and how.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// On how many threads.
    pub threads: usize,
    /// Whether each world gets one thing wrong.
    pub canary: bool,
    /// Whether a hash over everything is made.
    pub digest: bool,
}

/// What came of many seeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Seeds that were run.
    pub seeds: u64,
    /// Events that machines were stepped with.
    pub steps: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Callbacks that were sent.
    pub callbacks: u64,
    /// Of them, those that were sent again.
    pub repeated: u64,
    /// The situations that occurred.
    pub marks: Marks,
    /// The seeds that failed, in their order.
    pub failures: Vec<(u64, Broken)>,
    /// The hash of each seed, in their order, where it was asked for.
    pub digests: Vec<(u64, u64)>,
}

impl Range {
    /// The plan of one of the seeds.
    pub fn plan(&self, seed: u64) -> Plan {
        if self.canary { Plan::canary(seed) } else { Plan::from_seed(seed) }
    }

    /// Runs the seeds until `stop` says so; it is asked after each, with what has come so far.
    pub fn run(&self, stop: impl Fn(&Summary) -> bool + Sync) -> Summary {
        let (next, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        let summary = Mutex::new(Summary::default());
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.count || stopped.load(Ordering::Relaxed) {
                    return;
                }
                let seed = self.from + number;
                let replay = seed.is_multiple_of(REPLAY_EVERY);
                let looks = Looks { digest: self.digest, replay, trace: false };
                let report = run(self.plan(seed), looks);
                let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                summary.add(seed, report);
                if stop(&summary) {
                    stopped.store(true, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.failures.sort_by_key(|(seed, _)| *seed);
        summary.digests.sort_unstable();
        summary
    }
}

impl Summary {
    fn add(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.steps += report.steps;
        self.simulated_ms += report.lasted.as_ms();
        self.callbacks += report.callbacks;
        self.repeated += report.repeated;
        self.marks.join(&report.marks);
        if let Some(broken) = report.broken {
            self.failures.push((seed, broken));
        }
        if report.digest != 0 {
            self.digests.push((seed, report.digest));
        }
    }
}
