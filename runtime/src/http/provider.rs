//! `GET /v1/provider`: one provider connection, from its upgrade to its end.
//!
//! Two loops share the socket. Reading hands every frame to the driver and waits while the driver's
//! inbox is full, so a flood is held back in its sender's own socket. Writing takes the session's
//! effects; the driver bounds them, and the listener lets a peer go that does not read. Neither waits
//! for the other, and no connection waits for another.
//!
//! What is no frame is told to the session, which answers it; only what the WebSocket protocol itself
//! calls broken, and a message beyond [`MESSAGE_BYTES_MAX`], ends the connection.

use std::time::Duration;

use anteroom_core::id::SessionId;
use anteroom_core::protocol::limits::FRAME_BYTES_MAX;
use anteroom_core::protocol::{ErrorCode, FrameError, ProviderFrame, parse_provider_frame};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{
    CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tracing::debug;
use uuid::Uuid;

use super::HttpState;
use super::listener::KeptPlace;
use super::problem::Problem;
use super::writer::{self, Written};
use crate::driver::Stopped;

/// Bytes of a message that is read at all. One beyond [`FRAME_BYTES_MAX`] is answered with an error
/// and the connection goes on; one beyond this ends it, since it cannot be skipped in bounded memory.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes that wait for the socket before a write waits too.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Bytes that may ever wait for the socket.
const WRITE_BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// How long a peer may take to answer the closing of the connection.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(2);

/// Begins a provider connection.
pub(super) async fn connect(
    State(state): State<HttpState>,
    place: KeptPlace,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let detail = format!("this is a WebSocket: {}", rejection.body_text());
            return Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket_expected", detail)
                .into_response();
        }
    };
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .on_upgrade(async move |socket| {
            let _kept = place;
            let session_id = SessionId::from(Uuid::new_v4());
            Connection { state, session_id }.run(socket).await;
        })
}

/// Why a connection ends from this side; none when the peer ended it, or it broke.
type Ending = Option<(CloseCode, &'static str)>;

struct Connection {
    state: HttpState,
    session_id: SessionId,
}

impl Connection {
    async fn run(self, socket: WebSocket) {
        let (mut sink, mut stream) = socket.split();
        let ending = match self.state.driver.open_session(self.session_id).await {
            Err(Stopped) => STOPPING,
            Ok(effects) => {
                let ending = self.talk(&mut sink, &mut stream, effects).await;
                // A driver that has stopped needs not be told.
                let _ = self.told(SessionEvent::Closed).await;
                ending
            }
        };
        if let Some((code, reason)) = ending {
            close(&mut sink, &mut stream, code, reason).await;
        }
        debug!(session_id = %self.session_id, "the provider connection has ended");
    }

    /// Reads and writes until one of both ends.
    async fn talk(
        &self,
        sink: &mut (impl Sink<Message, Error = axum::Error> + Unpin),
        stream: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin),
        effects: mpsc::Receiver<SessionEffect>,
    ) -> Ending {
        tokio::select! {
            biased;
            () = self.state.shutdown.cancelled() => STOPPING,
            ending = self.write_all(sink, effects) => ending,
            ending = self.read_all(stream) => ending,
        }
    }

    async fn told(&self, event: SessionEvent) -> Result<(), Stopped> {
        self.state.driver.session_event(self.session_id, event).await
    }

    async fn read_all(
        &self,
        stream: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin),
    ) -> Ending {
        while let Some(message) = stream.next().await {
            let event = match message {
                Ok(Message::Text(text)) => read(&text),
                Ok(Message::Binary(bytes)) => {
                    SessionEvent::Malformed { error: binary(bytes.len()) }
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => SessionEvent::Heard,
                // The socket answers it by itself and then ends.
                Ok(Message::Close(_)) => continue,
                Err(error) => return unreadable(error),
            };
            if let SessionEvent::Frame { frame: ProviderFrame::Message(message), .. } = &event {
                super::media::expect(&self.state.staging, &message.draft).await;
            }
            if self.told(event).await.is_err() {
                return STOPPING;
            }
        }
        None
    }

    async fn write_all(
        &self,
        sink: &mut (impl Sink<Message> + Unpin),
        effects: mpsc::Receiver<SessionEffect>,
    ) -> Ending {
        let now = || self.state.driver.now();
        let media = || super::media::welcome(&self.state.staging);
        let level = self.state.staging.level();
        match writer::write_all(sink, effects, self.session_id, now, media, level).await {
            Written::Broken => None,
            Written::Late => LATE,
            // The session was closed, and everything it had to say has been said.
            Written::All if self.state.driver.is_ready() => CLOSED,
            Written::All => STOPPING,
        }
    }
}

/// The node, or its part that this connection talks with, is stopping.
const STOPPING: Ending = Some((close_code::RESTART, "the node is stopping; connect again"));

/// A receipt is not true any more: the bot may have a new owner.
const LATE: Ending = Some((close_code::RESTART, "a receipt came too late; connect again"));

/// The session has ended.
const CLOSED: Ending = Some((close_code::NORMAL, ""));

/// What a text is to the session. Without tokens, whoever reaches the listener is authorized.
fn read(text: &Utf8Bytes) -> SessionEvent {
    match parse_provider_frame(text.as_str()) {
        Ok(frame) => SessionEvent::Frame { frame, authorized: true },
        Err(error) => SessionEvent::Malformed { error },
    }
}

fn binary(bytes: usize) -> FrameError {
    if bytes > FRAME_BYTES_MAX {
        return FrameError::too_large(bytes as u64);
    }
    FrameError {
        code: ErrorCode::MalformedJson,
        field: None,
        detail: "a binary frame; frames are JSON in text frames".to_owned(),
        seq: None,
        bot_id: None,
        supported: None,
        fatal: false,
    }
}

/// How the WebSocket protocol has a connection end on which this was read.
fn unreadable(error: axum::Error) -> Ending {
    let error = error.into_inner().downcast::<tungstenite::Error>().ok()?;
    match *error {
        tungstenite::Error::Capacity(_) => {
            Some((close_code::SIZE, "the message is too large to be skipped"))
        }
        tungstenite::Error::Utf8(_) => Some((close_code::INVALID, "the text is not UTF-8")),
        tungstenite::Error::Protocol(_) => Some((close_code::PROTOCOL, "")),
        _ => None,
    }
}

/// Says why, and gives the peer a while to read it: a socket that is closed with unread bytes takes
/// what was written last along.
async fn close(
    sink: &mut (impl Sink<Message, Error = axum::Error> + Unpin),
    stream: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin),
    code: CloseCode,
    reason: &'static str,
) {
    let farewell = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
    let closing = async {
        if sink.send(Message::Close(Some(farewell))).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
    };
    if timeout(CLOSING_TIME_MAX, closing).await.is_err() {
        debug!("the peer did not answer the closing of its connection");
    }
}
