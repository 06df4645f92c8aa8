//! What becomes of media jobs, their workers and their files: S4, S5, S9, S10.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, LeaseToken, MediaId};
use anteroom_core::job::{Job, LOST_MAX, Status};
use anteroom_core::message::{FailureKind, Message, Outcome};
use anteroom_core::pool::event::Work;
use anteroom_core::settings::PoolSettings;
use anteroom_core::store::{Claimed, FinishedJob, JobPage, Swept};
use anteroom_core::time::{Millis, Timestamp};

use super::Rules;
use crate::exhaustive::node::Processor;
use crate::store::StoreModel;

impl Rules {
    /// S5: two processors work on one job only when the earlier lease has ended, and each works on what
    /// it is for. S9: a pool has no more processors than slots.
    pub fn processing(
        &mut self,
        now: Timestamp,
        node: usize,
        work: &Work,
        others: &[Processor],
        pools: &[PoolSettings],
    ) {
        let held = |token: &LeaseToken| self.leases.get(token).is_some_and(|end| now < *end);
        let other = others.iter().find(|other| {
            other.work.media_id == work.media_id && !other.cancelled && held(&other.work.token)
        });
        if let Some(other) = other {
            let (media_id, other) = (work.media_id, other.node);
            self.break_rule("S5", format!("{media_id} is worked on at {node} and at {other}"));
        }
        let kind = work.mime_type.split('/').next().unwrap_or_default();
        let is_for = |pool: &&PoolSettings| pool.mime_types.contains(&format!("{kind}/*"));
        if let Some(pool) = pools.iter().find(is_for)
            && pool.name != work.pool
        {
            let (mime_type, pool) = (&work.mime_type, &work.pool);
            self.break_rule("S5", format!("{mime_type} is with the pool {pool}"));
        }
        let here = others.iter().filter(|it| it.node == node && it.work.pool == work.pool);
        let slots = pools.iter().find(|pool| pool.name == work.pool).map(|pool| pool.slots.get());
        if here.count() as u64 >= u64::from(slots.unwrap_or_default()) {
            self.break_rule("S9", format!("pool {} has more processors than slots", work.pool));
        }
    }

    /// S10: no file is deleted that a job may still need.
    pub fn deleted(&mut self, media_id: MediaId, store: &StoreModel) {
        let job = store.job(media_id).map(|job| &job.status);
        let copy = store.failed_copies().find(|copy| copy.job.media_id == media_id);
        if job.is_some() || copy.is_some() {
            let kept = if copy.is_some() { "a failed copy" } else { "none" };
            self.break_rule("S10", format!("file {media_id} deleted: job {job:?}, copy {kept}"));
        }
    }

    /// S5: a result came from the lease that held the job.
    pub(super) fn finished(&mut self, before: &StoreModel, finished: FinishedJob) {
        let Some(token) = finished.token else { return };
        let Some(job) = before.job(finished.media_id) else { return };
        let held = job.lease().is_some_and(|lease| lease.token == token);
        let completed = match &job.status {
            anteroom_core::job::Status::Completed { token: done, .. } => *done == Some(token),
            _ => false,
        };
        if !held && !completed {
            let media_id = finished.media_id;
            self.break_rule("S5", format!("a result of {media_id} under a stale lease is taken"));
        }
    }

    /// S5: what a medium has become is what a processor made of it, or what time and operators did.
    pub(super) fn outcome_is_explained(&mut self, message: &Message) {
        let Some(media) = &message.media else { return };
        let explained = match media.outcome.as_deref() {
            Some(Outcome::Text(extracted)) => {
                let text = format!("text of {}", media.media_id);
                text == extracted.text || (extracted.truncated && text.starts_with(&extracted.text))
            }
            Some(Outcome::Failed { error: FailureKind::Engine, .. }) => self.media_fail_first,
            Some(Outcome::Failed { error: FailureKind::WorkerLost, .. }) => true,
            Some(
                Outcome::Failed { .. } | Outcome::Corrupt { .. } | Outcome::Unsupported { .. },
            ) => false,
            Some(
                Outcome::TimedOut
                | Outcome::Expired
                | Outcome::Discarded
                | Outcome::Nothing
                | Outcome::NotProcessed,
            )
            | None => true,
        };
        if !explained {
            let (media_id, outcome) = (media.media_id, &media.outcome);
            self.break_rule("S5", format!("nobody made {outcome:?} of {media_id}"));
        }
    }

    /// S5: a result that is stored stays what it is, until its message is archived.
    pub(super) fn results_stay(&mut self, before: &StoreModel, after: &StoreModel) {
        for job in after.jobs() {
            let earlier = before.job(job.media_id).filter(|it| it.revision == job.revision);
            let outcome = earlier.and_then(Job::outcome);
            if outcome.is_some() && outcome != job.outcome() {
                let (media_id, now) = (job.media_id, job.outcome());
                self.break_rule("S5", format!("{media_id} had {outcome:?} and has {now:?}"));
            }
        }
    }

    /// Jobs are with a running bot from here on.
    pub(super) fn restored(&mut self, now: Timestamp, page: &JobPage) {
        self.active_since.extend(page.jobs.iter().map(|job| (job.media_id, now)));
    }

    /// S4: no job is given up before its time.
    pub(super) fn expired(
        &mut self,
        now: Timestamp,
        before: &StoreModel,
        swept: &[Swept],
        active_ttl: Millis,
    ) {
        for swept in swept {
            let Some(job) = before.job(swept.media_id) else { continue };
            let since = self.active_since.get(&job.media_id).copied().unwrap_or(job.created_at);
            let waited = now.since(since);
            let is_active = job.place == anteroom_core::job::Place::Active;
            if is_active && (waited <= active_ttl || job.status != Status::Pending) {
                let media_id = job.media_id;
                self.break_rule("S4", format!("{media_id} expires after {waited} with its bot"));
            }
        }
    }

    /// S9: a job that loses its workers is not given out for ever.
    pub(super) fn reclaimed(&mut self, swept: &[Swept]) {
        for swept in swept.iter().filter(|swept| !swept.completed) {
            let times = self.lost.entry(swept.media_id).or_default();
            *times += 1;
            if *times >= LOST_MAX {
                let what = format!("{} lost {times} workers and is given out", swept.media_id);
                return self.break_rule("S9", what);
            }
        }
    }

    /// S4: a failure that is archived has left its copy, which an operator may retry.
    pub(super) fn failure_is_kept(&mut self, message: &Message, after: &StoreModel) {
        let Some(media) = &message.media else { return };
        let failed = media.outcome.as_ref().is_some_and(|outcome| outcome.is_failure());
        if failed && !after.failed_copies().any(|copy| copy.job.media_id == media.media_id) {
            self.break_rule("S4", format!("the failure of {} left no copy", media.media_id));
        }
    }

    /// S9: each bot that has jobs to be claimed is served in turn: among any as many claims as there are
    /// such bots, and once more as many where another process begins its own rotation.
    pub(super) fn claimed(&mut self, before: &StoreModel, claimed: &Claimed) {
        let mut waiting: BTreeMap<BotId, u64> = BTreeMap::new();
        for job in before.jobs() {
            let claimable = job.status == Status::Pending && job.not_before.is_none();
            if claimable && job.place == anteroom_core::job::Place::Active {
                *waiting.entry(job.bot_id.clone()).or_default() += 1;
            }
        }
        let bots = waiting.len() as u64;
        self.passed_over.retain(|bot_id, _| waiting.contains_key(bot_id));
        for job in &claimed.jobs {
            self.passed_over.insert(job.bot_id.clone(), 0);
            for bot_id in waiting.keys().filter(|bot_id| **bot_id != job.bot_id) {
                let times = self.passed_over.entry(bot_id.clone()).or_default();
                *times += 1;
                if *times > 2 * bots {
                    let what = format!("{bot_id} is passed over {times} times by {bots} bots");
                    return self.break_rule("S9", what);
                }
            }
        }
    }

    /// Leases are remembered by their tokens; one is given once (S6).
    pub(super) fn look_at_leases(&mut self, now: Timestamp, store: &StoreModel) {
        for job in store.jobs() {
            let Some(lease) = job.lease() else { continue };
            let until = self.leases.entry(lease.token).or_default();
            *until = lease.expires_at.max(*until);
            let holder = (job.media_id, lease.worker_id, lease.claimed_at);
            let known = *self.holders.entry((lease.token, job.media_id)).or_insert(holder);
            if known != holder {
                let token = lease.token;
                self.break_rule(
                    "S6",
                    format!("token {token} is given to {known:?} and {holder:?}"),
                );
            }
        }
        self.leases.retain(|_, until| *until > now);
    }
}
