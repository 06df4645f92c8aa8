//! What media jobs cost in the store: see `anteroom_tests::store_bench`.
//!
//! Prints one line a figure, as it comes: store, case, value, unit, and how it was obtained, with a bar
//! between; what it is at is said on standard error. A benchmark and no test: it asserts no figure.
//! `cargo xtask bench store` builds what it needs and runs it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anteroom_tests::mongod::{Mongod, install};
use anteroom_tests::store_bench::agenda::{self, Manner};
use anteroom_tests::store_bench::bed::Ground;
use anteroom_tests::store_bench::cases::{self, BOTS, Jobs};
use anteroom_tests::store_bench::load::{MESSAGES_OF_CORRESPONDENT, MESSAGES_OF_CORRESPONDENT_MAX};
use anteroom_tests::store_bench::plain;
use anteroom_tests::store_bench::quiet::{self, Latency, Single};
use anyhow::{Result, bail};

/// The one of the `anteroom` binary: a node runs in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
Usage: bench_store sqlite|mongodb [--full] [--repetitions N] [CASE]

Cases: live, backlog, recovery, latency, idle, agenda; all unless one is named.
--full adds a backlog of 100,000 jobs.";

/// Jobs that arrive while the node works.
const LIVE_JOBS: usize = 20_000;

/// Jobs that wait when the node starts, and those that take long.
const BACKLOGS: [usize; 3] = [100, 1_000, 10_000];
const LONG_BACKLOG: usize = 100_000;

/// Backlogs up to here are over in a second or less, in which much disturbs them: they are measured so
/// many times as often.
const SHORT_BACKLOG: usize = 1_000;
const SHORT_REPETITIONS: usize = 3;

/// Held jobs of one bot.
const RECOVERED_JOBS: usize = 10_000;

/// Messages that come one at a time.
const SINGLE_MESSAGES: usize = 200;

/// How often a case is repeated.
const REPETITIONS: usize = 3;

/// What Agenda does a second by the design, at its best.
const AGENDA_BY_DESIGN: f64 = 230.0;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(run) = Run::read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run.all().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_store: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is asked for.
struct Run {
    mongodb: bool,
    full: bool,
    repetitions: usize,
    only: Option<String>,
}

impl Run {
    fn read(arguments: &[String]) -> Option<Self> {
        let (store, rest) = arguments.split_first()?;
        let mongodb = match store.as_str() {
            "sqlite" => false,
            "mongodb" => true,
            _ => return None,
        };
        let mut run = Self { mongodb, full: false, repetitions: REPETITIONS, only: None };
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--full" => run.full = true,
                "--repetitions" => {
                    run.repetitions = words.next()?.parse().ok().filter(|count| *count > 0)?;
                }
                "live" | "backlog" | "recovery" | "latency" | "idle" | "agenda" => {
                    run.only = Some(word.clone());
                }
                _ => return None,
            }
        }
        Some(run)
    }

    async fn all(&self) -> Result<()> {
        let ground = self.ground().await?;
        // What is asked of a quiet node comes first: a server is busy for minutes with what a backlog has left.
        if self.asks("latency") {
            latency(&ground, Single::Text).await?;
            latency(&ground, Single::Media).await?;
        }
        if self.asks("idle") {
            say(&ground, "an idle node");
            let rate = quiet::idle(&ground).await?;
            print(&ground, "idle", vec![rate], "operations/s", "one bot with both its clients");
        }
        if self.asks("recovery") {
            self.recovery(&ground).await?;
        }
        if self.asks("live") {
            self.live(&ground).await?;
        }
        if self.asks("backlog") {
            self.backlogs(&ground).await?;
        }
        if self.asks("agenda") {
            self.against_agenda(&ground, "agenda", Manner::Arriving).await?;
            self.against_agenda(&ground, "agenda backlog", Manner::Waiting).await?;
        }
        Ok(())
    }

    async fn ground(&self) -> Result<Ground> {
        if !self.mongodb {
            return Ok(Ground::Sqlite);
        }
        if let Err(reason) = install::find_or_install() {
            bail!("there is no mongod to measure ({reason}): put one on the PATH");
        }
        Ok(Ground::Mongodb(Box::new(Mongod::with_room().await)))
    }

    fn asks(&self, case: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == case)
    }

    async fn live(&self, ground: &Ground) -> Result<()> {
        let runs = self.arriving(ground, "live", MESSAGES_OF_CORRESPONDENT).await?;
        let all = |of: fn(&Jobs) -> f64| runs.iter().map(of).collect::<Vec<_>>();
        let here = "this process, clients included";
        print(ground, "live processor", all(Jobs::here_micros), "µs", here);
        print(ground, "live server", all(Jobs::server_micros), "µs", "the store's server");
        print(ground, "live raw processor", all(Jobs::raw_micros), "µs", "server included");
        let what = "the driver alone against everything, servers included";
        print(ground, "live processor ratio", all(Jobs::processor_ratio), "×", what);
        self.plain(ground, all(Jobs::jobs_a_second)).await?;
        self.arriving(ground, "live deep", MESSAGES_OF_CORRESPONDENT_MAX).await?;
        Ok(())
    }

    /// Holds the rates of media jobs against a plain queue's on the same machine.
    async fn plain(&self, ground: &Ground, rates: Vec<f64>) -> Result<()> {
        let mut plain = Vec::new();
        for repetition in 1..=self.repetitions {
            let Some(rate) = plain::jobs_a_second(ground, LIVE_JOBS).await? else { return Ok(()) };
            say(ground, &format!("a plain queue, {repetition}"));
            plain.push(rate);
        }
        let ratios = rates.iter().zip(&plain).map(|(rate, plain)| rate / plain).collect();
        let how = "insert, claim, complete, delete, 100 in a transaction, by the driver alone";
        print(ground, "plain", plain, "jobs/s", how);
        print(ground, "plain ratio", ratios, "×", "media jobs as they arrive against that");
        Ok(())
    }

    async fn arriving(
        &self,
        ground: &Ground,
        case: &str,
        of_correspondent: usize,
    ) -> Result<Vec<Jobs>> {
        let how = format!("{LIVE_JOBS} jobs of {BOTS} bots, {of_correspondent} of a correspondent");
        let mut runs = Vec::new();
        for repetition in 1..=self.repetitions {
            say(ground, &format!("{how}, as they arrive, {repetition}"));
            runs.push(cases::live(ground, LIVE_JOBS, of_correspondent).await?);
        }
        let all = |of: fn(&Jobs) -> f64| runs.iter().map(of).collect::<Vec<_>>();
        print(ground, case, all(Jobs::jobs_a_second), "jobs/s", &how);
        let more = |what: &str, of: fn(&Jobs) -> f64, unit: &str, how: &str| {
            print(ground, &format!("{case} {what}"), all(of), unit, how);
        };
        more("raw", Jobs::raw_jobs_a_second, "jobs/s", "the same writes by the driver alone");
        more("ratio", Jobs::ratio, "×", "the two in one run");
        more("batch", Jobs::batch, "jobs", "in one durable write, on average");
        Ok(runs)
    }

    async fn backlogs(&self, ground: &Ground) -> Result<()> {
        let long = self.full.then_some(LONG_BACKLOG);
        for jobs in BACKLOGS.into_iter().chain(long) {
            let mut runs = Vec::new();
            let repetitions = match jobs {
                LONG_BACKLOG => 1,
                _ if jobs <= SHORT_BACKLOG => self.repetitions.saturating_mul(SHORT_REPETITIONS),
                _ => self.repetitions,
            };
            for repetition in 1..=repetitions {
                say(ground, &format!("a backlog of {jobs} jobs, {repetition}"));
                runs.push(cases::backlog(ground, jobs).await?);
            }
            let case = format!("backlog {jobs}");
            let rates = runs.iter().map(Jobs::jobs_a_second).collect();
            print(
                ground,
                &case,
                rates,
                "jobs/s",
                "from the node's start to the last acknowledgement",
            );
            let ratios = runs.iter().map(Jobs::ratio).collect();
            print(ground, &format!("{case} ratio"), ratios, "×", "against the driver alone");
        }
        Ok(())
    }

    /// Measures Agenda on the same server, where there is one, and media jobs that come in the same
    /// manner, in turns.
    async fn against_agenda(&self, ground: &Ground, case: &str, manner: Manner) -> Result<()> {
        let Ground::Mongodb(mongod) = ground else { return Ok(()) };
        let (mut rates, mut ratios, mut obtained) = (Vec::new(), Vec::new(), "");
        for repetition in 1..=self.repetitions {
            say(ground, &format!("{case}, {repetition}"));
            let (rate, how) = agenda_rate(mongod, manner).await;
            let ours = match manner {
                Manner::Arriving => {
                    cases::live_rate(ground, LIVE_JOBS, MESSAGES_OF_CORRESPONDENT).await?
                }
                Manner::Waiting => cases::backlog_rate(ground, agenda::JOBS).await?,
            };
            rates.push(rate);
            ratios.push(ours / rate);
            obtained = how;
        }
        print(ground, case, rates, "jobs/s", obtained);
        print(ground, &format!("{case} ratio"), ratios, "×", "in turns with it");
        Ok(())
    }

    async fn recovery(&self, ground: &Ground) -> Result<()> {
        let mut times = Vec::new();
        for repetition in 1..=self.repetitions {
            say(ground, &format!("recovery of {RECOVERED_JOBS} jobs, {repetition}"));
            times.push(cases::recovery(ground, RECOVERED_JOBS).await?.as_secs_f64());
        }
        print(ground, "recovery", times, "s", &format!("{RECOVERED_JOBS} held jobs of one bot"));
        Ok(())
    }
}

async fn latency(ground: &Ground, single: Single) -> Result<()> {
    let case = match single {
        Single::Text => "latency text",
        Single::Media => "latency media",
    };
    say(ground, case);
    let Latency { called_back, confirmed } =
        quiet::latency(ground, single, SINGLE_MESSAGES).await?;
    for (case, times) in
        [(format!("{case} called back"), called_back), (case.to_owned(), confirmed)]
    {
        let at = |percent: usize| milliseconds(times[(times.len() - 1) * percent / 100]);
        let how =
            format!("{SINGLE_MESSAGES} messages, one at a time; 95 % within {:.2} ms", at(95));
        print(ground, &case, vec![at(50)], "ms", &how);
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// What Agenda does, and how it was obtained.
async fn agenda_rate(mongod: &Mongod, manner: Manner) -> (f64, &'static str) {
    match agenda::jobs_a_second(mongod, manner).await {
        Ok(rate) => (rate, "2,000 jobs through Agenda 6 on the same server"),
        Err(error) => {
            eprintln!("bench_store: Agenda is not measured: {error:#}");
            (AGENDA_BY_DESIGN, "Agenda is not to be had here: its best by the design")
        }
    }
}

/// Says what comes next, and how busy the machine is.
fn say(ground: &Ground, what: &str) {
    static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let seconds = BEGUN.get_or_init(Instant::now).elapsed().as_secs();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    eprintln!("[{seconds:>4} s, load {load}] {}: {what}", ground.name());
}

/// Prints the median of some values.
fn print(ground: &Ground, case: &str, mut values: Vec<f64>, unit: &str, how: &str) {
    values.sort_by(f64::total_cmp);
    let median = values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let range = match values[..] {
        [] | [_] => String::new(),
        [least, .., most] => {
            format!(", median of {} ({least:.2} to {most:.2})", values.len())
        }
    };
    println!("{} | {case} | {median:.4} | {unit} | {how}{range}", ground.name());
}
