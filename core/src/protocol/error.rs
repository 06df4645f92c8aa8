//! What is wrong with a frame, and how its sender is told.

use serde::{Deserialize, Serialize};

use super::SUPPORTED_VERSIONS;
use super::envelope::Envelope;
use super::limits::FRAME_BYTES_MAX;
use super::receipt::{Receipt, ReceiptOutcome, Rejection};
use super::server::{ErrorFrame, ServerFrame};
use crate::id::BotId;

/// What is wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ErrorCode {
    /// The text is not JSON, or not a JSON object.
    MalformedJson,
    /// There is no frame of this type in this direction.
    UnknownFrameType,
    /// A required field is absent, or null.
    MissingField,
    /// A field has a wrong type, or a value out of its range.
    InvalidField,
    /// The payload has a version that is not spoken here.
    UnsupportedPayloadVersion,
    /// The frame is larger than any frame may be.
    FrameTooLarge,
    /// The token does not fit the bot, or the bot is not known.
    Unauthorized,
    /// The bot is connected through another provider.
    ProviderMismatch,
    /// The connection has not introduced the bot.
    HelloExpected,
    /// No `hello` came in time.
    HelloTimeout,
    /// The connection carries as many bots as it may.
    TooManyBots,
    /// A newer connection of the same provider instance has taken the bot over.
    Replaced,
    /// The bot was lost to another node; the connection's other bots stay.
    BotLost,
}

impl ErrorCode {
    /// The code as it stands in a frame.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::UnknownFrameType => "unknown_frame_type",
            Self::MissingField => "missing_field",
            Self::InvalidField => "invalid_field",
            Self::UnsupportedPayloadVersion => "unsupported_payload_version",
            Self::FrameTooLarge => "frame_too_large",
            Self::Unauthorized => "unauthorized",
            Self::ProviderMismatch => "provider_mismatch",
            Self::HelloExpected => "hello_expected",
            Self::HelloTimeout => "hello_timeout",
            Self::TooManyBots => "too_many_bots",
            Self::Replaced => "replaced",
            Self::BotLost => "bot_lost",
        }
    }
}

/// Why a text is no frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}{}{}: {detail}", code.as_str(), if field.is_some() { " in " } else { "" },
    field.as_deref().unwrap_or_default())]
pub struct FrameError {
    /// What is wrong, for programs.
    pub code: ErrorCode,
    /// Where, as a path such as `media.media_id`; none when it is the frame as a whole.
    pub field: Option<String>,
    /// What is wrong, for people.
    #[serde(serialize_with = "crate::contents::text")]
    pub detail: String,
    /// The number of the message frame, where it could be read: its receipt is owed.
    pub seq: Option<u64>,
    /// The bot that the frame named, where it could be read.
    pub bot_id: Option<BotId>,
    /// The payload versions that would have been understood.
    pub supported: Option<Vec<u32>>,
    /// Whether the connection ends with it.
    pub fatal: bool,
}

impl FrameError {
    /// A frame of `bytes` that the socket refused before it was a text.
    pub fn too_large(bytes: u64) -> Self {
        let detail = format!("{bytes} bytes are more than the {FRAME_BYTES_MAX} a frame may have");
        Self::new(ErrorCode::FrameTooLarge, None, detail)
    }

    /// An error that ends nothing, of a frame that could not be attributed.
    pub(crate) fn new(code: ErrorCode, field: Option<String>, detail: String) -> Self {
        let supported = match code {
            ErrorCode::UnsupportedPayloadVersion => Some(SUPPORTED_VERSIONS.to_vec()),
            ErrorCode::MalformedJson
            | ErrorCode::UnknownFrameType
            | ErrorCode::MissingField
            | ErrorCode::InvalidField
            | ErrorCode::FrameTooLarge
            | ErrorCode::Unauthorized
            | ErrorCode::ProviderMismatch
            | ErrorCode::HelloExpected
            | ErrorCode::HelloTimeout
            | ErrorCode::TooManyBots
            | ErrorCode::Replaced
            | ErrorCode::BotLost => None,
        };
        Self { code, field, detail, seq: None, bot_id: None, supported, fatal: false }
    }

    /// The error, attributed to whatever the frame's envelope tells.
    pub(super) fn about(self, envelope: Envelope) -> Self {
        Self { seq: envelope.seq, bot_id: envelope.bot_id, ..self }
    }

    /// What to answer: the receipt that is owed to a message, or else an `error` frame.
    pub fn into_reply(self) -> ServerFrame {
        match self.seq {
            Some(seq) if !self.fatal => {
                let invalid = Rejection::Invalid { field: self.field, detail: Some(self.detail) };
                let outcome = ReceiptOutcome::Rejected(invalid);
                ServerFrame::Receipt(Receipt { bot_id: self.bot_id, seq, outcome })
            }
            seq => ServerFrame::Error(ErrorFrame {
                bot_id: self.bot_id,
                code: self.code,
                field: self.field,
                detail: self.detail,
                supported: self.supported,
                expected: None,
                seq,
                fatal: self.fatal,
            }),
        }
    }
}
