//! What waits in a store, counted for those who look.

use std::collections::BTreeMap;

use anteroom_core::id::PoolName;
use anteroom_core::time::Timestamp;

/// What waits in a store, of all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Active jobs that nobody works on, by their pool, those in back-off included; pools without any are
    /// left out. The oldest is the first that was made.
    pub jobs: BTreeMap<PoolName, Waiting>,
    /// Owed callbacks. The oldest is the first that was archived.
    pub callbacks: Waiting,
}

/// Things that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many.
    pub count: u64,
    /// Since when the oldest of them waits, by the store's clock or its node's; none when there is none.
    pub oldest: Option<Timestamp>,
}

impl Waiting {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        let oldest = self.oldest.into_iter().chain(other.oldest).min();
        Self { count: self.count + other.count, oldest }
    }
}
