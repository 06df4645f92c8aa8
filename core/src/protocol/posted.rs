//! Bodies that a client without a connection POSTs.
//!
//! A body is the frame of the same meaning, without what only a connection needs: the address already
//! says what it is (`type`) and whom it is for, and the answer needs no number (`seq`).

use serde_json::{Map, Value};

use super::error::{ErrorCode, FrameError};
use super::fields::{FieldError, Fields, id, name_up_to, text};
use super::limits::{FRAME_BYTES_MAX, SEND_ID_BYTES_MAX};
use super::parse::{frame_from_json, frame_object, json};
use super::provider::{MessageFrame, ProviderFrame};
use crate::id::SendId;
use crate::store::Send;

/// Reads the body of `POST /v1/bots/{bot}/messages`: a `message` frame whose `type` and `seq` may be
/// left out.
///
/// # Errors
/// A [`FrameError`] for every text that is no message within the protocol's limits, other frames
/// included.
pub fn parse_posted_message(body: &str) -> Result<MessageFrame, FrameError> {
    let mut object = posted(body)?;
    object.entry("type").or_insert_with(|| Value::from("message"));
    object.entry("seq").or_insert_with(|| Value::from(0));
    match frame_from_json(Value::Object(object))? {
        ProviderFrame::Message(message) => Ok(message),
        ProviderFrame::Hello(_)
        | ProviderFrame::Status(_)
        | ProviderFrame::Sent(_)
        | ProviderFrame::Ping(_) => Err(FrameError::new(
            ErrorCode::UnknownFrameType,
            Some("type".to_owned()),
            "only messages are posted".to_owned(),
        )),
    }
}

/// Reads the body of `POST /v1/bots/{bot}/sends`: `send_id`, `correspondent_id` and `message`.
///
/// # Errors
/// A [`FrameError`] for every text that is no such object within the protocol's limits.
pub fn parse_posted_send(body: &str) -> Result<Send, FrameError> {
    Ok(send(&mut Fields::of_frame(posted(body)?))?)
}

fn send(fields: &mut Fields) -> Result<Send, FieldError> {
    Ok(Send {
        send_id: SendId::from(fields.required("send_id", name_up_to(SEND_ID_BYTES_MAX))?),
        correspondent_id: fields.required("correspondent_id", id)?,
        message: fields.required("message", text)?,
    })
}

fn posted(body: &str) -> Result<Map<String, Value>, FrameError> {
    if body.len() > FRAME_BYTES_MAX {
        return Err(FrameError::too_large(body.len() as u64));
    }
    frame_object(json(body)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message() -> Value {
        json!({
            "payload_version": 1, "provider_message_id": "p", "correspondent_id": "alice",
            "sender": {"identifier": "alice"}, "direction": "incoming", "originating_time": 1,
            "message": "hello",
        })
    }

    /// Goal: a posted message needs no `type` and no `seq`, and may have them as in a frame.
    #[test]
    fn a_posted_message_is_a_frame_without_what_a_connection_needs() {
        let bare = parse_posted_message(&message().to_string()).expect("a message");
        assert_eq!(bare.draft.content, "hello");
        let mut whole = message();
        whole["type"] = json!("message");
        whole["seq"] = json!(7);
        assert_eq!(parse_posted_message(&whole.to_string()).expect("a message").draft, bare.draft);
    }

    /// Goal: what is no message is refused with the field and the reason, other frames included.
    #[test]
    fn what_is_no_message_is_refused() {
        let refused = |field: &str, value: Value, code: ErrorCode| {
            let mut body = message();
            body[field] = value;
            let error = parse_posted_message(&body.to_string()).expect_err(field);
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)));
        };
        refused("payload_version", json!(9), ErrorCode::UnsupportedPayloadVersion);
        refused("sender", json!("alice"), ErrorCode::InvalidField);
        refused("direction", json!(null), ErrorCode::MissingField);
        refused("type", json!("ping"), ErrorCode::UnknownFrameType);
        refused("type", json!("nonsense"), ErrorCode::UnknownFrameType);
        for body in ["", "[]", "{"] {
            let error = parse_posted_message(body).expect_err(body);
            assert_eq!(error.code, ErrorCode::MalformedJson);
        }
    }

    /// Goal: a send has all of its fields, within their bounds.
    #[test]
    fn a_posted_send_is_whole() {
        let send = json!({"send_id": "s", "correspondent_id": "alice", "message": "hi", "more": 1});
        let read = parse_posted_send(&send.to_string()).expect("a send");
        assert_eq!((read.send_id.as_str(), read.message.as_str()), ("s", "hi"));
        for (field, value, code) in [
            ("send_id", json!(""), ErrorCode::InvalidField),
            ("send_id", json!("x".repeat(SEND_ID_BYTES_MAX + 1)), ErrorCode::InvalidField),
            ("correspondent_id", json!(7), ErrorCode::InvalidField),
            ("message", json!(null), ErrorCode::MissingField),
        ] {
            let mut send = send.clone();
            send[field] = value;
            let error = parse_posted_send(&send.to_string()).expect_err(field);
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)));
        }
        let large = format!("{{\"message\":\"{}\"}}", "x".repeat(FRAME_BYTES_MAX));
        let error = parse_posted_send(&large).expect_err("too large");
        assert_eq!(error.code, ErrorCode::FrameTooLarge);
    }
}
