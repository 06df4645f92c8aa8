//! What was given up on its way to the store, and may be carried out all the same.
//!
//! Jobs that have ended leave their files, which nobody else would delete before the sweep for orphans, hours
//! later; and jobs that were leased as they were restored wait until their leases end, as if their worker had
//! been lost. So what is in flight is remembered until it is answered or the next time something is given up.
//! Whether a job still needs its file is for the store to say.

use serde::{Deserialize, Serialize};

use super::Bot;
use super::lifecycle::Start;
use crate::context::Context;
use crate::id::{LeaseToken, MediaId, OpId};
use crate::job::Job;
use crate::signal::PoolSignal;
use crate::store::{StoreReply, StoreResult};

/// An operation in flight that was given up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct GivenUp {
    op: OpId,
    leaves: Leaves,
}

/// What an operation leaves when it is carried out.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Leaves {
    /// The files of media whose jobs it ends.
    Files(Vec<MediaId>),
    /// Jobs under these leases, for places here that are given back.
    Leases(Vec<LeaseToken>),
}

impl Bot {
    /// Remembers what is in flight, before the memory is emptied: an archive batch, a revision and a page of
    /// jobs to be restored never overlap.
    pub(super) fn give_up_in_flight(&mut self) {
        let ending = self.archive.in_flight().or_else(|| self.results.in_flight());
        let in_flight = match (ending, self.lifecycle.in_flight()) {
            (Some((op, media_ids)), _) => Some(GivenUp { op, leaves: Leaves::Files(media_ids) }),
            (None, Some((op, Start::Restore(restore)))) => {
                Some(GivenUp { op, leaves: Leaves::Leases(restore.tokens()) })
            }
            (None, Some((_, Start::Register(_) | Start::Hold)) | None) => None,
        };
        // An end may take two steps: of the second nothing is in flight, and what the first gave up still is.
        if in_flight.is_some() {
            self.given_up = in_flight;
        }
    }

    /// The reply to an operation that a stop or a fence has given up.
    pub(super) fn on_given_up(&mut self, cx: &mut Context<'_>, op: OpId, result: &StoreResult) {
        cx.unexpected(format!("bot {}: reply to operation {op}", self.id));
        let (Some(given_up), Ok(reply)) = (self.given_up.take_if(|it| it.op == op), result) else {
            return;
        };
        match (given_up.leaves, reply) {
            (Leaves::Files(media_ids), _) => {
                for media_id in media_ids {
                    self.drop_file(cx, media_id);
                }
            }
            (Leaves::Leases(tokens), StoreReply::RestoreBot(page)) => {
                for (media_id, token) in page.jobs.iter().filter_map(lease) {
                    if tokens.contains(&token) {
                        cx.tell_pools(PoolSignal::LeasedInVain { media_id, token });
                    }
                }
            }
            (Leaves::Leases(_), _) => {}
        }
    }
}

fn lease(job: &Job) -> Option<(MediaId, LeaseToken)> {
    Some((job.media_id, job.lease()?.token))
}
