//! Which rule answers which request.
//!
//! **Invariant:** the fence of a request is judged here, before anything else is looked at; the rules
//! behind it may take the bot as the caller's.

use anteroom_core::store::{Fence, StoreReply, StoreRequest, StoreResult};
use anteroom_core::time::Timestamp;

use super::StoreModel;
use super::revisions::Revision;
use super::sweeps::TimesToLive;

impl StoreModel {
    /// Executes one request at `now`, the store's own time. The reply is the variant of the same name
    /// as the request.
    ///
    /// # Errors
    /// [`StoreError::Fenced`](anteroom_core::store::StoreError::Fenced) when the request's fence is
    /// not the bot's current epoch;
    /// [`StoreError::Invalid`](anteroom_core::store::StoreError::Invalid) when the request contradicts itself or what is stored. Neither changes
    /// anything. [`StoreError::Unavailable`](anteroom_core::store::StoreError::Unavailable) never.
    pub fn apply(&mut self, now: Timestamp, request: &StoreRequest) -> StoreResult {
        use StoreReply as Reply;
        use StoreRequest as Request;
        if let Some(fence) = fence_of(request) {
            self.bots.pass(fence)?;
        }
        Ok(match request {
            Request::RegisterBot(record) => Reply::RegisterBot(self.bots.register(record)),
            Request::AcquireBot { bot_id, node_id, ttl } => {
                Reply::AcquireBot(self.bots.acquire(bot_id, *node_id, *ttl, now))
            }
            Request::RenewBots { node_id, bots, ttl } => {
                Reply::RenewBots(self.bots.renew(*node_id, bots, *ttl, now))
            }
            Request::ReleaseBot(fence) => {
                self.bots.release(&fence.bot_id);
                Reply::ReleaseBot
            }
            Request::RestoreBot { fence, after, limit, offers, routing } => {
                let after = after.as_ref();
                Reply::RestoreBot(self.jobs.restore(
                    &fence.bot_id,
                    after,
                    *limit,
                    offers,
                    routing.as_deref(),
                    now,
                ))
            }
            Request::NextId { bot_id, correspondent_id } => {
                Reply::NextId(self.next_id(bot_id, correspondent_id))
            }
            Request::InsertJobs { fence, jobs } => {
                Reply::InsertJobs(self.insert_jobs(&fence.bot_id, jobs, now)?)
            }
            Request::Archive { fence, items } => Reply::Archive(self.archive(fence, items, now)?),
            Request::Revise { fence, media_id, revision, message, correspondent_id, callback } => {
                let revision = Revision {
                    media_id: *media_id,
                    number: *revision,
                    message,
                    correspondent_id,
                    callback: *callback,
                };
                Reply::Revise(self.revise(fence, revision, now)?)
            }
            Request::CompletedJobs { fence, after, limit } => {
                let page = self.jobs.completed_page(&fence.bot_id, after.as_ref(), *limit);
                Reply::CompletedJobs(page)
            }
            Request::OwedCallbacks { fence, scope, limit } => {
                self.archive.owed_callbacks(fence, scope, *limit)
            }
            Request::RaiseAttempts { fence, callbacks } => {
                Reply::RaiseAttempts(self.archive.raise_attempts(&fence.bot_id, callbacks))
            }
            Request::MarkCalledBack { fence, marks } => {
                let answers = marks.iter().map(|mark| self.mark_called_back(fence, mark, now));
                Reply::MarkCalledBack(answers.collect())
            }
            Request::EnqueueSend { bot_id, send } => {
                Reply::EnqueueSend(self.sends.enqueue(bot_id, send))
            }
            Request::OwedSends { fence, limit } => {
                Reply::OwedSends(self.sends.owed(&fence.bot_id, *limit))
            }
            Request::MarkSent { fence, sent } => {
                self.sends.mark_sent(&fence.bot_id, sent, now);
                Reply::MarkSent
            }
            Request::HoldBot(fence) => Reply::HoldBot(self.jobs.hold(&fence.bot_id, now)),
            Request::Claim { pool, after_bot, lease, limit } => {
                Reply::Claim(self.jobs.claim(pool, after_bot.as_ref(), *lease, *limit, now))
            }
            Request::Renew { leases, ttl } => {
                Reply::Renew(self.jobs.renew_leases(leases, *ttl, now))
            }
            Request::Release { releases } => {
                Reply::Release(self.jobs.release_leases(releases, now))
            }
            Request::Complete { completions } => {
                Reply::Complete(self.jobs.complete(completions, now))
            }
            Request::AcquireSingleton { name, node_id, ttl } => {
                Reply::AcquireSingleton(self.bots.acquire_singleton(name, *node_id, *ttl, now))
            }
            Request::ReclaimLeases { limit } => {
                Reply::ReclaimLeases(self.jobs.reclaim_leases(*limit, now))
            }
            Request::ExpireJobs { running, active_ttl, holding_ttl, limit } => {
                let ttls = TimesToLive { active_ttl: *active_ttl, holding_ttl: *holding_ttl };
                Reply::ExpireJobs(self.expire_jobs(running, ttls, *limit, now))
            }
            Request::KnownMedia { media_ids } => {
                Reply::KnownMedia(self.jobs.known_media(media_ids))
            }
            Request::ForgetFailed { retention, limit } => {
                Reply::ForgetFailed(self.jobs.forget_failed(*retention, *limit, now))
            }
            Request::ForgetArchived { retention, limit } => {
                Reply::ForgetArchived(self.forget_archived(*retention, *limit, now))
            }
            Request::DiscardJob { media_id } => Reply::DiscardJob(self.discard_job(*media_id, now)),
            Request::RetryJob { media_id, routing } => {
                Reply::RetryJob(self.retry_job(*media_id, routing.as_deref(), now))
            }
            Request::Redeliver { fence, key, attempts } => {
                Reply::Redeliver(self.archive.redeliver(&fence.bot_id, key, *attempts))
            }
        })
    }
}

/// The fence that a request must pass. The others are guarded by lease tokens, or need no guard.
fn fence_of(request: &StoreRequest) -> Option<&Fence> {
    use StoreRequest as Request;
    match request {
        Request::ReleaseBot(fence)
        | Request::HoldBot(fence)
        | Request::RestoreBot { fence, .. }
        | Request::InsertJobs { fence, .. }
        | Request::Archive { fence, .. }
        | Request::Revise { fence, .. }
        | Request::CompletedJobs { fence, .. }
        | Request::OwedCallbacks { fence, .. }
        | Request::RaiseAttempts { fence, .. }
        | Request::MarkCalledBack { fence, .. }
        | Request::Redeliver { fence, .. }
        | Request::OwedSends { fence, .. }
        | Request::MarkSent { fence, .. } => Some(fence),
        Request::RegisterBot(_)
        | Request::AcquireBot { .. }
        | Request::RenewBots { .. }
        | Request::NextId { .. }
        | Request::EnqueueSend { .. }
        | Request::Claim { .. }
        | Request::Renew { .. }
        | Request::Release { .. }
        | Request::Complete { .. }
        | Request::AcquireSingleton { .. }
        | Request::ReclaimLeases { .. }
        | Request::ExpireJobs { .. }
        | Request::KnownMedia { .. }
        | Request::ForgetFailed { .. }
        | Request::ForgetArchived { .. }
        | Request::DiscardJob { .. }
        | Request::RetryJob { .. } => None,
    }
}
