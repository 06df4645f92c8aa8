//! Which function answers which request.

use anteroom_core::store::{JobCursor, StoreReply, StoreRequest};

use super::failure::{Answer, Failure};
use super::prepared::Prepared;
use super::work::Work;
use super::{archive, bots, callbacks, claims, jobs, leases, operator, revision, sends, sweeps};

/// Whether a request changes nothing, so that the reader may answer it. (Pages of jobs do not count:
/// a job that cannot be read is set aside.)
pub(super) fn only_reads(request: &StoreRequest) -> bool {
    matches!(
        request,
        StoreRequest::NextId { .. }
            | StoreRequest::KnownMedia { .. }
            | StoreRequest::OwedSends { .. }
    )
}

/// Answers a request that changes nothing.
pub(super) fn read(work: &Work<'_>, request: &StoreRequest) -> Answer<StoreReply> {
    match execute(work, request, &Prepared::default(), None)? {
        Step::Done(reply) => Ok(reply),
        Step::Piece(_) => Err(Failure::invalid("a question that changes something".to_owned())),
    }
}

/// What a request has come to within a transaction.
pub(super) enum Step {
    /// It is done.
    Done(StoreReply),
    /// It has done a piece of its work, up to this job if to any, and is to be executed again in a later
    /// transaction.
    Piece(Option<JobCursor>),
}

/// Executes one request within the transaction of `work`; `after` is what its last piece ended with.
pub(super) fn execute(
    work: &Work<'_>,
    request: &StoreRequest,
    prepared: &Prepared,
    after: Option<JobCursor>,
) -> Answer<Step> {
    use StoreRequest as Request;
    let reply = match request {
        Request::RegisterBot(record) => bots::register(work, record).map(StoreReply::RegisterBot),
        Request::AcquireBot { bot_id, node_id, ttl } => {
            bots::acquire(work, bot_id, *node_id, *ttl).map(StoreReply::AcquireBot)
        }
        Request::RenewBots { node_id, bots, ttl } => {
            bots::renew(work, *node_id, bots, *ttl).map(StoreReply::RenewBots)
        }
        Request::ReleaseBot(fence) => bots::release(work, fence).map(|()| StoreReply::ReleaseBot),
        Request::RestoreBot { fence, after, limit, offers, routing } => {
            let page = jobs::restore(work, fence, *after, *limit, offers, routing.as_deref());
            page.map(StoreReply::RestoreBot)
        }
        Request::NextId { bot_id, correspondent_id } => {
            jobs::next_id(work, bot_id, correspondent_id).map(StoreReply::NextId)
        }
        Request::InsertJobs { fence, jobs } => {
            jobs::insert(work, fence, jobs, &prepared.jobs).map(StoreReply::InsertJobs)
        }
        Request::Archive { fence, items } => {
            archive::archive(work, fence, items, &prepared.messages).map(StoreReply::Archive)
        }
        Request::Revise { fence, media_id, revision, message, correspondent_id, callback } => {
            let revised = revision::Revision {
                media_id: *media_id,
                revision: *revision,
                message,
                correspondent_id,
                callback: *callback,
            };
            revision::revise(work, fence, &revised).map(StoreReply::Revise)
        }
        Request::CompletedJobs { fence, after, limit } => {
            jobs::completed(work, fence, *after, *limit).map(StoreReply::CompletedJobs)
        }
        Request::OwedCallbacks { fence, scope, limit } => {
            callbacks::owed(work, fence, scope, *limit)
        }
        Request::RaiseAttempts { fence, callbacks } => {
            callbacks::raise(work, fence, callbacks).map(StoreReply::RaiseAttempts)
        }
        Request::MarkCalledBack { fence, marks } => {
            callbacks::mark(work, fence, marks).map(StoreReply::MarkCalledBack)
        }
        Request::EnqueueSend { bot_id, send } => {
            sends::enqueue(work, bot_id, send).map(StoreReply::EnqueueSend)
        }
        Request::OwedSends { fence, limit } => {
            sends::owed(work, fence, *limit).map(StoreReply::OwedSends)
        }
        Request::MarkSent { fence, sent } => {
            sends::mark_sent(work, fence, sent).map(|()| StoreReply::MarkSent)
        }
        Request::HoldBot(fence) => return jobs::hold(work, fence, after),
        Request::Claim { pool, after_bot, lease, limit } => {
            claims::claim(work, pool, after_bot.as_ref(), *lease, *limit).map(StoreReply::Claim)
        }
        Request::Renew { leases, ttl } => leases::renew(work, leases, *ttl).map(StoreReply::Renew),
        Request::Release { releases } => leases::release(work, releases).map(StoreReply::Release),
        Request::Complete { completions } => {
            leases::complete(work, completions).map(StoreReply::Complete)
        }
        Request::AcquireSingleton { name, node_id, ttl } => {
            bots::acquire_singleton(work, name, *node_id, *ttl).map(StoreReply::AcquireSingleton)
        }
        Request::ReclaimLeases { limit } => {
            sweeps::reclaim_leases(work, *limit).map(StoreReply::ReclaimLeases)
        }
        Request::ExpireJobs { running, active_ttl, holding_ttl, limit } => {
            let ttls = sweeps::TimesToLive { active: *active_ttl, holding: *holding_ttl };
            sweeps::expire_jobs(work, running, ttls, *limit).map(StoreReply::ExpireJobs)
        }
        Request::KnownMedia { media_ids } => {
            sweeps::known_media(work, media_ids).map(StoreReply::KnownMedia)
        }
        Request::ForgetFailed { retention, limit } => {
            sweeps::forget_failed(work, *retention, *limit).map(StoreReply::ForgetFailed)
        }
        Request::ForgetArchived { retention, limit } => {
            sweeps::forget_archived(work, *retention, *limit).map(StoreReply::ForgetArchived)
        }
        Request::DiscardJob { media_id } => {
            operator::discard(work, *media_id).map(StoreReply::DiscardJob)
        }
        Request::RetryJob { media_id, routing } => {
            operator::retry(work, *media_id, routing.as_deref()).map(StoreReply::RetryJob)
        }
        Request::Redeliver { fence, key, attempts } => {
            callbacks::redeliver(work, fence, key, *attempts).map(StoreReply::Redeliver)
        }
    };
    reply.map(Step::Done)
}
