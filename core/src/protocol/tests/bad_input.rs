//! What is no frame is refused by its code and field, and with the receipt that is owed.

use serde_json::{Value, json};

use super::{hello, media_message, sent, status, text_message, with, without};
use crate::protocol::ErrorCode::{
    FrameTooLarge, InvalidField, MalformedJson, MissingField, UnknownFrameType,
    UnsupportedPayloadVersion,
};
use crate::protocol::{
    ErrorCode, FRAME_BYTES_MAX, FrameError, ReceiptOutcome, Rejection, ServerFrame,
    parse_provider_frame,
};

fn refused(text: &str) -> FrameError {
    parse_provider_frame(text).expect_err("no frame")
}

fn check(frame: Value, code: ErrorCode, field: &str) -> FrameError {
    let error = refused(&frame.to_string());
    assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{error}");
    assert!(!error.detail.is_empty());
    error
}

/// Goal: texts that are no JSON object are malformed, name no field and end nothing.
#[test]
fn what_is_no_object_is_malformed() {
    for text in [
        "",
        " ",
        "{",
        "nonsense",
        "\u{0}",
        "null",
        "7",
        "\"hello\"",
        "[]",
        "[{\"type\":\"ping\"}]",
        "{\"type\":\"ping\"} {\"type\":\"ping\"}",
        "{'type':'ping'}",
        "{\"type\":\"ping\",}",
    ] {
        let error = refused(text);
        assert_eq!((error.code, error.field, error.fatal), (MalformedJson, None, false), "{text}");
        assert_eq!((error.seq, error.supported), (None, None), "{text}");
    }
}

/// Goal: a frame type that is unknown, or that only Anteroom sends, is told from one that is missing.
#[test]
fn an_unknown_type_is_told_from_a_missing_one() {
    for name in ["", "Hello", "welcome", "receipt", "pong", "message.revised"] {
        check(with(text_message(), "/type", json!(name)), UnknownFrameType, "type");
    }
    check(without(text_message(), "/type"), MissingField, "type");
    check(with(text_message(), "/type", json!(7)), InvalidField, "type");
}

/// Goal: every required field is missed by name, whether it is absent or null.
#[test]
fn a_missing_field_is_named() {
    let required: [(Value, &[&str]); 4] = [
        (hello(), &["payload_version", "bot_id", "provider_name"]),
        (
            media_message(),
            &[
                "seq",
                "payload_version",
                "provider_message_id",
                "correspondent_id",
                "sender",
                "sender.identifier",
                "direction",
                "originating_time",
                "media.media_id",
                "media.kind",
                "media.mime_type",
            ],
        ),
        (status(), &["status"]),
        (sent(), &["send_id", "provider_message_id"]),
    ];
    for (frame, fields) in required {
        for field in fields {
            let pointer = format!("/{}", field.replace('.', "/"));
            check(without(frame.clone(), &pointer), MissingField, field);
            check(with(frame.clone(), &pointer, Value::Null), MissingField, field);
        }
    }
    check(without(text_message(), "/message"), MissingField, "message");
    let group = with(text_message(), "/group", json!({"display_name": "Rowing club"}));
    check(group, MissingField, "group.identifier");
}

/// Goal: every field of a wrong type is named.
#[test]
fn a_wrong_type_is_named() {
    let object = json!({});
    for field in [
        "provider_message_id",
        "correspondent_id",
        "bot_id",
        "send_id",
        "message",
        "direction",
        "originating_time",
        "replayed",
        "seq",
        "sender.identifier",
        "sender.display_name",
        "sender.alternate_identifiers",
        "media.media_id",
        "media.kind",
        "media.mime_type",
        "media.original_filename",
        "media.size_bytes",
        "media.sha256",
        "media.quota_exceeded",
        "media.detail",
    ] {
        let pointer = format!("/{}", field.replace('.', "/"));
        check(with(media_message(), &pointer, object.clone()), InvalidField, field);
    }
    for field in ["sender", "group", "media"] {
        check(with(text_message(), &format!("/{field}"), json!("x")), InvalidField, field);
    }
    for field in ["bot_id", "provider_name", "provider_instance", "token"] {
        check(with(hello(), &format!("/{field}"), json!(7)), InvalidField, field);
    }
    check(with(status(), "/detail", json!(7)), InvalidField, "detail");
    check(with(sent(), "/send_id", json!(7)), InvalidField, "send_id");
}

/// Goal: a value out of its range is named.
#[test]
fn a_value_out_of_its_range_is_named() {
    let long_id = "x".repeat(513);
    let table: &[(&str, Value, &str)] = &[
        ("/seq", json!(-1), "seq"),
        ("/seq", json!(1.5), "seq"),
        ("/seq", json!(41.0), "seq"),
        ("/seq", json!("41"), "seq"),
        ("/seq", json!(1e300), "seq"),
        ("/originating_time", json!(-1), "originating_time"),
        ("/originating_time", json!(1.79e12), "originating_time"),
        ("/originating_time", json!(253_402_300_800_000_u64), "originating_time"),
        ("/bot_id", json!(""), "bot_id"),
        ("/provider_message_id", json!(""), "provider_message_id"),
        ("/provider_message_id", json!(long_id), "provider_message_id"),
        ("/correspondent_id", json!(""), "correspondent_id"),
        ("/correspondent_id", json!("a\u{0}b"), "correspondent_id"),
        ("/correspondent_id", json!("a\nb"), "correspondent_id"),
        ("/correspondent_id", json!("a\u{85}b"), "correspondent_id"),
        ("/direction", json!("sideways"), "direction"),
        ("/direction", json!("Incoming"), "direction"),
        ("/replayed", json!("true"), "replayed"),
        ("/replayed", json!(0), "replayed"),
        ("/sender/identifier", json!(""), "sender.identifier"),
        ("/sender/alternate_identifiers", json!(["a", ""]), "sender.alternate_identifiers[1]"),
        ("/sender/alternate_identifiers", json!(["a", 7]), "sender.alternate_identifiers[1]"),
        ("/sender/alternate_identifiers", json!([null]), "sender.alternate_identifiers[0]"),
        ("/sender/alternate_identifiers", json!(vec!["a"; 33]), "sender.alternate_identifiers"),
        ("/send_id", json!("x".repeat(4097)), "send_id"),
        ("/media/media_id", json!(""), "media.media_id"),
        ("/media/media_id", json!("../../etc/passwd"), "media.media_id"),
        ("/media/media_id", json!("8c7a2f0e41e44d4f9d402f6f5f0f9a11"), "media.media_id"),
        ("/media/media_id", json!("8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11/x"), "media.media_id"),
        ("/media/kind", json!("hologram"), "media.kind"),
        ("/media/mime_type", json!(""), "media.mime_type"),
        ("/media/mime_type", json!("a/b\r\nx: y"), "media.mime_type"),
        ("/media/mime_type", json!("x".repeat(256)), "media.mime_type"),
        ("/media/size_bytes", json!(-1), "media.size_bytes"),
        ("/media/size_bytes", json!(0.5), "media.size_bytes"),
        ("/media/sha256", json!("ab"), "media.sha256"),
        ("/media/sha256", json!("zz".repeat(32)), "media.sha256"),
    ];
    for (pointer, value, field) in table {
        check(with(media_message(), pointer, value.clone()), InvalidField, field);
    }
    check(with(status(), "/status", json!("sleeping")), InvalidField, "status");
    check(with(hello(), "/token", json!("x".repeat(4097))), InvalidField, "token");
    check(with(sent(), "/send_id", json!("")), InvalidField, "send_id");
}

/// Goal: what is exactly at a bound is taken; the bound refuses nothing below it.
#[test]
fn a_value_at_its_bound_is_taken() {
    for (pointer, value) in [
        ("/seq", json!(u64::MAX)),
        ("/originating_time", json!(253_402_300_799_999_u64)),
        ("/provider_message_id", json!("x".repeat(512))),
        ("/send_id", json!("x".repeat(4096))),
        ("/sender/alternate_identifiers", json!(vec!["a"; 32])),
        ("/media/mime_type", json!("x".repeat(255))),
        ("/media/size_bytes", json!(u64::MAX)),
    ] {
        let frame = with(media_message(), pointer, value);
        assert!(parse_provider_frame(&frame.to_string()).is_ok(), "{pointer}");
    }
}

/// Goal: another version is refused as such, by name, and ends a connection only as a hello.
#[test]
fn another_version_is_refused_as_such() {
    for version in [json!(9), json!(0), json!(1.0), json!("1"), json!(-1), json!([1])] {
        for (frame, fatal) in [(hello(), true), (text_message(), false)] {
            let frame = with(frame, "/payload_version", version.clone());
            let error = check(frame, UnsupportedPayloadVersion, "payload_version");
            assert_eq!((error.supported, error.fatal), (Some(vec![1]), fatal));
        }
    }
    assert!(!check(without(hello(), "/payload_version"), MissingField, "payload_version").fatal);
}

/// Goal: a refused message is answered with the receipt that its provider waits for.
#[test]
fn a_refused_message_gets_its_receipt() {
    let frame = with(media_message(), "/media/media_id", json!("../../etc/passwd"));
    let reply = refused(&frame.to_string()).into_reply();
    let expected = json!({"type": "receipt", "bot_id": "wa-7", "seq": 41, "outcome": "rejected",
        "reason": "invalid", "field": "media.media_id", "detail":
        "expected a UUID such as 8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11, got \"../../etc/passwd\""});
    assert_eq!(serde_json::to_value(reply).expect("JSON"), expected);
}

/// Goal: what is no message, or has no number to answer to, is answered with an error frame.
#[test]
fn what_has_no_number_gets_an_error_frame() {
    let frame = with(with(status(), "/status", json!("sleeping")), "/seq", json!(7));
    let reply = refused(&frame.to_string()).into_reply();
    let expected = json!({"type": "error", "code": "invalid_field", "field": "status", "detail":
        "expected one of connected, connecting, disconnected, logged_out, got \"sleeping\"",
        "fatal": false});
    assert_eq!(serde_json::to_value(reply).expect("JSON"), expected);
    let reply = refused(&with(text_message(), "/seq", json!(-1)).to_string()).into_reply();
    assert!(matches!(reply, ServerFrame::Error(error) if error.bot_id == Some("wa-7".into())));
}

/// Goal: a caption of a million characters and a frame of ten megabytes are refused with the receipt
/// that is owed, and the caption is named.
#[test]
fn a_frame_over_the_limit_gets_its_receipt() {
    let caption = with(media_message(), "/message", json!("é".repeat(1_000_000)));
    let error = refused(&caption.to_string());
    assert_eq!((error.code, error.field.as_deref()), (FrameTooLarge, Some("message")));
    assert_eq!((error.seq, error.fatal), (Some(41), false));
    let padded = with(text_message(), "/padding", json!("x".repeat(10_000_000)));
    let error = refused(&padded.to_string());
    assert_eq!((error.code, error.field.as_deref(), error.seq), (FrameTooLarge, None, Some(41)));
    let noise = "x".repeat(10_000_000);
    assert_eq!(refused(&noise).code, FrameTooLarge);
    assert_eq!(FrameError::too_large(10_000_000), refused(&noise));
}

/// Goal: the frame limit counts bytes and is inclusive.
#[test]
fn a_frame_at_the_limit_is_taken() {
    let room = FRAME_BYTES_MAX - text_message().to_string().len() + "hello".len();
    let full = with(text_message(), "/message", json!("x".repeat(room))).to_string();
    assert_eq!(full.len(), FRAME_BYTES_MAX);
    assert!(parse_provider_frame(&full).is_ok());
    assert_eq!(refused(&format!("{full} ")).code, FrameTooLarge);
}

/// Goal: nesting as deep as a frame has room for overflows no stack, and hides no seq.
#[test]
fn deep_nesting_overflows_no_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 40_000;
        assert_eq!(refused(&open.repeat(depth)).code, MalformedJson);
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let frame = text_message().to_string().replace("\"hello\"", &nested);
        let error = refused(&frame.replace("\"message\":", "\"novel\":"));
        assert_eq!((error.code, error.seq), (MalformedJson, Some(41)));
    }
}

/// Goal: a number that nothing can hold hides no seq.
#[test]
fn a_number_beyond_all_numbers_gets_a_receipt() {
    let error = refused(&media_message().to_string().replace("48213", "1e999"));
    assert_eq!((error.code, error.seq), (MalformedJson, Some(41)));
}

/// Goal: an error's words are short and on one line, whatever a stranger wrote.
#[test]
fn an_errors_words_are_bounded() {
    for value in
        [json!("x\n".repeat(50_000)), json!("\u{0}".repeat(10_000)), json!(vec![[1]; 1000])]
    {
        for pointer in ["/direction", "/media/media_id", "/media/sha256", "/originating_time"] {
            let detail = refused(&with(media_message(), pointer, value.clone()).to_string()).detail;
            assert!(detail.len() < 500 && !detail.chars().any(char::is_control), "{detail}");
        }
    }
}

/// Goal: an error never repeats a token.
#[test]
fn an_error_repeats_no_token() {
    let long = with(hello(), "/token", json!("s3cret".repeat(1_000)));
    let listed = with(hello(), "/token", json!(["s3cret"]));
    for frame in [long, listed] {
        assert!(!format!("{:?}", refused(&frame.to_string())).contains("s3cret"));
    }
}

/// Goal: of a key that stands twice, the last counts.
#[test]
fn the_last_of_a_double_key_counts() {
    let text = text_message().to_string();
    let doubled = text.replace("\"seq\":41", "\"seq\":\"x\",\"seq\":42");
    assert!(matches!(
        parse_provider_frame(&doubled),
        Ok(crate::protocol::ProviderFrame::Message(message)) if message.seq == 42
    ));
}

/// Goal: a version that is not spoken, in a message, is a receipt and not the connection's end.
#[test]
fn a_message_of_another_version_gets_its_receipt() {
    let error = refused(&with(text_message(), "/payload_version", json!(9)).to_string());
    match error.into_reply() {
        ServerFrame::Receipt(receipt) => {
            let detail = "expected 1, the only version spoken here, got 9".to_owned();
            let field = Some("payload_version".to_owned());
            let invalid = Rejection::Invalid { field, detail: Some(detail) };
            assert_eq!((receipt.seq, receipt.outcome), (41, ReceiptOutcome::Rejected(invalid)));
        }
        other => panic!("{other:?} is no receipt"),
    }
}
