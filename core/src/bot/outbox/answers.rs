//! What the consumer says, and what it fails to say.

use super::circuit::Consumer;
use super::lane::{Entry, EntryState};
use super::marks::Ending;
use super::{Outbox, OutboxContext};
use crate::bot::event::{BotEffect, ConsumerAnswer};
use crate::id::{Attempt, CallbackKey, RequestId, StreamId};
use crate::notice::Notice;
use crate::store::{CallbackEnd, Mark};
use crate::time::Millis;

/// What an acknowledgement did.
enum Ended {
    /// It has ended, and may have been sent by this owner.
    Sent,
    /// It is not in memory: whether it has ended is the store's to say.
    NotHere,
    NeverSent,
}

impl Ended {
    /// The mark that an acknowledgement asks for; none where there is nothing to acknowledge.
    fn mark(self, key: CallbackKey, reply: Option<String>) -> Result<Mark, CallbackKey> {
        let end = CallbackEnd::Acknowledged;
        match self {
            Self::Sent => Ok(Mark { key, end, reply, sent: true }),
            Self::NotHere => Ok(Mark { key, end, reply, sent: false }),
            Self::NeverSent => Err(key),
        }
    }
}

impl Outbox {
    /// A stream is there to take callbacks. What is unacknowledged comes again, to the new one.
    pub fn attach(&mut self, cx: &mut OutboxContext<'_, '_>, stream_id: StreamId) {
        match self.consumer {
            Consumer::Present(old) if old == stream_id => return,
            Consumer::Gone(old) if old == stream_id => {}
            Consumer::Present(old) | Consumer::Gone(old) => {
                cx.effect(BotEffect::StreamReplaced { stream_id: old });
            }
            Consumer::Absent => {}
        }
        self.fail_open(cx);
        self.consumer = Consumer::Present(stream_id);
        self.close_circuit(cx);
    }

    /// A stream is gone.
    pub fn detach(&mut self, cx: &mut OutboxContext<'_, '_>, stream_id: StreamId) {
        match self.consumer {
            Consumer::Present(present) | Consumer::Gone(present) if present == stream_id => {
                self.fail_open(cx);
                self.consumer = Consumer::Absent;
            }
            // The late end of a stream that was replaced.
            Consumer::Present(_) | Consumer::Gone(_) | Consumer::Absent => {}
        }
    }

    /// A consumer acknowledges callbacks; the request is answered when that is durable.
    pub fn acknowledge(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        request_id: RequestId,
        keys: Vec<CallbackKey>,
        may_store: bool,
    ) {
        if !may_store || !self.marks.has_room(keys.len()) {
            return cx.effect(BotEffect::AckAnswer {
                request_id,
                answer: None,
                valid_until: crate::time::Timestamp::MAX,
            });
        }
        let mut unknown = Vec::new();
        let mut marks = Vec::with_capacity(keys.len());
        for key in keys {
            match self.end(&key).mark(key, None) {
                Ok(mark) => marks.push(mark),
                Err(key) => unknown.push(key),
            }
        }
        if !marks.is_empty() && self.circuit.close() {
            cx.cx.notice(Notice::CircuitClosed { bot_id: cx.bot_id.clone() });
        }
        self.marks.request(cx, request_id, marks, unknown);
    }

    /// A consumer that is called answered one attempt.
    pub fn answered(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        key: CallbackKey,
        attempt: Attempt,
        answer: ConsumerAnswer,
    ) {
        match answer {
            ConsumerAnswer::Acknowledged { reply } => {
                let Ok(mark) = self.end(&key).mark(key, reply) else {
                    let what = "outbox: acknowledgement of what was never sent";
                    return cx.cx.unexpected(what);
                };
                self.close_circuit(cx);
                self.marks.push(Ending { mark, request_id: None });
            }
            ConsumerAnswer::Refused => {
                if self.is_open(&key, attempt) {
                    self.close_circuit(cx);
                    self.refused(cx, key);
                }
            }
            ConsumerAnswer::Unavailable { retry_after } => {
                if self.is_open(&key, attempt) {
                    self.fail(&key);
                    self.open_circuit(cx, retry_after);
                }
            }
            ConsumerAnswer::Gone => {
                if let Consumer::Present(stream_id) = self.consumer {
                    self.fail_open(cx);
                    self.consumer = Consumer::Gone(stream_id);
                    cx.cx.notice(Notice::ConsumerGone { bot_id: cx.bot_id.clone() });
                }
            }
        }
    }

    /// A consumer that is called answered one attempt at callbacks that went out together: each is
    /// answered so. A reply answers them all, and goes with the last.
    pub fn answered_together(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        callbacks: Vec<(CallbackKey, Attempt)>,
        answer: ConsumerAnswer,
    ) {
        let last = callbacks.len().saturating_sub(1);
        for (place, (key, attempt)) in callbacks.into_iter().enumerate() {
            let answer = match &answer {
                ConsumerAnswer::Acknowledged { reply } => {
                    ConsumerAnswer::Acknowledged { reply: reply.clone().filter(|_| place == last) }
                }
                ConsumerAnswer::Refused
                | ConsumerAnswer::Unavailable { .. }
                | ConsumerAnswer::Gone => answer.clone(),
            };
            self.answered(cx, key, attempt, answer);
        }
    }

    /// Attempts that were not answered in time have failed.
    pub(super) fn time_out(&mut self, cx: &mut OutboxContext<'_, '_>) {
        let mut late = false;
        while let Some((_, open)) = self.open.first()
            && open.deadline <= cx.cx.now
        {
            let key = open.key.clone();
            self.abort(cx, &key);
            self.fail(&key);
            late = true;
        }
        if late {
            self.open_circuit(cx, None);
        }
    }

    /// Tells whoever calls the consumer to stop waiting for the open attempt.
    pub(super) fn abort(&mut self, cx: &mut OutboxContext<'_, '_>, key: &CallbackKey) {
        let lane = self.lanes.get_mut(&key.correspondent_id);
        if let Some(attempt) = lane.and_then(|lane| lane.find(key)).map(|entry| entry.attempt()) {
            cx.effect(BotEffect::AbortCallback { key: key.clone(), attempt });
        }
    }

    fn is_open(&mut self, key: &CallbackKey, attempt: Attempt) -> bool {
        let lane = self.lanes.get_mut(&key.correspondent_id);
        let entry = lane.and_then(|lane| lane.find(key));
        entry.is_some_and(|entry| {
            matches!(entry.state, EntryState::Open { .. }) && entry.attempt() == attempt
        })
    }

    /// A callback has ended, unless it was never sent; it leaves when that is durable.
    fn end(&mut self, key: &CallbackKey) -> Ended {
        let lane = self.lanes.get_mut(&key.correspondent_id);
        let Some(entry) = lane.and_then(|lane| lane.find(key)) else {
            self.marks.came_ahead(key);
            return Ended::NotHere;
        };
        if !entry.may_have_been_sent() {
            return Ended::NeverSent;
        }
        if let EntryState::Open { order } = entry.state {
            self.open.remove(order);
        }
        entry.state = EntryState::Ending;
        Ended::Sent
    }

    /// The open attempt at a callback has failed.
    fn fail(&mut self, key: &CallbackKey) {
        let Some(lane) = self.lanes.get_mut(&key.correspondent_id) else { return };
        if let Some(Entry { state, .. }) = lane.find(key)
            && let EntryState::Open { order } = *state
        {
            *state = EntryState::Spent;
            self.open.remove(order);
            self.list(&key.correspondent_id);
        }
    }

    /// All open attempts have failed: whoever had them is gone.
    fn fail_open(&mut self, cx: &mut OutboxContext<'_, '_>) {
        let keys: Vec<_> = self.open.iter().map(|(_, open)| open.key.clone()).collect();
        for key in keys {
            self.abort(cx, &key);
            self.fail(&key);
        }
    }

    /// The consumer refuses this very message.
    fn refused(&mut self, cx: &mut OutboxContext<'_, '_>, key: CallbackKey) {
        let callbacks = &cx.settings.callbacks;
        let Some(lane) = self.lanes.get_mut(&key.correspondent_id) else { return };
        let Some(entry) = lane.find(&key) else { return };
        if let EntryState::Open { order } = entry.state {
            self.open.remove(order);
        }
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures >= callbacks.refusals_max {
            entry.state = EntryState::Ending;
            cx.cx.notice(Notice::CallbackUndeliverable {
                bot_id: cx.bot_id.clone(),
                key: key.clone(),
            });
            let mark = Mark { key, end: CallbackEnd::Undeliverable, reply: None, sent: true };
            return self.marks.push(Ending { mark, request_id: None });
        }
        let wait = callbacks.refused_back_off.after(entry.failures - 1);
        let until = cx.cx.now + cx.cx.source.jittered(wait);
        entry.state = EntryState::Refused { until };
        self.list(&key.correspondent_id);
    }

    fn open_circuit(&mut self, cx: &mut OutboxContext<'_, '_>, retry_after: Option<Millis>) {
        let back_off = cx.settings.callbacks.unavailable_back_off;
        if self.circuit.open(cx.cx, back_off, retry_after) {
            cx.cx.notice(Notice::CircuitOpened { bot_id: cx.bot_id.clone() });
        }
    }

    fn close_circuit(&mut self, cx: &mut OutboxContext<'_, '_>) {
        if self.circuit.close() {
            cx.cx.notice(Notice::CircuitClosed { bot_id: cx.bot_id.clone() });
        }
    }
}
