//! The exploration: depth first, every choice in every state, each state once.
//!
//! A world is copied at every choice. Now and then it is also reached again, by its choices, from the
//! beginning: a machine must repeat itself (S11).

use std::collections::HashSet;

use super::rules::Broken;
use super::scenario::Scenario;
use super::world::{Choice, World};

/// What an exploration has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Visited {
    /// Different states.
    pub states: u64,
    /// Choices made, in all states.
    pub choices: u64,
    /// States in which nothing more could happen; each came to rest.
    pub ends: u64,
    /// The longest way.
    pub depth: usize,
    /// Whether all states were visited, or the limit was reached.
    pub complete: bool,
}

/// Why an exploration ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The rule.
    pub broken: Broken,
    /// The way to it, in words, one choice a line.
    pub path: Vec<String>,
    /// What had been seen before.
    pub visited: Visited,
}

/// A state on the way to the present one.
struct Place {
    world: World,
    choices: Vec<Choice>,
    /// How many of the choices have been made; the last of them leads on.
    made: usize,
}

/// Visits every state of a scenario, up to `states_max`.
///
/// # Errors
/// The first state in which a rule is broken, or from which a promise is not kept.
pub fn explore(scenario: &Scenario, states_max: u64) -> Result<Visited, Box<Failure>> {
    let visited = Visited { complete: true, ..Visited::default() };
    Exploration { scenario, states_max, visited, seen: HashSet::new(), places: Vec::new() }.run()
}

struct Exploration<'s> {
    scenario: &'s Scenario,
    states_max: u64,
    visited: Visited,
    /// The fingerprints of all states; only asked, never iterated.
    seen: HashSet<u64>,
    places: Vec<Place>,
}

impl Exploration<'_> {
    fn run(mut self) -> Result<Visited, Box<Failure>> {
        self.enter(World::new(self.scenario))?;
        while let Some(place) = self.places.last_mut() {
            let Some(choice) = place.choices.get(place.made).copied() else {
                self.places.pop();
                continue;
            };
            place.made += 1;
            let mut world = place.world.clone();
            world.take(choice);
            self.visited.choices += 1;
            self.enter(world)?;
        }
        Ok(self.visited)
    }

    /// Judges the state that a world has come to; one that is new is a place to go on from.
    fn enter(&mut self, mut world: World) -> Result<(), Box<Failure>> {
        if let Some(broken) = world.rules.broken() {
            return Err(self.failure(broken.clone()));
        }
        if self.visited.states >= self.states_max {
            self.visited.complete = false;
            return Ok(());
        }
        let fingerprint = world.fingerprint();
        if !self.seen.insert(fingerprint) {
            return Ok(());
        }
        if self.visited.states.is_multiple_of(REPEATED_EVERY)
            && self.repeated().0.fingerprint() != fingerprint
        {
            let what = "the same choices led to another state".to_owned();
            return Err(self.failure(Broken { rule: "S11", what }));
        }
        self.visited.states += 1;
        self.visited.depth = self.visited.depth.max(self.places.len());
        let choices = world.choices();
        if choices.is_empty() {
            self.visited.ends += 1;
            return world.come_to_rest().map_err(|broken| self.failure(broken));
        }
        self.places.push(Place { world, choices, made: 0 });
        Ok(())
    }

    /// The present world, reached anew from the beginning, and the way there in words.
    fn repeated(&self) -> (World, Vec<String>) {
        let mut world = World::new(self.scenario);
        let mut path = Vec::new();
        for place in &self.places {
            let Some(made) = place.made.checked_sub(1) else { continue };
            path.push(world.in_words(place.choices[made]));
            world.take(place.choices[made]);
        }
        (world, path)
    }

    fn failure(&self, broken: Broken) -> Box<Failure> {
        let path = self.repeated().1;
        Box::new(Failure { broken, path, visited: self.visited })
    }
}

/// Every so many states are reached a second time, from the beginning (S11).
const REPEATED_EVERY: u64 = 256;
