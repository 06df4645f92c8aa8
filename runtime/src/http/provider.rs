//! `GET /v1/provider`: one provider connection, from its upgrade to its end.
//!
//! Two loops share the socket. Reading hands every frame to the driver and waits while the driver's
//! inbox is full, so a flood is held back in its sender's own socket. Writing takes the session's
//! effects; the driver bounds them, and the listener lets a peer go that does not read. Neither waits
//! for the other, and no connection waits for another.
//!
//! What is no frame is told to the session, which answers it; only what the WebSocket protocol itself
//! calls broken, and a message beyond [`MESSAGE_BYTES_MAX`], ends the connection.

use anteroom_core::id::SessionId;
use anteroom_core::protocol::limits::FRAME_BYTES_MAX;
use anteroom_core::protocol::{ErrorCode, FrameError, ProviderFrame, Secret, parse_provider_frame};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{Sink, Stream, StreamExt};
use tokio::sync::mpsc;
use tracing::debug;
use uuid::Uuid;

use super::HttpState;
use super::earlier::Earlier;
use super::guard;
use super::listener::KeptPlace;
use super::pace::Pace;
use super::problem::Problem;
use super::socket::{self, CLOSED, Ending, STOPPING};
use super::writer::{self, Written};
use crate::driver::Stopped;

/// Bytes of a message that is read at all. One beyond [`FRAME_BYTES_MAX`] is answered with an error
/// and the connection goes on; one beyond this ends it, since it cannot be skipped in bounded memory.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Begins a provider connection.
pub(super) async fn connect(
    State(state): State<HttpState>,
    place: KeptPlace,
    headers: HeaderMap,
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
    // One for all bots of the connection; a `hello` may bring its own.
    let token = guard::bearer(&headers).map(Secret::from);
    socket::bounded(upgrade, MESSAGE_BYTES_MAX).on_upgrade(async move |socket| {
        let _kept = place;
        let session_id = SessionId::from(Uuid::new_v4());
        let earlier = Earlier::default();
        Connection { state, session_id, token, earlier }.run(socket).await;
    })
}

struct Connection {
    state: HttpState,
    session_id: SessionId,
    token: Option<Secret>,
    earlier: Earlier,
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
            socket::close(&mut sink, &mut stream, code, reason).await;
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
        let mut pace = Pace::new(self.state.limits.frames);
        let mut was_let_in = false;
        while let Some(message) = stream.next().await {
            pace.step().await;
            if self.state.accepts_v0
                && let Ok(Message::Text(text)) = &message
                && let Some(events) = self.earlier.read(text.as_str())
            {
                for event in events {
                    if self.told(event).await.is_err() {
                        return STOPPING;
                    }
                }
                continue;
            }
            let event = match message {
                Ok(Message::Text(text)) => self.read(&text),
                Ok(Message::Binary(bytes)) => {
                    SessionEvent::Malformed { error: binary(bytes.len()) }
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => SessionEvent::Heard,
                // The socket answers it by itself and then ends.
                Ok(Message::Close(_)) => continue,
                Err(error) => return socket::unreadable(error),
            };
            match &event {
                SessionEvent::Frame { frame: ProviderFrame::Hello(_), authorized: true } => {
                    was_let_in = true;
                }
                // What a stranger announces keeps no room.
                SessionEvent::Frame { frame: ProviderFrame::Message(message), .. }
                    if was_let_in =>
                {
                    super::media::expect(&self.state.staging, &message.draft).await;
                }
                _ => {}
            }
            if self.told(event).await.is_err() {
                return STOPPING;
            }
        }
        None
    }

    /// What a text is to the session.
    fn read(&self, text: &Utf8Bytes) -> SessionEvent {
        match parse_provider_frame(text.as_str()) {
            Ok(frame) => {
                let authorized = self.authorizes(&frame);
                SessionEvent::Frame { frame, authorized }
            }
            Err(error) => SessionEvent::Malformed { error },
        }
    }

    /// Whether a frame's token opens its bot. Only a `hello` has to show one.
    fn authorizes(&self, frame: &ProviderFrame) -> bool {
        let ProviderFrame::Hello(hello) = frame else { return true };
        let token = hello.token.as_ref().or(self.token.as_ref()).map(Secret::expose);
        self.state.access.opens_bot(&hello.bot_id, token)
    }

    async fn write_all(
        &self,
        sink: &mut (impl Sink<Message> + Unpin),
        effects: mpsc::Receiver<SessionEffect>,
    ) -> Ending {
        let now = || self.state.driver.now();
        let media = || super::media::welcome(&self.state.staging);
        let level = self.state.staging.level();
        let name = |seq| self.earlier.name(seq);
        match writer::write_all(sink, effects, self.session_id, now, media, name, level).await {
            Written::Broken => None,
            Written::Late => LATE,
            // The session was closed, and everything it had to say has been said.
            Written::All if self.state.driver.is_ready() => CLOSED,
            Written::All => STOPPING,
        }
    }
}

/// A receipt is not true any more: the bot may have a new owner.
const LATE: Ending = Some((close_code::RESTART, "a receipt came too late; connect again"));

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
