//! Claims: which pending jobs of a pool a worker gets.
//!
//! Round-robin over the bots that have claimable jobs, in the order of their ids, oldest first within
//! a bot (by media id where the ages are equal). A job costs a few steps in an index, however many
//! wait in front of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anteroom_core::id::{BotId, LeaseToken, PoolName};
use anteroom_core::job::{Command, Job, LeaseRequest};
use anteroom_core::store::Claimed;
use anteroom_core::time::Timestamp;

use super::jobs::Jobs;

impl Jobs {
    /// Leases up to `limit` jobs. A token that holds jobs already gets the same ones again.
    pub(super) fn claim(
        &mut self,
        pool: &PoolName,
        after_bot: Option<&BotId>,
        lease: LeaseRequest,
        limit: u32,
        now: Timestamp,
    ) -> Claimed {
        self.end_back_offs(pool, now);
        let mut jobs = self.held_under(pool, after_bot, lease.token);
        if jobs.is_empty() {
            jobs = self.rotate(pool, after_bot, lease, limit, now);
        }
        let more = self.indices.next_claimable(pool, None).is_some();
        let next = self.indices.next_back_off_end(pool).filter(|_| !more);
        let next_in = next.map(|end| end.since(now));
        Claimed { jobs, more, next_in }
    }

    fn end_back_offs(&mut self, pool: &PoolName, now: Timestamp) {
        while let Some(media_id) = self.indices.back_off_ended(pool, now) {
            let Some(job) = self.get(media_id).cloned() else { return };
            self.indices.end_back_off(&job);
        }
    }

    fn rotate(
        &mut self,
        pool: &PoolName,
        after_bot: Option<&BotId>,
        lease: LeaseRequest,
        limit: u32,
        now: Timestamp,
    ) -> Vec<Job> {
        let mut claimed = Vec::new();
        let mut behind = after_bot.cloned();
        while claimed.len() < limit as usize {
            let next = self.indices.next_claimable(pool, behind.as_ref());
            let Some(job) = next.and_then(|media_id| self.get(media_id)).cloned() else { break };
            match self.apply(&job, &Command::Claim(lease), now) {
                Ok(leased) => {
                    behind = Some(job.bot_id.clone());
                    claimed.extend(leased.map(Arc::unwrap_or_clone));
                }
                // A clock that stepped back puts the job into its back-off again, and out of the way.
                Err(_) => {
                    self.remove(job.media_id);
                    self.put(job);
                }
            }
        }
        claimed
    }

    /// The jobs of a pool held under a token, in the order in which a rotation behind `after_bot`
    /// takes them.
    fn held_under(
        &self,
        pool: &PoolName,
        after_bot: Option<&BotId>,
        token: LeaseToken,
    ) -> Vec<Job> {
        let held = self.indices.held_under(token).filter_map(|media_id| self.get(media_id));
        let mut held: Vec<&Arc<Job>> = held.filter(|job| job.pool == *pool).collect();
        held.sort_by_key(|job| (job.created_at, job.media_id));
        let mut turns: BTreeMap<&BotId, u32> = BTreeMap::new();
        let mut in_order = BTreeMap::new();
        for job in held {
            let turn = turns.entry(&job.bot_id).or_default();
            let wrapped = after_bot.is_some_and(|after| job.bot_id <= *after);
            in_order.insert((*turn, wrapped, &job.bot_id), job);
            *turn += 1;
        }
        in_order.into_values().map(|job| Job::clone(job)).collect()
    }
}
