//! `GET /v1/bots/{bot}/callbacks`: a bot's callbacks as server-sent events, or over a WebSocket for who asks
//! for one.
//!
//! The stream pulls: a callback leaves the driver's bounded channel when the socket has room for it,
//! and is dropped when it is too late to be true. Whatever is not acknowledged comes again, so
//! nothing is remembered here and `Last-Event-ID` means nothing.

use std::convert::Infallible;

use anteroom_core::bot::event::Callback;
use anteroom_core::id::{BotId, CallbackId};
use anteroom_core::protocol::consumer::CallbackType;
use anteroom_core::protocol::{CallbackBatch, CallbackFrame};
use anteroom_core::time::Timestamp;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tracing::debug;

use super::HttpState;
use super::callback_socket;
use super::listener::KeptPlace;
use super::path::OfBot;
use super::problem::Problem;
use crate::consumer::batch_id;
use crate::driver::{Attached, StreamItem};

/// Opens the stream; it lasts until the client goes, a newer stream takes its place, or the node
/// stops.
pub(super) async fn stream(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
    place: KeptPlace,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if state.driver.has_called_consumer(&bot_id) {
        let detail = "the bot's consumer is called by Anteroom: it has no stream";
        return Err(Problem::new(StatusCode::CONFLICT, "consumer_is_called", detail));
    }
    if headers.contains_key(header::UPGRADE) {
        return callback_socket::open(state, bot_id, place, upgrade).await;
    }
    let attached = state.driver.attach_consumer(bot_id).await;
    let attached = attached.map_err(|_| Problem::stopping())?;
    let keep_alive = KeepAlive::new().interval(state.limits.keep_alive_every);
    let events = events(state, attached, place);
    // A proxy on the way is not to hold events back.
    let unbuffered =
        [(header::CACHE_CONTROL, HeaderValue::from_static("no-store")), (ACCEL_BUFFERING, NO)];
    Ok((unbuffered, Sse::new(events).keep_alive(keep_alive)).into_response())
}

/// Calls a webhook again that has said that it is gone.
pub(super) async fn resume(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
) -> Result<StatusCode, Problem> {
    match state.driver.resume_consumer(bot_id).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => {
            let detail = "the bot's consumer is not called by Anteroom: it comes by itself";
            Err(Problem::new(StatusCode::CONFLICT, "consumer_is_not_called", detail))
        }
        Err(_) => Err(Problem::stopping()),
    }
}

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NO: HeaderValue = HeaderValue::from_static("no");

/// Where a stream stands.
struct Open {
    state: HttpState,
    attached: Attached,
    /// The last event was told; the stream ends.
    ended: bool,
    _kept: KeptPlace,
}

fn events(
    state: HttpState,
    attached: Attached,
    place: KeptPlace,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let open = Open { state, attached, ended: false, _kept: place };
    stream::unfold(open, async |mut open| {
        let event = open.next().await?;
        Some((Ok(event), open))
    })
}

impl Open {
    async fn next(&mut self) -> Option<Event> {
        while !self.ended {
            let item = tokio::select! {
                biased;
                () = self.state.shutdown.cancelled() => None,
                item = self.attached.items.recv() => item,
            };
            match told(item?, self.state.driver.now()) {
                Told::Callback(frame) => return Some(callback_event(&frame)),
                Told::Batch(batch) => return Some(batch_event(&batch)),
                Told::Nothing => debug!("a callback came too late to be true"),
                Told::Replaced => {
                    self.ended = true;
                    return Some(Event::default().event("replaced").data("{}"));
                }
                Told::End => return None,
            }
        }
        None
    }
}

/// What a consumer is told on its stream.
#[derive(Debug)]
pub(super) enum Told {
    Callback(Box<CallbackFrame>),
    Batch(CallbackBatch),
    Replaced,
    /// It is too late for it to be true.
    Nothing,
    End,
}

/// What an item means right now.
pub(super) fn told(item: StreamItem, now: Timestamp) -> Told {
    match item {
        StreamItem::Callback { valid_until, .. } | StreamItem::Callbacks { valid_until, .. }
            if now >= valid_until =>
        {
            Told::Nothing
        }
        StreamItem::Callback { callback, bot_id, .. } => {
            Told::Callback(Box::new(frame(&bot_id, callback)))
        }
        StreamItem::Callbacks { callbacks, bot_id, .. } => {
            let callbacks = callbacks.into_iter().map(|callback| frame(&bot_id, callback));
            Told::Batch(CallbackBatch { callbacks: callbacks.collect() })
        }
        StreamItem::Replaced => Told::Replaced,
        StreamItem::Ended => Told::End,
    }
}

fn frame(bot_id: &BotId, callback: Callback) -> CallbackFrame {
    let callback_id = CallbackId { bot_id: bot_id.clone(), key: callback.key() };
    CallbackFrame::new(callback_id, callback.attempt, callback.message)
}

/// A callback as an event. Its id is percent-encoded and JSON escapes line ends: neither can break
/// the event's lines.
fn callback_event(frame: &CallbackFrame) -> Event {
    let event_type = match frame.callback_type {
        CallbackType::Message => "message",
        CallbackType::Revised => "message.revised",
    };
    let data = serde_json::to_string(frame)
        .expect("a callback is an object of strings, numbers and lists: JSON can write it");
    Event::default().id(frame.callback_id.to_string()).event(event_type).data(data)
}

/// Callbacks that travel together, as one event.
fn batch_event(batch: &CallbackBatch) -> Event {
    let data = serde_json::to_string(batch)
        .expect("callbacks are objects of strings, numbers and lists: JSON can write them");
    Event::default().id(batch_id(&batch.callbacks)).event("messages").data(data)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anteroom_core::id::{Attempt, MessageId};
    use anteroom_core::message::{Message, Participant, Source};

    use super::*;

    fn callback() -> Callback {
        let message = Message {
            id: MessageId::FIRST,
            content: "x".to_owned(),
            sender: Participant::default(),
            source: Source::User,
            accepted_time: Timestamp::ZERO,
            message_size: 1,
            originating_time: Timestamp::ZERO,
            group: None,
            provider_message_id: "p".into(),
            replayed: false,
            truncated: false,
            media: None,
        };
        Callback {
            correspondent_id: "alice".into(),
            attempt: Attempt(1),
            revision: 0,
            message: Arc::new(message),
        }
    }

    /// Goal: a callback is told while it is true, and not from the moment on at which it is not.
    #[test]
    fn a_callback_is_told_only_while_it_is_true() {
        let (now, later) = (Timestamp::from_ms(10), Timestamp::from_ms(11));
        let one = |valid_until| StreamItem::Callback {
            callback: callback(),
            bot_id: "demo".into(),
            valid_until,
        };
        let several = |valid_until| StreamItem::Callbacks {
            callbacks: vec![callback()],
            bot_id: "demo".into(),
            valid_until,
        };
        assert!(matches!(told(one(later), now), Told::Callback(_)));
        assert!(matches!(told(one(now), now), Told::Nothing));
        assert!(matches!(told(several(later), now), Told::Batch(_)));
        assert!(matches!(told(several(now), now), Told::Nothing));
    }
}
