//! What Anteroom and a bot's consumer say to each other: callbacks and acknowledgements.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ErrorCode, FrameError};
use super::fields::{Fields, Reading, text};
use super::limits::{
    ACK_BODY_BYTES_MAX, ACK_IDS_MAX, CALLBACK_ID_BYTES_MAX, WEBHOOK_ANSWER_BYTES_MAX,
};
use super::parse::{frame_object, json};
use crate::id::{Attempt, BotId, CallbackId, CorrespondentId};
use crate::message::Message;

/// One callback: a message that the consumer is to act upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CallbackFrame {
    /// Whether the message is new or revised.
    #[serde(rename = "type")]
    pub callback_type: CallbackType,
    /// The callback's stable name: what a consumer remembers in order to act once.
    pub callback_id: CallbackId,
    /// How often it was tried, this time included.
    pub attempt: Attempt,
    /// Whose bot.
    pub bot_id: BotId,
    /// Whose correspondent.
    pub correspondent_id: CorrespondentId,
    /// The message.
    pub message: Arc<Message>,
}

/// What a callback is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum CallbackType {
    /// A message.
    #[serde(rename = "message")]
    Message,
    /// A message that was called back before and has other content.
    #[serde(rename = "message.revised")]
    Revised,
}

/// Callbacks of one correspondent that travel together; each is acknowledged by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "messages")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CallbackBatch {
    /// The callbacks, in order.
    pub callbacks: Vec<CallbackFrame>,
}

/// The body of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AckRequest {
    /// The callbacks that are acknowledged.
    pub callback_ids: Vec<CallbackId>,
    /// Entries that are no callback ids; they are answered as unknown.
    #[serde(skip)]
    pub unknown: Vec<String>,
}

/// The answer to an acknowledgement, given once it is durable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AckResponse {
    /// How many callbacks have ended.
    pub acknowledged: u64,
    /// The ids that name no callback of the bot.
    pub unknown: Vec<String>,
}

impl CallbackFrame {
    /// The callback with this id, which says the bot, the correspondent and the type.
    pub fn new(callback_id: CallbackId, attempt: Attempt, message: Arc<Message>) -> Self {
        let callback_type = match callback_id.key.revision {
            0 => CallbackType::Message,
            _ => CallbackType::Revised,
        };
        Self {
            callback_type,
            bot_id: callback_id.bot_id.clone(),
            correspondent_id: callback_id.key.correspondent_id.clone(),
            callback_id,
            attempt,
            message,
        }
    }
}

/// Reads the body of an acknowledgement.
///
/// # Errors
/// A [`FrameError`] when the body is no object with a list of at most
/// [`ACK_IDS_MAX`] strings under `callback_ids`, or is larger than [`ACK_BODY_BYTES_MAX`]. An entry
/// that is a string but no callback id is no error: it is unknown, and its neighbours are acknowledged.
pub fn parse_ack(body: &str) -> Result<AckRequest, FrameError> {
    if body.len() > ACK_BODY_BYTES_MAX {
        let detail = format!("at most {ACK_BODY_BYTES_MAX} bytes, not {}", body.len());
        return Err(FrameError::new(ErrorCode::FrameTooLarge, None, detail));
    }
    ack_request(&mut Fields::of_frame(frame_object(json(body)?)?))
}

/// An acknowledgement's fields.
pub(super) fn ack_request(fields: &mut Fields) -> Result<AckRequest, FrameError> {
    let entries = fields
        .list("callback_ids", ACK_IDS_MAX, entry)?
        .ok_or_else(|| fields.missing("callback_ids"))?;
    let mut request = AckRequest::default();
    for entry in entries {
        match entry {
            Ok(callback_id) => request.callback_ids.push(callback_id),
            Err(text) => request.unknown.push(text),
        }
    }
    Ok(request)
}

/// Reads the body with which a webhook acknowledges: the `reply` that it wants sent, if it has one.
///
/// A body that is no JSON object has none: many a framework answers `OK`, or nothing.
///
/// # Errors
/// A [`FrameError`] when the body is larger than [`WEBHOOK_ANSWER_BYTES_MAX`], or its `reply` is no text. It
/// acknowledges all the same.
pub fn parse_webhook_answer(body: &[u8]) -> Result<Option<String>, FrameError> {
    if body.len() > WEBHOOK_ANSWER_BYTES_MAX {
        return Err(FrameError::too_large(body.len() as u64));
    }
    let Ok(body) = std::str::from_utf8(body) else { return Ok(None) };
    let Ok(object) = json(body).and_then(frame_object) else { return Ok(None) };
    let reply = Fields::of_frame(object).optional("reply", text)?;
    Ok(reply.filter(|reply| !reply.is_empty()))
}

/// A callback id, or the text that is none.
fn entry(value: Value) -> Reading<Result<CallbackId, String>> {
    let text = text(value)?;
    let parsed = (text.len() <= CALLBACK_ID_BYTES_MAX).then(|| text.parse().ok()).flatten();
    Ok(parsed.ok_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str, code: ErrorCode, field: Option<&str>) {
        let error = parse_ack(body).expect_err(body);
        assert_eq!((error.code, error.field.as_deref()), (code, field));
    }

    /// Goal: what is no callback id is told as unknown and takes no neighbour along.
    #[test]
    fn an_odd_callback_id_takes_no_neighbour_along() {
        let long = format!("wa-7/{}/1", "x".repeat(CALLBACK_ID_BYTES_MAX));
        let body =
            serde_json::json!({"callback_ids": ["wa-7/a/1", "../etc", "", long, "wa-7/b/2/r1"]});
        let request = parse_ack(&body.to_string()).expect("a body");
        let ids: Vec<String> = request.callback_ids.iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["wa-7/a/1", "wa-7/b/2/r1"]);
        assert_eq!(request.unknown, ["../etc".to_owned(), String::new(), long]);
    }

    /// Goal: the longest ids that the protocol lets in make a callback id that can be acknowledged.
    #[test]
    fn the_longest_callback_id_can_be_acknowledged() {
        use super::super::limits::ID_BYTES_MAX;
        use crate::id::{CallbackKey, MessageId};
        let longest = "/".repeat(ID_BYTES_MAX);
        let callback_id = CallbackId {
            bot_id: longest.as_str().into(),
            key: CallbackKey {
                correspondent_id: longest.as_str().into(),
                message_id: MessageId::new(u64::MAX).expect("not 0"),
                revision: u32::MAX,
            },
        };
        let request = AckRequest { callback_ids: vec![callback_id], unknown: Vec::new() };
        let body = serde_json::to_string(&request).expect("JSON");
        assert_eq!(parse_ack(&body), Ok(request));
    }

    /// Goal: a webhook's reply is read where there is one; what is no object has none, and a reply that is
    /// no text is told.
    #[test]
    fn a_webhook_may_reply() {
        let read = |body: &str| parse_webhook_answer(body.as_bytes());
        assert_eq!(read(r#"{"reply":"see you","more":1}"#), Ok(Some("see you".to_owned())));
        for body in ["", "OK", "null", "[]", "{", "7", r#"{"reply":null}"#, r#"{"reply":""}"#, "{}"]
        {
            assert_eq!(read(body), Ok(None), "{body}");
        }
        assert_eq!(parse_webhook_answer(b"\xff"), Ok(None));
        let error = read(r#"{"reply":{"text":"hi"}}"#).expect_err("no text");
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidField, Some("reply")));
        let large = parse_webhook_answer(&[b' '; WEBHOOK_ANSWER_BYTES_MAX + 1]);
        assert_eq!(large.expect_err("too large").code, ErrorCode::FrameTooLarge);
    }

    /// Goal: a body that is no acknowledgement is refused with the field that is wrong.
    #[test]
    fn a_body_that_is_no_acknowledgement_is_refused() {
        refused("", ErrorCode::MalformedJson, None);
        refused("[]", ErrorCode::MalformedJson, None);
        refused("{}", ErrorCode::MissingField, Some("callback_ids"));
        refused(r#"{"callback_ids":null}"#, ErrorCode::MissingField, Some("callback_ids"));
        refused(r#"{"callback_ids":"wa-7/a/1"}"#, ErrorCode::InvalidField, Some("callback_ids"));
        refused(
            r#"{"callback_ids":["wa-7/a/1",7]}"#,
            ErrorCode::InvalidField,
            Some("callback_ids[1]"),
        );
        let many = serde_json::json!({"callback_ids": vec!["wa-7/a/1"; ACK_IDS_MAX + 1]});
        refused(&many.to_string(), ErrorCode::InvalidField, Some("callback_ids"));
        refused(&" ".repeat(ACK_BODY_BYTES_MAX + 1), ErrorCode::FrameTooLarge, None);
    }
}
