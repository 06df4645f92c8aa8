//! What is written of messages: S2, S3, S4, S9.

use std::collections::BTreeSet;

use anteroom_core::id::{BotId, CorrespondentId, MessageId, ProviderMessageId};
use anteroom_core::job::Job;
use anteroom_core::message::Message;
use anteroom_core::store::{ArchiveItem, NewJob};

use super::Rules;
use crate::store::StoreModel;

impl Rules {
    /// S4, S2, S9: what is archived is no placeholder, is as long as it says, and not longer than it may
    /// be.
    pub(super) fn archived(&mut self, message: &Message) {
        if message.is_placeholder() {
            self.break_rule("S4", format!("placeholder {} archived", message.id));
        }
        let limit =
            if message.media.is_some() { self.media_text_max } else { self.single_message_max };
        self.has_size(message, limit);
        self.outcome_is_explained(message);
    }

    /// S2, S9: a message is as long as it says, in characters, and not longer than it may be.
    pub(super) fn has_size(&mut self, message: &Message, limit: u64) {
        let characters = message.content.chars().count() as u64;
        if message.message_size != characters {
            let said = message.message_size;
            let what = format!("{} has {characters} characters and says {said}", message.id);
            self.break_rule("S2", what);
        }
        if characters > limit {
            self.break_rule("S9", format!("{} has {characters} characters", message.id));
        }
    }

    /// S9: a correspondent's placeholders are never more, in characters, than its queue may hold.
    pub(super) fn fits(&mut self, bot_id: &BotId, new: &[NewJob], before: &StoreModel) {
        for NewJob { job, .. } in new {
            let is_other = |other: &&Job| {
                other.correspondent_id == job.correspondent_id
                    && other.media_id != job.media_id
                    && other.revision == 0
            };
            let others = before.jobs_of(bot_id).filter(is_other);
            let others: u64 = others.map(|other| other.placeholder_message.message_size).sum();
            let characters = others + job.placeholder_message.message_size;
            if characters > self.queue_max {
                let what =
                    format!("{}: placeholders of {characters} characters", job.correspondent_id);
                self.break_rule("S9", what);
            }
        }
    }

    /// S9: of one correspondent at most so many messages are archived while one of another waits as can
    /// be on their way already.
    pub(super) fn takes_turns(&mut self, bot_id: &BotId, items: &[ArchiveItem]) {
        for item in items {
            let said = (
                bot_id.clone(),
                item.correspondent_id.clone(),
                item.message.provider_message_id.clone(),
            );
            self.waiting.remove(&said);
        }
        let most = 2 * self.batch_max + 1;
        let mut passed = None;
        for (said, others) in &mut self.waiting {
            for item in items.iter().filter(|item| item.correspondent_id != said.1) {
                let times = others.entry(item.correspondent_id.clone()).or_default();
                *times += 1;
                if said.0 == *bot_id && *times > most {
                    passed = Some((said.clone(), item.correspondent_id.clone()));
                }
            }
        }
        if let Some((said, by)) = passed {
            self.break_rule("S9", format!("{said:?} waits behind all of {by}"));
        }
    }

    /// S3: ids belong to one message, and messages are archived once.
    pub(super) fn look_at_ids(&mut self, store: &StoreModel) {
        let rows = store.archive_rows().map(|row| {
            let id = (row.bot_id.clone(), row.correspondent_id.clone(), row.message.id);
            (id, row.message.provider_message_id.clone())
        });
        let jobs = store.jobs().map(|job| {
            let message = &job.placeholder_message;
            let id = (job.bot_id.clone(), job.correspondent_id.clone(), message.id);
            (id, message.provider_message_id.clone())
        });
        let mut messages = BTreeSet::new();
        for (id, said) in rows {
            if !messages.insert((id.0.clone(), id.1.clone(), said.clone())) {
                self.break_rule("S3", format!("{said} of {} is archived twice", id.1));
            }
            self.id_of(id, said);
        }
        for (id, said) in jobs {
            self.id_of(id, said);
        }
    }

    fn id_of(&mut self, id: (BotId, CorrespondentId, MessageId), said: ProviderMessageId) {
        let known = self.ids.entry(id.clone()).or_insert_with(|| said.clone()).clone();
        if known != said {
            self.break_rule("S3", format!("{id:?} is {known} and {said}"));
        }
    }
}
