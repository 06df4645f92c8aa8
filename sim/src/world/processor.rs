//! Processors: what they make of media, and how long it takes.

use std::collections::BTreeMap;

use anteroom_core::id::MediaId;
use anteroom_core::message::{Extracted, FailureKind, Outcome};
use anteroom_core::pool::event::{ProcessorFailure, Work};
use anteroom_core::time::Millis;

use super::World;
use crate::plan::{Plan, Processing, Sabotage, Task};

/// What becomes of each medium once nothing disturbs.
pub(super) struct Media(BTreeMap<MediaId, Processing>);

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
    /// When a processor that begins will end by itself, and with what; never, when it hangs.
    pub(super) fn comes_of(
        &mut self,
        work: &Work,
    ) -> Option<(Millis, Result<Outcome, ProcessorFailure>)> {
        let (hang, transient) = (self.weather.hang, self.weather.transient);
        if self.is_sabotaged(Sabotage::DeleteFiles) {
            self.delete(work.media_id);
        }
        if self.dice.processor.strikes(hang) {
            return None;
        }
        let result = if self.dice.processor.strikes(transient) {
            let detail = "the engine is busy".to_owned();
            Err(ProcessorFailure::Transient { retry_after: None, detail })
        } else {
            self.made_of(work)
        };
        let most = self.weather.slow.as_ms().max(4_000);
        Some((Millis::from_ms(1 + self.dice.processor.below(most)), result))
    }

    /// How long a processor goes on that is told to end.
    pub(super) fn time_to_cancel(&mut self) -> Millis {
        let most = self.weather.slow_to_cancel.as_ms().max(500);
        Millis::from_ms(1 + self.dice.processor.below(most))
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
}
