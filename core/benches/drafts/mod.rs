//! What a provider hands over, in the sizes of a common chat: made outside of what is measured.

use anteroom_core::draft::{Direction, Draft, DraftMedia};
use anteroom_core::id::{CorrespondentId, MediaId};
use anteroom_core::message::{MediaKind, Participant};
use anteroom_core::time::Timestamp;
use uuid::Uuid;

/// The content of a text: 64 Unicode scalar values.
#[allow(dead_code, reason = "each bench is a program of its own, and not all speak of texts")]
pub const TEXT: &str = "Could you tell me when the shop opens tomorrow, please? Thanks!!";

/// The `number`-th message of a correspondent, whose text is `content`.
pub fn text(correspondent_id: &CorrespondentId, number: u64, content: &str) -> Draft {
    Draft {
        correspondent_id: correspondent_id.clone(),
        provider_message_id: format!("3EB0{number:016X}").into(),
        content: content.to_owned(),
        sender: Participant {
            identifier: correspondent_id.as_str().to_owned(),
            display_name: Some("Ada Lovelace".to_owned()),
            alternate_identifiers: Vec::new(),
        },
        direction: Direction::Incoming,
        send_id: None,
        originating_time: Timestamp::from_ms(number),
        group: None,
        replayed: false,
        media: None,
    }
}

/// The `number`-th message of a correspondent, a voice note without a caption.
#[allow(dead_code, reason = "each bench is a program of its own, and not all speak of media")]
pub fn voice_note(correspondent_id: &CorrespondentId, number: u64) -> Draft {
    let media = DraftMedia {
        media_id: media_id(number),
        kind: MediaKind::Audio,
        mime_type: "audio/ogg; codecs=opus".to_owned(),
        original_filename: None,
        size_bytes: Some(20_000),
        sha256: None,
        quota_exceeded: false,
        detail: None,
    };
    Draft { media: Some(media), ..text(correspondent_id, number, "") }
}

/// The media id of the `number`-th voice note.
#[allow(dead_code, reason = "each bench is a program of its own, and not all speak of media")]
pub fn media_id(number: u64) -> MediaId {
    // Spread over all bits, as random ids are.
    let spread = u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    MediaId::from(Uuid::from_u128(spread))
}

/// The `number`-th correspondent.
pub fn correspondent(number: u64) -> CorrespondentId {
    format!("49170{number:07}@s.whatsapp.net").into()
}
