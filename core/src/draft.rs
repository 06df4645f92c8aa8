//! What a provider hands over: a message before Anteroom has taken it in.
//!
//! Owns the input of intake. A draft is well formed and within the protocol's bounds (whoever made it
//! saw to that), but it has no id, no size and no place in a queue, and it may be a resend.

use serde::{Deserialize, Serialize};

use crate::id::{CorrespondentId, MediaId, ProviderMessageId, SendId};
use crate::message::{MediaKind, Participant};
use crate::time::Timestamp;

/// A message as its provider tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Whose queue it goes to.
    pub correspondent_id: CorrespondentId,
    /// The provider's own id; what a resend is known by.
    pub provider_message_id: ProviderMessageId,
    /// The text, or the caption of the media; may be empty.
    #[serde(serialize_with = "crate::contents::text")]
    pub content: String,
    /// Who wrote it.
    pub sender: Participant,
    /// Which way it went.
    pub direction: Direction,
    /// The key under which Anteroom asked for it to be sent, when it is the echo of such a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_id: Option<SendId>,
    /// When it was written, as the provider says.
    pub originating_time: Timestamp,
    /// The group it was written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Participant>,
    /// The provider's network delivered it late.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// The media it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<DraftMedia>,
}

/// Which way a message went, seen from the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Direction {
    /// To the bot.
    Incoming,
    /// From the bot's account: by its owner on another device, or the echo of a send.
    Outgoing,
}

/// Media as its provider tells it; the file is in staging, or could not be brought there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DraftMedia {
    /// The media's id, which the provider chose; also the staged file's name.
    pub media_id: MediaId,
    /// What a person would call it.
    pub kind: MediaKind,
    /// The declared MIME type, parameters included; `media_corrupt_<kind>` when there is no file.
    pub mime_type: String,
    /// The file name its sender gave it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::contents::maybe"
    )]
    pub original_filename: Option<String>,
    /// How large the staged file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The staged file's SHA-256, in lower-case hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The provider had no space for the file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quota_exceeded: bool,
    /// Why there is no file, in the provider's words.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::contents::maybe"
    )]
    pub detail: Option<String>,
}
