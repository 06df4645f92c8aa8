//! Maps that find by key, with a hash that is fast for the short ids that the core looks up.
//!
//! Most ids come from outside, so the hash is seeded: nobody can choose ids that collide. The seed
//! differs from run to run, and so would the order of a [`Lookup`]: **it is never iterated.**
//! An [`OrderedLookup`] keeps the order of its insertions and may be.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::{RandomState, SeedableRandomState};
use indexmap::IndexMap;

/// A map that is never iterated.
pub(crate) type Lookup<K, V> = HashMap<K, V, RandomState>;

/// A map whose order is that of its insertions and removals.
pub(crate) type OrderedLookup<K, V> = IndexMap<K, V, RandomState>;

/// The hash of a text, the same wherever it is asked for in this process.
pub(crate) fn hash(text: &str) -> u64 {
    SeedableRandomState::with_seed(0, SharedSeed::global_random()).hash_one(text)
}
