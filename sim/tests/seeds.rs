//! The bulk of the simulation that runs with every test run, and the marks that gate it.

use anteroom_sim::campaign::Range;

/// Goal: under faults of every kind, what is promised holds, and every situation that must occur does.
/// Method: the plans of 3,000 seeds, run to their ends, all rules looking.
#[test]
fn three_thousand_seeds_run_clean() {
    let range = Range { from: 1, count: 3_000, threads: 2, canary: false, digest: false };
    let summary = range.run(|summary| !summary.failures.is_empty());
    if let Some((seed, broken)) = summary.failures.first() {
        panic!(
            "seed {seed} broke {}: {}\n\n    cargo xtask sim --from {seed} --seeds 1\n",
            broken.rule, broken.what
        );
    }
    assert_eq!(summary.marks.missing(), [], "these situations never occurred");
    assert!(summary.repeated > 0, "no callback was ever sent again");
}
