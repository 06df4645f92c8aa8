//! The janitor's sweeps: lost workers, jobs that waited too long, and records kept long enough.
//!
//! Each handles at most as many records as it is asked for, and is safe to repeat.

use anteroom_core::id::{BotId, Epoch, MediaId};
use anteroom_core::job::{Command, Job, Status};
use anteroom_core::store::Swept;
use anteroom_core::time::{Millis, Timestamp};

use super::StoreModel;
use super::jobs::Jobs;

/// How long pending jobs may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimesToLive {
    /// Of active jobs.
    pub(super) active_ttl: Millis,
    /// Of holding jobs.
    pub(super) holding_ttl: Millis,
}

impl StoreModel {
    /// Ends jobs that waited too long: active ones of the running bots, in the order in which the
    /// bots are named, then holding ones of any bot; those that wait longest first.
    pub(super) fn expire_jobs(
        &mut self,
        running: &[(BotId, Epoch)],
        ttls: TimesToLive,
        limit: u32,
        now: Timestamp,
    ) -> Vec<Swept> {
        let TimesToLive { active_ttl, holding_ttl } = ttls;
        let owned = running.iter().filter(|(bot_id, epoch)| self.bots.is_current(bot_id, *epoch));
        let active = owned.flat_map(|(bot_id, _)| {
            self.jobs.indices.waiting_active(bot_id, now.minus(active_ttl))
        });
        let holding = self.jobs.indices.waiting_holding(now.minus(holding_ttl));
        let due: Vec<MediaId> = active.chain(holding).take(limit as usize).collect();
        self.jobs.sweep(&due, &Command::Expire { active_ttl, holding_ttl }, now)
    }

    /// Drops archived messages that ended longer ago than `retention`, and confirmed sends with
    /// them; tells how many messages.
    pub(super) fn forget_archived(&mut self, retention: Millis, limit: u32, now: Timestamp) -> u32 {
        self.sends.forget(retention, now);
        self.archive.forget(retention, limit, now)
    }
}

impl Jobs {
    /// Takes ended leases away, the longest ended first.
    pub(super) fn reclaim_leases(&mut self, limit: u32, now: Timestamp) -> Vec<Swept> {
        let due: Vec<MediaId> = self.indices.lease_ended(now).take(limit as usize).collect();
        self.sweep(&due, &Command::Reclaim, now)
    }

    fn sweep(&mut self, due: &[MediaId], command: &Command, now: Timestamp) -> Vec<Swept> {
        let mut swept = Vec::with_capacity(due.len());
        for media_id in due {
            let Some(before) = self.get(*media_id).cloned() else { continue };
            // The index and the table agree on what is due; where a bot is named twice, the table
            // refuses the second time.
            if let Ok(Some(after)) = self.apply(&before, command, now) {
                swept.push(report(&before, &after));
            }
        }
        swept
    }

    /// Those of the media that a job or a failed copy knows.
    pub(super) fn known_media(&self, media_ids: &[MediaId]) -> Vec<MediaId> {
        let known = media_ids.iter().filter(|media_id| {
            self.get(**media_id).is_some() || self.failed.get(**media_id).is_some()
        });
        known.copied().collect()
    }

    /// Drops failed copies older than `retention` that no open job needs, oldest first.
    pub(super) fn forget_failed(
        &mut self,
        retention: Millis,
        limit: u32,
        now: Timestamp,
    ) -> Vec<MediaId> {
        let old = self.failed.before(now.minus(retention));
        let unneeded = old.filter(|media_id| {
            let job = self.get(*media_id);
            job.is_none_or(|job| job.outcome().is_some())
        });
        let forgotten: Vec<MediaId> = unneeded.take(limit as usize).collect();
        for media_id in &forgotten {
            self.failed.remove(*media_id);
        }
        forgotten
    }
}

fn report(before: &Job, after: &Job) -> Swept {
    Swept {
        bot_id: after.bot_id.clone(),
        media_id: after.media_id,
        pool: after.pool.clone(),
        worker_id: before.lease().map(|lease| lease.worker_id),
        completed: matches!(after.status, Status::Completed { .. }),
    }
}
