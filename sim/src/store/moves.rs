//! A bot's jobs as the bot starts, runs and stops: restored, their results collected, held.

use anteroom_core::id::{BotId, MediaId};
use anteroom_core::job::{Command, Job};
use anteroom_core::store::JobPage;
use anteroom_core::time::Timestamp;

use super::jobs::Jobs;

impl Jobs {
    /// Activates a page of a bot's jobs and returns them.
    pub(super) fn restore(
        &mut self,
        bot_id: &BotId,
        after: Option<&MediaId>,
        limit: u32,
        now: Timestamp,
    ) -> JobPage {
        let (page, more) = first_of(self.indices.of_bot(bot_id, after), limit);
        let mut jobs = Vec::with_capacity(page.len());
        for media_id in page {
            let Some(job) = self.get(media_id).cloned() else { continue };
            // Activating has no guard and never removes a job.
            if let Ok(Some(activated)) = self.apply(&job, &Command::Activate, now) {
                jobs.push(Job::clone(&activated));
            }
        }
        JobPage { jobs, more }
    }

    /// A page of a bot's active, completed jobs.
    pub(super) fn completed_page(
        &self,
        bot_id: &BotId,
        after: Option<&MediaId>,
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
