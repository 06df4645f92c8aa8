//! What a consumer and Anteroom say to each other on a WebSocket of callbacks.
//!
//! Anteroom says callbacks, as it does everywhere, and answers; the consumer acknowledges in-band or by
//! a request. Acknowledgements are answered in their order, each when it is durable.

use serde::{Deserialize, Serialize};

use super::consumer::{AckRequest, AckResponse, CallbackBatch, CallbackFrame, ack_request};
use super::error::{ErrorCode, FrameError};
use super::fields::{Fields, one_of, text};
use super::limits::ACK_BODY_BYTES_MAX;
use super::parse::{frame_object, json};
use super::server::{ErrorFrame, Pong};
use crate::time::Millis;

/// What a consumer says on its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerFrame {
    /// It acknowledges callbacks.
    Ack(AckRequest),
    /// It wants to hear a `pong`.
    Ping,
}

/// What Anteroom says on a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum StreamFrame {
    /// Callbacks that travel together.
    Batch(CallbackBatch),
    /// A callback.
    Callback(Box<CallbackFrame>),
    /// Anything else.
    Said(StreamWord),
}

/// What Anteroom says on a stream besides callbacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum StreamWord {
    /// An acknowledgement is durable.
    Acked(AckResponse),
    /// An acknowledgement could not be made durable: it is to be sent again.
    NotAcked(NotAcked),
    /// Something is wrong with what the consumer said.
    Error(ErrorFrame),
    /// A newer stream took this one's place; it must not be opened again for that.
    Replaced,
    /// The answer to a `ping`.
    Pong(Pong),
}

/// Why an acknowledgement is not durable, and when to send it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotAcked {
    /// Why, for people.
    pub detail: String,
    /// When to send it again.
    #[serde(rename = "retry_after_ms")]
    pub retry_after: Millis,
}

#[derive(Clone, Copy)]
enum FrameType {
    Ack,
    Ping,
}

const FRAME_TYPES: &[(&str, FrameType)] = &[("ack", FrameType::Ack), ("ping", FrameType::Ping)];

/// Reads one frame of a consumer.
///
/// # Errors
/// A [`FrameError`] for every text that is not exactly one frame. None of them ends the stream.
pub fn parse_consumer_frame(frame: &str) -> Result<ConsumerFrame, FrameError> {
    if frame.len() > ACK_BODY_BYTES_MAX {
        let detail = format!("at most {ACK_BODY_BYTES_MAX} bytes, not {}", frame.len());
        return Err(FrameError::new(ErrorCode::FrameTooLarge, None, detail));
    }
    let mut fields = Fields::of_frame(frame_object(json(frame)?)?);
    let name = fields.required("type", text)?;
    let frame_type = one_of(FRAME_TYPES)(name.into()).map_err(|detail| {
        FrameError::new(ErrorCode::UnknownFrameType, Some("type".to_owned()), detail)
    })?;
    match frame_type {
        FrameType::Ack => ack_request(&mut fields).map(ConsumerFrame::Ack),
        FrameType::Ping => Ok(ConsumerFrame::Ping),
    }
}

impl StreamFrame {
    /// The frame as it is sent.
    pub fn to_wire(&self) -> String {
        serde_json::to_string(self)
            .expect("a frame is an object of strings, numbers and lists: JSON can write it")
    }
}

impl From<StreamWord> for StreamFrame {
    fn from(word: StreamWord) -> Self {
        Self::Said(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(frame: &str, code: ErrorCode, field: Option<&str>) {
        let error = parse_consumer_frame(frame).expect_err(frame);
        assert_eq!((error.code, error.field.as_deref()), (code, field), "{frame}");
        assert!(!error.fatal, "{frame}");
    }

    /// Goal: an acknowledgement in-band is the one that is POSTed, under a type.
    #[test]
    fn an_acknowledgement_is_read() {
        let frame = r#"{"type":"ack","callback_ids":["wa-7/a/1","odd"],"more":1}"#;
        let Ok(ConsumerFrame::Ack(request)) = parse_consumer_frame(frame) else {
            panic!("it is an acknowledgement")
        };
        assert_eq!(request.callback_ids.len(), 1);
        assert_eq!(request.unknown, ["odd"]);
        assert_eq!(parse_consumer_frame(r#"{"type":"ping"}"#), Ok(ConsumerFrame::Ping));
    }

    /// Goal: what is no frame is refused with the field, and ends nothing.
    #[test]
    fn what_is_no_frame_is_refused() {
        refused("", ErrorCode::MalformedJson, None);
        refused("[]", ErrorCode::MalformedJson, None);
        refused("{}", ErrorCode::MissingField, Some("type"));
        refused(r#"{"type":"hello"}"#, ErrorCode::UnknownFrameType, Some("type"));
        refused(r#"{"type":"ack"}"#, ErrorCode::MissingField, Some("callback_ids"));
        refused(
            r#"{"type":"ack","callback_ids":[7]}"#,
            ErrorCode::InvalidField,
            Some("callback_ids[0]"),
        );
        refused(&" ".repeat(ACK_BODY_BYTES_MAX + 1), ErrorCode::FrameTooLarge, None);
    }

    /// Goal: whatever is said on a stream comes back from its text as what it was.
    #[test]
    fn what_is_said_survives_its_text() {
        for said in [
            StreamWord::Acked(AckResponse { acknowledged: 1, unknown: vec!["odd".to_owned()] }),
            StreamWord::NotAcked(NotAcked {
                detail: "the store is away".to_owned(),
                retry_after: Millis::from_secs(1),
            }),
            StreamWord::Replaced,
            StreamWord::Pong(Pong::default()),
        ] {
            let frame = StreamFrame::from(said);
            let read: StreamFrame = serde_json::from_str(&frame.to_wire()).expect("a frame");
            assert_eq!(read, frame);
        }
    }
}
