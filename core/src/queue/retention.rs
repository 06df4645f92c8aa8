//! What a queue may hold: eviction, overflow and the hard bounds.
//!
//! Limits count every entry, but only texts can go: everything else is acknowledged. The paths are
//! taken in the order age, characters, count.

use super::{CorrespondentQueue, Evicted, MediaState, Text};
use crate::receipt::EvictReason;
use crate::settings::Limits;
use crate::time::Timestamp;

impl CorrespondentQueue {
    /// Evicts the texts that waited too long for the store. Age alone never rejects anything.
    pub(super) fn evict_aged(&mut self, limits: &Limits, now: Timestamp) -> Vec<Evicted> {
        let mut evicted = Vec::new();
        while let Some(text) = self.texts.front()
            && now.since(text.message.accepted_time) > limits.max_age
        {
            evicted.extend(self.evict_oldest(EvictReason::Age));
        }
        evicted
    }

    /// Whether an addition of `size` fits once everything evictable is gone, overflow included.
    pub(super) fn can_fit(&self, size: u64, limits: &Limits) -> bool {
        let kept_chars = self.total_chars - self.text_chars;
        kept_chars + size <= limits.max_characters + limits.overflow.characters()
            && self.media.len() < limits.max_messages + limits.overflow.messages()
    }

    /// Evicts the oldest texts until `messages` more, with `size` characters, fit the limits, or no
    /// text is left.
    pub(super) fn make_room(
        &mut self,
        messages: usize,
        size: u64,
        limits: &Limits,
        evicted: &mut Vec<Evicted>,
    ) {
        while self.total_chars + size > limits.max_characters && !self.texts.is_empty() {
            evicted.extend(self.evict_oldest(EvictReason::Characters));
        }
        // A completion adds no message, so it evicts none for their count.
        while messages > 0 && self.len() + messages > limits.max_messages && !self.texts.is_empty()
        {
            evicted.extend(self.evict_oldest(EvictReason::Count));
        }
    }

    fn evict_oldest(&mut self, reason: EvictReason) -> Option<Evicted> {
        let Text { message, origin } = self.texts.pop_front()?;
        self.total_chars -= message.message_size;
        self.text_chars -= message.message_size;
        self.window.abandon(&message.provider_message_id);
        Some(Evicted { id: message.id, message_size: message.message_size, origin, reason })
    }

    /// Whether the hard bounds hold.
    pub(super) fn is_within_bounds(&self, limits: &Limits) -> bool {
        let media_text = limits.max_placeholders as u64 * limits.max_characters_media_text;
        self.len() <= limits.max_messages + limits.overflow.messages()
            && self.media.len() <= limits.max_placeholders
            && self.total_chars <= limits.max_characters + limits.overflow.characters() + media_text
    }

    /// Notes that the queue is under the hard bounds for good after an injection went over them:
    /// no medium is left that could bring it over them again.
    pub(super) fn settle_bounds(&mut self, limits: &Limits) {
        let settled = self.media.is_empty() && self.is_within_bounds(limits);
        self.over_bounds = self.over_bounds && !settled;
    }

    /// Checks every invariant of the queue, the hard way. Linear.
    ///
    /// # Errors
    /// The first broken one, in words.
    pub fn check_invariants(&self, limits: &Limits) -> Result<(), String> {
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let text_chars: u64 = self.texts.iter().map(|text| text.message.message_size).sum();
        let media = || self.media_ids.values().filter_map(|media_id| self.media.get(media_id));
        let media_chars: u64 = media().map(|entry| entry.message.message_size).sum();
        ensure(text_chars == self.text_chars, "text_chars is the sum of the texts' sizes")?;
        ensure(
            text_chars + media_chars == self.total_chars,
            "total_chars is the sum of the entries' sizes",
        )?;
        ensure(
            self.texts.iter().zip(self.texts.iter().skip(1)).all(|(first, second)| {
                first.message.id < second.message.id
                    && first.message.accepted_time <= second.message.accepted_time
            }),
            "texts stand in the order of ids and of acceptance",
        )?;
        ensure(
            self.texts
                .iter()
                .map(|text| text.message.id)
                .chain(self.media_ids.keys().copied())
                .all(|id| id < self.next_id),
            "ids are below next_id",
        )?;
        ensure(
            self.texts.iter().all(|text| !self.media_ids.contains_key(&text.message.id)),
            "ids are unique",
        )?;
        ensure(
            media().all(|entry| match entry.state {
                MediaState::Ready(_) => !entry.message.is_placeholder(),
                MediaState::Waiting => entry.message.is_placeholder(),
            }),
            "media are ready exactly when they have their text",
        )?;
        let ready = media().filter(|entry| !entry.message.is_placeholder());
        ensure(
            ready.map(|entry| entry.message.id).eq(self.ready_media.iter().copied()),
            "the ready media are those with their text",
        )?;
        ensure(
            self.media_ids.len() == self.media.len()
                && self.media_ids.iter().all(|(id, media_id)| {
                    self.media.get(media_id).is_some_and(|entry| {
                        entry.message.id == *id && entry.message.media_id() == Some(*media_id)
                    })
                }),
            "each media finds its entry",
        )?;
        ensure(self.window.is_consistent(), "the dedupe window tells one story")?;
        ensure(
            self.window.archived_len() <= limits.dedupe_window,
            "the dedupe window is within its capacity",
        )?;
        ensure(
            self.over_bounds || self.is_within_bounds(limits),
            "the queue is within its hard bounds",
        )
    }
}
