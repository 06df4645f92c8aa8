//! Tier 0 and the crash points: `anteroom-exhaustive [--quiet] [--states N] [NAME …]`.
//!
//! Prints one line a world or scenario, and for each failure the way to it, closed by
//! `FAILED rule=<rule> tier=0 world=<world>` or `FAILED rule=<rule> tier=crash point=<scenario>/<point>`. Exit codes: 0 all promises kept, 1 a rule is broken, 2 the
//! command makes no sense.

use std::process::ExitCode;

use anteroom_sim::crash_points::{disturb, scenarios};
use anteroom_sim::exhaustive::{Broken, Scenario, explore, worlds};

fn main() -> ExitCode {
    let Some(wanted) = Wanted::parse(std::env::args().skip(1)) else {
        eprintln!("usage: anteroom-exhaustive [--quiet] [--states N] [NAME …]");
        return ExitCode::from(2);
    };
    let mut failed = false;
    for scenario in worlds().iter().filter(|scenario| wanted.includes(scenario)) {
        match explore(scenario, wanted.states_max) {
            Ok(visited) => println!("{:<24} {visited}", scenario.name),
            Err(failure) => {
                failed = true;
                if !wanted.quiet {
                    println!("{failure}");
                }
                println!("FAILED rule={} tier=0 world={}", failure.broken.rule, scenario.name);
            }
        }
    }
    for scenario in scenarios().iter().filter(|scenario| wanted.includes(scenario)) {
        match disturb(scenario) {
            Ok(points) => println!("{:<24} {points}", scenario.name),
            Err(failure) => {
                failed = true;
                let Broken { rule, what } = &failure.broken;
                if !wanted.quiet {
                    println!("{rule}: {what}");
                }
                println!("FAILED rule={rule} tier=crash point={}/{}", scenario.name, failure.point);
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
    fn includes(&self, scenario: &Scenario) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == scenario.name)
    }

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
