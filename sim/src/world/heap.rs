//! What is going to happen, by its time, and at the same time in the order in which it was decided.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use anteroom_core::time::Timestamp;

/// A heap of things that are going to happen. The things lie apart, so that only small keys move.
#[derive(Debug)]
pub(super) struct Heap<T> {
    keys: BinaryHeap<Reverse<(Timestamp, u64, usize)>>,
    things: Vec<Option<T>>,
    free: Vec<usize>,
    order: u64,
}

impl<T> Heap<T> {
    pub fn new() -> Self {
        Self { keys: BinaryHeap::new(), things: Vec::new(), free: Vec::new(), order: 0 }
    }

    pub fn push(&mut self, at: Timestamp, thing: T) {
        self.order += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.things[slot] = Some(thing);
                slot
            }
            None => {
                self.things.push(Some(thing));
                self.things.len() - 1
            }
        };
        self.keys.push(Reverse((at, self.order, slot)));
    }

    /// When the next thing happens.
    #[cfg(madsim)]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.keys.peek().map(|Reverse((at, ..))| *at)
    }

    pub fn pop(&mut self) -> Option<(Timestamp, T)> {
        let Reverse((at, _, slot)) = self.keys.pop()?;
        self.free.push(slot);
        let thing = self.things[slot].take()?;
        Some((at, thing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: things come by their time, and those of the same time in the order of their pushes.
    #[test]
    fn things_come_in_order() {
        let mut heap = Heap::new();
        for (at, thing) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            heap.push(Timestamp::from_ms(at), thing);
        }
        let first = heap.pop().map(|(_, thing)| thing);
        heap.push(Timestamp::from_ms(5), 'e');
        let rest = std::iter::from_fn(|| heap.pop()).map(|(_, thing)| thing);
        assert_eq!(first.into_iter().chain(rest).collect::<String>(), "abcde");
    }
}
