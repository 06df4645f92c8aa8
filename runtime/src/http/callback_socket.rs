//! A bot's callbacks over a WebSocket, acknowledged in-band or by request.
//!
//! Two loops share the socket, as for a provider. Writing takes callbacks from the driver's bounded channel
//! when the socket has room, and answers before callbacks. Reading takes acknowledgements, several of which
//! may be on their way to being durable; their answers come in their order. A consumer that reads nothing
//! is not read either, and the listener lets it go.

use std::time::Duration;

use anteroom_core::id::BotId;
use anteroom_core::protocol::limits::ACK_BODY_BYTES_MAX;
use anteroom_core::protocol::server::{ErrorFrame, Pong};
use anteroom_core::protocol::{
    ConsumerFrame, ErrorCode, FrameError, NotAcked, StreamFrame, StreamWord, parse_consumer_frame,
};
use anteroom_core::time::Millis;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::stream::FuturesOrdered;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tracing::debug;

use super::HttpState;
use super::acknowledgements::acknowledged;
use super::callbacks::{Told, told};
use super::listener::KeptPlace;
use super::pace::Pace;
use super::problem::Problem;
use super::socket::{self, CLOSED, Ending, REPLACED, STOPPING};
use crate::driver::{Attached, Stopped};

/// Bytes of a message that is read at all: one beyond the bound of an acknowledgement is answered with an
/// error, one beyond this ends the connection.
const MESSAGE_BYTES_MAX: usize = 2 * ACK_BODY_BYTES_MAX;

/// Acknowledgements of one stream that may be on their way to being durable.
const ACKS_AT_ONCE: usize = 16;

/// Answers that may wait for the socket.
const ANSWERS_WAITING: usize = 64;

/// How often a consumer is pinged.
const PING_EVERY: Duration = Duration::from_secs(20);

/// A consumer that is silent for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// When an acknowledgement that could not be made durable is to be sent again.
const ACK_AGAIN_AFTER: Millis = Millis::from_secs(1);

/// Begins a stream of callbacks over a WebSocket. The consumer is attached before the upgrade is answered: of
/// two streams the one that was answered last is the newest, however late either socket is ready.
pub(super) async fn open(
    state: HttpState,
    bot_id: BotId,
    place: KeptPlace,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| {
        let detail = format!("no WebSocket: {}", rejection.body_text());
        Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket_expected", detail)
    })?;
    let attached = state.driver.attach_consumer(bot_id.clone()).await;
    let attached = attached.map_err(|_| Problem::stopping())?;
    Ok(socket::bounded(upgrade, MESSAGE_BYTES_MAX).on_upgrade(async move |socket| {
        let _kept = place;
        CallbackSocket { state, bot_id }.run(socket, attached).await;
    }))
}

struct CallbackSocket {
    state: HttpState,
    bot_id: BotId,
}

impl CallbackSocket {
    async fn run(self, socket: WebSocket, attached: Attached) {
        let (mut sink, mut stream) = socket.split();
        let (answers, to_answer) = mpsc::channel(ANSWERS_WAITING);
        let ending = tokio::select! {
            biased;
            () = self.state.shutdown.cancelled() => STOPPING,
            ending = self.write_all(&mut sink, attached, to_answer) => ending,
            ending = self.read_all(&mut stream, answers) => ending,
        };
        if let Some((code, reason)) = ending {
            socket::close(&mut sink, &mut stream, code, reason).await;
        }
        debug!(bot_id = self.bot_id.as_str(), "a stream of callbacks has ended");
    }

    async fn write_all(
        &self,
        sink: &mut (impl Sink<Message> + Unpin),
        mut attached: Attached,
        mut answers: mpsc::Receiver<StreamWord>,
    ) -> Ending {
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                biased;
                Some(answer) = answers.recv() => text(&answer.into()),
                item = attached.items.recv() => {
                    let Some(item) = item else { return CLOSED };
                    match told(item, self.state.driver.now()) {
                        Told::Callback(frame) => text(&StreamFrame::Callback(frame)),
                        Told::Batch(batch) => text(&StreamFrame::Batch(batch)),
                        Told::Nothing => continue,
                        Told::Replaced => {
                            let _ = sink.send(text(&StreamWord::Replaced.into())).await;
                            return REPLACED;
                        }
                        Told::End => return STOPPING,
                    }
                }
                _ = pings.tick() => Message::Ping(Default::default()),
            };
            if sink.feed(message).await.is_err() {
                return None;
            }
            // What waits already goes out with it.
            if attached.items.is_empty() && answers.is_empty() && sink.flush().await.is_err() {
                return None;
            }
        }
    }

    async fn read_all(
        &self,
        stream: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin),
        answers: mpsc::Sender<StreamWord>,
    ) -> Ending {
        let mut pace = Pace::new(self.state.limits.frames);
        let mut acks = FuturesOrdered::new();
        loop {
            let message = tokio::select! {
                biased;
                Some(answer) = acks.next(), if !acks.is_empty() => {
                    match answer {
                        Ok(word) => answers.send(word).await.ok()?,
                        Err(Stopped) => return STOPPING,
                    }
                    continue;
                }
                message = timeout(SILENCE_MAX, stream.next()), if acks.len() < ACKS_AT_ONCE => message,
            };
            let frame = match message {
                Err(_) => return None,
                Ok(None) => return None,
                Ok(Some(Err(error))) => return socket::unreadable(error),
                Ok(Some(Ok(Message::Text(frame)))) => parse_consumer_frame(&frame),
                Ok(Some(Ok(Message::Binary(_)))) => Err(binary()),
                // The socket answers a closing by itself and then ends.
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)))) => continue,
            };
            pace.step().await;
            match frame {
                Ok(ConsumerFrame::Ack(request)) => acks.push_back(async {
                    let response = acknowledged(&self.state.driver, &self.bot_id, request).await?;
                    Ok(response.map_or_else(not_acked, StreamWord::Acked))
                }),
                Ok(ConsumerFrame::Ping) => {
                    answers.send(StreamWord::Pong(Pong::default())).await.ok()?;
                }
                Err(error) => answers.send(StreamWord::Error(told_error(error))).await.ok()?,
            }
        }
    }
}

fn text(frame: &StreamFrame) -> Message {
    Message::Text(frame.to_wire().into())
}

fn not_acked() -> StreamWord {
    StreamWord::NotAcked(NotAcked {
        detail: "the acknowledgement is not durable: the bot is not running, or the store is away"
            .to_owned(),
        retry_after: ACK_AGAIN_AFTER,
    })
}

fn binary() -> FrameError {
    let detail = "a binary frame; frames are JSON in text frames".to_owned();
    FrameError {
        code: ErrorCode::MalformedJson,
        field: None,
        detail,
        seq: None,
        bot_id: None,
        supported: None,
        fatal: false,
    }
}

fn told_error(error: FrameError) -> ErrorFrame {
    ErrorFrame {
        bot_id: None,
        code: error.code,
        field: error.field,
        detail: error.detail,
        supported: None,
        expected: None,
        seq: None,
        fatal: false,
    }
}
