//! Which provider messages a correspondent's queue has seen: a bounded window before the store's own.
//!
//! A message is *pending* while its fate is open and *durable* once the store has it. Pending ones are
//! bounded by the queue that holds them and are never forgotten; of the durable ones the last
//! `capacity` are remembered. A resend that both have forgotten is caught by the archive's unique
//! index.

use std::collections::{HashMap, VecDeque};

use crate::durable::Durable;
use crate::id::{MediaId, MessageId, ProviderMessageId};

#[derive(Debug, Default)]
pub(super) struct DedupeWindow {
    pending: HashMap<ProviderMessageId, MessageId>,
    durable: HashMap<ProviderMessageId, Known>,
    /// The durable ones, oldest first.
    order: VecDeque<ProviderMessageId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    message_id: Durable<MessageId>,
    media_id: Option<MediaId>,
}

/// What the window knows of a provider message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Never,
    Pending { message_id: MessageId },
    Durable { message_id: Durable<MessageId>, media_id: Option<MediaId> },
}

impl DedupeWindow {
    pub fn look_up(&self, provider_message_id: &ProviderMessageId) -> Seen {
        if let Some(&message_id) = self.pending.get(provider_message_id) {
            return Seen::Pending { message_id };
        }
        match self.durable.get(provider_message_id) {
            None => Seen::Never,
            Some(&Known { message_id, media_id }) => Seen::Durable { message_id, media_id },
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
        media_id: Option<MediaId>,
        capacity: usize,
    ) {
        self.pending.remove(provider_message_id);
        let known = Known { message_id, media_id };
        if self.durable.insert(provider_message_id.clone(), known).is_none() {
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
