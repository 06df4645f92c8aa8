//! Maps that find by key, with a hash that is fast for the short ids that the core looks up.
//!
//! Most ids come from outside, so the hash is seeded: nobody can choose ids that collide. The seed
//! differs from run to run, and so would the order of a [`Lookup`]: **it is never iterated.**
//! An [`OrderedLookup`] and a [`RingLookup`] keep the order of their insertions and may be. In a snapshot
//! of the machine all stand in an order of their own, so that the same machine gives the same snapshot.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::{RandomState, SeedableRandomState};
use indexmap::IndexMap;
use ringmap::RingMap;

/// A map that is never iterated.
pub(crate) type Lookup<K, V> = HashMap<K, V, RandomState>;

/// A map whose order is that of its insertions and removals.
pub(crate) type OrderedLookup<K, V> = IndexMap<K, V, RandomState>;

/// A map in the order of its insertions, whose oldest entry leaves in O(1).
pub(crate) type RingLookup<K, V> = RingMap<K, V, RandomState>;

/// The hash of a text, the same wherever it is asked for in this process.
pub(crate) fn hash(text: &str) -> u64 {
    SeedableRandomState::with_seed(0, SharedSeed::global_random()).hash_one(text)
}

/// How a [`Lookup`], or any hash map, stands in a snapshot: by its keys.
pub(crate) mod sorted {
    use std::collections::{BTreeMap, HashMap};
    use std::hash::{BuildHasher, Hash};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K, V, H, S>(map: &HashMap<K, V, H>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Ord + Serialize,
        V: Serialize,
        S: Serializer,
    {
        #[expect(clippy::disallowed_methods, reason = "its order is lost in the map")]
        let map: BTreeMap<_, _> = map.iter().collect();
        map.serialize(serializer)
    }

    pub fn deserialize<'de, K, V, H, D>(deserializer: D) -> Result<HashMap<K, V, H>, D::Error>
    where
        K: Eq + Hash + Deserialize<'de>,
        V: Deserialize<'de>,
        H: BuildHasher + Default,
        D: Deserializer<'de>,
    {
        HashMap::deserialize(deserializer)
    }
}

/// How a hash set stands in a snapshot: in the order of its entries.
pub(crate) mod sorted_set {
    use std::collections::{BTreeSet, HashSet};
    use std::hash::Hash;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T, S>(set: &HashSet<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Ord + Serialize,
        S: Serializer,
    {
        #[expect(clippy::disallowed_methods, reason = "its order is lost in the set")]
        let set: BTreeSet<_> = set.iter().collect();
        set.serialize(serializer)
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<HashSet<T>, D::Error>
    where
        T: Eq + Hash + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        HashSet::deserialize(deserializer)
    }
}

/// How a map stands in a snapshot whose keys are no text: as a list of pairs.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K, V, S>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Ord + Deserialize<'de>,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
