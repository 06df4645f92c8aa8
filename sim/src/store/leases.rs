//! What the holder of a lease may do: prolong it, give the job back, store the result.
//!
//! A job is found wherever it lives, so one that is being moved is never missed.

use anteroom_core::id::{LeaseToken, MediaId};
use anteroom_core::job::Command;
use anteroom_core::store::{Completion, Release, TokenAnswer};
use anteroom_core::time::{Millis, Timestamp};

use super::jobs::Jobs;

impl Jobs {
    /// Prolongs leases, and tells which are lost.
    pub(super) fn renew_leases(
        &mut self,
        leases: &[(MediaId, LeaseToken)],
        ttl: Millis,
        now: Timestamp,
    ) -> Vec<MediaId> {
        let mut lost = Vec::new();
        for &(media_id, token) in leases {
            if self.under_lease(media_id, &Command::Renew { token, ttl }, now) == TokenAnswer::Stale
            {
                lost.push(media_id);
            }
        }
        lost
    }

    /// Gives jobs back, and tells which were not held under their tokens.
    pub(super) fn release_leases(&mut self, releases: &[Release], now: Timestamp) -> Vec<MediaId> {
        let mut lost = Vec::new();
        for &Release { media_id, token, delay, reason } in releases {
            let command = Command::Release { token, delay, reason };
            if self.under_lease(media_id, &command, now) == TokenAnswer::Stale {
                lost.push(media_id);
            }
        }
        lost
    }

    /// Stores results, with failed copies where they are failures.
    pub(super) fn complete(
        &mut self,
        completions: &[Completion],
        now: Timestamp,
    ) -> Vec<TokenAnswer> {
        let answers = completions.iter().map(|Completion { media_id, token, outcome }| {
            let command = Command::Complete { token: *token, outcome: outcome.clone() };
            self.under_lease(*media_id, &command, now)
        });
        answers.collect()
    }

    fn under_lease(&mut self, media_id: MediaId, command: &Command, now: Timestamp) -> TokenAnswer {
        let Some(job) = self.get(media_id).cloned() else { return TokenAnswer::Stale };
        match self.apply(&job, command, now) {
            Ok(_) => TokenAnswer::Ok,
            Err(_) => TokenAnswer::Stale,
        }
    }
}
