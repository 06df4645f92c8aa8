//! `GET /v1/bots/{bot}/callbacks`: a bot's callbacks as server-sent events, and
//! `POST /v1/bots/{bot}/callbacks/ack`: their acknowledgement.
//!
//! The stream pulls: a callback leaves the driver's bounded channel when the socket has room for it,
//! and is dropped when it is too late to be true. Whatever is not acknowledged comes again, so
//! nothing is remembered here and `Last-Event-ID` means nothing.

use std::convert::Infallible;

use anteroom_core::bot::event::{AckAnswer, Callback};
use anteroom_core::id::{BotId, CallbackId};
use anteroom_core::protocol::consumer::CallbackType;
use anteroom_core::protocol::limits::ACK_BODY_BYTES_MAX;
use anteroom_core::protocol::{AckResponse, CallbackFrame, parse_ack};
use anteroom_core::time::Timestamp;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{self, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tracing::debug;

use super::HttpState;
use super::body;
use super::listener::KeptPlace;
use super::path::OfBot;
use super::problem::Problem;
use crate::driver::{Attached, StreamItem};

/// Opens the stream; it lasts until the client goes, a newer stream takes its place, or the node
/// stops.
pub(super) async fn stream(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
    place: KeptPlace,
) -> Result<Response, Problem> {
    let attached = state.driver.attach_consumer(bot_id).await;
    let attached = attached.map_err(|_| Problem::stopping())?;
    let keep_alive = KeepAlive::new().interval(state.limits.keep_alive_every);
    let events = events(state, attached, place);
    // A proxy on the way is not to hold events back.
    let unbuffered =
        [(header::CACHE_CONTROL, HeaderValue::from_static("no-store")), (ACCEL_BUFFERING, NO)];
    Ok((unbuffered, Sse::new(events).keep_alive(keep_alive)).into_response())
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
                Told::Event(event) => return Some(event),
                Told::Nothing => debug!("a callback came too late to be true"),
                Told::LastEvent(event) => {
                    self.ended = true;
                    return Some(event);
                }
                Told::End => return None,
            }
        }
        None
    }
}

/// What a consumer is told.
#[derive(Debug)]
enum Told {
    Event(Event),
    LastEvent(Event),
    Nothing,
    End,
}

fn told(item: StreamItem, now: Timestamp) -> Told {
    match item {
        StreamItem::Callback { valid_until, .. } if now >= valid_until => Told::Nothing,
        StreamItem::Callback { callback, bot_id, .. } => {
            Told::Event(callback_event(callback, bot_id))
        }
        StreamItem::Replaced => Told::LastEvent(Event::default().event("replaced").data("{}")),
        StreamItem::Ended => Told::End,
    }
}

/// A callback as an event. Its id is percent-encoded and JSON escapes line ends: neither can break
/// the event's lines.
fn callback_event(callback: Callback, bot_id: BotId) -> Event {
    let callback_id = CallbackId { bot_id, key: callback.key() };
    let id = callback_id.to_string();
    let frame = CallbackFrame::new(callback_id, callback.attempt, callback.message);
    let event_type = match frame.callback_type {
        CallbackType::Message => "message",
        CallbackType::Revised => "message.revised",
    };
    let data = serde_json::to_string(&frame)
        .expect("a callback is an object of strings, numbers and lists: JSON can write it");
    Event::default().id(id).event(event_type).data(data)
}

/// Acknowledges callbacks, and answers once that is durable.
pub(super) async fn acknowledge(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
    body: Body,
) -> Result<Json<AckResponse>, Problem> {
    let text = body::text(body, ACK_BODY_BYTES_MAX).await?;
    let request = parse_ack(&text).map_err(Problem::invalid)?;
    let mut unknown = request.unknown;
    let (own, foreign): (Vec<CallbackId>, Vec<CallbackId>) =
        request.callback_ids.into_iter().partition(|id| id.bot_id == bot_id);
    unknown.extend(foreign.iter().map(ToString::to_string));
    let keys: Vec<_> = own.into_iter().map(|id| id.key).collect();
    if keys.is_empty() {
        return Ok(Json(AckResponse { acknowledged: 0, unknown }));
    }
    let answer = state.driver.acknowledge(bot_id.clone(), keys).await;
    let answer = answer.map_err(|_| Problem::stopping())?;
    let AckAnswer { acknowledged, unknown: keys } =
        answer.ok_or_else(|| Problem::not_durable("the acknowledgement"))?;
    unknown
        .extend(keys.into_iter().map(|key| CallbackId { bot_id: bot_id.clone(), key }.to_string()));
    Ok(Json(AckResponse { acknowledged: acknowledged as u64, unknown }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anteroom_core::id::{Attempt, MessageId};
    use anteroom_core::message::{Message, Participant, Source};

    use super::*;

    fn callback(valid_until: u64) -> StreamItem {
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
        let callback = Callback {
            correspondent_id: "alice".into(),
            attempt: Attempt(1),
            revision: 0,
            message: Arc::new(message),
        };
        let valid_until = Timestamp::from_ms(valid_until);
        StreamItem::Callback { callback, bot_id: "demo".into(), valid_until }
    }

    /// Goal: a callback is told while it is true, and not from the moment on at which it is not.
    #[test]
    fn a_callback_is_told_only_while_it_is_true() {
        let now = Timestamp::from_ms(10);
        assert!(matches!(told(callback(11), now), Told::Event(_)));
        assert!(matches!(told(callback(10), now), Told::Nothing));
    }
}
