//! What was given up on its way to the store, and may be carried out all the same.
//!
//! Jobs that have ended leave their files, which nobody else would delete before the sweep for orphans, hours
//! later. So it is remembered which operation in flight would have ended which jobs, until it is answered or
//! the next time something is given up. Whether a job still needs its file is for the store to say.

use super::Bot;
use crate::context::Context;
use crate::id::OpId;
use crate::store::StoreResult;

impl Bot {
    /// Remembers what is in flight, before the memory is emptied: an archive batch and a revision never overlap.
    pub(super) fn give_up_in_flight(&mut self) {
        let in_flight = self.archive.in_flight().or_else(|| self.results.in_flight());
        // An end may take two steps: of the second nothing is in flight, and what the first gave up still is.
        if in_flight.is_some() {
            self.given_up = in_flight;
        }
    }

    /// The reply to an operation that a stop or a fence has given up.
    pub(super) fn on_given_up(&mut self, cx: &mut Context<'_>, op: OpId, result: &StoreResult) {
        cx.unexpected(format!("bot {}: reply to operation {op}", self.id));
        let given_up = self.given_up.take_if(|(asked, _)| *asked == op);
        let Some((_, media_ids)) = given_up.filter(|_| result.is_ok()) else { return };
        for media_id in media_ids {
            self.drop_file(cx, media_id);
        }
    }
}
