//! `docs/protocol/v1.md` says what the types say.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::protocol::consumer::parse_webhook_answer;
use crate::protocol::{
    AckResponse, CallbackBatch, CallbackFrame, ConsumerFrame, ErrorCode, ProviderFrame,
    ServerFrame, StreamFrame, StreamWord, limits, parse_ack, parse_consumer_frame,
    parse_provider_frame,
};

const PAGE: &str = include_str!("../../../../docs/protocol/v1.md");

/// The examples of the page, with what stands behind `json` on their fence.
pub(super) fn examples() -> Vec<(&'static str, &'static str)> {
    let mut examples = Vec::new();
    let mut rest = PAGE;
    while let Some((_, after)) = rest.split_once("```json") {
        let (mark, after) = after.split_once('\n').expect("a fence ends its line");
        let (text, after) = after.split_once("```").expect("a fence is closed");
        examples.push((mark.trim(), text));
        rest = after;
    }
    examples
}

/// Reads an example, writes it, and expects everything it says to be there again.
fn survives<T: Serialize + DeserializeOwned>(text: &str) {
    let frame: T = serde_json::from_str(text).expect(text);
    let example: Value = serde_json::from_str(text).expect(text);
    holds(&serde_json::to_value(frame).expect("JSON"), &example, text);
}

/// Expects `actual` to say at least what `example` says; a null says nothing.
fn holds(actual: &Value, example: &Value, text: &str) {
    match example {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                holds(&actual[name], value, text);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                holds(&actual[index], value, text);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            assert_eq!(actual, example, "{text}");
        }
    }
}

/// Goal: every example on the page is a frame of its direction, and no field of it means nothing.
#[test]
fn every_example_is_a_frame() {
    for (mark, text) in examples() {
        match mark {
            "provider" => {
                let frame = parse_provider_frame(text).expect(text);
                let example: Value = serde_json::from_str(text).expect(text);
                holds(&serde_json::from_str(&frame.to_wire()).expect("JSON"), &example, text);
            }
            "server" => survives::<ServerFrame>(text),
            "callback" => survives::<CallbackFrame>(text),
            "batch" => survives::<CallbackBatch>(text),
            "ack" => assert_eq!(parse_ack(text).expect(text).unknown, Vec::<String>::new()),
            "acked" => survives::<AckResponse>(text),
            "webhook-answer" => {
                let reply = parse_webhook_answer(text.as_bytes()).expect(text);
                assert_eq!(reply.as_deref(), Some("see you at eight"));
            }
            "consumer" => drop(parse_consumer_frame(text).expect(text)),
            "stream" => survives::<StreamFrame>(text),
            other => panic!("an example is marked {other:?}"),
        }
    }
}

/// Goal: every frame type has an example.
#[test]
fn every_frame_type_has_an_example() {
    let mut seen: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (mark, text) in examples() {
        let example: Value = serde_json::from_str(text).expect(text);
        let name = example["type"].as_str().unwrap_or_default().to_owned();
        let names = seen.entry(mark).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    assert_eq!(seen["provider"], ["hello", "message", "status", "sent", "ping"]);
    assert_eq!(seen["server"], ["welcome", "receipt", "send", "quota", "error", "pong"]);
    assert_eq!(seen["callback"], ["message", "message.revised"]);
    assert_eq!(seen["consumer"], ["ack", "ping"]);
    assert_eq!(seen["stream"], ["acked", "not_acked", "error", "pong", "replaced"]);
    let _: fn(&ConsumerFrame) = |frame| match frame {
        ConsumerFrame::Ack(_) | ConsumerFrame::Ping => {}
    };
    let _: fn(&StreamWord) = |word| match word {
        StreamWord::Acked(_)
        | StreamWord::NotAcked(_)
        | StreamWord::Error(_)
        | StreamWord::Replaced
        | StreamWord::Pong(_) => {}
    };
    // The lists above are whole: a new variant does not compile here.
    let _: fn(&ProviderFrame) = |frame| match frame {
        ProviderFrame::Hello(_)
        | ProviderFrame::Message(_)
        | ProviderFrame::Status(_)
        | ProviderFrame::Sent(_)
        | ProviderFrame::Ping(_) => {}
    };
    let _: fn(&ServerFrame) = |frame| match frame {
        ServerFrame::Welcome(_)
        | ServerFrame::Receipt(_)
        | ServerFrame::Send(_)
        | ServerFrame::Quota(_)
        | ServerFrame::Error(_)
        | ServerFrame::Pong(_) => {}
    };
}

/// Goal: every error code has its row on the page, under the name it has on the wire.
#[test]
fn every_error_code_has_its_row() {
    let mut code = Some(ErrorCode::MalformedJson);
    while let Some(current) = code {
        let name = current.as_str();
        assert_eq!(serde_json::to_value(current).expect("JSON"), name);
        assert!(PAGE.contains(&format!("\n| `{name}` | ")), "{name} has no row");
        code = after(current);
    }
}

/// The codes in order; a new one does not compile until it has its place.
fn after(code: ErrorCode) -> Option<ErrorCode> {
    match code {
        ErrorCode::MalformedJson => Some(ErrorCode::UnknownFrameType),
        ErrorCode::UnknownFrameType => Some(ErrorCode::MissingField),
        ErrorCode::MissingField => Some(ErrorCode::InvalidField),
        ErrorCode::InvalidField => Some(ErrorCode::UnsupportedPayloadVersion),
        ErrorCode::UnsupportedPayloadVersion => Some(ErrorCode::FrameTooLarge),
        ErrorCode::FrameTooLarge => Some(ErrorCode::Unauthorized),
        ErrorCode::Unauthorized => Some(ErrorCode::ProviderMismatch),
        ErrorCode::ProviderMismatch => Some(ErrorCode::HelloExpected),
        ErrorCode::HelloExpected => Some(ErrorCode::HelloTimeout),
        ErrorCode::HelloTimeout => Some(ErrorCode::TooManyBots),
        ErrorCode::TooManyBots => Some(ErrorCode::Replaced),
        ErrorCode::Replaced => Some(ErrorCode::BotLost),
        ErrorCode::BotLost => None,
    }
}

/// Goal: the page names every limit with its number.
#[test]
fn every_limit_has_its_number() {
    for (what, limit) in [
        ("a provider's frame", format!("{} bytes", limits::FRAME_BYTES_MAX)),
        ("an id", format!("{} bytes", limits::ID_BYTES_MAX)),
        ("a send id, a callback id", format!("{} bytes", limits::SEND_ID_BYTES_MAX)),
        ("a send id, a callback id", format!("{} bytes", limits::CALLBACK_ID_BYTES_MAX)),
        ("a token", format!("{} bytes", limits::TOKEN_BYTES_MAX)),
        ("a display name", format!("{} characters", limits::DISPLAY_NAME_CHARACTERS_MAX)),
        ("`alternate_identifiers`", format!("{} entries", limits::ALTERNATE_IDENTIFIERS_MAX)),
        ("an original file name", format!("{} characters", limits::FILENAME_CHARACTERS_MAX)),
        ("a MIME type", format!("{} bytes", limits::MIME_TYPE_BYTES_MAX)),
        ("a media's `detail`", format!("{} characters", limits::DETAIL_CHARACTERS_MAX)),
        ("a status's `detail`", format!("{} characters", limits::STATUS_DETAIL_CHARACTERS_MAX)),
        ("a time", limits::TIME_MS_MAX.to_string()),
        ("ids in one acknowledgement", format!("{} entries", limits::ACK_IDS_MAX)),
        (
            "an acknowledgement's body, a consumer's frame",
            format!("{} bytes", limits::ACK_BODY_BYTES_MAX),
        ),
        ("a webhook's answer", format!("{} bytes", limits::WEBHOOK_ANSWER_BYTES_MAX)),
    ] {
        let row = format!("\n| {what} | {limit} | ");
        assert!(PAGE.contains(&row), "the page has no row {row}");
    }
}
