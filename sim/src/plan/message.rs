//! Messages as a plan describes them, and as their provider hands them over.

use anteroom_core::draft::{Direction, Draft, DraftMedia};
use anteroom_core::id::{CorrespondentId, MediaId, ProviderMessageId, SendId};
use anteroom_core::message::{MediaKind, Participant};
use anteroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A message that will come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedMessage {
    /// To which bot.
    pub bot: usize,
    /// From whom.
    pub correspondent_id: CorrespondentId,
    /// What its provider calls it.
    pub provider_message_id: ProviderMessageId,
    /// The text, or the caption.
    pub text: String,
    /// Which way it went.
    pub direction: Direction,
    /// The key of the send that it is the echo of, where the network says so.
    pub send_id: Option<SendId>,
    /// Whether it comes by a request instead of a connection.
    pub posted: bool,
    /// What it carries.
    pub media: Option<PlannedMedia>,
}

/// Which message of a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageName {
    /// Whose bot, as a place in the plan's list.
    pub bot: usize,
    /// From whom.
    pub correspondent_id: CorrespondentId,
    /// What its provider calls it.
    pub provider_message_id: ProviderMessageId,
}

/// A medium that will come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedMedia {
    /// Its id.
    pub media_id: MediaId,
    /// What a person would call it.
    pub kind: MediaKind,
    /// Its declared type.
    pub mime_type: String,
    /// The name its sender gave it.
    pub filename: Option<String>,
    /// Whether its file comes along.
    pub file: FileState,
    /// What becomes of it once nothing disturbs.
    pub processing: Processing,
}

/// Whether a medium's file comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// It is staged before the message is sent.
    Staged,
    /// It is not there although the message says so.
    Missing,
    /// The provider had no space for it, and says so.
    QuotaExceeded,
}

/// What a processor makes of a medium once nothing disturbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Processing {
    /// Text of this many characters.
    Text {
        /// How many.
        characters: u64,
    },
    /// It holds nothing.
    Nothing,
    /// It cannot be read.
    Unreadable,
}

impl PlannedMessage {
    /// Which message it is.
    pub fn name(&self) -> MessageName {
        MessageName {
            bot: self.bot,
            correspondent_id: self.correspondent_id.clone(),
            provider_message_id: self.provider_message_id.clone(),
        }
    }

    /// The message as its provider hands it over.
    pub fn draft(&self, now: Timestamp) -> Draft {
        let sender = Participant {
            identifier: self.correspondent_id.as_str().to_owned(),
            ..Participant::default()
        };
        Draft {
            correspondent_id: self.correspondent_id.clone(),
            provider_message_id: self.provider_message_id.clone(),
            content: self.text.clone(),
            sender,
            direction: self.direction,
            send_id: self.send_id.clone(),
            originating_time: now,
            group: None,
            replayed: false,
            media: self.media.as_ref().map(PlannedMedia::draft),
        }
    }
}

impl PlannedMedia {
    fn draft(&self) -> DraftMedia {
        let quota_exceeded = match self.file {
            FileState::Staged | FileState::Missing => false,
            FileState::QuotaExceeded => true,
        };
        DraftMedia {
            media_id: self.media_id,
            kind: self.kind,
            mime_type: if quota_exceeded {
                "media_corrupt_audio".to_owned()
            } else {
                self.mime_type.clone()
            },
            original_filename: self.filename.clone(),
            size_bytes: None,
            sha256: None,
            quota_exceeded,
            detail: None,
        }
    }
}
