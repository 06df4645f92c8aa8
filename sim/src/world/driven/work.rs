//! The processors of a node, as the world sees them: they begin, and they really end.

use anteroom_core::id::{LeaseToken, MediaId};
use anteroom_core::message::Outcome;
use anteroom_core::pool::event::ProcessorFailure;
use anteroom_core::time::Millis;

use super::World;
use crate::checker::rule::Rule;
use crate::checker::seen::Seen;

/// What a processor will come to.
pub(super) struct Begun {
    pub token: LeaseToken,
    /// When it ends by itself, and with what; never, when it hangs.
    pub end: Option<(Millis, Result<Outcome, ProcessorFailure>)>,
}

impl World {
    /// A processor begins to work on a file; none in a process that is over.
    pub(super) fn processor_begins(
        &mut self,
        node: usize,
        incarnation: u32,
        media_id: MediaId,
    ) -> Option<Begun> {
        if !self.nodes[node].is(incarnation) {
            return None;
        }
        let decided = &mut self.nodes[node].decided;
        let Some(place) = decided.iter().position(|(work, _)| work.media_id == media_id) else {
            let what = format!("node {node}: a processor begins on {media_id}, which nobody wants");
            self.checker.break_rule(Rule::S13, what);
            return None;
        };
        let (work, decided_at) = decided.remove(place);
        self.show(&Seen::ProcessorStarted { node, work: &work, decided_at });
        Some(Begun { token: work.token, end: self.comes_of(&work) })
    }

    /// A driver has a file deleted.
    pub(super) fn delete_for(&mut self, node: usize, incarnation: u32, media_id: MediaId) {
        if self.nodes[node].is(incarnation) {
            self.show(&Seen::DeletionAsked { node, media_id });
        }
        self.delete(media_id);
    }

    /// A processor has ended, or was dropped.
    pub(super) fn processor_ended(
        &mut self,
        node: usize,
        incarnation: u32,
        media_id: MediaId,
        token: LeaseToken,
        result: &Result<Outcome, ProcessorFailure>,
    ) {
        if self.nodes[node].is(incarnation) {
            self.show(&Seen::ProcessorEnded { node, media_id, token, result });
        }
    }
}
