//! The messages of the earlier backend's bridges, `payload_version` 0, where a listener takes them.
//!
//! A frame is one message, or a list of them; they have no `seq`, and their receipts name the
//! `provider_message_id`. Field by field: `docs/protocol/v0.md`. One bad message of a list never takes its
//! neighbours along.
//!
//! Inside, such a message has a number like any other, from [`FIRST_SEQ`] on; whoever reads the frames gives
//! them, and translates them back in the receipts.

use serde_json::{Map, Value};

use super::error::{ErrorCode, FrameError};
use super::fields::{
    FieldError, Fields, Reading, flag, id, media_id, name_up_to, object, one_of, text, text_cut_to,
    timestamp,
};
use super::limits::{
    ALTERNATE_IDENTIFIERS_MAX, DISPLAY_NAME_CHARACTERS_MAX, FILENAME_CHARACTERS_MAX,
    FRAME_BYTES_MAX, MIME_TYPE_BYTES_MAX,
};
use super::parse::{DIRECTIONS, json};
use super::provider::MessageFrame;
use super::receipt::Receipt;
use crate::draft::{Direction, Draft, DraftMedia};
use crate::id::{BotId, CorrespondentId, ProviderMessageId};
use crate::message::{MediaKind, Participant};

/// The first number that is given to a message without one. No message of version 1 that a provider counts
/// comes near it; nothing is resumed behind it.
pub const FIRST_SEQ: u64 = 1 << 63;

/// What the type of media without a file begins with.
const CORRUPT: &str = "media_corrupt_";

/// One message of a frame, or what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The provider's id of it, where that could be read.
    pub provider_message_id: Option<ProviderMessageId>,
    /// The bot that it names.
    pub bot_id: Option<BotId>,
    /// The message.
    pub draft: Result<Box<Draft>, FrameError>,
}

/// Reads the messages of a frame of version 0; none when it is a frame of another version, or none at all.
pub fn parse(frame: &str) -> Option<Vec<Entry>> {
    if frame.len() > FRAME_BYTES_MAX {
        return None;
    }
    match json(frame).ok()? {
        Value::Array(entries) => Some(entries.into_iter().map(entry).collect()),
        Value::Object(object) if is_version_0(&object) => Some(vec![entry(Value::Object(object))]),
        _ => None,
    }
}

/// The receipt of a message of version 0, as it is sent.
pub fn receipt(receipt: &Receipt, provider_message_id: &ProviderMessageId) -> String {
    let mut frame = serde_json::to_value(receipt).unwrap_or_default();
    if let Value::Object(fields) = &mut frame {
        fields.remove("seq");
        fields.insert("type".to_owned(), "receipt".into());
        fields.insert("payload_version".to_owned(), 0.into());
        fields.insert("provider_message_id".to_owned(), provider_message_id.as_str().into());
    }
    frame.to_string()
}

impl Entry {
    /// The message under the number that it was given.
    ///
    /// # Errors
    /// What is wrong with it; it carries the number where its provider can be told by its id.
    pub fn numbered(self, seq: u64) -> Result<MessageFrame, FrameError> {
        let Self { provider_message_id, bot_id, draft } = self;
        match draft {
            Ok(draft) => Ok(MessageFrame { seq, bot_id, draft }),
            Err(error) => {
                let seq = provider_message_id.map(|_| seq);
                Err(FrameError { seq, bot_id, ..error })
            }
        }
    }
}

fn is_version_0(object: &Map<String, Value>) -> bool {
    match object.get("payload_version") {
        Some(version) => version == 0,
        None => !object.contains_key("type"),
    }
}

fn entry(value: Value) -> Entry {
    let object = match object(value) {
        Ok(object) => object,
        Err(detail) => {
            let error = FrameError::new(ErrorCode::MalformedJson, None, detail);
            return Entry { provider_message_id: None, bot_id: None, draft: Err(error) };
        }
    };
    let named = |name: &str| object.get(name).cloned().and_then(|value| id::<String>(value).ok());
    let provider_message_id = named("provider_message_id").map(ProviderMessageId::from);
    let bot_id = named("bot_id").map(BotId::from);
    let draft = draft(&mut Fields::of_frame(object)).map(Box::new).map_err(FrameError::from);
    Entry { provider_message_id, bot_id, draft }
}

fn draft(fields: &mut Fields) -> Result<Draft, FieldError> {
    let provider_message_id = fields.required("provider_message_id", id)?;
    let direction = fields.required("direction", one_of(DIRECTIONS))?;
    let sender = fields.required("sender", participant)?;
    let recipient = fields.optional("recipient", participant)?;
    let group = fields.optional("group", participant)?;
    let named = fields.optional("correspondent_id", id)?;
    let correspondent_id =
        named.or_else(|| correspondent(direction, &sender, recipient, group.as_ref()));
    let media = media(fields)?;
    let content = match fields.optional("message", text)? {
        Some(content) => content,
        None if media.is_some() => String::new(),
        None => return Err(fields.missing("message")),
    };
    Ok(Draft {
        correspondent_id: correspondent_id.ok_or_else(|| fields.missing("recipient"))?,
        provider_message_id,
        content,
        sender,
        direction,
        send_id: None,
        originating_time: fields.required("originating_time", timestamp)?,
        group,
        replayed: fields.optional("replayed", flag)?.unwrap_or(false),
        media,
    })
}

/// Whom the bot talks with, where the message does not say it: the group, else the other side.
fn correspondent(
    direction: Direction,
    sender: &Participant,
    recipient: Option<Participant>,
    group: Option<&Participant>,
) -> Option<CorrespondentId> {
    let other = match (group, direction) {
        (Some(group), _) => group.identifier.clone(),
        (None, Direction::Incoming) => sender.identifier.clone(),
        (None, Direction::Outgoing) => recipient?.identifier,
    };
    Some(other.into())
}

/// A participant: its identifier alone, or an object.
fn participant(value: Value) -> Reading<Participant> {
    if value.is_string() {
        return Ok(Participant { identifier: id(value)?, ..Participant::default() });
    }
    let in_words = |error: FieldError| format!("{}: {}", error.field, error.detail);
    let mut fields = Fields::of_frame(object(value)?);
    let display_name = text_cut_to(DISPLAY_NAME_CHARACTERS_MAX);
    Ok(Participant {
        identifier: fields.required("identifier", id).map_err(in_words)?,
        display_name: fields.optional("display_name", display_name).map_err(in_words)?,
        alternate_identifiers: fields
            .list("alternate_identifiers", ALTERNATE_IDENTIFIERS_MAX, id)
            .map_err(in_words)?
            .unwrap_or_default(),
    })
}

/// Media, named by the job that was to turn it into text.
fn media(fields: &mut Fields) -> Result<Option<DraftMedia>, FieldError> {
    let Some(media_id) = fields.optional("media_processing_id", media_id)? else { return Ok(None) };
    let mime_type = fields.required("mime_type", name_up_to(MIME_TYPE_BYTES_MAX))?;
    Ok(Some(DraftMedia {
        media_id,
        kind: kind_of(&mime_type),
        mime_type,
        original_filename: fields
            .optional("original_filename", text_cut_to(FILENAME_CHARACTERS_MAX))?,
        size_bytes: None,
        sha256: None,
        quota_exceeded: fields.optional("quota_exceeded", flag)?.unwrap_or(false),
        detail: None,
    }))
}

fn kind_of(mime_type: &str) -> MediaKind {
    let kind = mime_type.strip_prefix(CORRUPT).or_else(|| Some(mime_type.split_once('/')?.0));
    match kind {
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        Some("image") => MediaKind::Image,
        Some("sticker") => MediaKind::Sticker,
        _ => MediaKind::Document,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id::MessageId;
    use crate::protocol::ReceiptOutcome;

    const PAGE: &str = include_str!("../../../docs/protocol/v0.md");

    fn text_message() -> Value {
        json!({"provider_message_id": "3EB0", "sender": "ada", "direction": "incoming",
            "originating_time": 1_790_000_000_000_u64, "message": "hello"})
    }

    fn one(frame: &Value) -> Entry {
        let mut entries = parse(&frame.to_string()).expect("a frame of version 0");
        assert_eq!(entries.len(), 1, "{frame}");
        entries.remove(0)
    }

    fn draft_of(frame: &Value) -> Draft {
        *one(frame).draft.expect("a message")
    }

    fn with(mut frame: Value, field: &str, value: Value) -> Value {
        frame[field] = value;
        frame
    }

    /// Goal: the correspondent is the group, the sender, or whom the bot's account wrote to, unless it is
    /// named; a sender may be a name or an object.
    #[test]
    fn the_correspondent_is_whom_the_bot_talks_with() {
        assert_eq!(draft_of(&text_message()).correspondent_id.as_str(), "ada");
        let object = json!({"identifier": "ada", "display_name": "Ada", "alternate_identifiers": ["77@lid"]});
        let draft = draft_of(&with(text_message(), "sender", object));
        assert_eq!(draft.correspondent_id.as_str(), "ada");
        assert_eq!(draft.sender.alternate_identifiers, ["77@lid"]);
        let group = with(text_message(), "group", json!({"identifier": "g@g.us"}));
        assert_eq!(draft_of(&group).correspondent_id.as_str(), "g@g.us");
        let named = with(group, "correspondent_id", json!("named"));
        assert_eq!(draft_of(&named).correspondent_id.as_str(), "named");
        let outgoing = with(text_message(), "direction", json!("outgoing"));
        let error = one(&outgoing).draft.expect_err("whom to?");
        assert_eq!(
            (error.code, error.field.as_deref()),
            (ErrorCode::MissingField, Some("recipient"))
        );
        let outgoing = with(outgoing, "recipient", json!("bert"));
        assert_eq!(draft_of(&outgoing).correspondent_id.as_str(), "bert");
    }

    /// Goal: media are read, and their kind follows from their type, that of media without a file too.
    #[test]
    fn media_have_the_kind_of_their_type() {
        for (mime_type, kind) in [
            ("audio/ogg; codecs=opus", MediaKind::Audio),
            ("video/mp4", MediaKind::Video),
            ("image/webp", MediaKind::Image),
            ("application/pdf", MediaKind::Document),
            ("media_corrupt_sticker", MediaKind::Sticker),
            ("media_corrupt_audio", MediaKind::Audio),
            ("odd", MediaKind::Document),
        ] {
            let id = json!("8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11");
            let frame = with(text_message(), "media_processing_id", id);
            let mut frame = with(frame, "mime_type", json!(mime_type));
            frame.as_object_mut().expect("an object").remove("message");
            let media = draft_of(&frame).media.expect("media");
            assert_eq!((media.kind, media.mime_type.as_str()), (kind, mime_type));
        }
        let frame = with(text_message(), "media_processing_id", json!("../../etc/passwd"));
        let error = one(&frame).draft.expect_err("no UUID");
        assert_eq!(error.field.as_deref(), Some("media_processing_id"));
    }

    /// Goal: one bad message of a list takes no neighbour along, and is told by its id where it has one (K40).
    #[test]
    fn one_bad_message_takes_no_neighbour_along() {
        let bad = with(text_message(), "direction", json!("sideways"));
        let frame = json!([text_message(), bad, 7, {"sender": "ada"}, text_message()]);
        let entries = parse(&frame.to_string()).expect("a list");
        let numbered: Vec<_> = entries.into_iter().map(|entry| entry.numbered(FIRST_SEQ)).collect();
        assert!(numbered[0].is_ok() && numbered[4].is_ok());
        let seq = |place: usize| numbered[place].as_ref().expect_err("it is bad").seq;
        assert_eq!([seq(1), seq(2), seq(3)], [Some(FIRST_SEQ), None, None]);
    }

    /// Goal: frames of version 1, and what is no frame, are not taken for version 0.
    #[test]
    fn other_versions_are_not_taken_for_this_one() {
        for frame in [
            r#"{"type":"ping"}"#,
            r#"{"type":"message","payload_version":1}"#,
            r#"{"payload_version":9}"#,
            "7",
            "nonsense",
        ] {
            assert_eq!(parse(frame), None, "{frame}");
        }
        assert_eq!(parse(&" ".repeat(FRAME_BYTES_MAX + 1)), None);
        assert_eq!(parse("[]"), Some(Vec::new()));
    }

    /// Goal: a receipt names the provider's id, and no number.
    #[test]
    fn a_receipt_names_the_providers_id() {
        let outcome = ReceiptOutcome::Accepted { message_id: MessageId::FIRST };
        let written = receipt(&Receipt { bot_id: None, seq: FIRST_SEQ, outcome }, &"3EB0".into());
        let read: Value = serde_json::from_str(&written).expect("JSON");
        let expected = json!({"type": "receipt", "payload_version": 0, "provider_message_id": "3EB0",
            "outcome": "accepted", "message_id": 1});
        assert_eq!(read, expected);
    }

    /// Goal: every example on the page is read.
    #[test]
    fn every_example_is_read() {
        let examples: Vec<_> = PAGE.split("```json provider\n").skip(1).collect();
        assert!(!examples.is_empty());
        for example in examples {
            let (example, _) = example.split_once("```").expect("a fence is closed");
            for entry in parse(example).expect(example) {
                entry.draft.expect(example);
            }
        }
    }
}
