use super::*;

/// States of a world that the test suite visits; the binary visits all.
const STATES_MAX: u64 = 500;

/// Goal: no order of the tiny worlds' events breaks a rule or leaves a promise open. Method: depth-first
/// search, bounded here; `anteroom-exhaustive` has no bound.
#[test]
fn every_order_keeps_the_promises() {
    for scenario in worlds() {
        match explore(&scenario, STATES_MAX) {
            Ok(visited) => {
                println!("{}: {visited}", scenario.name);
                assert!(visited.states == STATES_MAX, "{}: a world too small", scenario.name);
                assert!(visited.ends > 0, "{}: nothing comes to an end", scenario.name);
            }
            Err(failure) => panic!("{}: {failure}", scenario.name),
        }
    }
}

/// Goal: a state is visited once, whatever the order in which it is reached. Method: a world is
/// explored twice and gives the same counts.
#[test]
fn an_exploration_repeats_itself() {
    let worlds = worlds();
    let smallest = worlds.iter().find(|scenario| scenario.name == "ambiguous_insert");
    let smallest = smallest.expect("the world is there");
    let visited = explore(smallest, u64::MAX).expect("the promises are kept");
    assert!(visited.complete);
    assert_eq!(explore(smallest, u64::MAX).expect("the promises are kept"), visited);
}
