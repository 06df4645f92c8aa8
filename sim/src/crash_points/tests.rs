use super::*;

/// Goal: no crash and no lost store operation in any canonical scenario breaks a promise. Method: each
/// single disturbance in a play of its own; `anteroom-exhaustive` tries pairs of crashes as well.
#[test]
fn no_disturbance_breaks_a_promise() {
    for scenario in scenarios() {
        match disturb(&scenario, Extent::Singles) {
            Ok(points) => {
                println!("{}: {points}", scenario.name);
                assert!(points.effects > 10 && points.operations > 5, "{}", scenario.name);
            }
            Err(failure) => {
                let Broken { rule, what } = &failure.broken;
                panic!("{}, {}: {rule}: {what}", scenario.name, failure.point);
            }
        }
    }
}
