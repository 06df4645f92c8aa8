//! Processors: what they make of media, how long it takes, and how they end.

use std::collections::BTreeMap;

use anteroom_core::event::Event;
use anteroom_core::id::{LeaseToken, MediaId};
use anteroom_core::message::{Extracted, FailureKind, Outcome};
use anteroom_core::pool::event::{PoolEvent, ProcessorFailure, Work};
use anteroom_core::time::Millis;

use super::{Happening, World};
use crate::checker::seen::Seen;
use crate::plan::{Plan, Processing, Sabotage, Task};

/// What becomes of each medium once nothing disturbs.
pub(super) struct Media(BTreeMap<MediaId, Processing>);

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

impl Media {
    pub fn of_plan(plan: &Plan) -> Self {
        let media = plan.workload.iter().filter_map(|item| match &item.task {
            Task::Message(message) => message.media.as_ref(),
            _ => None,
        });
        Self(media.map(|media| (media.media_id, media.processing)).collect())
    }

    /// Another medium, which comes after the plan's.
    pub fn add(&mut self, media_id: MediaId, processing: Processing) {
        self.0.insert(media_id, processing);
    }
}

impl World {
    pub(super) fn process(&mut self, node: usize, work: &Work) {
        let (media_id, token) = (work.media_id, work.token);
        self.nodes[node].processors.0.insert((media_id, token), ());
        let decided_at = self.nodes[node].stepped_at;
        self.show(&Seen::ProcessorStarted { node, work, decided_at });
        let (hang, transient) = (self.weather.hang, self.weather.transient);
        if self.is_sabotaged(Sabotage::DeleteFiles) {
            self.delete(media_id);
        }
        if self.dice.processor.strikes(hang) {
            return;
        }
        let result = if self.dice.processor.strikes(transient) {
            let detail = "the engine is busy".to_owned();
            Err(ProcessorFailure::Transient { retry_after: None, detail })
        } else {
            self.made_of(work)
        };
        let most = self.weather.slow.as_ms().max(4_000);
        let wait = Millis::from_ms(1 + self.dice.processor.below(most));
        let incarnation = self.nodes[node].incarnation;
        let ended = Ended { media_id, token, result };
        self.after(wait, Happening::ProcessorEnds { node, incarnation, ended });
    }

    fn made_of(&self, work: &Work) -> Result<Outcome, ProcessorFailure> {
        match work.pool.as_str() {
            "corrupt" => {
                let (quota_exceeded, detail) = (work.quota_exceeded, work.detail.clone());
                return Ok(Outcome::Corrupt { quota_exceeded, detail });
            }
            "unsupported" => return Ok(Outcome::Unsupported { detail: None }),
            _ => {}
        }
        let failed = |error| Err(ProcessorFailure::Permanent { error, detail: None });
        if !self.staged.contains(&work.media_id) {
            return failed(FailureKind::FileMissing);
        }
        match self.media.0.get(&work.media_id) {
            Some(Processing::Text { characters }) => {
                let words = "ü語".repeat(usize::try_from(*characters).unwrap_or(0) / 2);
                let text = format!("{}{words}", work.token);
                Ok(Outcome::Text(Extracted { text, ..Extracted::default() }))
            }
            Some(Processing::Nothing) => Ok(Outcome::Nothing),
            Some(Processing::Unreadable) | None => failed(FailureKind::Unreadable),
        }
    }

    /// A processor is told to end.
    pub(super) fn cancel(&mut self, node: usize, media_id: MediaId, token: LeaseToken) {
        let most = self.weather.slow_to_cancel.as_ms().max(500);
        let wait = Millis::from_ms(1 + self.dice.processor.below(most));
        let result = Err(ProcessorFailure::Cancelled);
        let incarnation = self.nodes[node].incarnation;
        let ended = Ended { media_id, token, result };
        self.after(wait, Happening::ProcessorEnds { node, incarnation, ended });
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
