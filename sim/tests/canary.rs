//! Worlds that are wrong must fail: a checker that cannot fail is worth nothing.

use anteroom_sim::campaign;
use anteroom_sim::plan::Plan;
use anteroom_sim::world::Looks;

/// Goal: whatever a world gets wrong is found, by the rule that names it. Method: a range of seeds that
/// must fail by construction.
#[test]
fn every_canary_dies() {
    for seed in 1..=28 {
        let plan = Plan::canary(seed);
        let sabotage = plan.sabotage.expect("a canary gets one thing wrong");
        let report = campaign::run(plan, Looks::default());
        let broken = report.broken.unwrap_or_else(|| panic!("{sabotage:?}, seed {seed}: lives"));
        assert!(
            sabotage.found_by().contains(&broken.rule),
            "{sabotage:?}, seed {seed}: found by {}: {}",
            broken.rule,
            broken.what
        );
    }
}
