//! The processors of a node, and how they end.

use std::collections::BTreeMap;

use anteroom_core::event::Event;
use anteroom_core::id::{LeaseToken, MediaId};
use anteroom_core::message::Outcome;
use anteroom_core::pool::event::{PoolEvent, ProcessorFailure, Work};

use super::World;
use super::node::Inside;
use crate::checker::seen::Seen;

/// The processors of a node that have not ended.
#[derive(Debug, Default)]
pub(super) struct Processors(BTreeMap<(MediaId, LeaseToken), ()>);

/// The end of a processor.
#[derive(Debug)]
pub(super) struct Ended {
    media_id: MediaId,
    token: LeaseToken,
    result: Result<Outcome, ProcessorFailure>,
}

impl World {
    pub(super) fn process(&mut self, node: usize, work: &Work) {
        let (media_id, token) = (work.media_id, work.token);
        self.nodes[node].processors.0.insert((media_id, token), ());
        let decided_at = self.nodes[node].stepped_at;
        self.show(&Seen::ProcessorStarted { node, work, decided_at });
        let Some((wait, result)) = self.comes_of(work) else { return };
        let incarnation = self.nodes[node].incarnation;
        let ended = Ended { media_id, token, result };
        self.inside_at(self.now + wait, Inside::ProcessorEnds { node, incarnation, ended });
    }

    /// A processor is told to end.
    pub(super) fn cancel(&mut self, node: usize, media_id: MediaId, token: LeaseToken) {
        let wait = self.time_to_cancel();
        let result = Err(ProcessorFailure::Cancelled);
        let incarnation = self.nodes[node].incarnation;
        let ended = Ended { media_id, token, result };
        self.inside_at(self.now + wait, Inside::ProcessorEnds { node, incarnation, ended });
    }

    pub(super) fn processor_ends(&mut self, node: usize, incarnation: u32, ended: Ended) {
        let Ended { media_id, token, result } = ended;
        let it = &mut self.nodes[node];
        if it.incarnation != incarnation || it.processors.0.remove(&(media_id, token)).is_none() {
            return;
        }
        self.show(&Seen::ProcessorEnded { node, media_id, token, result: &result });
        let event = Event::Pools(PoolEvent::Ended { media_id, token, result });
        self.deliver(node, incarnation, event);
    }
}
