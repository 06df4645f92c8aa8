//! New jobs: which are written, and what is said of those that are known.
//!
//! **Invariants:** a media id belongs to one provider's message, in jobs, failed copies and archive;
//! a provider's message has at most one job that is not a retry.

use std::sync::Arc;

use anteroom_core::id::{BotId, MediaId};
use anteroom_core::job::{Command, Job, Place, Status};
use anteroom_core::store::{InsertAnswer, NewJob, StoreError};
use anteroom_core::time::Timestamp;

use super::job_indices::ProviderKey;
use super::{StoreModel, invalid};

impl StoreModel {
    /// Makes jobs durable, each on its own.
    pub(super) fn insert_jobs(
        &mut self,
        bot_id: &BotId,
        new_jobs: &[NewJob],
        now: Timestamp,
    ) -> Result<Vec<InsertAnswer>, StoreError> {
        new_jobs.iter().try_for_each(|new| check(bot_id, &new.job))?;
        Ok(new_jobs.iter().map(|new| self.insert_job(new, now)).collect())
    }

    fn insert_job(&mut self, new: &NewJob, now: Timestamp) -> InsertAnswer {
        if let Some(answer) = self.known_job(new) {
            return answer;
        }
        let leased = new.lease.and_then(|lease| new.job.apply(&Command::Claim(lease), now).ok());
        let leased = leased.and_then(|applied| applied.job);
        let answer = InsertAnswer::Inserted { leased: leased.is_some() };
        self.jobs.put(Arc::new(leased.unwrap_or_else(|| new.job.clone())));
        answer
    }

    /// What is said of a job that is not written, because its media or its message is known.
    fn known_job(&self, new: &NewJob) -> Option<InsertAnswer> {
        let job = &new.job;
        let key = ProviderKey::of_job(job);
        if self.media_belongs_to_another(job.media_id, &key) {
            return Some(InsertAnswer::MediaIdInUse);
        }
        if let Some(message_id) = self.archive.id_of_provider_message(&key) {
            // The call repeated after all of its job's life: what it asked for has happened.
            let repeated = message_id == job.placeholder_message.id
                && self.archive.of_media(job.media_id).any(|row| row.message.id == message_id);
            return Some(if repeated {
                InsertAnswer::Inserted { leased: false }
            } else {
                InsertAnswer::DuplicateProviderMessage { message_id }
            });
        }
        let of_message = self.jobs.indices.of_provider_message(&key);
        let stored = of_message.or(Some(job.media_id)).and_then(|known| self.jobs.get(known))?;
        if !is_same(stored, job) {
            let message_id = stored.placeholder_message.id;
            return Some(InsertAnswer::DuplicateProviderMessage { message_id });
        }
        let held = stored.lease().map(|lease| lease.token);
        let leased = new.lease.is_some_and(|lease| held == Some(lease.token));
        Some(InsertAnswer::Inserted { leased })
    }

    fn media_belongs_to_another(&self, media_id: MediaId, key: &ProviderKey) -> bool {
        let job = self.jobs.get(media_id).map(|job| ProviderKey::of_job(job));
        let copy = self.jobs.failed.get(media_id).map(|copy| ProviderKey::of_job(&copy.job));
        let mut rows = self.archive.of_media(media_id);
        job.is_some_and(|owner| owner != *key)
            || copy.is_some_and(|owner| owner != *key)
            || rows.any(|row| row.provider_key() != *key)
    }
}

/// Whether the stored job came from the same call as the new one.
fn is_same(stored: &Job, new: &Job) -> bool {
    stored.media_id == new.media_id
        && stored.placeholder_message.id == new.placeholder_message.id
        && stored.revision == new.revision
}

/// A new job is the bot's own, pending, active and no retry.
fn check(bot_id: &BotId, job: &Job) -> Result<(), StoreError> {
    let media_id = job.media_id;
    if job.bot_id != *bot_id {
        return Err(invalid(format!("the job {media_id} belongs to the bot {}", job.bot_id)));
    }
    if job.status != Status::Pending || job.place != Place::Active || job.revision != 0 {
        return Err(invalid(format!("the job {media_id} is not a new one")));
    }
    Ok(())
}
