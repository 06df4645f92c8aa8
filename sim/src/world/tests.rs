use super::*;

/// Goal: under faults of every kind, every accepted message is archived once and called back, and
/// nothing is told twice. Method: the plans of many seeds, run to their end.
#[test]
fn seeds_run_clean() {
    let (first, count) = (env("SIM_FROM", 1), env("SIM_SEEDS", 300));
    for seed in first..first + count {
        if let Err(broken) = World::new(Plan::from_seed(seed)).run() {
            panic!("{broken}");
        }
    }
}

/// Goal: a run is a pure function of its plan.
#[test]
fn a_plan_runs_the_same_twice() {
    for seed in 1..20 {
        let run = || World::new(Plan::from_seed(seed)).run();
        assert_eq!(run(), run());
    }
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
