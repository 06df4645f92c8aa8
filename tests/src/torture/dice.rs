//! The torture's randomness: all of it comes from one seed.
//!
//! A seed decides what every actor draws, and so the shape of a run: which messages, which media, when
//! something dies. It does not decide how the machine interleaves them; a failure is explained by its
//! history, and a seed makes it likely again.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::Uuid;

/// A stream of draws.
#[derive(Debug, Clone)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The draws of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Draws of their own for an actor, whatever the others draw.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.0.next_u64())
    }

    /// A number below `count`, which is not 0.
    pub fn below(&mut self, count: u64) -> u64 {
        // The bias of a remainder is far below anything that matters here.
        self.0.next_u64() % count
    }

    /// A number of `range`.
    pub fn between(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// Whether something that happens `percent` times of a hundred happens.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A length of time of `range`, in milliseconds.
    pub fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        let micros = range.start * 1_000..range.end * 1_000;
        Duration::from_micros(self.between(micros))
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.below(choices.len() as u64);
        &choices[usize::try_from(index).expect("it is below the length")]
    }

    /// A new id.
    pub fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    /// Goal: a seed's draws are the same each time, and another seed's are not.
    #[test]
    fn a_seed_decides_the_draws() {
        let draws = |seed| {
            let mut dice = Dice::new(seed);
            let mut fork = dice.fork();
            (0..8).map(|_| (dice.below(1_000), fork.uuid())).collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }
}
