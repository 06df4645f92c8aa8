//! `cargo xtask …`: what a maintainer runs, in one place and without a shell.
//!
//! Owns the order of steps and their headings; the steps themselves are cargo's.

mod bench;
mod engines;
mod flows;
mod mutants;
mod mutate;
mod sim;
mod step;
mod test;
mod tier_2;
mod torture;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  test [-- <RUNNER ARGUMENTS>]  Everything that must hold: format, lints, documentation, tests
  bench core                    The core's speed and memory; rewrites its part of docs/benchmarks.md
  bench instructions            The part of it that a busy machine does not change
  bench store [--full] [--repetitions N]
                                Media jobs through SQLite and MongoDB; rewrites its part as well
  bench media                   How full media pools are while work waits; rewrites its part as well
  bench latency                 How long a text takes through an idle server; its part as well
  bench wire                    A thousand providers: texts a second, receipts, memory of a connection;
                                its part as well
  bench operate                 How long operators wait where much is kept, on both stores; its part as well
  bench observe                 What metrics and the log cost, in one run; its part as well
  bench sim                     How fast the simulation is, with every rule looking
  flows                         Draws the sequence diagrams of docs/flows.md from the scenarios
  mutate [FILES]                Which rules of the core can be broken without a test noticing
  mutants [--only NAME] [--tier 0|2] [--jobs 1]
                                Plants bugs and has the simulation find them; writes docs/mutants-sim.md
                                and docs/mutants-driver.md
  torture [--minutes N] [--store sqlite|mongodb] [--nodes N] [--seed N] [--home DIRECTORY]
                                Kills the server at random with everything under way, and judges
  sim [OPTIONS]                 Seeds of the simulation, or one plan; see sim --help

Exit codes: 0 all went well, 1 a step failed, 2 the command is not known; of torture: 3 it found a
broken promise, 4 it could not be run; of sim: 10 it broke down, 11 safety, 12 liveness,
13 a situation never occurred, 14 a canary lived";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::run(&[]),
        ["test", "--", runner_arguments @ ..] => test::run(runner_arguments),
        ["bench", "core"] => bench::core::run(),
        ["bench", "instructions"] => bench::instructions::run(),
        ["bench", "store", arguments @ ..] => bench::store::run(arguments),
        ["bench", "media"] => bench::program::MEDIA.run(),
        ["bench", "latency"] => bench::program::LATENCY.run(),
        ["bench", "wire"] => bench::program::WIRE.run(),
        ["bench", "operate"] => bench::program::OPERATE.run(),
        ["bench", "observe"] => bench::program::OBSERVE.run(),
        ["bench", "sim"] => bench::sim::run(),
        ["sim", arguments @ ..] => match sim::run(arguments) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        ["flows"] => flows::run(),
        ["mutate", files @ ..] => mutate::run(files),
        ["torture", arguments @ ..] => match torture::run(arguments) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        ["mutants", words @ ..] => mutants::run(words),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [] => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        unknown => {
            eprintln!("unknown command: {}\n\n{USAGE}", unknown.join(" "));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo xtask {}: {error:#}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}
