//! Which provider messages a correspondent's queue has seen: a bounded window before the store's own.
//!
//! A message is *pending* while its fate is open, and *durable* once the store has it. What is pending,
//! or durable and *held* in the queue as a medium, is bounded by the queue and never forgotten; of the
//! rest the last `capacity` are remembered. A resend of what was forgotten is caught by the archive's
//! unique index.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::durable::Durable;
use crate::id::{MessageId, ProviderMessageId};
use crate::lookup::Lookup;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct DedupeWindow {
    #[serde(with = "crate::lookup::sorted")]
    seen: Lookup<ProviderMessageId, Seen>,
    /// The durable ones that are not held, oldest first.
    forgettable: VecDeque<ProviderMessageId>,
}

/// What the window knows of a provider message that it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Seen {
    Pending {
        message_id: MessageId,
    },
    Held {
        #[serde(with = "crate::durable::kept")]
        message_id: Durable<MessageId>,
    },
    Durable {
        #[serde(with = "crate::durable::kept")]
        message_id: Durable<MessageId>,
    },
}

impl DedupeWindow {
    pub fn look_up(&self, provider_message_id: &ProviderMessageId) -> Option<Seen> {
        self.seen.get(provider_message_id).copied()
    }

    pub fn begin(&mut self, provider_message_id: ProviderMessageId, message_id: MessageId) {
        self.seen.insert(provider_message_id, Seen::Pending { message_id });
    }

    /// A medium in the queue is durable.
    pub fn hold(
        &mut self,
        provider_message_id: &ProviderMessageId,
        message_id: Durable<MessageId>,
    ) {
        let held = Seen::Held { message_id };
        match self.seen.get_mut(provider_message_id) {
            Some(Seen::Durable { .. }) => {}
            Some(seen @ (Seen::Pending { .. } | Seen::Held { .. })) => *seen = held,
            None => {
                self.seen.insert(provider_message_id.clone(), held);
            }
        }
    }

    /// A message leaves the queue without becoming durable in the archive.
    pub fn abandon(&mut self, provider_message_id: &ProviderMessageId) {
        match self.seen.get(provider_message_id) {
            Some(Seen::Pending { .. } | Seen::Held { .. }) => {
                self.seen.remove(provider_message_id);
            }
            Some(Seen::Durable { .. }) | None => {}
        }
    }

    /// A message is in the archive.
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
            Some(seen @ (Seen::Pending { .. } | Seen::Held { .. })) => *seen = durable,
            None => {
                self.seen.insert(provider_message_id.clone(), durable);
            }
        }
        self.forgettable.push_back(provider_message_id.clone());
        while self.forgettable.len() > capacity {
            if let Some(oldest) = self.forgettable.pop_front() {
                self.seen.remove(&oldest);
            }
        }
    }

    pub fn forgettable_len(&self) -> usize {
        self.forgettable.len()
    }

    /// Whether both halves of the window tell the same story.
    pub fn is_consistent(&self) -> bool {
        self.forgettable.len() <= self.seen.len()
            && self
                .forgettable
                .iter()
                .all(|id| matches!(self.look_up(id), Some(Seen::Durable { .. })))
    }
}
