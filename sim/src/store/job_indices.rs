//! How jobs are found without looking at all of them.
//!
//! Every index is a function of the jobs, with one exception: a job whose back-off has ended stays
//! among those in back-off until a claim of its pool moves it to the claimable ones.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{
    BotId, CorrespondentId, LeaseToken, MediaId, MessageId, PoolName, ProviderMessageId,
};
use anteroom_core::job::{Job, Place, Status};
use anteroom_core::store::JobCursor;
use anteroom_core::time::Timestamp;

use super::multimap::Multimap;

/// What a provider calls a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProviderKey {
    pub(super) bot_id: BotId,
    pub(super) correspondent_id: CorrespondentId,
    pub(super) provider_message_id: ProviderMessageId,
}

impl ProviderKey {
    /// What the provider calls the message of a job.
    pub(super) fn of_job(job: &Job) -> Self {
        Self {
            bot_id: job.bot_id.clone(),
            correspondent_id: job.correspondent_id.clone(),
            provider_message_id: job.placeholder_message.provider_message_id.clone(),
        }
    }
}

/// A job and the moment that it is sorted by.
type Dated = (Timestamp, MediaId);

/// The indices over all jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct JobIndices {
    /// Pages of a bot: restore, hold.
    by_bot: Multimap<BotId, JobCursor>,
    /// The highest message id of a correspondent.
    by_correspondent: Multimap<(BotId, CorrespondentId), (MessageId, MediaId)>,
    /// A provider's message makes one job; retries of archived messages are not the message itself.
    by_provider_message: BTreeMap<ProviderKey, MediaId>,
    /// Pages of a bot's results: active and completed.
    completed: Multimap<BotId, JobCursor>,
    /// Claims: the next bot's oldest job is the first under that bot.
    claimable: BTreeMap<PoolName, Multimap<BotId, Dated>>,
    /// Pending and active, by the end of their back-off.
    backing_off: Multimap<PoolName, Dated>,
    /// What a claim holds.
    by_token: Multimap<LeaseToken, MediaId>,
    /// Leases by their end.
    lease_ends: BTreeSet<Dated>,
    /// Pending and active, by the start of their wait.
    waiting_active: Multimap<BotId, Dated>,
    /// Pending and holding, by the start of their wait.
    waiting_holding: BTreeSet<Dated>,
}

impl JobIndices {
    /// Adds a job.
    pub(super) fn add(&mut self, job: &Job) {
        let media_id = job.media_id;
        self.by_bot.insert(job.bot_id.clone(), JobCursor::of(job));
        let correspondent = (job.bot_id.clone(), job.correspondent_id.clone());
        self.by_correspondent.insert(correspondent, (job.placeholder_message.id, media_id));
        if job.revision == 0 {
            self.by_provider_message.insert(ProviderKey::of_job(job), media_id);
        }
        match (&job.status, job.place) {
            (Status::Pending, Place::Active) => {
                self.waiting_active.insert(job.bot_id.clone(), (job.active_since, media_id));
                match job.not_before {
                    None => self.add_claimable(job),
                    Some(end) => self.backing_off.insert(job.pool.clone(), (end, media_id)),
                }
            }
            (Status::Pending, Place::Holding { held_at }) => {
                self.waiting_holding.insert((held_at, media_id));
            }
            (Status::Processing { lease }, Place::Active | Place::Holding { .. }) => {
                self.by_token.insert(lease.token, media_id);
                self.lease_ends.insert((lease.expires_at, media_id));
            }
            (Status::Completed { .. }, Place::Active) => {
                self.completed.insert(job.bot_id.clone(), JobCursor::of(job));
            }
            (Status::Completed { .. }, Place::Holding { .. }) => {}
        }
    }

    /// Removes a job that was added as it is here.
    pub(super) fn remove(&mut self, job: &Job) {
        let media_id = job.media_id;
        self.by_bot.remove(&job.bot_id, &JobCursor::of(job));
        let correspondent = (job.bot_id.clone(), job.correspondent_id.clone());
        self.by_correspondent.remove(&correspondent, &(job.placeholder_message.id, media_id));
        if job.revision == 0 {
            self.by_provider_message.remove(&ProviderKey::of_job(job));
        }
        match (&job.status, job.place) {
            (Status::Pending, Place::Active) => {
                self.waiting_active.remove(&job.bot_id, &(job.active_since, media_id));
                self.remove_claimable(job);
                if let Some(end) = job.not_before {
                    self.backing_off.remove(&job.pool, &(end, media_id));
                }
            }
            (Status::Pending, Place::Holding { held_at }) => {
                self.waiting_holding.remove(&(held_at, media_id));
            }
            (Status::Processing { lease }, Place::Active | Place::Holding { .. }) => {
                self.by_token.remove(&lease.token, &media_id);
                self.lease_ends.remove(&(lease.expires_at, media_id));
            }
            (Status::Completed { .. }, Place::Active) => {
                self.completed.remove(&job.bot_id, &JobCursor::of(job));
            }
            (Status::Completed { .. }, Place::Holding { .. }) => {}
        }
    }

    fn add_claimable(&mut self, job: &Job) {
        let bots = self.claimable.entry(job.pool.clone()).or_default();
        bots.insert(job.bot_id.clone(), (job.created_at, job.media_id));
    }

    fn remove_claimable(&mut self, job: &Job) {
        let Some(bots) = self.claimable.get_mut(&job.pool) else { return };
        bots.remove(&job.bot_id, &(job.created_at, job.media_id));
        if bots.is_empty() {
            self.claimable.remove(&job.pool);
        }
    }

    /// The first job of a pool whose back-off has ended, among those that wait for that.
    pub(super) fn back_off_ended(&self, pool: &PoolName, now: Timestamp) -> Option<MediaId> {
        let (end, media_id) = self.backing_off.values(pool).next()?;
        (*end <= now).then_some(*media_id)
    }

    /// Lets a job in back-off be claimed.
    pub(super) fn end_back_off(&mut self, job: &Job) {
        if let Some(end) = job.not_before {
            self.backing_off.remove(&job.pool, &(end, job.media_id));
        }
        self.add_claimable(job);
    }

    /// When the next back-off of a pool ends.
    pub(super) fn next_back_off_end(&self, pool: &PoolName) -> Option<Timestamp> {
        self.backing_off.values(pool).next().map(|(end, _)| *end)
    }

    /// The oldest claimable job of the bot behind `after_bot`, beginning again after the last bot.
    pub(super) fn next_claimable(
        &self,
        pool: &PoolName,
        after_bot: Option<&BotId>,
    ) -> Option<MediaId> {
        let bots = self.claimable.get(pool)?;
        let bot_id = bots.key_around(after_bot)?;
        bots.values(bot_id).next().map(|(_, media_id)| *media_id)
    }

    /// The jobs of a bot behind `after`.
    pub(super) fn of_bot(
        &self,
        bot_id: &BotId,
        after: Option<&JobCursor>,
    ) -> impl Iterator<Item = MediaId> {
        self.by_bot.values_after(bot_id, after).map(|job| job.media_id)
    }

    /// The active, completed jobs of a bot behind `after`.
    pub(super) fn completed_of_bot(
        &self,
        bot_id: &BotId,
        after: Option<&JobCursor>,
    ) -> impl Iterator<Item = MediaId> {
        self.completed.values_after(bot_id, after).map(|job| job.media_id)
    }

    /// The highest message id that a job of the correspondent has.
    pub(super) fn highest_message_id(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
    ) -> Option<MessageId> {
        let correspondent = (bot_id.clone(), correspondent_id.clone());
        self.by_correspondent.values(&correspondent).next_back().map(|(message_id, _)| *message_id)
    }

    /// The job that waits for a provider's message.
    pub(super) fn of_provider_message(&self, key: &ProviderKey) -> Option<MediaId> {
        self.by_provider_message.get(key).copied()
    }

    /// The jobs held under a token.
    pub(super) fn held_under(&self, token: LeaseToken) -> impl Iterator<Item = MediaId> {
        self.by_token.values(&token).copied()
    }

    /// The jobs whose leases have ended, the longest ended first.
    pub(super) fn lease_ended(&self, now: Timestamp) -> impl Iterator<Item = MediaId> {
        let ended = self.lease_ends.iter().take_while(move |(end, _)| *end <= now);
        ended.map(|(_, media_id)| *media_id)
    }

    /// The active jobs of a bot that wait since before a moment, the longest waiting first.
    pub(super) fn waiting_active(
        &self,
        bot_id: &BotId,
        before: Timestamp,
    ) -> impl Iterator<Item = MediaId> {
        let waiting = self.waiting_active.values(bot_id);
        waiting.take_while(move |(since, _)| *since < before).map(|(_, media_id)| *media_id)
    }

    /// The holding jobs that wait since before a moment, the longest waiting first.
    pub(super) fn waiting_holding(&self, before: Timestamp) -> impl Iterator<Item = MediaId> {
        let waiting = self.waiting_holding.iter();
        waiting.take_while(move |(since, _)| *since < before).map(|(_, media_id)| *media_id)
    }
}
