//! Whatever takes time, and the report of its end.
//!
//! Owns the count of the tasks that are under way. **Invariant:** a task ends in exactly one
//! [`Completion`], also when the work in it panics.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use anteroom_core::bot::event::{BotEvent, ConsumerAnswer};
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, LeaseToken, MediaId, OpId, StreamId};
use anteroom_core::janitor::JanitorEvent;
use anteroom_core::message::Outcome;
use anteroom_core::ownership::OwnershipEvent;
use anteroom_core::pool::event::{PoolEvent, ProcessorFailure};
use anteroom_core::store::StoreResult;
use tokio::sync::mpsc;

use super::calls::Whose;

/// What comes back to the loop from inside the node.
#[derive(Debug)]
pub(super) enum Completion {
    /// The store has answered.
    Answered { asker: Asker, op: OpId, result: StoreResult },
    /// A processor has ended.
    Worked { media_id: MediaId, token: LeaseToken, result: Result<Outcome, ProcessorFailure> },
    /// A batch of staged files was deleted, as far as possible.
    Deleted,
    /// These files are staged.
    Listed { files: Vec<MediaId> },
    /// The staged files could not be listed.
    NotListed,
    /// A call to a consumer has ended; without an answer when it was cancelled.
    Called { whose: Whose, answer: Option<ConsumerAnswer> },
    /// A consumer let go of its stream. Said once a stream, by no task.
    Detached { bot_id: BotId, stream_id: StreamId },
}

/// Which room asked the store.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    Bot(BotId),
    Pools,
    Ownership,
    Janitor,
}

impl Asker {
    /// The event that brings the store's answer.
    pub fn event(self, op: OpId, result: StoreResult) -> Event {
        match self {
            Self::Bot(bot_id) => Event::Bot(bot_id, BotEvent::Store { op, result }),
            Self::Pools => Event::Pools(PoolEvent::Store { op, result }),
            Self::Ownership => Event::Ownership(OwnershipEvent::Store { op, result }),
            Self::Janitor => Event::Janitor(JanitorEvent::Store { op, result }),
        }
    }
}

/// Starts tasks and counts those that are under way.
#[derive(Debug)]
pub(super) struct Tasks {
    completions: mpsc::UnboundedSender<Completion>,
    running: usize,
}

impl Tasks {
    pub fn new(completions: mpsc::UnboundedSender<Completion>) -> Self {
        Self { completions, running: 0 }
    }

    /// Runs `work` in a task of its own. Should it panic, `broken` is its completion.
    pub fn spawn(
        &mut self,
        work: impl Future<Output = Completion> + Send + 'static,
        broken: Completion,
    ) {
        self.running += 1;
        let completions = self.completions.clone();
        tokio::spawn(async move {
            let completion = caught(work).await.unwrap_or(broken);
            // Only a loop that has ended does not listen, and it needs no completion.
            let _ = completions.send(completion);
        });
    }

    /// A task's completion has arrived.
    pub fn ended(&mut self) {
        debug_assert!(self.running > 0, "a completion without a task");
        self.running = self.running.saturating_sub(1);
    }

    /// How many tasks are under way.
    pub fn running(&self) -> usize {
        self.running
    }
}

/// The output of `work`; none when it panicked, which the panic hook has reported by then.
async fn caught<F: Future>(work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // A future that panicked is not polled again, so nobody sees a state that it broke.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
