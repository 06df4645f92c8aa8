//! The frames a provider sends, as JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uuid::Uuid;

/// The provider that the tests play.
pub const PROVIDER_NAME: &str = "blackbox";

/// The first frame of a connection.
pub fn hello(bot_id: &str, provider_instance: &str) -> Value {
    json!({
        "type": "hello",
        "payload_version": 1,
        "bot_id": bot_id,
        "provider_name": PROVIDER_NAME,
        "provider_instance": provider_instance,
    })
}

/// A text, without the `seq` that a connection gives it.
pub fn text(correspondent_id: &str, provider_message_id: &str, text: &str) -> Value {
    json!({
        "type": "message",
        "payload_version": 1,
        "provider_message_id": provider_message_id,
        "correspondent_id": correspondent_id,
        "sender": {
            "identifier": correspondent_id,
            "display_name": "Ada",
            "alternate_identifiers": [],
        },
        "group": null,
        "direction": "incoming",
        "originating_time": now_ms(),
        "replayed": false,
        "message": text,
    })
}

/// Media as a provider declares them.
#[derive(Debug, Clone)]
pub struct Media {
    /// Also the staged file's name.
    pub media_id: Uuid,
    /// `audio`, `video`, `image`, `sticker` or `document`.
    pub kind: &'static str,
    /// The declared type.
    pub mime_type: &'static str,
    /// The file name its sender gave it.
    pub original_filename: Option<&'static str>,
    /// How large the file is.
    pub size_bytes: usize,
}

impl Media {
    /// A document with a new id.
    pub fn document(mime_type: &'static str, filename: &'static str, bytes: &[u8]) -> Self {
        Self {
            media_id: Uuid::new_v4(),
            kind: "document",
            mime_type,
            original_filename: Some(filename),
            size_bytes: bytes.len(),
        }
    }
}

/// A message with media, without the `seq` that a connection gives it.
pub fn media(
    correspondent_id: &str,
    provider_message_id: &str,
    caption: &str,
    media: &Media,
) -> Value {
    let mut frame = text(correspondent_id, provider_message_id, caption);
    frame["media"] = json!({
        "media_id": media.media_id,
        "kind": media.kind,
        "mime_type": media.mime_type,
        "original_filename": media.original_filename,
        "size_bytes": media.size_bytes,
    });
    frame
}

/// The `provider_message_id` of a message frame.
pub fn provider_message_id(frame: &Value) -> &str {
    frame["provider_message_id"].as_str().expect("the tests' messages carry one")
}

/// Milliseconds since the epoch.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(since.as_millis()).expect("milliseconds fit for a long time")
}
