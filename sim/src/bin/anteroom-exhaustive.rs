//! Tier 0 and the crash points:
//! `anteroom-exhaustive [--quiet] [--first] [--only worlds|points] [--states N] [--singles] [NAME …]`.
//!
//! Prints one line a world or scenario, and for each failure the way to it, closed by
//! `FAILED rule=<rule> tier=0 world=<world>` or
//! `FAILED rule=<rule> tier=crash point=<scenario>/<point>`. `--first` ends at the first failure,
//! `--states` bounds the states of each world, `--singles` leaves out pairs of crashes. Exit codes: 0
//! all promises kept, 1 a rule is broken, 2 the command makes no sense.

use std::process::ExitCode;

use anteroom_sim::crash_points::{Extent, disturb, scenarios};
use anteroom_sim::exhaustive::{Broken, Scenario, explore, worlds};

fn main() -> ExitCode {
    let Some(wanted) = Wanted::parse(std::env::args().skip(1)) else {
        eprintln!(
            "usage: anteroom-exhaustive [--quiet] [--first] [--only worlds|points] [--states N] \
             [--singles] [NAME …]"
        );
        return ExitCode::from(2);
    };
    let mut failed = false;
    for scenario in worlds().iter().filter(|scenario| wanted.includes(scenario, "worlds")) {
        failed |= !explored(scenario, &wanted);
        if failed && wanted.first {
            return ExitCode::FAILURE;
        }
    }
    for scenario in scenarios().iter().filter(|scenario| wanted.includes(scenario, "points")) {
        failed |= !disturbed(scenario, &wanted);
        if failed && wanted.first {
            return ExitCode::FAILURE;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn explored(scenario: &Scenario, wanted: &Wanted) -> bool {
    match explore(scenario, wanted.states_max) {
        Ok(visited) => {
            println!("{:<24} {visited}", scenario.name);
            true
        }
        Err(failure) => {
            if !wanted.quiet {
                println!("{failure}");
            }
            println!("FAILED rule={} tier=0 world={}", failure.broken.rule, scenario.name);
            false
        }
    }
}

fn disturbed(scenario: &Scenario, wanted: &Wanted) -> bool {
    match disturb(scenario, wanted.extent) {
        Ok(points) => {
            println!("{:<24} {points}", scenario.name);
            true
        }
        Err(failure) => {
            let Broken { rule, what } = &failure.broken;
            if !wanted.quiet {
                println!("{rule}: {what}");
            }
            println!("FAILED rule={rule} tier=crash point={}/{}", scenario.name, failure.point);
            false
        }
    }
}

/// What is asked for.
struct Wanted {
    quiet: bool,
    first: bool,
    extent: Extent,
    only: Option<String>,
    states_max: u64,
    names: Vec<String>,
}

impl Wanted {
    fn includes(&self, scenario: &Scenario, what: &str) -> bool {
        let named = self.names.is_empty() || self.names.iter().any(|name| name == scenario.name);
        named && self.only.as_deref().is_none_or(|only| only == what)
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let (states_max, names) = (u64::MAX, Vec::new());
        let mut wanted = Self {
            quiet: false,
            first: false,
            extent: Extent::Pairs,
            only: None,
            states_max,
            names,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quiet" => wanted.quiet = true,
                "--first" => wanted.first = true,
                "--singles" => wanted.extent = Extent::Singles,
                "--only" => {
                    let what = arguments.next()?;
                    wanted.only = Some(what).filter(|it| it == "worlds" || it == "points");
                    wanted.only.as_ref()?;
                }
                "--states" => wanted.states_max = arguments.next()?.parse().ok()?,
                option if option.starts_with('-') => return None,
                name => wanted.names.push(name.to_owned()),
            }
        }
        Some(wanted)
    }
}
