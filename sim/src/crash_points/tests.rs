use super::*;

/// Goal: no crash and no lost store operation in any canonical scenario breaks a promise. Method: each
/// disturbance in a play of its own.
#[test]
fn no_disturbance_breaks_a_promise() {
    for scenario in scenarios() {
        match disturb(&scenario) {
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
