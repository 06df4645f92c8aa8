//! What a node of tier 2 finds where the shipped binary has the computer: a clock, staged files,
//! processors; and the watch, through which the world sees what the machine is told and says.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{LeaseToken, MediaId};
use anteroom_core::machine::Machine;
use anteroom_core::message::Outcome;
use anteroom_core::pool::event::ProcessorFailure;
use anteroom_core::time::{Millis, Timestamp};
use anteroom_runtime::clock::Clock;
use anteroom_runtime::driver::ports::{BoxFuture, FileError};
use anteroom_runtime::driver::{StagedFiles, Watch};
use anteroom_runtime::media::processor::{Failure, Processor, Work};
use madsim::time::sleep;

use super::stage::Stage;
use crate::checker::seen::Seen;

/// Which process of which node, and how it reaches the world.
#[derive(Clone)]
pub(super) struct Place {
    pub stage: Stage,
    pub node: usize,
    pub incarnation: u32,
}

impl Place {
    /// Shows the checker what this process does, while it is the one that lives.
    pub fn show(&self, seen: &Seen<'_>) {
        self.stage.with(|world| {
            if world.nodes[self.node].is(self.incarnation) {
                world.show(seen);
            }
        });
    }
}

/// A node's clock: the world's time, and so much ahead.
pub(super) struct NodeClock {
    pub stage: Stage,
    pub ahead_ms: Arc<AtomicU64>,
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        self.stage.now() + Millis::from_ms(self.ahead_ms.load(Ordering::Relaxed))
    }
}

impl Watch for Place {
    fn hears(&self, now: Timestamp, event: &Event) {
        let (node, incarnation) = (self.node, self.incarnation);
        self.stage.with(|world| world.machine_hears(node, incarnation, now, event));
    }

    fn says(&self, now: Timestamp, effects: &[Effect], machine: &Machine) {
        let (node, incarnation) = (self.node, self.incarnation);
        self.stage.with(|world| world.machine_says(node, incarnation, now, effects, machine));
    }
}

/// The staged files, which all nodes share.
impl StagedFiles for Place {
    fn path(&self, media_id: MediaId) -> PathBuf {
        PathBuf::from(media_id.to_string())
    }

    fn delete(&self, media_ids: Vec<MediaId>) -> BoxFuture<'_, Vec<(MediaId, FileError)>> {
        Box::pin(async move {
            for media_id in media_ids {
                self.stage.with(|world| world.delete_for(self.node, self.incarnation, media_id));
            }
            sleep(Duration::from_millis(1)).await;
            Vec::new()
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<MediaId>, FileError>> {
        Box::pin(async move {
            let files = self.stage.with(|world| world.staged.iter().copied().collect());
            sleep(Duration::from_millis(20)).await;
            Ok(files)
        })
    }
}

/// A processor, as the plan has it.
impl Processor for Place {
    fn name(&self) -> &str {
        "planned"
    }

    fn process(
        &self,
        work: Work,
    ) -> anteroom_runtime::media::processor::BoxFuture<'static, Result<Outcome, Failure>> {
        Box::pin(process(self.clone(), work))
    }
}

async fn process(place: Place, work: Work) -> Result<Outcome, Failure> {
    let media_id = work.path.to_string_lossy().parse::<uuid::Uuid>();
    let media_id = MediaId::from(media_id.expect("a path is made of the id"));
    let (node, incarnation) = (place.node, place.incarnation);
    let begun = place.stage.with(|world| world.processor_begins(node, incarnation, media_id));
    let Some(begun) = begun else { return Err(Failure::Cancelled) };
    let mut running = Running { place, media_id, token: begun.token, ended: None };
    let result = tokio::select! {
        biased;
        () = work.cancel.cancelled() => {
            let wait = running.place.stage.with(|world| world.time_to_cancel());
            sleep(wait.into()).await;
            Err(ProcessorFailure::Cancelled)
        }
        result = comes_to(begun.end) => result,
    };
    running.ended = Some(result.clone());
    drop(running);
    result.map_err(failure)
}

async fn comes_to(
    end: Option<(Millis, Result<Outcome, ProcessorFailure>)>,
) -> Result<Outcome, ProcessorFailure> {
    match end {
        Some((wait, result)) => {
            sleep(wait.into()).await;
            result
        }
        None => std::future::pending().await,
    }
}

fn failure(failure: ProcessorFailure) -> Failure {
    match failure {
        ProcessorFailure::Permanent { error, detail } => {
            Failure::Permanent { error, detail: detail.unwrap_or_default() }
        }
        ProcessorFailure::Transient { retry_after, detail } => {
            Failure::Transient { retry_after: retry_after.map(Duration::from), detail }
        }
        ProcessorFailure::TimedOut => Failure::TimedOut,
        ProcessorFailure::Cancelled => Failure::Cancelled,
    }
}

/// A processor that runs: the world is told when it really ends, also when it is dropped.
struct Running {
    place: Place,
    media_id: MediaId,
    token: LeaseToken,
    ended: Option<Result<Outcome, ProcessorFailure>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let result = self.ended.take().unwrap_or(Err(ProcessorFailure::Cancelled));
        let Place { stage, node, incarnation } = &self.place;
        stage.with(|world| {
            world.processor_ended(*node, *incarnation, self.media_id, self.token, &result);
        });
    }
}
