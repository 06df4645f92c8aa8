//! The exploration: depth first, every choice in every state, each state once.
//!
//! A world is not copied but reached again: by its choices, from the beginning. That needs nothing
//! of the machine but that it repeats itself, and checks that it does (S11).

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

struct Place {
    choices: Vec<Choice>,
    next: usize,
    fingerprint: u64,
}

/// Visits every state of a scenario, up to `states_max`.
///
/// # Errors
/// The first state in which a rule is broken, or from which a promise is not kept.
pub fn explore(scenario: &Scenario, states_max: u64) -> Result<Visited, Box<Failure>> {
    Exploration { scenario, states_max, seen: HashSet::new(), places: Vec::new() }.run()
}

struct Exploration<'s> {
    scenario: &'s Scenario,
    states_max: u64,
    /// The fingerprints of all states; only asked, never iterated.
    seen: HashSet<u64>,
    /// The states on the way to the present one, with the choice made in each.
    places: Vec<Place>,
}

impl Exploration<'_> {
    fn run(mut self) -> Result<Visited, Box<Failure>> {
        let mut visited = Visited { complete: true, ..Visited::default() };
        let mut world = World::new(self.scenario);
        self.enter(&mut world, &mut visited)?;
        // Whether the world stands where the last place is.
        let mut in_place = true;
        while let Some(place) = self.places.last_mut() {
            if place.next >= place.choices.len() {
                self.places.pop();
                in_place = false;
                continue;
            }
            let choice = place.choices[place.next];
            place.next += 1;
            if !in_place {
                world = self.repeat(&visited)?;
            }
            world.take(choice);
            visited.choices += 1;
            in_place = self.enter(&mut world, &mut visited)?;
        }
        Ok(visited)
    }

    /// Looks at the state the world is in. False when there is nothing to do from there.
    fn enter(&mut self, world: &mut World, visited: &mut Visited) -> Result<bool, Box<Failure>> {
        if let Some(broken) = world.rules.broken() {
            return Err(self.failure(broken.clone(), *visited));
        }
        let fingerprint = world.fingerprint();
        if visited.states >= self.states_max {
            visited.complete = false;
            return Ok(false);
        }
        if !self.seen.insert(fingerprint) {
            return Ok(false);
        }
        visited.states += 1;
        visited.depth = visited.depth.max(self.places.len());
        let choices = world.choices();
        if choices.is_empty() {
            visited.ends += 1;
            world.come_to_rest().map_err(|broken| self.failure(broken, *visited))?;
            return Ok(false);
        }
        self.places.push(Place { choices, next: 0, fingerprint });
        Ok(true)
    }

    /// The world at the last place, reached anew.
    fn repeat(&self, visited: &Visited) -> Result<World, Box<Failure>> {
        let mut world = World::new(self.scenario);
        let Some((last, before)) = self.places.split_last() else { return Ok(world) };
        for place in before {
            world.take(place.choices[place.next - 1]);
        }
        let is_sample = visited.choices % REPETITIONS_CHECKED_EVERY == 0;
        if is_sample && world.fingerprint() != last.fingerprint {
            let what = "the same choices led to another state".to_owned();
            return Err(self.failure(Broken { rule: "S11", what }, *visited));
        }
        Ok(world)
    }

    fn failure(&self, broken: Broken, visited: Visited) -> Box<Failure> {
        let mut world = World::new(self.scenario);
        let mut path = Vec::new();
        for place in &self.places {
            // The last place has no choice when the failure is that of coming to rest.
            let Some(choice) = place.next.checked_sub(1).map(|index| place.choices[index]) else {
                continue;
            };
            path.push(world.in_words(choice));
            world.take(choice);
        }
        Box::new(Failure { broken, path, visited })
    }
}

/// Every so many repetitions are compared with the first time.
const REPETITIONS_CHECKED_EVERY: u64 = 64;
