use super::*;

/// Goal: a plan runs the same twice in one process, hash tables and all.
#[test]
fn a_plan_runs_the_same_twice() {
    let looks = Looks { digest: true, ..Looks::default() };
    for seed in 1..10 {
        let run = || World::new(Plan::from_seed(seed), looks).run();
        assert_eq!(run(), run());
    }
}
