//! Entries under numbers that are given upwards and leave nearly in order.
//!
//! Both ends of a sorted deque are where nearly everything happens, in O(1). What comes or leaves in
//! the middle is linear in the entries, of which there are never more than a window's worth.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Entries in the ascending order of their numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ascending<T> {
    entries: VecDeque<(u64, T)>,
}

impl<T> Default for Ascending<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new() }
    }
}

impl<T> Ascending<T> {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry with the lowest number.
    pub fn first(&self) -> Option<&(u64, T)> {
        self.entries.front()
    }

    pub fn contains(&self, number: u64) -> bool {
        self.place_of(number).is_ok()
    }

    /// Adds an entry, unless its number is taken.
    pub fn insert(&mut self, number: u64, entry: T) {
        if let Err(place) = self.place_of(number) {
            self.entries.insert(place, (number, entry));
        }
    }

    pub fn remove(&mut self, number: u64) -> Option<T> {
        let place = self.place_of(number).ok()?;
        self.entries.remove(place).map(|(_, entry)| entry)
    }

    pub fn iter(&self) -> impl Iterator<Item = &(u64, T)> {
        self.entries.iter()
    }

    /// Where the number is, or would be.
    fn place_of(&self, number: u64) -> Result<usize, usize> {
        if self.entries.back().is_none_or(|(last, _)| *last < number) {
            return Err(self.entries.len());
        }
        if self.entries.front().is_some_and(|(first, _)| *first == number) {
            return Ok(0);
        }
        self.entries.binary_search_by_key(&number, |(number, _)| *number)
    }
}

impl<T> IntoIterator for Ascending<T> {
    type Item = (u64, T);
    type IntoIter = std::collections::vec_deque::IntoIter<(u64, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Goal: whatever comes in whatever order, it is a map.
        /// Method: insertions and removals of a few numbers, beside a map that is obviously one.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0_u64..20), 0..100)) {
            let mut entries = Ascending::default();
            let mut expected = BTreeMap::new();
            for (step, (insert, number)) in steps.into_iter().enumerate() {
                prop_assert_eq!(entries.contains(number), expected.contains_key(&number));
                if insert {
                    entries.insert(number, step);
                    expected.entry(number).or_insert(step);
                } else {
                    prop_assert_eq!(entries.remove(number), expected.remove(&number));
                }
                prop_assert_eq!(entries.len(), expected.len());
                prop_assert_eq!(entries.is_empty(), expected.is_empty());
                let first = entries.first().map(|(number, step)| (number, step));
                prop_assert_eq!(first, expected.first_key_value());
            }
            prop_assert!(entries.into_iter().eq(expected));
        }
    }
}
