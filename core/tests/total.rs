//! The machine is total: whatever happens to it, in whatever order, it neither panics nor breaks a
//! rule, and the same events make it do the same things.

#[path = "total/action.rs"]
mod action;
#[path = "total/lies.rs"]
mod lies;
#[path = "total/talk.rs"]
mod talk;
#[path = "total/watch.rs"]
mod watch;
#[path = "total/world.rs"]
mod world;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use self::action::{Action, Choice, any_action, any_choice};
use self::watch::Trust;
use self::world::World;

/// As many cases as `PROPTEST_CASES` says, or enough for every day.
fn config() -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default().cases
    } else {
        300
    };
    let file = FileFailurePersistence::Direct("../proptest-regressions/core_total.txt");
    ProptestConfig { cases, failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}

fn run(choice: &Choice, trust: Trust, actions: &[Action]) {
    let mut world = World::new(choice, trust);
    for action in actions {
        world.act(action);
    }
    world.replay();
}

proptest! {
    #![proptest_config(config())]

    /// Goal: no sequence of events, sensible or not, makes the machine panic, break an invariant, leave
    /// a deadline unserved, say too early that something is durable, or repeat itself where it must
    /// not; and a replay does the same, byte for byte. Method: arbitrary events, with a model store
    /// that answers most operations as they should be answered, so that deep states are reached.
    #[test]
    fn whatever_happens_no_rule_is_broken(
        choice in any_choice(),
        actions in prop::collection::vec(any_action(false), 1..250),
    ) {
        run(&choice, Trust::Truth, &actions);
    }

    /// Goal: a store whose answers make no sense harms what it is asked for, and nothing else: no
    /// panic, no broken invariant, no deadline that is never served, nothing said to be durable that
    /// the store has not called so.
    #[test]
    fn a_store_that_talks_nonsense_breaks_no_rule(
        choice in any_choice(),
        actions in prop::collection::vec(any_action(true), 1..150),
    ) {
        run(&choice, Trust::Lies, &actions);
    }
}

proptest! {
    // Each step is made three times and written as often.
    #![proptest_config(ProptestConfig { cases: config().cases / 3, ..config() })]

    /// Goal: a machine that is restored from its snapshot goes on as if nothing had been, byte for byte,
    /// wherever it is taken; and so does one that is restored from a snapshot without contents, when what
    /// happens to it comes without contents. Method: every few actions the machine is replaced by the
    /// one that its snapshot gives; a second one, whose snapshot and events are blanked, runs beside it.
    #[test]
    fn a_machine_goes_on_from_its_snapshot(
        choice in any_choice(),
        actions in prop::collection::vec(any_action(false), 1..100),
        every in 4..40_usize,
    ) {
        let mut world = World::new(&choice, Trust::Truth);
        for (place, action) in actions.iter().enumerate() {
            if place % every == 0 {
                world.restore();
            }
            world.act(action);
        }
        world.replay();
    }
}
