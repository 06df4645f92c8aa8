//! What a lease's holder may do: prolong it, give the job back, store the result.
//!
//! A job is found wherever it lives, so one that is being moved is never missed.

use anteroom_core::id::{LeaseToken, MediaId};
use anteroom_core::job::Command;
use anteroom_core::store::{Completion, Release, TokenAnswer};
use anteroom_core::time::Millis;

use super::failure::Answer;
use super::job_rows;
use super::work::Work;

/// Prolongs leases, and returns the media whose leases are lost.
pub(super) fn renew(
    work: &Work<'_>,
    leases: &[(MediaId, LeaseToken)],
    ttl: Millis,
) -> Answer<Vec<MediaId>> {
    let mut lost = Vec::new();
    for &(media_id, token) in leases {
        if under_lease(work, media_id, &Command::Renew { token, ttl })? == TokenAnswer::Stale {
            lost.push(media_id);
        }
    }
    Ok(lost)
}

/// Gives jobs back, and returns those that were not held under their tokens.
pub(super) fn release(work: &Work<'_>, releases: &[Release]) -> Answer<Vec<MediaId>> {
    let mut lost = Vec::new();
    for &Release { media_id, token, delay, reason } in releases {
        let command = Command::Release { token, delay, reason };
        if under_lease(work, media_id, &command)? == TokenAnswer::Stale {
            lost.push(media_id);
        }
    }
    Ok(lost)
}

/// Stores results in their jobs, with failed copies where they are failures.
pub(super) fn complete(work: &Work<'_>, completions: &[Completion]) -> Answer<Vec<TokenAnswer>> {
    completions
        .iter()
        .map(|Completion { media_id, token, outcome }| {
            let command = Command::Complete { token: *token, outcome: outcome.clone() };
            under_lease(work, *media_id, &command)
        })
        .collect()
}

/// Applies a command that a lease guards.
fn under_lease(work: &Work<'_>, media_id: MediaId, command: &Command) -> Answer<TokenAnswer> {
    let Some(job) = job_rows::find(work, media_id)? else { return Ok(TokenAnswer::Stale) };
    Ok(match job_rows::apply(work, &job, command)? {
        Ok(_) => TokenAnswer::Ok,
        Err(_) => TokenAnswer::Stale,
    })
}
