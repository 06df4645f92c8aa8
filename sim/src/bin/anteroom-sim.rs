//! Runs seeds of the simulation: `anteroom-sim --from 1 --seeds 1000 [--quiet]`.

use std::process::ExitCode;

use anteroom_sim::world::{Plan, World};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let value = arguments.iter().skip_while(|argument| *argument != name).nth(1);
        value.and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let (from, seeds) = (number("--from", 1), number("--seeds", 200));
    let quiet = arguments.iter().any(|argument| argument == "--quiet");
    for seed in from..from + seeds {
        let broken = match std::panic::catch_unwind(|| World::new(Plan::from_seed(seed)).run()) {
            Ok(Ok(_)) => continue,
            Ok(Err(broken)) => broken,
            Err(_) => "panic: the run panicked".to_owned(),
        };
        let rule = ["S1", "S2", "S3", "S4", "S7", "S8", "S10", "L1", "L2", "L4", "L5", "panic"]
            .into_iter()
            .find(|rule| broken.contains(&format!("{rule}:")))
            .unwrap_or("invariant");
        println!("FAILED rule={rule} seed={seed}");
        if !quiet {
            println!("{broken}");
        }
        return ExitCode::from(match rule {
            "panic" => 10,
            rule if rule.starts_with('L') => 12,
            _ => 11,
        });
    }
    println!("PASSED seeds={from}..{}", from + seeds);
    ExitCode::SUCCESS
}
