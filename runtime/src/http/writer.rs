//! The writing half of a provider connection: effects in, frames out.
//!
//! **Invariant:** what is true only for a while is checked against the clock right before it is
//! written, however long it waited for the peer to read what came before it.

use anteroom_core::id::{ProviderMessageId, SessionId};
use anteroom_core::protocol::server::{Quota, WelcomeMedia};
use anteroom_core::protocol::{ServerFrame, v0};
use anteroom_core::session::event::SessionEffect;
use anteroom_core::time::Timestamp;
use axum::extract::ws::Message;
use futures_util::{Sink, SinkExt};
use tokio::sync::mpsc;
use tracing::debug;

use super::frames::{self, Write};
use crate::media::staging::{Level, Levels};

/// Effects that are written before the socket is flushed.
const EFFECTS_AT_ONCE: usize = 32;

/// How the writing ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// There is nothing more to say.
    All,
    /// The peer is gone, or does not read.
    Broken,
    /// A frame came too late to be true. Its provider keeps the message, and sends it again once it
    /// has connected anew.
    Late,
}

/// Writes what the session has to say until it ends, and, once it is welcomed, whenever staging begins
/// or ceases to refuse files.
pub(super) async fn write_all(
    sink: &mut (impl Sink<Message> + Unpin),
    mut effects: mpsc::Receiver<SessionEffect>,
    session_id: SessionId,
    now: impl Fn() -> Timestamp,
    media: impl Fn() -> WelcomeMedia,
    name: impl Fn(u64) -> Option<ProviderMessageId>,
    mut levels: Levels,
) -> Written {
    let mut batch = Vec::with_capacity(EFFECTS_AT_ONCE);
    // What `welcome` says of staging; none before.
    let mut told_full = None;
    loop {
        tokio::select! {
            biased;
            count = effects.recv_many(&mut batch, EFFECTS_AT_ONCE) => if count == 0 {
                return Written::All;
            },
            level = levels.changed(), if told_full.is_some() => {
                let is_full = level.map(Level::is_full);
                if std::mem::replace(&mut told_full, is_full) == is_full || is_full.is_none() {
                    continue;
                }
                let message = Message::Text(quota(&media()).to_wire().into());
                if sink.feed(message).await.is_err() {
                    return Written::Broken;
                }
            }
        }
        for effect in batch.drain(..) {
            if matches!(effect, SessionEffect::Welcome { .. }) {
                told_full = Some(levels.current().is_full());
            }
            let message = match frames::write(effect, session_id, &media) {
                Write::Ping => Message::Ping(Default::default()),
                Write::Close => return flushed(sink, Written::All).await,
                Write::Frame { valid_until, .. } if now() >= valid_until => {
                    debug!(%session_id, "a frame came too late to be true");
                    return flushed(sink, Written::Late).await;
                }
                Write::Frame { frame, .. } => Message::Text(wire(&frame, &name).into()),
            };
            if sink.feed(message).await.is_err() {
                return Written::Broken;
            }
        }
        if sink.flush().await.is_err() {
            return Written::Broken;
        }
    }
}

/// How much staging may hold and holds, for all bots of the connection.
fn quota(media: &WelcomeMedia) -> ServerFrame {
    let (quota_bytes, used_bytes) = (media.quota_bytes, media.used_bytes);
    ServerFrame::Quota(Quota { bot_id: None, quota_bytes, used_bytes })
}

/// A frame as its provider reads it: a message without a number has a receipt that names its id.
fn wire(frame: &ServerFrame, name: &impl Fn(u64) -> Option<ProviderMessageId>) -> String {
    if let ServerFrame::Receipt(receipt) = frame
        && let Some(name) = name(receipt.seq)
    {
        return v0::receipt(receipt, &name);
    }
    frame.to_wire()
}

async fn flushed(sink: &mut (impl Sink<Message> + Unpin), written: Written) -> Written {
    match sink.flush().await {
        Ok(()) => written,
        Err(_) => Written::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anteroom_core::receipt::{Receipt, RejectReason};
    use serde_json::Value;

    use super::*;
    use crate::media::staging::{Staging, StagingLimits};

    fn receipt(seq: u64, valid_until: Timestamp) -> SessionEffect {
        let receipt = Receipt::rejected(RejectReason::Overflow);
        SessionEffect::Receipt { bot_id: None, seq, receipt, error: None, valid_until }
    }

    /// How a staging directory stands that is gone by then.
    async fn levels() -> Levels {
        let directory = tempfile::tempdir().expect("a directory");
        let staging = Staging::open(directory.path(), StagingLimits::default()).await;
        staging.expect("it opens").level()
    }

    async fn written(
        effects: Vec<SessionEffect>,
        now: impl Fn() -> Timestamp,
    ) -> (Vec<Message>, Written) {
        let (sender, receiver) = mpsc::channel(effects.len());
        for effect in effects {
            sender.try_send(effect).expect("there is room");
        }
        drop(sender);
        let mut sink = Vec::new();
        let session_id = SessionId::from(uuid::Uuid::nil());
        let media = || unreachable!("nobody is welcomed");
        let levels = levels().await;
        let name = |_| None;
        let written = write_all(&mut sink, receiver, session_id, now, media, name, levels).await;
        (sink, written)
    }

    fn seqs(messages: &[Message]) -> Vec<u64> {
        let seq = |message: &Message| {
            let frame: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
            frame["seq"].as_u64()
        };
        messages.iter().filter_map(seq).collect()
    }

    /// Goal: a frame is written while it is true; one that is not ends the connection, for its message
    /// has to come again. The clock is asked for each frame, not once for all that wait.
    /// Method: a clock that goes on by one each time it is asked.
    #[tokio::test]
    async fn what_is_too_late_is_not_written() {
        let clock = Cell::new(9);
        let now = || {
            clock.set(clock.get() + 1);
            Timestamp::from_ms(clock.get())
        };
        let effects = vec![
            receipt(1, Timestamp::from_ms(11)),
            receipt(2, Timestamp::from_ms(11)),
            receipt(3, Timestamp::from_ms(13)),
        ];
        let (messages, written) = written(effects, now).await;
        assert_eq!((seqs(&messages), written), (vec![1], Written::Late));
    }

    /// Goal: a ping is a ping of the WebSocket, and nothing is written behind the end.
    #[tokio::test]
    async fn nothing_is_written_behind_the_end() {
        let effects = vec![SessionEffect::Ping, SessionEffect::Close, receipt(1, Timestamp::MAX)];
        let (messages, written) = written(effects, || Timestamp::ZERO).await;
        assert_eq!(messages, [Message::Ping(Default::default())]);
        assert_eq!(written, Written::All);
    }
}
