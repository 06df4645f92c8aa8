//! Which provider messages a correspondent's queue has seen: a bounded window before the store's own.
//!
//! A message is *pending* while its fate is open and *durable* once the store has it. Pending ones are
//! bounded by the queue that holds them and are never forgotten; of the durable ones the last
//! `capacity` are remembered. A resend that both have forgotten is caught by the archive's unique
//! index.

use std::collections::VecDeque;

use crate::durable::Durable;
use crate::id::{MessageId, ProviderMessageId};
use crate::lookup::Lookup;

#[derive(Debug, Clone, Default)]
pub(super) struct DedupeWindow {
    seen: Lookup<ProviderMessageId, Seen>,
    /// The durable ones, oldest first.
    durable: VecDeque<ProviderMessageId>,
}

/// What the window knows of a provider message that it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Pending { message_id: MessageId },
    Durable { message_id: Durable<MessageId> },
}

impl DedupeWindow {
    pub fn look_up(&self, provider_message_id: &ProviderMessageId) -> Option<Seen> {
        self.seen.get(provider_message_id).copied()
    }

    pub fn begin(&mut self, provider_message_id: ProviderMessageId, message_id: MessageId) {
        self.seen.insert(provider_message_id, Seen::Pending { message_id });
    }

    pub fn abandon(&mut self, provider_message_id: &ProviderMessageId) {
        if let Some(Seen::Pending { .. }) = self.seen.get(provider_message_id) {
            self.seen.remove(provider_message_id);
        }
    }

    pub fn confirm(
        &mut self,
        provider_message_id: &ProviderMessageId,
        message_id: Durable<MessageId>,
        capacity: usize,
    ) {
        let durable = Seen::Durable { message_id };
        match self.seen.get_mut(provider_message_id) {
            Some(seen @ Seen::Durable { .. }) => {
                *seen = durable;
                return;
            }
            Some(seen @ Seen::Pending { .. }) => *seen = durable,
            None => {
                self.seen.insert(provider_message_id.clone(), durable);
            }
        }
        self.durable.push_back(provider_message_id.clone());
        while self.durable.len() > capacity {
            if let Some(oldest) = self.durable.pop_front() {
                self.seen.remove(&oldest);
            }
        }
    }

    pub fn durable_len(&self) -> usize {
        self.durable.len()
    }

    /// Whether both halves of the window tell the same story.
    pub fn is_consistent(&self) -> bool {
        self.durable.len() <= self.seen.len()
            && self.durable.iter().all(|id| matches!(self.look_up(id), Some(Seen::Durable { .. })))
    }
}
