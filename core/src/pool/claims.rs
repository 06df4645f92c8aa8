//! How jobs come: claimed in batches, as many as there are free places.

use serde::{Deserialize, Serialize};

use super::event::Work;
use super::{Held, HeldState, Pools};
use crate::context::Context;
use crate::id::{OpId, PoolName};
use crate::job::{Job, LeaseRequest};
use crate::notice::Notice;
use crate::store::{StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::Timestamp;

/// Jobs of one claim. On an embedded store everything else waits while it is written.
const CLAIM_MAX: usize = 256;

/// A claim under way.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Claim {
    lease: LeaseRequest,
    limit: usize,
    asked_at: Timestamp,
}

impl Pools {
    pub(super) fn pump_claims(&mut self, cx: &mut Context<'_>) {
        if !cx.board.is_open() {
            return;
        }
        for (name, pool) in &mut self.pools {
            if pool.poll_at.is_some_and(|at| at <= cx.now) {
                pool.poll_at = None;
                cx.board.set_work_waiting(name, true);
            }
            let free = cx.board.free(name).min(CLAIM_MAX);
            if free == 0 || !cx.board.is_work_waiting(name) || !pool.claim.is_idle() {
                continue;
            }
            cx.board.begin_claim(name, free);
            let lease = cx.lease_request();
            let claim = Claim { lease, limit: free, asked_at: cx.now };
            let op = Self::ask_store(cx, pool.claim_request(claim));
            pool.claim.begin(op, claim);
        }
    }

    pub(super) fn retry_claims(&mut self, cx: &mut Context<'_>) {
        for (name, pool) in &mut self.pools {
            let Some(claim) = pool.claim.take_due(cx.now) else { continue };
            if !cx.board.is_open() {
                cx.board.give_back(name, claim.limit);
                continue;
            }
            let op = Self::ask_store(cx, pool.claim_request(claim));
            pool.claim.begin(op, claim);
        }
    }

    pub(super) fn claimed_by(&self, op: OpId) -> Option<PoolName> {
        self.pools.iter().find(|(_, pool)| pool.claim.awaits(op)).map(|(name, _)| name.clone())
    }

    pub(super) fn on_claimed(
        &mut self,
        cx: &mut Context<'_>,
        name: &PoolName,
        op: OpId,
        result: StoreResult,
    ) {
        let Some(pool) = self.pools.get_mut(name) else { return };
        let Some(claim) = pool.claim.take(op) else { return };
        match result {
            Ok(StoreReply::Claim(claimed)) => {
                pool.claim.settle();
                let wait = claimed.next_in.unwrap_or(cx.settings.lease.poll_every);
                let wait = wait.min(cx.settings.lease.poll_every);
                pool.poll_at = Some(cx.now + cx.source.jittered(wait));
                if let Some(last) = claimed.jobs.last() {
                    pool.after_bot = Some(last.bot_id.clone());
                }
                cx.board.end_claim(name, claimed.more);
                let mut places = claim.limit;
                for job in claimed.jobs {
                    // Each job takes a place that was kept for it; one that has none is left to its lease.
                    if places == 0 || job.pool != *name {
                        cx.unexpected(format!("pools: job {} was not asked for", job.media_id));
                        continue;
                    }
                    places -= 1;
                    self.hold(cx, job, claim.lease, claim.asked_at);
                }
                cx.board.give_back(name, places);
            }
            Err(StoreError::Unavailable { detail }) => {
                pool.claim.retry_later(cx, claim, "claim", detail);
            }
            Err(StoreError::Invalid { detail }) => {
                cx.board.give_back(name, claim.limit);
                cx.board.set_work_waiting(name, false);
                pool.poll_at = Some(cx.now + cx.settings.lease.poll_every);
                cx.notice(Notice::StoreRefused { operation: "claim".to_owned(), detail });
            }
            Ok(_) | Err(StoreError::Fenced) => {
                cx.board.give_back(name, claim.limit);
                cx.board.set_work_waiting(name, false);
                pool.poll_at = Some(cx.now + cx.settings.lease.poll_every);
                cx.unexpected("pools: no answer to a claim");
            }
        }
    }

    /// Takes a job whose lease, asked for at `asked_at`, is ours, and for which a place has been taken.
    pub(super) fn hold(
        &mut self,
        cx: &mut Context<'_>,
        job: Job,
        lease: LeaseRequest,
        asked_at: Timestamp,
    ) {
        let (media_id, token, lease_end) = (job.media_id, lease.token, asked_at + lease.ttl);
        let Some(pool) = self.pools.get_mut(&job.pool) else {
            return cx.unexpected(format!("pools: job {media_id} of unknown pool {}", job.pool));
        };
        if lease_end <= cx.now {
            // The answer came too late to be used.
            cx.board.give_back(&job.pool, 1);
            return self.give_back_claim(media_id, token);
        }
        if let Some(held) = self.held.get(&media_id) {
            cx.board.give_back(&job.pool, 1);
            if held.work.token == token {
                return cx.unexpected(format!("pools: job {media_id} is held already"));
            }
            // The store gave the job out anew, so the lease held here has ended.
            self.lose(cx, media_id);
            return self.give_back_claim(media_id, token);
        }
        // A job that was inserted with its lease does not say since when.
        let claimed_at = job.lease().map_or(cx.now, |lease| lease.claimed_at);
        let work = Work {
            media_id,
            bot_id: job.bot_id,
            token,
            pool: job.pool,
            mime_type: job.mime_type,
            kind: job.kind,
            original_filename: job.original_filename,
            quota_exceeded: job.quota_exceeded,
            detail: job.detail,
            timeout: pool.settings.timeout,
        };
        pool.waiting.push_back(media_id);
        let (revision, transient, state) = (job.revision, job.transient, HeldState::Waiting);
        let held = Held { work, revision, transient, claimed_at, lease_end, state };
        self.held.insert(media_id, held);
        self.check_by(lease_end);
        self.schedule_renewal(cx, asked_at);
    }
}

impl super::Pool {
    fn claim_request(&self, claim: Claim) -> StoreRequest {
        StoreRequest::Claim {
            pool: self.settings.name.clone(),
            after_bot: self.after_bot.clone(),
            lease: claim.lease,
            limit: u32::try_from(claim.limit).unwrap_or(u32::MAX),
        }
    }
}
