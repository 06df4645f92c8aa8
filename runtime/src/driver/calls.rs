//! Calls to consumers that are called: webhooks, and Rust in the same process.
//!
//! Owns the calls under way. **Invariant:** a correspondent has one call at most. A call that is not waited
//! for any more is cancelled, and the next one of its correspondent begins when it has ended; until then one
//! may wait, the latest. What is past its time is not called.

use std::collections::BTreeMap;
use std::sync::Arc;

use anteroom_core::bot::event::{BotEvent, Callback, ConsumerAnswer};
use anteroom_core::event::Event;
use anteroom_core::id::{Attempt, BotId, CallbackId, CallbackKey, CorrespondentId, StreamId};
use anteroom_core::protocol::CallbackFrame;
use anteroom_core::time::{Millis, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info_span};

use super::tasks::{Completion, Tasks};
use crate::consumer::{Call, Consumer};

/// The consumers that are called, and the calls under way.
#[derive(Default)]
pub(super) struct Calls {
    consumers: BTreeMap<StreamId, Arc<dyn Consumer>>,
    lanes: BTreeMap<Whose, Lane>,
}

/// Whose callbacks a call is about.
pub(super) type Whose = (BotId, CorrespondentId);

/// The calls of one correspondent.
struct Lane {
    open: Vec<(CallbackKey, Attempt)>,
    together: bool,
    cancel: CancellationToken,
    /// What is called when the open call has ended.
    next: Option<Waiting>,
}

/// A call that may be made.
pub(super) struct Waiting {
    pub stream_id: StreamId,
    pub callbacks: Vec<Callback>,
    pub together: bool,
    pub timeout: Millis,
    pub valid_until: Timestamp,
}

impl Calls {
    /// A consumer is called by this name from now on.
    pub fn attach(&mut self, stream_id: StreamId, consumer: Arc<dyn Consumer>) {
        self.consumers.insert(stream_id, consumer);
    }

    /// A consumer is not called any more.
    pub fn detach(&mut self, stream_id: StreamId) {
        self.consumers.remove(&stream_id);
    }

    /// Whether it is a consumer that is called.
    pub fn has(&self, stream_id: StreamId) -> bool {
        self.consumers.contains_key(&stream_id)
    }

    /// Calls a consumer, at once or after the call that is being cancelled.
    pub fn begin(&mut self, tasks: &mut Tasks, now: Timestamp, bot_id: BotId, call: Waiting) {
        let Some(first) = call.callbacks.first() else { return };
        let whose = (bot_id, first.correspondent_id.clone());
        match self.lanes.get_mut(&whose) {
            Some(lane) => lane.next = Some(call),
            None => self.start(tasks, now, whose, call),
        }
    }

    fn start(&mut self, tasks: &mut Tasks, now: Timestamp, whose: Whose, call: Waiting) {
        let Waiting { stream_id, callbacks, together, timeout, valid_until } = call;
        let Some(consumer) = self.consumers.get(&stream_id).map(Arc::clone) else { return };
        if valid_until <= now {
            return debug!(bot_id = whose.0.as_str(), "a callback came too late and was dropped");
        }
        let open = callbacks.iter().map(|it| (it.key(), it.attempt)).collect();
        let cancel = CancellationToken::new();
        let lane = Lane { open, together, cancel: cancel.clone(), next: None };
        self.lanes.insert(whose.clone(), lane);
        let call = Call {
            bot_id: whose.0.clone(),
            correspondent_id: whose.1.clone(),
            callbacks: callbacks.into_iter().map(|it| frame(&whose.0, it)).collect(),
            together,
            timeout: timeout.into(),
        };
        // Of several that go together, the last one names them.
        let span = call.callbacks.last().map(|callback| {
            info_span!(
                "callback",
                bot_id = whose.0.as_str(),
                correspondent_id = whose.1.as_str(),
                callback_id = %callback.callback_id,
                attempt = callback.attempt.0
            )
        });
        let unavailable = ConsumerAnswer::Unavailable { retry_after: None };
        let broken = Completion::Called { whose: whose.clone(), answer: Some(unavailable) };
        let calling = async move {
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                answer = consumer.call(call) => Some(answer),
            };
            Completion::Called { whose, answer }
        };
        let calling = calling.instrument(span.unwrap_or_else(tracing::Span::none));
        tasks.spawn(calling, broken);
    }

    /// An attempt is not waited for any more.
    pub fn abort(&mut self, bot_id: &BotId, key: &CallbackKey, attempt: Attempt) {
        let whose = (bot_id.clone(), key.correspondent_id.clone());
        let Some(lane) = self.lanes.get_mut(&whose) else { return };
        if lane.open.iter().any(|(open, number)| open == key && *number == attempt) {
            lane.cancel.cancel();
        }
        let waits = |next: &Waiting| {
            next.callbacks.iter().any(|it| it.key() == *key && it.attempt == attempt)
        };
        if lane.next.as_ref().is_some_and(waits) {
            lane.next = None;
        }
    }

    /// A call has ended. Returns what the machine is to be told; then [`Self::go_on`].
    pub fn ended(&mut self, whose: &Whose, answer: Option<ConsumerAnswer>) -> Option<Event> {
        let lane = self.lanes.get(whose)?;
        let mut callbacks = lane.open.clone();
        let answer = answer?;
        let event = if lane.together {
            BotEvent::AnsweredTogether { callbacks, answer }
        } else {
            let (key, attempt) = callbacks.pop()?;
            BotEvent::Answered { key, attempt, answer }
        };
        Some(Event::Bot(whose.0.clone(), event))
    }

    /// Calls for what has waited behind a call that has ended.
    pub fn go_on(&mut self, tasks: &mut Tasks, now: Timestamp, whose: Whose) {
        if let Some(next) = self.lanes.remove(&whose).and_then(|lane| lane.next) {
            self.start(tasks, now, whose, next);
        }
    }

    /// Ends all calls.
    pub fn cancel_all(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.next = None;
            lane.cancel.cancel();
        }
    }
}

/// A callback as consumers know it.
pub(super) fn frame(bot_id: &BotId, callback: Callback) -> CallbackFrame {
    let callback_id = CallbackId { bot_id: bot_id.clone(), key: callback.key() };
    CallbackFrame::new(callback_id, callback.attempt, callback.message)
}
