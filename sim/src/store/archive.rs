//! The archive: messages, and the callbacks that they owe.
//!
//! Owns the rows and how they are found. **Invariants:** a row is unique by `(bot, correspondent, id)`
//! and by its provider's message; a place in a bot's archive is never given twice, also when rows are
//! dropped; a correspondent's highest row is never dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use anteroom_core::id::{
    ArchiveSeq, Attempt, BotId, CallbackKey, CorrespondentId, Epoch, MediaId, MessageId,
};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{CallbackEnd, CallbackPlan};
use anteroom_core::time::{Millis, Timestamp};

use super::job_indices::ProviderKey;
use super::multimap::Multimap;

/// An archived message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRow {
    /// Whose bot.
    pub bot_id: BotId,
    /// Whose message.
    pub correspondent_id: CorrespondentId,
    /// The message, with the content of its latest revision.
    pub message: Arc<Message>,
    /// 0 for the message itself, n after its n-th revision.
    pub revision: u32,
    /// The place of the latest revision.
    pub seq: ArchiveSeq,
    /// How far the callback of the latest revision is.
    pub callback: CallbackState,
    /// How often that callback may have been sent.
    pub attempts: Attempt,
    /// How often the consumer refused it.
    pub failures: u32,
    /// The epoch under which it came to be owed; none when an operator had it owed anew.
    pub epoch: Option<Epoch>,
}

impl ArchiveRow {
    /// What the callback of the latest revision is known by.
    #[must_use]
    pub fn callback_key(&self) -> CallbackKey {
        let (correspondent_id, message_id) = (self.correspondent_id.clone(), self.message.id);
        CallbackKey { correspondent_id, message_id, revision: self.revision }
    }

    /// The callbacks of which one tells the consumer all there is to tell: the latest revision's own, and those before
    /// it where a retry came to nothing, which is not called back.
    pub fn told_by(&self) -> impl Iterator<Item = CallbackKey> {
        let outcome = self.message.media.as_ref().and_then(|media| media.outcome.as_deref());
        let came_to_nothing = matches!(
            outcome,
            Some(
                Outcome::TimedOut | Outcome::Failed { .. } | Outcome::Expired | Outcome::Discarded
            )
        );
        let first = if came_to_nothing { 0 } else { self.revision };
        (first..=self.revision).map(|revision| CallbackKey { revision, ..self.callback_key() })
    }

    /// Whether nobody but the owner under this epoch can have sent its callback, and that one with the
    /// first number alone.
    pub(super) fn is_first_attempt_under(&self, epoch: Epoch) -> bool {
        self.attempts == Attempt(1) && self.epoch == Some(epoch)
    }
}

/// How far a callback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackState {
    /// None is owed.
    NotOwed {
        /// When the row came to be as it is.
        since: Timestamp,
    },
    /// It is owed.
    Owed,
    /// It has ended.
    Ended {
        /// How.
        end: CallbackEnd,
        /// When.
        at: Timestamp,
    },
}

impl CallbackState {
    /// The state and the attempts that a row begins with.
    pub(super) fn planned(plan: CallbackPlan, now: Timestamp) -> (Self, Attempt) {
        match plan {
            CallbackPlan::None => (Self::NotOwed { since: now }, Attempt(0)),
            CallbackPlan::Owed | CallbackPlan::OwedInWindow => (Self::Owed, Attempt(1)),
        }
    }

    /// Since when nothing is owed.
    fn settled_at(self) -> Option<Timestamp> {
        match self {
            Self::NotOwed { since } => Some(since),
            Self::Owed => None,
            Self::Ended { at, .. } => Some(at),
        }
    }
}

impl ArchiveRow {
    /// What the provider calls the message.
    pub(super) fn provider_key(&self) -> ProviderKey {
        ProviderKey {
            bot_id: self.bot_id.clone(),
            correspondent_id: self.correspondent_id.clone(),
            provider_message_id: self.message.provider_message_id.clone(),
        }
    }

    fn correspondent(&self) -> Correspondent {
        (self.bot_id.clone(), self.correspondent_id.clone())
    }

    fn key(&self) -> RowKey {
        (self.correspondent(), self.message.id)
    }
}

type Correspondent = (BotId, CorrespondentId);
type RowKey = (Correspondent, MessageId);

/// All archived messages of all bots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Archive {
    rows: BTreeMap<Correspondent, BTreeMap<MessageId, Arc<ArchiveRow>>>,
    last_seqs: BTreeMap<BotId, ArchiveSeq>,
    by_provider_message: BTreeMap<ProviderKey, MessageId>,
    by_media: Multimap<MediaId, RowKey>,
    owed: BTreeMap<(BotId, ArchiveSeq), RowKey>,
    owed_by_correspondent: BTreeMap<(Correspondent, ArchiveSeq), MessageId>,
    owed_by_id: BTreeSet<RowKey>,
    /// Settled rows by their age, less the highest of each correspondent.
    forgettable: BTreeSet<(Timestamp, RowKey)>,
}

impl Archive {
    /// The row of a message.
    pub(super) fn get(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
        message_id: MessageId,
    ) -> Option<&Arc<ArchiveRow>> {
        self.rows.get(&(bot_id.clone(), correspondent_id.clone()))?.get(&message_id)
    }

    /// All rows, in the order of bots, correspondents and ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ArchiveRow> {
        self.rows.values().flat_map(BTreeMap::values).map(Arc::as_ref)
    }

    /// The id under which a provider's message is archived.
    pub(super) fn id_of_provider_message(&self, key: &ProviderKey) -> Option<MessageId> {
        self.by_provider_message.get(key).copied()
    }

    /// The rows of messages that carry a media.
    pub(super) fn of_media(&self, media_id: MediaId) -> impl Iterator<Item = &Arc<ArchiveRow>> {
        self.by_media.values(&media_id).filter_map(|key| self.find(key))
    }

    /// The highest message id of a correspondent.
    pub(super) fn highest_message_id(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
    ) -> Option<MessageId> {
        self.highest(&(bot_id.clone(), correspondent_id.clone()))
    }

    /// The next place in a bot's archive.
    pub(super) fn take_seq(&mut self, bot_id: &BotId) -> ArchiveSeq {
        let last = self.last_seqs.entry(bot_id.clone()).or_default();
        *last = ArchiveSeq(last.0.saturating_add(1));
        *last
    }

    /// Writes a row, in place of an earlier state of it.
    pub(super) fn put(&mut self, row: ArchiveRow) {
        let key = row.key();
        let highest_before = self.highest(&key.0);
        self.remove(&key);
        self.by_provider_message.insert(row.provider_key(), row.message.id);
        if let Some(media_id) = row.message.media_id() {
            self.by_media.insert(media_id, key.clone());
        }
        if row.callback == CallbackState::Owed {
            self.owed.insert((row.bot_id.clone(), row.seq), key.clone());
            self.owed_by_correspondent.insert((row.correspondent(), row.seq), row.message.id);
            self.owed_by_id.insert(key.clone());
        }
        self.rows.entry(key.0.clone()).or_default().insert(key.1, Arc::new(row));
        // A row that was the highest may have become one of those that retention drops.
        for message_id in highest_before.into_iter().chain([key.1]) {
            self.let_be_forgotten((key.0.clone(), message_id));
        }
    }

    fn remove(&mut self, key: &RowKey) {
        let Some(rows) = self.rows.get_mut(&key.0) else { return };
        let Some(row) = rows.remove(&key.1) else { return };
        if rows.is_empty() {
            self.rows.remove(&key.0);
        }
        self.by_provider_message.remove(&row.provider_key());
        if let Some(media_id) = row.message.media_id() {
            self.by_media.remove(&media_id, key);
        }
        self.owed.remove(&(row.bot_id.clone(), row.seq));
        self.owed_by_correspondent.remove(&(row.correspondent(), row.seq));
        self.owed_by_id.remove(key);
        if let Some(settled_at) = row.callback.settled_at() {
            self.forgettable.remove(&(settled_at, key.clone()));
        }
    }

    fn let_be_forgotten(&mut self, key: RowKey) {
        let is_highest = self.highest(&key.0) == Some(key.1);
        let settled_at = self.find(&key).and_then(|row| row.callback.settled_at());
        if let Some(settled_at) = settled_at.filter(|_| !is_highest) {
            self.forgettable.insert((settled_at, key));
        }
    }

    /// Drops rows that were settled longer than `retention` ago, and tells how many.
    pub(super) fn forget(&mut self, retention: Millis, limit: u32, now: Timestamp) -> u32 {
        let before = now.minus(retention);
        let settled = self.forgettable.iter().take_while(|(settled_at, _)| *settled_at < before);
        let keys: Vec<RowKey> = settled.take(limit as usize).map(|(_, key)| key.clone()).collect();
        for key in &keys {
            self.remove(key);
        }
        u32::try_from(keys.len()).unwrap_or(u32::MAX)
    }

    /// The owed rows of a bot behind a place, in archive order.
    pub(super) fn owed_of_bot(
        &self,
        bot_id: &BotId,
        after: ArchiveSeq,
    ) -> impl Iterator<Item = &Arc<ArchiveRow>> {
        let from = (Bound::Excluded((bot_id.clone(), after)), Bound::Unbounded);
        let owed = self.owed.range(from).take_while(move |((owner, _), _)| owner == bot_id);
        owed.filter_map(|(_, key)| self.find(key))
    }

    /// The owed rows of a correspondent behind a place, in archive order.
    pub(super) fn owed_of_correspondent(
        &self,
        correspondent: (BotId, CorrespondentId),
        after: ArchiveSeq,
    ) -> impl Iterator<Item = &Arc<ArchiveRow>> {
        let rows = self.rows.get(&correspondent);
        let from = (Bound::Excluded((correspondent.clone(), after)), Bound::Unbounded);
        let owed = self.owed_by_correspondent.range(from);
        let owed = owed.take_while(move |((owner, _), _)| *owner == correspondent);
        owed.filter_map(move |(_, message_id)| rows?.get(message_id))
    }

    /// The owed rows of a correspondent with higher ids than `after`, in the order of ids.
    pub(super) fn owed_by_id(
        &self,
        correspondent: (BotId, CorrespondentId),
        after: Option<MessageId>,
    ) -> impl Iterator<Item = &Arc<ArchiveRow>> {
        let from = match after {
            Some(after) => Bound::Excluded((correspondent.clone(), after)),
            None => Bound::Included((correspondent.clone(), MessageId::FIRST)),
        };
        let owed = self.owed_by_id.range((from, Bound::Unbounded));
        let owed = owed.take_while(move |(owner, _)| *owner == correspondent);
        owed.filter_map(|key| self.find(key))
    }

    fn find(&self, key: &RowKey) -> Option<&Arc<ArchiveRow>> {
        self.rows.get(&key.0)?.get(&key.1)
    }

    fn highest(&self, correspondent: &Correspondent) -> Option<MessageId> {
        let (message_id, _) = self.rows.get(correspondent)?.last_key_value()?;
        Some(*message_id)
    }

    /// The same rows and places, each row written through `change` into an empty archive.
    #[cfg(test)]
    pub(super) fn rewritten(&self, change: impl Fn(ArchiveRow) -> ArchiveRow) -> Self {
        let mut fresh = Self { last_seqs: self.last_seqs.clone(), ..Self::default() };
        for row in self.iter() {
            fresh.put(change(row.clone()));
        }
        fresh
    }
}
