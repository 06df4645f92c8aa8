//! Which function answers which request.

use anteroom_core::store::{StoreReply, StoreRequest};

use super::connection::Connection;
use super::failure::Answer;
use super::{
    archive, bots, callbacks, claims, inserts, leases, moves, next_id, operator, redelivery,
    retention, revision, sends, sweeps,
};

/// Executes one request.
pub(super) async fn execute(store: &Connection, request: StoreRequest) -> Answer<StoreReply> {
    use StoreRequest as Request;
    match request {
        Request::RegisterBot(record) => {
            bots::register(store, record).await.map(StoreReply::RegisterBot)
        }
        Request::AcquireBot { bot_id, node_id, ttl } => {
            bots::acquire(store, &bot_id, node_id, ttl).await.map(StoreReply::AcquireBot)
        }
        Request::RenewBots { node_id, bots, ttl } => {
            bots::renew(store, node_id, bots, ttl).await.map(StoreReply::RenewBots)
        }
        Request::ReleaseBot(fence) => {
            bots::release(store, &fence).await.map(|()| StoreReply::ReleaseBot)
        }
        Request::RestoreBot { fence, after, limit, offers, routing } => {
            let routing = routing.as_deref();
            let page = moves::restore(store, &fence, after, limit, &offers, routing);
            page.await.map(StoreReply::RestoreBot)
        }
        Request::NextId { bot_id, correspondent_id } => {
            next_id::next_id(store, &bot_id, &correspondent_id).await.map(StoreReply::NextId)
        }
        Request::InsertJobs { fence, jobs } => {
            inserts::insert(store, &fence, &jobs).await.map(StoreReply::InsertJobs)
        }
        Request::Archive { fence, items } => {
            archive::archive(store, &fence, &items).await.map(StoreReply::Archive)
        }
        Request::Revise { fence, media_id, revision, message, correspondent_id, callback } => {
            let revised = revision::Revision {
                media_id,
                revision,
                message: &message,
                correspondent_id: &correspondent_id,
                callback,
            };
            revision::revise(store, &fence, &revised).await.map(StoreReply::Revise)
        }
        Request::CompletedJobs { fence, after, limit } => {
            moves::completed(store, &fence, after, limit).await.map(StoreReply::CompletedJobs)
        }
        Request::OwedCallbacks { fence, scope, limit } => {
            callbacks::owed(store, &fence, &scope, limit).await
        }
        Request::RaiseAttempts { fence, callbacks } => {
            callbacks::raise(store, &fence, &callbacks).await.map(StoreReply::RaiseAttempts)
        }
        Request::MarkCalledBack { fence, marks } => {
            callbacks::mark(store, &fence, &marks).await.map(StoreReply::MarkCalledBack)
        }
        Request::EnqueueSend { bot_id, send } => {
            sends::enqueue(store, &bot_id, &send).await.map(StoreReply::EnqueueSend)
        }
        Request::OwedSends { fence, limit } => {
            sends::owed(store, &fence, limit).await.map(StoreReply::OwedSends)
        }
        Request::MarkSent { fence, sent } => {
            sends::mark_sent(store, &fence, &sent).await.map(|()| StoreReply::MarkSent)
        }
        // The jobs have been moved, part by part.
        Request::HoldBot(fence) => moves::held(store, &fence.bot_id).await.map(StoreReply::HoldBot),
        Request::Claim { pool, after_bot, lease, limit } => {
            claims::claim(store, &pool, after_bot, lease, limit).await.map(StoreReply::Claim)
        }
        Request::Renew { leases, ttl } => {
            leases::renew(store, &leases, ttl).await.map(StoreReply::Renew)
        }
        Request::Release { releases } => {
            leases::release(store, &releases).await.map(StoreReply::Release)
        }
        Request::Complete { completions } => {
            leases::complete(store, completions).await.map(StoreReply::Complete)
        }
        Request::AcquireSingleton { name, node_id, ttl } => {
            bots::acquire_singleton(store, &name, node_id, ttl)
                .await
                .map(StoreReply::AcquireSingleton)
        }
        Request::ReclaimLeases { limit } => {
            sweeps::reclaim_leases(store, limit).await.map(StoreReply::ReclaimLeases)
        }
        Request::ExpireJobs { running, active_ttl, holding_ttl, limit } => {
            let ttls = sweeps::TimesToLive { active: active_ttl, holding: holding_ttl };
            sweeps::expire_jobs(store, &running, ttls, limit).await.map(StoreReply::ExpireJobs)
        }
        Request::KnownMedia { media_ids } => {
            sweeps::known_media(store, media_ids).await.map(StoreReply::KnownMedia)
        }
        Request::ForgetFailed { retention, limit } => {
            retention::forget_failed(store, retention, limit).await.map(StoreReply::ForgetFailed)
        }
        Request::ForgetArchived { retention, limit } => {
            retention::forget_archived(store, retention, limit)
                .await
                .map(StoreReply::ForgetArchived)
        }
        Request::DiscardJob { media_id } => {
            operator::discard(store, media_id).await.map(StoreReply::DiscardJob)
        }
        Request::RetryJob { media_id, routing } => {
            let retried = operator::retry(store, media_id, routing.as_deref());
            retried.await.map(StoreReply::RetryJob)
        }
        Request::Redeliver { fence, key, attempts } => {
            redelivery::redeliver(store, &fence, &key, attempts).await.map(StoreReply::Redeliver)
        }
    }
}
