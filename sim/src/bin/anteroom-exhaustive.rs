//! Explores the tiny worlds: `anteroom-exhaustive [--quiet] [--states N] [WORLD …]`.
//!
//! Prints one line a world, and for each failure the way to it, closed by
//! `FAILED rule=<rule> world=<world>`. Exit codes: 0 all promises kept, 1 a rule is broken, 2 the
//! command makes no sense.

use std::process::ExitCode;

use anteroom_sim::exhaustive::{explore, worlds};

fn main() -> ExitCode {
    let Some(wanted) = Wanted::parse(std::env::args().skip(1)) else {
        eprintln!("usage: anteroom-exhaustive [--quiet] [--states N] [WORLD …]");
        return ExitCode::from(2);
    };
    let mut failed = false;
    for scenario in worlds() {
        if !wanted.names.is_empty() && !wanted.names.iter().any(|name| name == scenario.name) {
            continue;
        }
        match explore(&scenario, wanted.states_max) {
            Ok(visited) => println!("{:<24} {visited}", scenario.name),
            Err(failure) => {
                failed = true;
                if !wanted.quiet {
                    println!("{failure}");
                }
                println!("FAILED rule={} world={}", failure.broken.rule, scenario.name);
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What is asked for.
struct Wanted {
    quiet: bool,
    states_max: u64,
    names: Vec<String>,
}

impl Wanted {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut wanted = Self { quiet: false, states_max: u64::MAX, names: Vec::new() };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quiet" => wanted.quiet = true,
                "--states" => wanted.states_max = arguments.next()?.parse().ok()?,
                option if option.starts_with('-') => return None,
                name => wanted.names.push(name.to_owned()),
            }
        }
        Some(wanted)
    }
}
