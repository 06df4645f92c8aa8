//! A bot's jobs as the bot starts, runs and stops: restored, their results collected, held.

use std::sync::Arc;

use anteroom_core::id::{BotId, MediaId};
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::job::{Command, Job, Status};
use anteroom_core::pool::routing::Routing;
use anteroom_core::store::{JobCursor, JobPage};
use anteroom_core::time::Timestamp;

use super::jobs::Jobs;

impl Jobs {
    /// Activates a page of a bot's jobs, leases those that get an offered place, and returns them.
    pub(super) fn restore(
        &mut self,
        bot_id: &BotId,
        after: Option<&JobCursor>,
        limit: u32,
        offers: &[LeaseOffer],
        routing: Option<&Routing>,
        now: Timestamp,
    ) -> JobPage {
        let (page, more) = first_of(self.indices.of_bot(bot_id, after), limit);
        for media_id in &page {
            let Some(job) = self.get(*media_id).cloned() else { continue };
            // Activating has no guard.
            let activated = self.apply(&job, &Command::Activate, now);
            if let (Some(routing), Ok(Some(activated))) = (routing, activated) {
                self.route(&activated, routing);
            }
        }
        for offer in offers {
            self.lease_oldest(&page, offer, now);
        }
        let jobs = page.into_iter().filter_map(|media_id| self.get(media_id));
        JobPage { jobs: jobs.map(|job| Job::clone(job)).collect(), more }
    }

    /// Puts a job that waits into the pool that takes it by now.
    fn route(&mut self, job: &Job, routing: &Routing) {
        let pool = routing.route(&job.mime_type);
        if job.status == Status::Pending && job.pool != *pool {
            self.remove(job.media_id);
            self.put(Arc::new(Job { pool: pool.clone(), ..job.clone() }));
        }
    }

    /// Leases as many jobs of a page as an offer has places, the first and so the oldest of them. Those that have
    /// its lease already are some of them.
    fn lease_oldest(&mut self, page: &[MediaId], offer: &LeaseOffer, now: Timestamp) {
        let jobs = page.iter().filter_map(|media_id| self.get(*media_id)).cloned();
        let has_lease =
            |job: &Arc<Job>| job.lease().is_some_and(|it| it.token == offer.lease.token);
        let (held, others): (Vec<_>, Vec<_>) = jobs.partition(has_lease);
        let mut places = (offer.places as usize).saturating_sub(held.len());
        for job in others.iter().filter(|job| job.pool == offer.pool) {
            if places > 0 && self.apply(job, &Command::Claim(offer.lease), now).is_ok() {
                places -= 1;
            }
        }
    }

    /// A page of a bot's active, completed jobs.
    pub(super) fn completed_page(
        &self,
        bot_id: &BotId,
        after: Option<&JobCursor>,
        limit: u32,
    ) -> JobPage {
        let (page, more) = first_of(self.indices.completed_of_bot(bot_id, after), limit);
        let jobs = page.into_iter().filter_map(|media_id| self.get(media_id));
        JobPage { jobs: jobs.map(|job| Job::clone(job)).collect(), more }
    }

    /// Moves all of a bot's jobs to holding, and tells how many are held.
    pub(super) fn hold(&mut self, bot_id: &BotId, now: Timestamp) -> u32 {
        let all: Vec<MediaId> = self.indices.of_bot(bot_id, None).collect();
        for media_id in &all {
            let Some(job) = self.get(*media_id).cloned() else { continue };
            // Holding has no guard: there is no rejection to tell.
            let _held = self.apply(&job, &Command::Hold, now);
        }
        u32::try_from(all.len()).unwrap_or(u32::MAX)
    }
}

/// The first `limit` of something, and whether there is more.
fn first_of(mut media_ids: impl Iterator<Item = MediaId>, limit: u32) -> (Vec<MediaId>, bool) {
    let page = media_ids.by_ref().take(limit as usize).collect();
    (page, media_ids.next().is_some())
}
