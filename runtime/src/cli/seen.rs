//! Which callbacks were printed: what makes a repeated callback an effect exactly once.

use std::collections::{HashMap, VecDeque};

/// How far a callback has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Printed,
    Confirmed,
}

/// The last callbacks, bounded: the oldest is forgotten for a new one.
#[derive(Debug)]
pub(super) struct Seen {
    capacity: usize,
    progress: HashMap<String, Progress>,
    order: VecDeque<String>,
}

impl Seen {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, progress: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn was_printed(&self, callback_id: &str) -> bool {
        self.progress.contains_key(callback_id)
    }

    /// Remembers that a callback was printed.
    pub(super) fn printed(&mut self, callback_id: &str) {
        if self.was_printed(callback_id) {
            return;
        }
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.progress.remove(&oldest);
        }
        self.order.push_back(callback_id.to_owned());
        self.progress.insert(callback_id.to_owned(), Progress::Printed);
    }

    /// Remembers that its acknowledgement was confirmed; whether that is news.
    pub(super) fn confirmed(&mut self, callback_id: &str) -> bool {
        let progress = self.progress.get_mut(callback_id);
        progress.is_some_and(|progress| {
            std::mem::replace(progress, Progress::Confirmed) == Progress::Printed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a callback is news once when printed and once when confirmed, however often it comes.
    #[test]
    fn a_callback_is_news_once() {
        let mut seen = Seen::new(10);
        assert!(!seen.was_printed("a"));
        assert!(!seen.confirmed("a"));
        seen.printed("a");
        assert!(seen.was_printed("a"));
        assert!(seen.confirmed("a"));
        seen.printed("a");
        assert!(!seen.confirmed("a"));
    }

    /// Goal: memory is bounded, and the oldest goes first.
    #[test]
    fn the_oldest_is_forgotten() {
        let mut seen = Seen::new(2);
        for id in ["a", "b", "b", "c"] {
            seen.printed(id);
        }
        assert!(!seen.was_printed("a") && seen.was_printed("b") && seen.was_printed("c"));
        assert_eq!((seen.order.len(), seen.progress.len()), (2, 2));
    }
}
