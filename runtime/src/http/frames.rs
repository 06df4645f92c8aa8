//! What the core has to say to a provider, as the frames it travels in.

use std::num::NonZeroU32;

use anteroom_core::id::{ProviderName, SessionId};
use anteroom_core::protocol::receipt::EvictionReason;
use anteroom_core::protocol::server::{Pong, SendFrame, WelcomeMedia};
use anteroom_core::protocol::{
    ErrorFrame, FrameError, PayloadVersion, Receipt as ReceiptFrame, ReceiptOutcome, Rejection,
    ServerFrame, Welcome,
};
use anteroom_core::receipt::{EvictReason, Receipt, RejectReason};
use anteroom_core::session::event::SessionEffect;
use anteroom_core::time::Timestamp;

/// What is to be done at the socket.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// A frame is to be written, unless it is `valid_until` or later.
    Frame {
        /// The frame.
        frame: ServerFrame,
        /// The first moment at which it is not true any more.
        valid_until: Timestamp,
    },
    /// A WebSocket ping.
    Ping,
    /// The connection ends after what was written before.
    Close,
}

/// What `effect` means at the socket of `session_id`; `media` is asked when the session is welcomed.
pub(super) fn write(
    effect: SessionEffect,
    session_id: SessionId,
    media: impl FnOnce() -> WelcomeMedia,
) -> Write {
    let (frame, valid_until) = match effect {
        SessionEffect::Welcome { bot_id, window, resume_after_seq } => {
            let welcome = Welcome {
                payload_version: PayloadVersion,
                bot_id: Some(bot_id),
                session_id,
                window: NonZeroU32::new(window).unwrap_or(NonZeroU32::MIN),
                resume_after_seq,
                media: media(),
            };
            (ServerFrame::Welcome(welcome), Timestamp::MAX)
        }
        SessionEffect::Receipt { bot_id, seq, receipt, error, valid_until } => {
            let outcome = outcome(receipt, error);
            (ServerFrame::Receipt(ReceiptFrame { bot_id, seq, outcome }), valid_until)
        }
        SessionEffect::Send { bot_id, send, valid_until } => {
            let frame = SendFrame {
                bot_id,
                send_id: send.send_id,
                correspondent_id: send.correspondent_id,
                message: send.message,
            };
            (ServerFrame::Send(frame), valid_until)
        }
        SessionEffect::Error { error, expected } => {
            (ServerFrame::Error(error_frame(*error, expected)), Timestamp::MAX)
        }
        SessionEffect::Pong => (ServerFrame::Pong(Pong::default()), Timestamp::MAX),
        SessionEffect::Ping => return Write::Ping,
        SessionEffect::Close => return Write::Close,
    };
    Write::Frame { frame, valid_until }
}

/// A receipt on the wire; `error` says what is wrong with an invalid message.
pub(super) fn outcome(receipt: Receipt, error: Option<Box<FrameError>>) -> ReceiptOutcome {
    match receipt {
        Receipt::Accepted { message_id } => {
            ReceiptOutcome::Accepted { message_id: message_id.into_inner() }
        }
        Receipt::Duplicate { message_id } => {
            ReceiptOutcome::Duplicate { message_id: message_id.into_inner() }
        }
        Receipt::Rejected { reason, retry_after } => ReceiptOutcome::Rejected(match reason {
            RejectReason::Overflow => Rejection::Overflow { retry_after },
            RejectReason::PlaceholderLimit => Rejection::PlaceholderLimit { retry_after },
            RejectReason::BotNotRunning => Rejection::BotNotRunning { retry_after },
            RejectReason::RetryLater => Rejection::RetryLater { retry_after },
            RejectReason::Invalid => {
                let (field, detail) = error.map(|error| (error.field, error.detail)).unzip();
                Rejection::Invalid { field: field.flatten(), detail }
            }
        }),
        Receipt::Evicted { reason, retry_after } => {
            let reason = match reason {
                EvictReason::Age => EvictionReason::Age,
                EvictReason::Characters => EvictionReason::Characters,
                EvictReason::Count => EvictionReason::Count,
            };
            ReceiptOutcome::Evicted { reason, retry_after }
        }
    }
}

fn error_frame(error: FrameError, expected: Option<ProviderName>) -> ErrorFrame {
    ErrorFrame {
        bot_id: error.bot_id,
        code: error.code,
        field: error.field,
        detail: error.detail,
        supported: error.supported,
        expected: expected.map(|name| name.to_string()),
        seq: error.seq,
        fatal: error.fatal,
    }
}
