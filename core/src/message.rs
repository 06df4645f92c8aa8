//! What is said: messages, who said them, and the media that became text.
//!
//! Owns the shapes that are stored, archived and handed to consumers. Sizes are counted in Unicode
//! scalar values of `content`, everywhere.

use serde::{Deserialize, Serialize};

use crate::id::{MediaId, MessageId, ProviderMessageId};
use crate::time::Timestamp;

/// One message of a correspondent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Message {
    /// Number within the correspondent.
    pub id: MessageId,
    /// What a bot reads; for a placeholder the caption, until the media has become text.
    #[serde(serialize_with = "crate::contents::text")]
    pub content: String,
    /// Who wrote it.
    pub sender: Participant,
    /// On whose behalf.
    pub source: Source,
    /// When Anteroom took it in.
    pub accepted_time: Timestamp,
    /// Unicode scalar values in `content`.
    pub message_size: u64,
    /// When it was written, as the provider says.
    pub originating_time: Timestamp,
    /// The group it was written in; boxed, for most messages have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Box<Participant>>,
    /// The provider's own id.
    pub provider_message_id: ProviderMessageId,
    /// The provider's network delivered it late.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// Its text or caption was cut at the limit of a single message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The media it carries; boxed, for most messages carry none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Box<Media>>,
}

impl Message {
    /// Whether the message still waits for its media to become text.
    pub fn is_placeholder(&self) -> bool {
        self.media.as_ref().is_some_and(|media| media.outcome.is_none())
    }

    /// The media id, when the message carries media.
    pub fn media_id(&self) -> Option<MediaId> {
        self.media.as_ref().map(|media| media.media_id)
    }

    /// The message as it was before its media became text.
    pub fn into_placeholder(mut self) -> Self {
        if let Some(media) = &mut self.media {
            media.outcome = None;
            self.content = media.caption.clone().unwrap_or_default();
            self.message_size = size_of(&self.content);
        }
        self
    }
}

/// A person or a group, under the names the provider knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Participant {
    /// The permanent id.
    pub identifier: String,
    /// The name people see.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::contents::maybe"
    )]
    pub display_name: Option<String>,
    /// Other ids of the same one.
    #[serde(default)]
    pub alternate_identifiers: Vec<String>,
}

/// On whose behalf a message was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Source {
    /// The correspondent.
    User,
    /// The bot's owner, from another device.
    UserOutgoing,
    /// The bot, through Anteroom.
    Bot,
}

/// The media of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Media {
    /// The media's id; also the job's and the staged file's.
    pub media_id: MediaId,
    /// What a person would call it.
    pub kind: MediaKind,
    /// The declared MIME type, parameters included.
    pub mime_type: String,
    /// The file name its sender gave it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::contents::maybe"
    )]
    pub original_filename: Option<String>,
    /// What its sender wrote beside it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::contents::maybe"
    )]
    pub caption: Option<String>,
    /// What became of it; none while the message is a placeholder. Boxed, for many wait for theirs.
    #[serde(default)]
    pub outcome: Option<Box<Outcome>>,
}

/// What a person would call the media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum MediaKind {
    /// A voice note or other sound.
    Audio,
    /// A moving picture.
    Video,
    /// A picture.
    Image,
    /// A sticker, still or animated.
    Sticker,
    /// Anything with pages, or a file of any other type.
    Document,
}

/// What became of a media job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Outcome {
    /// It became text.
    Text(Extracted),
    /// It was read and holds no speech, or no words.
    Nothing,
    /// The provider could not download or store it.
    Corrupt {
        /// The provider had no space for it.
        #[serde(default)]
        quota_exceeded: bool,
        /// The provider's reason.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::contents::maybe"
        )]
        detail: Option<String>,
    },
    /// No processor takes its type.
    Unsupported {
        /// Why, when the type alone does not say it.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::contents::maybe"
        )]
        detail: Option<String>,
    },
    /// It was outgoing, so it was not processed.
    NotProcessed,
    /// The processor did not end in time.
    TimedOut,
    /// The processor gave up on it.
    Failed {
        /// What kind of failure.
        error: FailureKind,
        /// What the processor said.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::contents::maybe"
        )]
        detail: Option<String>,
    },
    /// It waited longer than its time to live.
    Expired,
    /// An operator discarded it.
    Discarded,
}

/// Text that a processor found in media.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Extracted {
    /// The bare text, without wrapper or caption.
    #[serde(serialize_with = "crate::contents::text")]
    pub text: String,
    /// Its language, as the engine named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How long the recording lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The text was cut to fit its message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Why a processor gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum FailureKind {
    /// The staged file is not there.
    FileMissing,
    /// The file could not be read as what it is.
    Unreadable,
    /// The engine refused it or broke on it.
    Engine,
    /// Transient failures came more often than the pool retries.
    RetriesExhausted,
    /// Three workers in a row were lost while they held it.
    WorkerLost,
}

impl Outcome {
    /// Whether an operator would want to see it, and may retry it: a copy is kept with its file.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::TimedOut | Self::Failed { .. } | Self::Expired => true,
            Self::Text(_)
            | Self::Nothing
            | Self::Corrupt { .. }
            | Self::Unsupported { .. }
            | Self::NotProcessed
            | Self::Discarded => false,
        }
    }
}

/// The size of a text: its Unicode scalar values.
pub fn size_of(text: &str) -> u64 {
    // Most texts are all ASCII, which is quicker to see than to count.
    let count = if text.is_ascii() { text.len() } else { text.chars().count() };
    count as u64
}

/// Cuts `text` to at most `limit` scalar values and says whether it had to.
pub fn truncate(text: &mut String, limit: u64) -> bool {
    // A text of at most `limit` bytes has at most `limit` scalar values: the usual case costs nothing.
    if text.len() as u64 <= limit {
        return false;
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    match text.char_indices().nth(limit) {
        None => false,
        Some((end, _)) => {
            text.truncate(end);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: limits count scalar values, and a cut never splits one.
    #[test]
    fn truncation_counts_scalar_values() {
        for (text, limit, expected) in [
            ("héllo", 5, "héllo"),
            ("héllo", 2, "hé"),
            ("🦀🦀🦀", 2, "🦀🦀"),
            ("", 0, ""),
            ("a", 0, ""),
        ] {
            let mut cut = text.to_owned();
            assert_eq!(truncate(&mut cut, limit), cut.len() < text.len());
            assert_eq!(cut, expected);
            assert!(size_of(&cut) <= limit.max(size_of(text).min(limit)));
        }
    }
}
