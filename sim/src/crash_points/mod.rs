//! Crash points: what happens when the process dies here, or this store operation is lost?
//!
//! Each canonical scenario is played once undisturbed, and counted. Then it is played again for every
//! single disturbance: a crash before each effect; a second crash before each of the next effects, in
//! the middle of the recovery; every store operation failed before it takes effect, and every one
//! failed after. Each play is judged by the rules of tier 0 and brought to rest.

mod scenarios;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::exhaustive::world::{Faults, Loss, World};
use crate::exhaustive::{Broken, Scenario};

pub use scenarios::scenarios;

/// How many effects behind a crash the second one may come.
const SECOND_CRASH_WITHIN: u64 = 40;

/// What a scenario was put through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Points {
    /// Effects of the undisturbed play; a crash before each.
    pub effects: u64,
    /// Store operations of the undisturbed play; each failed before and after.
    pub operations: u64,
    /// Plays.
    pub plays: u64,
}

/// A disturbance that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The rule.
    pub broken: Broken,
    /// The disturbance.
    pub point: String,
}

/// Which disturbances are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every single one.
    Singles,
    /// Moreover two crashes in a row.
    Pairs,
}

/// Plays a scenario with every disturbance.
///
/// # Errors
/// The first disturbance that broke a rule, or after which a promise was not kept.
pub fn disturb(scenario: &Scenario, extent: Extent) -> Result<Points, Box<Failure>> {
    let begin = World::new(scenario);
    let first = begin.faults;
    let last = undisturbed(&begin).map_err(|broken| failure(broken, "none".to_owned()))?;
    let mut points = Points {
        effects: last.effects - first.effects,
        operations: last.operations - first.operations,
        plays: 1,
    };
    let effects = first.effects..last.effects;
    let singles = effects.clone().map(|effect| (effect, None));
    let pairs = effects.flat_map(|effect| {
        (1..=SECOND_CRASH_WITHIN).map(move |behind| (effect, Some(effect + behind)))
    });
    let pairs = pairs.filter(|_| extent == Extent::Pairs);
    for operation in first.operations..last.operations {
        for loss in [Loss::Before, Loss::After] {
            let faults = Faults { lost_operation: Some((operation, loss)), ..first };
            let point = format!("lost-{loss:?}-{}", operation - first.operations).to_lowercase();
            play(&begin, faults).map_err(|broken| failure(broken, point))?;
            points.plays += 1;
        }
    }
    for (effect, second) in singles.chain(pairs) {
        let faults = Faults { crashes_before_effects: [Some(effect), second], ..first };
        let point = || {
            let crash = format!("crash-{}", effect - first.effects);
            let second = second.map(|second| format!("-and-{}", second - first.effects));
            crash + &second.unwrap_or_default()
        };
        play(&begin, faults).map_err(|broken| failure(broken, point()))?;
        points.plays += 1;
    }
    Ok(points)
}

/// The play without a disturbance, at whose end nothing may stay in memory.
fn undisturbed(begin: &World) -> Result<Faults, Broken> {
    let mut world = begin.clone();
    let played = play_in(&mut world)?;
    world.let_go()?;
    Ok(played)
}

fn play(begin: &World, faults: Faults) -> Result<Faults, Broken> {
    let mut world = begin.clone();
    world.faults = faults;
    play_in(&mut world)
}

/// Plays all acts and brings the world to rest. Returns how far the acts alone counted.
fn play_in(world: &mut World) -> Result<Faults, Broken> {
    while world.rules.broken().is_none() && world.play_next() {}
    if let Some(broken) = world.rules.broken() {
        return Err(broken.clone());
    }
    let played = world.faults;
    world.come_to_rest()?;
    Ok(played)
}

fn failure(broken: Broken, point: String) -> Box<Failure> {
    Box::new(Failure { broken, point })
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { effects, operations, plays } = self;
        write!(f, "{effects} effects, {operations} store operations, {plays} plays")
    }
}
