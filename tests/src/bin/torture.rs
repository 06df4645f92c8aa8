//! The crash torture as a program: see `anteroom_tests::torture`.
//!
//! `cargo xtask torture` builds what it needs and runs it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anteroom_tests::torture::{Deaths, Failure, Options, StoreKind, world};

const USAGE: &str = "\
Usage: torture --seconds N [--store sqlite|mongodb] [--nodes N] [--seed N] [--home DIRECTORY]

Kills the `anteroom` binary at random for so long, with hundreds of messages and media under way, lets
everything settle, and judges what happened. Several nodes need MongoDB, which is left alone then.

Exit codes: 0 every promise was kept, 2 wrong usage, 3 a promise was broken, 4 it could not be run";

/// How often the progress is printed.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

const WRONG_USAGE: u8 = 2;
const BROKEN: u8 = 3;
const NOT_RUN: u8 = 4;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = options(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(WRONG_USAGE);
    };
    let Options { seed, home, .. } = &options;
    println!("torture: seed {seed}, {:?}, in {}", options.deaths, home.display());
    match world::run(&options).await {
        Ok(summary) => {
            println!("{}", summary.counts);
            println!("every promise was kept; {} files are left for a reason", summary.files_left);
            // What is left of it tells nothing.
            let _ = std::fs::remove_dir_all(home);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("\n{failure}");
            eprintln!("The data directory and the node's log are kept in {}.", home.display());
            eprintln!("Again: --seed {seed}, and the same options");
            ExitCode::from(match failure {
                Failure::Broken(_) => BROKEN,
                Failure::NotRun(_) => NOT_RUN,
            })
        }
    }
}

fn options(arguments: &[String]) -> Option<Options> {
    let (mut seed, mut seconds, mut home) = (None, None, None);
    let (mut store, mut nodes) = (StoreKind::Sqlite, 1);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        match name.as_str() {
            "--seed" => seed = Some(value.parse().ok()?),
            "--seconds" => seconds = Some(value.parse().ok()?),
            "--store" if value == "sqlite" => store = StoreKind::Sqlite,
            "--store" if value == "mongodb" => store = StoreKind::Mongodb,
            "--nodes" => nodes = value.parse().ok().filter(|nodes| (1..=16).contains(nodes))?,
            "--home" => home = Some(PathBuf::from(value)),
            _ => return None,
        }
    }
    let seed = seed.unwrap_or_else(seed_of_now);
    let home =
        home.unwrap_or_else(|| std::env::temp_dir().join(format!("anteroom-torture-{seed}")));
    let deaths = Deaths::AtRandom(Duration::from_secs(seconds?));
    if nodes > 1 && store == StoreKind::Sqlite {
        return None;
    }
    Some(Options { seed, store, nodes, deaths, home, progress_every: PROGRESS_EVERY })
}

/// A seed that no other run has.
fn seed_of_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos()) << 20 ^ since.as_secs()
}
