//! Archiving messages: each with its owed callback and the end of its job, or not at all.
//!
//! **Invariants:** a placeholder is never archived; everything that can refuse a message is looked at
//! before anything is written for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anteroom_core::id::{BotId, MessageId};
use anteroom_core::job::{Command, Job};
use anteroom_core::store::{ArchiveAnswer, ArchiveItem, Fence, FinishedJob, StoreError};
use anteroom_core::time::Timestamp;

use super::archive::{ArchiveRow, CallbackState};
use super::job_indices::ProviderKey;
use super::{StoreModel, invalid};

/// What became of a message's job.
enum JobEnd {
    /// The message has none, or it is gone.
    Ended,
    /// It is not there, not held under the token, or has no result.
    Refused,
}

impl StoreModel {
    /// Archives messages in their order, each on its own.
    pub(super) fn archive(
        &mut self,
        fence: &Fence,
        items: &[ArchiveItem],
        now: Timestamp,
    ) -> Result<Vec<ArchiveAnswer>, StoreError> {
        let bot_id = &fence.bot_id;
        if self.bots.record(bot_id).is_none() {
            return Err(invalid(format!("the bot {bot_id} is not registered")));
        }
        self.check_items(bot_id, items)?;
        Ok(items.iter().map(|item| self.archive_one(fence, item, now)).collect())
    }

    fn archive_one(&mut self, fence: &Fence, item: &ArchiveItem, now: Timestamp) -> ArchiveAnswer {
        let bot_id = &fence.bot_id;
        let known = self.known_under_another_id(bot_id, item);
        let stored = self.archive.get(bot_id, &item.correspondent_id, item.message.id);
        let stored = stored.map(|row| row.seq);
        let end = self.end_own_job(bot_id, item, now);
        match (known, stored, end) {
            (Some(message_id), _, _) => ArchiveAnswer::DuplicateProviderMessage { message_id },
            (None, Some(seq), _) => ArchiveAnswer::AlreadyStored { seq },
            (None, None, JobEnd::Refused) => ArchiveAnswer::StaleLease,
            (None, None, JobEnd::Ended) => self.store(fence, item, now),
        }
    }

    fn store(&mut self, fence: &Fence, item: &ArchiveItem, now: Timestamp) -> ArchiveAnswer {
        let bot_id = &fence.bot_id;
        let seq = self.archive.take_seq(bot_id);
        let (callback, attempts) = CallbackState::planned(item.callback, now);
        self.archive.put(ArchiveRow {
            bot_id: bot_id.clone(),
            correspondent_id: item.correspondent_id.clone(),
            message: Arc::clone(&item.message),
            revision: 0,
            seq,
            callback,
            attempts,
            failures: 0,
            epoch: Some(fence.epoch),
        });
        ArchiveAnswer::Stored { seq }
    }

    /// The id that the provider's message has in archive, active or holding, when it is not this one.
    fn known_under_another_id(&self, bot_id: &BotId, item: &ArchiveItem) -> Option<MessageId> {
        let key = provider_key(bot_id, item);
        let known = self.archive.id_of_provider_message(&key).or_else(|| {
            let media_id = self.jobs.indices.of_provider_message(&key)?;
            Some(self.jobs.get(media_id)?.placeholder_message.id)
        });
        known.filter(|message_id| *message_id != item.message.id)
    }

    /// The job that ends with the message. Retries of an archived message are not its own job: they
    /// end with a revision.
    fn own_job(&self, bot_id: &BotId, item: &ArchiveItem) -> Option<Arc<Job>> {
        let job = self.jobs.get(item.job?.media_id)?;
        let own = job.bot_id == *bot_id
            && job.correspondent_id == item.correspondent_id
            && job.placeholder_message.id == item.message.id
            && job.revision == 0;
        own.then(|| Arc::clone(job))
    }

    fn end_own_job(&mut self, bot_id: &BotId, item: &ArchiveItem, now: Timestamp) -> JobEnd {
        let Some(finished) = item.job else { return JobEnd::Ended };
        let job = self.own_job(bot_id, item);
        match job.zip(finish_command(item, finished)) {
            Some((job, command)) => match self.jobs.apply(&job, &command, now) {
                Ok(_) => JobEnd::Ended,
                Err(_) => JobEnd::Refused,
            },
            None => JobEnd::Refused,
        }
    }

    /// Refuses a batch that makes no sense, before anything is written.
    fn check_items(&self, bot_id: &BotId, items: &[ArchiveItem]) -> Result<(), StoreError> {
        let mut named = BTreeMap::new();
        for item in items {
            let ArchiveItem { correspondent_id, message, .. } = item;
            let refuse = |what: &str| {
                Err(invalid(format!("{bot_id}/{correspondent_id}/{} {what}", message.id)))
            };
            if message.is_placeholder() {
                return refuse("is a placeholder");
            }
            if item.job.is_some_and(|job| job.token.is_some()) && message.media.is_none() {
                return refuse("ends a job but carries no media");
            }
            if self.known_under_another_id(bot_id, item).is_some() {
                continue;
            }
            let row = self.archive.get(bot_id, correspondent_id, message.id);
            let stored = row.map(|row| &row.message.provider_message_id);
            let provider_message_id = &message.provider_message_id;
            let first = *named
                .entry((correspondent_id, message.id))
                .or_insert(stored.unwrap_or(provider_message_id));
            if first != provider_message_id {
                return refuse("has the id of another message");
            }
        }
        Ok(())
    }
}

fn provider_key(bot_id: &BotId, item: &ArchiveItem) -> ProviderKey {
    ProviderKey {
        bot_id: bot_id.clone(),
        correspondent_id: item.correspondent_id.clone(),
        provider_message_id: item.message.provider_message_id.clone(),
    }
}

/// How the table ends the job; none when a result made here is missing.
fn finish_command(item: &ArchiveItem, finished: FinishedJob) -> Option<Command> {
    let Some(token) = finished.token else { return Some(Command::Finish) };
    let outcome = item.message.media.as_ref()?.outcome.clone()?;
    Some(Command::FinishLeased { token, outcome: *outcome })
}
