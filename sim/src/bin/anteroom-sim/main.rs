//! Runs the simulation: many seeds, or one plan.
//!
//! The exit code tells what broke: 10 the run itself (a panic), 11 safety, 12 liveness; 13 when a
//! situation that must occur did not, 14 when a canary sang; 2 when the command line makes no sense.

mod failure;
mod many;
mod one;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Runs the simulation: many seeds, or one plan.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// For how many minutes, however many seeds that are.
    #[arg(long)]
    minutes: Option<u64>,
    /// One seed.
    #[arg(long, conflicts_with = "plan")]
    seed: Option<u64>,
    /// A plan, as a file.
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Where the trace of the one seed or plan goes, as lines of JSON.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Where the page of the one seed or plan goes, to be looked at in a browser.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Where the plan of the one seed goes, as JSON.
    #[arg(long)]
    write_plan: Option<PathBuf>,
    /// On how many threads; as many as there are cores when not given.
    #[arg(long)]
    threads: Option<usize>,
    /// The folder in which a shrunk plan of the first failure is kept.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Goes on behind a failure, to the last seed.
    #[arg(long)]
    all: bool,
    /// Each world gets one thing wrong: every seed must fail.
    #[arg(long)]
    canary: bool,
    /// Every situation must occur.
    #[arg(long)]
    gate: bool,
    /// Prints a hash over everything that happens, a line a seed.
    #[arg(long)]
    digest: bool,
    /// Prints the figures of the run as one line of JSON.
    #[arg(long)]
    figures: bool,
    /// Prints nothing but what a program reads.
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.quiet {
        std::panic::set_hook(Box::new(|_| {}));
    }
    if arguments.seed.is_some() || arguments.plan.is_some() {
        one::run(&arguments)
    } else {
        many::run(&arguments)
    }
}
