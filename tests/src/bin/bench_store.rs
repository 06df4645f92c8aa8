//! What media jobs cost in the store: see `anteroom_tests::store_bench`.
//!
//! Prints one line a figure, as it comes: store, case, value, unit, and how it was obtained, with a bar
//! between. A benchmark and no test: it asserts no figure. `cargo xtask bench store` builds what it
//! needs and runs it.

use std::process::ExitCode;

use anteroom_tests::mongod::Mongod;
use anteroom_tests::store_bench::bed::Ground;
use anteroom_tests::store_bench::cases::{self, BOTS};
use anyhow::Result;

const USAGE: &str = "\
Usage: bench_store sqlite|mongodb [REPETITIONS] [CASE]

Cases: live, backlog, recovery, idle; all unless one is named.";

/// Jobs that arrive while the node works.
const LIVE_JOBS: usize = 40_000;

/// Jobs that wait when the node starts.
const BACKLOGS: [usize; 4] = [100, 1_000, 10_000, 100_000];

/// Held jobs of one bot.
const RECOVERED_JOBS: usize = 10_000;

/// How often a case is repeated.
const REPETITIONS: usize = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (store, rest) = match words.split_first() {
        Some((store @ (&"sqlite" | &"mongodb"), rest)) => (*store, rest),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let repetitions = rest.first().and_then(|word| word.parse().ok()).unwrap_or(REPETITIONS);
    let only = rest.get(1).copied();
    let ground = match store {
        "sqlite" => Ground::Sqlite,
        _ => Ground::Mongodb(Box::new(Mongod::start().await)),
    };
    match run(&ground, repetitions, only).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_store: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(ground: &Ground, repetitions: usize, only: Option<&str>) -> Result<()> {
    let asked = |case: &str| only.is_none_or(|only| only == case);
    if asked("live") {
        live(ground, repetitions).await?;
    }
    if asked("backlog") {
        for jobs in BACKLOGS {
            let mut rates = Vec::new();
            for _ in 0..repetitions {
                rates.push(cases::backlog(ground, jobs).await?);
            }
            print(ground, &format!("backlog {jobs}"), rates, "jobs/s", "from start to last ack");
        }
    }
    if asked("recovery") {
        let mut times = Vec::new();
        for _ in 0..repetitions {
            times.push(cases::recovery(ground, RECOVERED_JOBS).await?.as_secs_f64());
        }
        print(ground, "recovery", times, "s", &format!("{RECOVERED_JOBS} held jobs of one bot"));
    }
    if asked("idle") {
        let rate = cases::idle(ground).await?;
        print(ground, "idle", vec![rate], "operations/s", "one bot with both its clients");
    }
    Ok(())
}

async fn live(ground: &Ground, repetitions: usize) -> Result<()> {
    let (mut rates, mut raws, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut batches, mut processor) = (Vec::new(), Vec::new());
    for _ in 0..repetitions {
        let live = cases::live(ground, LIVE_JOBS).await?;
        rates.push(live.jobs_a_second);
        raws.push(live.raw_jobs_a_second);
        ratios.push(live.jobs_a_second / live.raw_jobs_a_second);
        batches.push(live.batch);
        processor.push(live.processor_micros);
    }
    let how = format!("{LIVE_JOBS} jobs of {BOTS} bots");
    print(ground, "live", rates, "jobs/s", &how);
    print(ground, "live raw", raws, "jobs/s", "the same writes by the driver alone");
    print(ground, "live ratio", ratios, "×", "the two in one run");
    print(ground, "live batch", batches, "jobs", "in one durable write, on average");
    print(ground, "live processor", processor, "µs", "processor time a job, clients included");
    Ok(())
}

/// Prints the median of some values.
fn print(ground: &Ground, case: &str, mut values: Vec<f64>, unit: &str, how: &str) {
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else { return };
    let median = values[(values.len() - 1) / 2];
    let range = match values.len() {
        1 => String::new(),
        count => format!(", median of {count} ({least:.2} to {most:.2})"),
    };
    println!("{} | {case} | {median:.4} | {unit} | {how}{range}", ground.name());
}
