//! Outgoing messages, known by their keys.
//!
//! A confirmed send stays until retention drops it, so that its key is still known when it is
//! enqueued again.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{BotId, ProviderMessageId, SendId};
use anteroom_core::store::{EnqueueAnswer, Send};
use anteroom_core::time::{Millis, Timestamp};

use super::multimap::Multimap;

/// An outgoing message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSend {
    /// Whose bot.
    pub bot_id: BotId,
    /// The message.
    pub send: Send,
    /// Its place among all sends; grows with every one.
    pub place: u64,
    /// The provider's confirmation.
    pub sent: Option<Sent>,
}

/// The confirmation of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When it was stored.
    pub at: Timestamp,
    /// Under which id the provider knows the message.
    pub provider_message_id: ProviderMessageId,
}

/// All outgoing messages of all bots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sends {
    sends: BTreeMap<(BotId, SendId), StoredSend>,
    owed: Multimap<BotId, (u64, SendId)>,
    sent: BTreeSet<(Timestamp, BotId, SendId)>,
    last_place: u64,
}

impl Sends {
    /// Makes a message durable, unless its key is known.
    pub(super) fn enqueue(&mut self, bot_id: &BotId, send: &Send) -> EnqueueAnswer {
        let key = (bot_id.clone(), send.send_id.clone());
        if let Some(stored) = self.sends.get(&key) {
            let same = stored.send == *send;
            return if same { EnqueueAnswer::AlreadyPresent } else { EnqueueAnswer::Conflict };
        }
        self.last_place = self.last_place.saturating_add(1);
        let place = self.last_place;
        self.owed.insert(bot_id.clone(), (place, send.send_id.clone()));
        let stored = StoredSend { bot_id: bot_id.clone(), send: send.clone(), place, sent: None };
        self.sends.insert(key, stored);
        EnqueueAnswer::Enqueued
    }

    /// The messages of a bot that were not confirmed, oldest first.
    pub(super) fn owed(&self, bot_id: &BotId, limit: u32) -> Vec<Send> {
        let owed = self.owed.values(bot_id);
        owed.filter_map(|(_, send_id)| self.sends.get(&(bot_id.clone(), send_id.clone())))
            .take(limit as usize)
            .map(|stored| stored.send.clone())
            .collect()
    }

    /// Confirms messages; one that is unknown, or was confirmed before, stays as it is.
    pub(super) fn mark_sent(
        &mut self,
        bot_id: &BotId,
        sent: &[(SendId, ProviderMessageId)],
        now: Timestamp,
    ) {
        for (send_id, provider_message_id) in sent {
            let key = (bot_id.clone(), send_id.clone());
            let Some(stored) = self.sends.get_mut(&key).filter(|stored| stored.sent.is_none())
            else {
                continue;
            };
            let provider_message_id = provider_message_id.clone();
            stored.sent = Some(Sent { at: now, provider_message_id });
            self.owed.remove(bot_id, &(stored.place, send_id.clone()));
            self.sent.insert((now, bot_id.clone(), send_id.clone()));
        }
    }

    /// Drops messages that were confirmed longer than `retention` ago.
    pub(super) fn forget(&mut self, retention: Millis, now: Timestamp) {
        while self.sent.first().is_some_and(|(at, ..)| now.since(*at) > retention) {
            if let Some((_, bot_id, send_id)) = self.sent.pop_first() {
                self.sends.remove(&(bot_id, send_id));
            }
        }
    }

    /// All messages, in the order of bots and keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &StoredSend> {
        self.sends.values()
    }
}
