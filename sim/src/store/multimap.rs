//! Many values under one key, keys and values in order: the shape of most indices.
//!
//! **Invariant:** a key without values is not there, so equal contents are equal maps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A map from keys to ordered sets of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Multimap<K, V>(BTreeMap<K, BTreeSet<V>>);

impl<K, V> Default for Multimap<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Ord> Multimap<K, V> {
    /// Adds a value under a key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.0.entry(key).or_default().insert(value);
    }

    /// Removes a value from under a key, when it is there.
    pub(super) fn remove(&mut self, key: &K, value: &V) {
        let Some(values) = self.0.get_mut(key) else { return };
        values.remove(value);
        if values.is_empty() {
            self.0.remove(key);
        }
    }

    /// The values under a key, in order.
    pub(super) fn values<'s>(
        &'s self,
        key: &K,
    ) -> impl DoubleEndedIterator<Item = &'s V> + use<'s, K, V> {
        self.0.get(key).into_iter().flatten()
    }

    /// The values under a key behind `after`, in order.
    pub(super) fn values_after<'s>(
        &'s self,
        key: &K,
        after: Option<&V>,
    ) -> impl Iterator<Item = &'s V> + use<'s, K, V> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let values = self.0.get(key).map(|values| values.range((from, Bound::Unbounded)));
        values.into_iter().flatten()
    }

    /// The first key behind `after`, beginning again at the first of all.
    pub(super) fn key_around(&self, after: Option<&K>) -> Option<&K> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.0.range((from, Bound::Unbounded)).next();
        behind.or_else(|| self.0.first_key_value()).map(|(key, _)| key)
    }

    /// Whether there is no value under any key.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
