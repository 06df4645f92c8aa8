//! Which provider messages a correspondent's queue has seen: a bounded window before the store's own.
//!
//! A message is *pending* while its fate is open, and *durable* once the store has it. What is pending,
//! or durable and *held* in the queue as a medium, is bounded by the queue and never forgotten; of what
//! is archived the last `capacity` are remembered. A resend of what was forgotten is caught by the
//! archive's unique index.

use serde::{Deserialize, Serialize};

use crate::durable::Durable;
use crate::id::{MessageId, ProviderMessageId};
use crate::lookup::{Lookup, RingLookup};

/// A message is on one side or the other.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct DedupeWindow {
    /// What is in the queue or on its way to the archive.
    #[serde(with = "crate::lookup::sorted")]
    open: Lookup<ProviderMessageId, Open>,
    /// What is in the archive, oldest first.
    archived: RingLookup<ProviderMessageId, Archived>,
}

/// What the window knows of a provider message that it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Pending { message_id: MessageId },
    Durable { message_id: Durable<MessageId> },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Open {
    Pending {
        message_id: MessageId,
    },
    /// A medium whose job is durable.
    Held {
        #[serde(with = "crate::durable::kept")]
        message_id: Durable<MessageId>,
    },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct Archived {
    #[serde(with = "crate::durable::kept")]
    message_id: Durable<MessageId>,
}

impl DedupeWindow {
    pub fn look_up(&self, provider_message_id: &ProviderMessageId) -> Option<Seen> {
        match self.open.get(provider_message_id) {
            Some(Open::Pending { message_id }) => Some(Seen::Pending { message_id: *message_id }),
            Some(Open::Held { message_id }) => Some(Seen::Durable { message_id: *message_id }),
            None => {
                let Archived { message_id } = *self.archived.get(provider_message_id)?;
                Some(Seen::Durable { message_id })
            }
        }
    }

    /// A message that has not been seen before comes in.
    pub fn begin(&mut self, provider_message_id: ProviderMessageId, message_id: MessageId) {
        self.open.insert(provider_message_id, Open::Pending { message_id });
    }

    /// A medium in the queue is durable.
    pub fn hold(
        &mut self,
        provider_message_id: &ProviderMessageId,
        message_id: Durable<MessageId>,
    ) {
        if !self.archived.contains_key(provider_message_id) {
            self.open.insert(provider_message_id.clone(), Open::Held { message_id });
        }
    }

    /// A message leaves the queue without becoming durable in the archive.
    pub fn abandon(&mut self, provider_message_id: &ProviderMessageId) {
        self.open.remove(provider_message_id);
    }

    /// A message is in the archive.
    pub fn confirm(
        &mut self,
        provider_message_id: &ProviderMessageId,
        message_id: Durable<MessageId>,
        capacity: usize,
    ) {
        let was_open = self.open.remove(provider_message_id).is_some();
        let archived = Archived { message_id };
        if !was_open && let Some(known) = self.archived.get_mut(provider_message_id) {
            *known = archived;
            return;
        }
        // Room is made first, so that the ring never holds more than it may.
        while self.archived.len() >= capacity.max(1) {
            self.archived.pop_front();
        }
        if capacity > 0 {
            self.archived.insert(provider_message_id.clone(), archived);
        }
    }

    pub fn archived_len(&self) -> usize {
        self.archived.len()
    }

    /// Whether no message is on both sides.
    pub fn is_consistent(&self) -> bool {
        self.archived.keys().all(|id| !self.open.contains_key(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreReply;

    /// Goal: of what is archived, the last `capacity` are remembered, and none if it is none.
    #[test]
    fn the_last_are_remembered() {
        let id = |number| MessageId::new(number).unwrap();
        let provider_id = |number: u64| ProviderMessageId::from(format!("p{number}"));
        for (capacity, kept) in [(2, 2), (0, 0)] {
            let mut window = DedupeWindow::default();
            for number in 1..=3 {
                window.begin(provider_id(number), id(number));
                let message_id = Durable::by(&StoreReply::MarkSent, id(number));
                window.confirm(&provider_id(number), message_id, capacity);
            }
            assert_eq!(window.archived_len(), kept);
            let seen = (1..=3).filter(|number| window.look_up(&provider_id(*number)).is_some());
            assert_eq!(seen.count(), kept, "{window:?}");
            assert_eq!(window.look_up(&provider_id(1)), None);
        }
    }
}
