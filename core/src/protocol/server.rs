//! Frames Anteroom → provider, as types.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::PayloadVersion;
use super::error::ErrorCode;
use super::receipt::Receipt;
use crate::id::{BotId, CorrespondentId, SendId, SessionId};

/// What Anteroom says to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ServerFrame {
    /// The bot is known and may talk.
    Welcome(Welcome),
    /// What became of a message.
    Receipt(Receipt),
    /// A message of the bot, to be sent.
    Send(SendFrame),
    /// How much space staging has.
    Quota(Quota),
    /// Something is wrong with a frame, or with the connection.
    Error(ErrorFrame),
    /// The answer to a `ping`.
    Pong(Pong),
}

/// The answer to a `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Welcome {
    /// The version that both sides speak.
    pub payload_version: PayloadVersion,
    /// Which bot; none while the connection has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    /// The connection, for people who read logs.
    pub session_id: SessionId,
    /// How many messages the provider may have without a receipt.
    pub window: NonZeroU32,
    /// Messages up to this number need not be sent again; none when nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_after_seq: Option<u64>,
    /// Where media go.
    pub media: WelcomeMedia,
}

/// Where a provider brings media, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WelcomeMedia {
    /// The staging directory, for a provider that shares it; none when it is not to be shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging_dir: Option<String>,
    /// Where files are uploaded: `PUT <upload_url>/<media_id>`.
    pub upload_url: String,
    /// How much staging may hold.
    pub quota_bytes: u64,
    /// How much it holds.
    pub used_bytes: u64,
    /// How large one file may be.
    pub max_file_bytes: u64,
}

/// A message of the bot, repeated until the provider has answered `sent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SendFrame {
    /// Which bot; none while the connection has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    /// Its idempotency key, which the provider remembers across restarts.
    pub send_id: SendId,
    /// To whom.
    pub correspondent_id: CorrespondentId,
    /// What.
    pub message: String,
}

/// How much space staging has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Quota {
    /// Which bot; none while the connection has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    /// How much staging may hold.
    pub quota_bytes: u64,
    /// How much it holds.
    pub used_bytes: u64,
}

/// Something is wrong with a frame, or with the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorFrame {
    /// Which bot; none while the connection has only one, or when the frame did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    /// What is wrong, for programs.
    pub code: ErrorCode,
    /// Where, as a path such as `media.media_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong, for people.
    pub detail: String,
    /// The payload versions that would have been understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported: Option<Vec<u32>>,
    /// What the field should have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The number of the message frame that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Whether the connection ends with this frame.
    pub fatal: bool,
}

/// The answer to a `ping`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pong {
    /// Which bot; none while the connection has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
}

impl ServerFrame {
    /// The frame as it is sent.
    pub fn to_wire(&self) -> String {
        serde_json::to_string(self)
            .expect("a frame is an object of strings, numbers and lists: JSON can write it")
    }
}
