//! What every WebSocket here has in common: its buffers, and its orderly end.

use std::time::Duration;

use axum::extract::ws::{CloseCode, CloseFrame, Message, Utf8Bytes, WebSocketUpgrade, close_code};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tracing::debug;

/// Bytes that are read at once: a connection keeps them for as long as it is open, and most are idle. A larger
/// frame is read in several goes.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Bytes that wait for the socket before a write waits too.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Bytes that may ever wait for the socket.
const WRITE_BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// How long a peer may take to answer the closing of the connection.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(2);

/// Bounds what a socket buffers, and the bytes of a message that it reads at all.
pub(super) fn bounded(upgrade: WebSocketUpgrade, message_bytes_max: usize) -> WebSocketUpgrade {
    upgrade
        .max_message_size(message_bytes_max)
        .max_frame_size(message_bytes_max)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
}

/// Why a connection ends from this side; none when the peer ended it, or it broke.
pub(super) type Ending = Option<(CloseCode, &'static str)>;

/// The node, or its part that this connection talks with, is stopping.
pub(super) const STOPPING: Ending =
    Some((close_code::RESTART, "the node is stopping; connect again"));

/// It has said all it had to say.
pub(super) const CLOSED: Ending = Some((close_code::NORMAL, ""));

/// A newer stream has taken its place.
pub(super) const REPLACED: Ending =
    Some((close_code::NORMAL, "a newer stream took over; do not reconnect for it"));

/// How the WebSocket protocol has a connection end on which this was read.
pub(super) fn unreadable(error: axum::Error) -> Ending {
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
pub(super) async fn close(
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
