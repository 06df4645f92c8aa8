use super::*;

/// States of a world that the test suite visits; the command visits all.
const STATES_MAX: u64 = 4_000;

/// Goal: no order of the tiny worlds' events breaks a rule or leaves a promise open. Method: depth-first
/// search, bounded here; `cargo xtask sim --tier 0` has no bound.
#[test]
fn every_order_keeps_the_promises() {
    for scenario in worlds() {
        match explore(&scenario, STATES_MAX) {
            Ok(visited) => println!("{}: {visited}", scenario.name),
            Err(failure) => panic!("{}: {failure}", scenario.name),
        }
    }
}
