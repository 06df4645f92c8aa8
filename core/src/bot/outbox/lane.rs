//! The owed callbacks of one correspondent in memory, in the order in which they are made.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::bot::event::Callback;
use crate::durable::Durable;
use crate::id::{ArchiveSeq, Attempt, CallbackKey, MessageId};
use crate::time::Timestamp;

/// The owed callbacks of one correspondent in memory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct OutboxLane {
    pub entries: VecDeque<Entry>,
    /// Whether the outbox's list of lanes with work names it.
    pub listed: bool,
    /// Messages of its correspondent come through here: it stays in memory as long as that does.
    pub stays: bool,
    /// Places kept for messages in the archive batch in flight.
    pub reserved: usize,
    /// The store owes more for this correspondent than is in memory.
    pub spilled: bool,
    /// Whether a page of it has been asked for, or is listed to be.
    pub refilling: bool,
    /// The last place in the archive that has been in memory.
    pub last_seq: ArchiveSeq,
    /// Whether it waits for the end of a burst.
    pub gathering: bool,
    /// Under gating, while spilled: only messages up to this id are known to be complete.
    pub complete_through: Option<MessageId>,
}

/// One owed callback.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub seq: ArchiveSeq,
    #[serde(with = "crate::durable::kept")]
    pub callback: Durable<Callback>,
    pub failures: u32,
    pub state: EntryState,
    /// Since when it might have been sent.
    pub since: Timestamp,
    /// It has gone out together with the others that are marked so; a lane has one such batch, which
    /// gets no more entries.
    pub together: bool,
}

/// Where an owed callback stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EntryState {
    /// Its attempt number has not been used.
    Ready,
    /// Its attempt number has been used, or may have been.
    Spent,
    /// The consumer refused it: not before then.
    Refused { until: Timestamp },
    /// Its next attempt number is being made durable.
    Raising,
    /// It is with the consumer.
    Open { order: u64 },
    /// It has ended, which is being made durable.
    Ending,
}

impl Entry {
    pub fn key(&self) -> CallbackKey {
        self.callback.get().key()
    }

    pub fn attempt(&self) -> Attempt {
        self.callback.get().attempt
    }

    /// Whether this very number may have been used: an acknowledgement makes sense.
    pub fn may_have_been_sent(&self) -> bool {
        match self.state {
            EntryState::Ready => self.attempt() > Attempt(1),
            EntryState::Spent
            | EntryState::Refused { .. }
            | EntryState::Raising
            | EntryState::Open { .. }
            | EntryState::Ending => true,
        }
    }

    pub fn is_underway(&self) -> bool {
        match self.state {
            EntryState::Raising | EntryState::Open { .. } | EntryState::Ending => true,
            EntryState::Ready | EntryState::Spent | EntryState::Refused { .. } => false,
        }
    }
}

impl OutboxLane {
    pub fn find(&mut self, key: &CallbackKey) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| {
            let callback = entry.callback.get();
            callback.message.id == key.message_id && callback.revision == key.revision
        })
    }

    /// The entry whose turn it is; none while one is under way.
    pub fn current(&mut self) -> Option<&mut Entry> {
        if self.entries.iter().any(Entry::is_underway) {
            return None;
        }
        self.entries.front_mut()
    }

    /// Whether the consumer has refused what stands in front: what is behind it may have to wait for long, and does so
    /// in the store.
    pub fn is_refused(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.failures > 0)
    }

    /// Adds an entry at its place: by archive order, or by message id under gating.
    pub fn insert(&mut self, entry: Entry, by_id: bool) {
        self.last_seq = self.last_seq.max(entry.seq);
        let place = |entry: &Entry| {
            let callback = entry.callback.get();
            if by_id {
                (callback.message.id.get(), u64::from(callback.revision))
            } else {
                (entry.seq.0, 0)
            }
        };
        let at = place(&entry);
        let index = self.entries.iter().rposition(|other| place(other) < at).map_or(0, |i| i + 1);
        self.entries.insert(index, entry);
    }

    pub fn remove(&mut self, key: &CallbackKey) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| {
            let callback = entry.callback.get();
            callback.message.id == key.message_id && callback.revision == key.revision
        })?;
        self.entries.remove(index)
    }

    /// Whether nothing of it needs to be remembered.
    pub fn is_forgettable(&self) -> bool {
        self.entries.is_empty()
            && self.reserved == 0
            && !self.listed
            && !self.spilled
            && !self.refilling
            && !self.gathering
    }
}
