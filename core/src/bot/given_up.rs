//! What was given up on its way to the store, and may be carried out all the same.
//!
//! Owns which operation in flight would have ended which jobs, until it is answered or the next time something
//! is given up. Jobs that have ended leave their files, which nobody else would delete before the sweep for
//! orphans, hours later. Whether a job still needs its file is for the store to say.

use serde::{Deserialize, Serialize};

use super::Bot;
use crate::context::Context;
use crate::id::{MediaId, OpId};
use crate::store::StoreResult;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct GivenUp {
    /// One archive batch and one revision at the most.
    operations: Vec<(OpId, Vec<MediaId>)>,
}

impl Bot {
    /// Remembers what is in flight, before the memory is emptied.
    pub(super) fn give_up_in_flight(&mut self) {
        let operations = self.archive.in_flight().into_iter().chain(self.results.in_flight());
        self.given_up = GivenUp { operations: operations.collect() };
    }

    /// The reply to an operation that a stop or a fence has given up.
    pub(super) fn on_given_up(&mut self, cx: &mut Context<'_>, op: OpId, result: &StoreResult) {
        cx.unexpected(format!("bot {}: reply to operation {op}", self.id));
        let operations = &mut self.given_up.operations;
        let Some(index) = operations.iter().position(|(asked, _)| *asked == op) else { return };
        let (_, media_ids) = operations.swap_remove(index);
        if result.is_ok() {
            for media_id in media_ids {
                self.drop_file(cx, media_id);
            }
        }
    }
}
