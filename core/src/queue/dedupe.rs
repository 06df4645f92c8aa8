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

#[derive(Debug, Default)]
pub(super) struct DedupeWindow {
    pending: Lookup<ProviderMessageId, MessageId>,
    durable: Lookup<ProviderMessageId, Durable<MessageId>>,
    /// The durable ones, oldest first.
    order: VecDeque<ProviderMessageId>,
}

/// What the window knows of a provider message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Never,
    Pending { message_id: MessageId },
    Durable { message_id: Durable<MessageId> },
}

impl DedupeWindow {
    pub fn look_up(&self, provider_message_id: &ProviderMessageId) -> Seen {
        if let Some(&message_id) = self.pending.get(provider_message_id) {
            return Seen::Pending { message_id };
        }
        match self.durable.get(provider_message_id) {
            None => Seen::Never,
            Some(&message_id) => Seen::Durable { message_id },
        }
    }

    pub fn begin(&mut self, provider_message_id: ProviderMessageId, message_id: MessageId) {
        self.pending.insert(provider_message_id, message_id);
    }

    pub fn abandon(&mut self, provider_message_id: &ProviderMessageId) {
        self.pending.remove(provider_message_id);
    }

    pub fn confirm(
        &mut self,
        provider_message_id: &ProviderMessageId,
        message_id: Durable<MessageId>,
        capacity: usize,
    ) {
        self.pending.remove(provider_message_id);
        if self.durable.insert(provider_message_id.clone(), message_id).is_none() {
            self.order.push_back(provider_message_id.clone());
        }
        while self.order.len() > capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.durable.remove(&oldest);
            }
        }
    }

    pub fn durable_len(&self) -> usize {
        self.durable.len()
    }

    /// Whether both halves of the window tell the same story.
    pub fn is_consistent(&self) -> bool {
        self.order.len() == self.durable.len()
            && self.order.iter().all(|id| self.durable.contains_key(id))
    }
}
