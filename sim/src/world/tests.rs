use super::*;

/// Goal: under faults of every kind, every accepted message is archived once and called back, and
/// nothing is told twice. Method: the plans of many seeds, run to their end. `SIM_FROM` and
/// `SIM_SEEDS` choose others, `SIM_TRACE` prints what happens.
#[test]
fn seeds_run_clean() {
    let (first, count) = (env("SIM_FROM", 1), env("SIM_SEEDS", 200));
    let traced = std::env::var_os("SIM_TRACE").is_some();
    let (mut repeated, mut crashes) = (0, 0);
    for seed in first..first + count {
        let world = World::new(Plan::from_seed(seed));
        let world = if traced { world.traced() } else { world };
        match world.run() {
            Ok(report) => {
                repeated += report.repeated;
                crashes += report.crashes;
            }
            Err(broken) => panic!("{broken}"),
        }
    }
    assert!(crashes > 0 && repeated > 0, "the faults did not strike");
}

/// Goal: a run is a pure function of its plan.
#[test]
fn a_plan_runs_the_same_twice() {
    for seed in 1..10 {
        let run = || World::new(Plan::from_seed(seed)).run();
        assert_eq!(run(), run());
    }
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
