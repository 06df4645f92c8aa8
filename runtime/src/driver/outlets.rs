//! The ways out: connections, streams, and requests that wait for their answer.
//!
//! Owns one bounded channel a connection or stream, and one reply a request. **Invariant:** handing
//! over never waits. An outlet without room is closed, and the machine is told as if its peer had gone;
//! what is past its time is dropped.

use std::collections::BTreeMap;

use anteroom_core::bot::event::{AckAnswer, BotEvent};
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, RequestId, SessionId, StreamId};
use anteroom_core::receipt::{Receipt, RejectReason};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::store::{EnqueueAnswer, RedeliverAnswer};
use anteroom_core::time::Timestamp;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};

use super::handle::StreamItem;

/// Requests that may wait for their answer at once.
const REQUESTS_MAX: usize = 10_000;

/// Something that may be told only for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timed<T> {
    pub value: T,
    pub valid_until: Timestamp,
}

impl<T> Timed<T> {
    /// The value, unless its time is over.
    pub fn at(self, now: Timestamp) -> Option<T> {
        (now < self.valid_until).then_some(self.value)
    }
}

/// Where the answer to a request goes.
pub(super) enum Reply {
    Receipt(oneshot::Sender<Timed<Receipt>>),
    Acknowledged(oneshot::Sender<Timed<Option<AckAnswer>>>),
    Enqueued(oneshot::Sender<Option<EnqueueAnswer>>),
    Redelivered(oneshot::Sender<Option<RedeliverAnswer>>),
}

struct Stream {
    bot_id: BotId,
    outlet: mpsc::Sender<StreamItem>,
}

/// All ways out.
#[derive(Default)]
pub(super) struct Outlets {
    sessions: BTreeMap<SessionId, mpsc::Sender<SessionEffect>>,
    streams: BTreeMap<StreamId, Stream>,
    requests: BTreeMap<RequestId, Reply>,
    last_request: u64,
}

impl Outlets {
    pub fn open_session(&mut self, session_id: SessionId, outlet: mpsc::Sender<SessionEffect>) {
        self.sessions.insert(session_id, outlet);
    }

    pub fn has_session(&self, session_id: SessionId) -> bool {
        self.sessions.contains_key(&session_id)
    }

    /// Whether there was such a connection.
    pub fn close_session(&mut self, session_id: SessionId) -> bool {
        self.sessions.remove(&session_id).is_some()
    }

    /// Hands an effect to a connection. Returns what the machine is to be told, when the connection
    /// turns out to be lost.
    pub fn tell_session(
        &mut self,
        now: Timestamp,
        session_id: SessionId,
        effect: SessionEffect,
    ) -> Option<Event> {
        let Some(outlet) = self.sessions.get(&session_id) else {
            debug!(%session_id, "an effect for a connection that is gone was dropped");
            return None;
        };
        if matches!(effect, SessionEffect::Close) {
            // The writer hears of it as the end of its receiver, after everything said before.
            self.sessions.remove(&session_id);
            return None;
        }
        if valid_until(&effect).is_some_and(|end| end <= now) {
            // Its provider keeps the message, and sends it again once it has connected anew.
            debug!(%session_id, "an effect for a connection came too late: it is closed");
            self.sessions.remove(&session_id);
            return Some(Event::Session(session_id, SessionEvent::Closed));
        }
        match outlet.try_send(effect) {
            Ok(()) => return None,
            Err(TrySendError::Full(_)) => {
                info!(%session_id, "a connection does not take what it is told and is closed");
            }
            Err(TrySendError::Closed(_)) => debug!(%session_id, "a connection has gone"),
        }
        self.sessions.remove(&session_id);
        Some(Event::Session(session_id, SessionEvent::Closed))
    }

    /// Registers a stream, unless its consumer has gone already. Says whether it did.
    pub fn attach(
        &mut self,
        bot_id: BotId,
        stream_id: StreamId,
        outlet: mpsc::Sender<StreamItem>,
    ) -> bool {
        let present = !outlet.is_closed();
        if present {
            self.streams.insert(stream_id, Stream { bot_id, outlet });
        }
        present
    }

    /// Whether there was such a stream.
    pub fn detach(&mut self, stream_id: StreamId) -> bool {
        self.streams.remove(&stream_id).is_some()
    }

    /// Hands callbacks to a stream. Returns what the machine is to be told, when the stream turns out
    /// to be lost.
    pub fn tell_stream(
        &mut self,
        now: Timestamp,
        stream_id: StreamId,
        item: StreamItem,
        valid_until: Timestamp,
    ) -> Option<Event> {
        let Some(stream) = self.streams.get(&stream_id) else {
            debug!(%stream_id, "a callback for a stream that is gone was dropped");
            return None;
        };
        if valid_until <= now {
            debug!(%stream_id, "a callback came too late and was dropped");
            return None;
        }
        match stream.outlet.try_send(item) {
            Ok(()) => return None,
            Err(TrySendError::Full(_)) => info!(
                %stream_id,
                bot_id = stream.bot_id.as_str(),
                "a consumer does not read its stream, which is closed"
            ),
            Err(TrySendError::Closed(_)) => debug!(%stream_id, "a consumer has gone"),
        }
        let stream = self.streams.remove(&stream_id)?;
        Some(Event::Bot(stream.bot_id, BotEvent::ConsumerDetached { stream_id }))
    }

    /// Tells a stream that a newer one took its place, and ends it.
    pub fn replace_stream(&mut self, stream_id: StreamId) {
        if let Some(stream) = self.streams.remove(&stream_id) {
            // A stream without room ends all the same.
            let _ = stream.outlet.try_send(StreamItem::Replaced);
        }
    }

    /// Remembers where the answer to a request goes; none when too many wait, and then the request is
    /// answered at once.
    pub fn expect(&mut self, reply: Reply) -> Option<RequestId> {
        if self.requests.len() >= REQUESTS_MAX {
            self.requests.retain(|_, reply| reply.is_awaited());
        }
        if self.requests.len() >= REQUESTS_MAX {
            reply.refuse();
            return None;
        }
        self.last_request += 1;
        let request_id = RequestId(self.last_request);
        self.requests.insert(request_id, reply);
        Some(request_id)
    }

    /// Answers a request that handed in a message.
    pub fn answer_post(&mut self, request_id: RequestId, receipt: Timed<Receipt>) {
        match self.requests.remove(&request_id) {
            Some(Reply::Receipt(reply)) => drop(reply.send(receipt)),
            other => self.misdirected(request_id, other),
        }
    }

    /// Answers a request that acknowledged callbacks.
    pub fn answer_acknowledge(&mut self, request_id: RequestId, answer: Timed<Option<AckAnswer>>) {
        match self.requests.remove(&request_id) {
            Some(Reply::Acknowledged(reply)) => drop(reply.send(answer)),
            other => self.misdirected(request_id, other),
        }
    }

    /// Answers a request that handed in an outgoing message.
    pub fn answer_enqueue(&mut self, request_id: RequestId, answer: Option<EnqueueAnswer>) {
        match self.requests.remove(&request_id) {
            Some(Reply::Enqueued(reply)) => drop(reply.send(answer)),
            other => self.misdirected(request_id, other),
        }
    }

    /// Answers a request that wanted a callback made again.
    pub fn answer_redeliver(&mut self, request_id: RequestId, answer: Option<RedeliverAnswer>) {
        match self.requests.remove(&request_id) {
            Some(Reply::Redelivered(reply)) => drop(reply.send(answer)),
            other => self.misdirected(request_id, other),
        }
    }

    /// Ends whatever is still open.
    pub fn close_all(&mut self) {
        for stream in std::mem::take(&mut self.streams).into_values() {
            let _ = stream.outlet.try_send(StreamItem::Ended);
        }
        self.sessions.clear();
        self.requests.clear();
    }

    fn misdirected(&mut self, request_id: RequestId, reply: Option<Reply>) {
        debug_assert!(reply.is_none(), "an answer of the wrong kind for request {request_id}");
        debug!(%request_id, "an answer that nobody waits for was dropped");
    }
}

impl Reply {
    /// Whether somebody still waits.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Receipt(reply) => !reply.is_closed(),
            Self::Acknowledged(reply) => !reply.is_closed(),
            Self::Enqueued(reply) => !reply.is_closed(),
            Self::Redelivered(reply) => !reply.is_closed(),
        }
    }

    /// Says that the node cannot do it now.
    fn refuse(self) {
        let valid_until = Timestamp::MAX;
        match self {
            Self::Receipt(reply) => {
                let value = Receipt::rejected(RejectReason::RetryLater);
                drop(reply.send(Timed { value, valid_until }));
            }
            Self::Acknowledged(reply) => drop(reply.send(Timed { value: None, valid_until })),
            Self::Enqueued(reply) => drop(reply.send(None)),
            Self::Redelivered(reply) => drop(reply.send(None)),
        }
    }
}

/// Until when an effect may be told, where that is limited.
fn valid_until(effect: &SessionEffect) -> Option<Timestamp> {
    match effect {
        SessionEffect::Receipt { valid_until, .. } | SessionEffect::Send { valid_until, .. } => {
            Some(*valid_until)
        }
        SessionEffect::Welcome { .. }
        | SessionEffect::Error { .. }
        | SessionEffect::Pong
        | SessionEffect::Ping
        | SessionEffect::Close => None,
    }
}
