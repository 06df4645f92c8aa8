//! What a frame tells of itself when it cannot be read as a whole.
//!
//! A message frame that is refused is owed a receipt, or its provider would keep it for ever. So the
//! number and the bot are looked for even in a frame that is too large, too deep, or wrong elsewhere.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::{Map, Value};

use super::fields::is_id;
use super::limits::FRAME_BYTES_MAX;
use crate::id::BotId;

/// The number and the bot of a frame.
#[derive(Debug, Clone, Default)]
pub(super) struct Envelope {
    /// The number, if it is a message's and well formed.
    pub(super) seq: Option<u64>,
    /// The bot, if it is well formed.
    pub(super) bot_id: Option<BotId>,
    /// The field that alone is larger than a frame may be.
    pub(super) large_field: Option<&'static str>,
}

impl Envelope {
    /// Looks into a frame that is JSON.
    pub(super) fn of_object(object: &Map<String, Value>) -> Self {
        let text = |name| object.get(name).and_then(Value::as_str);
        let seq = object.get("seq").and_then(Value::as_u64);
        Self::new(text("type"), seq, text("bot_id"))
    }

    /// Looks into a text of any size and depth, without building its JSON in memory.
    pub(super) fn of_text(text: &str) -> Self {
        let Ok(outline) = serde_json::from_str::<Outline>(text) else { return Self::default() };
        let large = outline.message.is_some_and(|TextBytes(bytes)| bytes > FRAME_BYTES_MAX);
        let envelope =
            Self::new(outline.frame_type.as_deref(), outline.seq, outline.bot_id.as_deref());
        Self { large_field: large.then_some("message"), ..envelope }
    }

    fn new(frame_type: Option<&str>, seq: Option<u64>, bot_id: Option<&str>) -> Self {
        Self {
            seq: seq.filter(|_| frame_type == Some("message")),
            bot_id: bot_id.filter(|text| is_id(text)).map(BotId::from),
            large_field: None,
        }
    }
}

/// The few fields that are looked for; every other is skipped, whatever it holds.
#[derive(Deserialize)]
struct Outline {
    #[serde(default, rename = "type")]
    frame_type: Option<String>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    bot_id: Option<String>,
    #[serde(default)]
    message: Option<TextBytes>,
}

/// The length of a text that is not kept.
struct TextBytes(usize);

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Length;

        impl Visitor<'_> for Length {
            type Value = TextBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TextBytes, E> {
                Ok(TextBytes(text.len()))
            }
        }

        deserializer.deserialize_str(Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, seq: Option<u64>, bot_id: Option<&str>) {
        let envelope = Envelope::of_text(text);
        assert_eq!(envelope.seq, seq, "{text}");
        assert_eq!(envelope.bot_id.as_ref().map(BotId::as_str), bot_id, "{text}");
    }

    /// Goal: only a message frame has a number, and only a well-formed bot id is repeated.
    #[test]
    fn an_envelope_tells_only_what_is_certain() {
        check(r#"{"type":"message","seq":7,"bot_id":"wa-7"}"#, Some(7), Some("wa-7"));
        check(r#"{"type":"status","seq":7,"bot_id":"wa-7"}"#, None, Some("wa-7"));
        check(r#"{"type":"message","seq":-7}"#, None, None);
        check(r#"{"type":"message","seq":7,"bot_id":""}"#, Some(7), None);
        check(r#"{"type":"message","seq":7,"#, None, None);
        check("[]", None, None);
    }

    /// Goal: a number that no reader takes and nesting that no reader follows hide no seq.
    #[test]
    fn an_envelope_is_read_past_what_is_unreadable() {
        check(r#"{"type":"message","seq":7,"size":1e999}"#, Some(7), None);
        let deep = format!(
            r#"{{"type":"message","seq":7,"x":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(Envelope::of_text(&deep).seq, Some(7));
    }
}
