//! The frames of the design are read as what they mean.

use serde_json::{Value, json};

use super::{hello, media_message, sent, status, text_message, with, without};
use crate::draft::{Direction, Draft, DraftMedia};
use crate::id::MediaId;
use crate::message::{MediaKind, Participant};
use crate::protocol::limits;
use crate::protocol::provider::{Ping, ProviderStatus, Sent, StatusFrame};
use crate::protocol::{Hello, MessageFrame, ProviderFrame, ServerFrame, parse_provider_frame};
use crate::time::Timestamp;

fn read(frame: &Value) -> ProviderFrame {
    parse_provider_frame(&frame.to_string()).expect("a frame")
}

fn draft(frame: &Value) -> Draft {
    match read(frame) {
        ProviderFrame::Message(message) => *message.draft,
        other => panic!("{other:?} is no message"),
    }
}

/// Goal: a text message is read field by field.
#[test]
fn a_text_message_is_read() {
    let expected = MessageFrame {
        seq: 41,
        bot_id: Some("wa-7".into()),
        draft: Box::new(Draft {
            correspondent_id: "4917@s.whatsapp.net".into(),
            provider_message_id: "3EB0".into(),
            content: "hello".to_owned(),
            sender: Participant {
                identifier: "4917@s.whatsapp.net".to_owned(),
                display_name: Some("Ada".to_owned()),
                alternate_identifiers: vec!["77@lid".to_owned()],
            },
            direction: Direction::Incoming,
            send_id: None,
            originating_time: Timestamp::from_ms(1_790_000_000_000),
            group: None,
            replayed: false,
            media: None,
        }),
    };
    assert_eq!(read(&text_message()), ProviderFrame::Message(expected));
}

/// Goal: media is read field by field, its digest in lower case.
#[test]
fn media_is_read() {
    let media_id = MediaId::parse("8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11").expect("a media id");
    let expected = DraftMedia {
        media_id,
        kind: MediaKind::Audio,
        mime_type: "audio/ogg; codecs=opus".to_owned(),
        original_filename: None,
        size_bytes: Some(48_213),
        sha256: Some("ab".repeat(32)),
        quota_exceeded: false,
        detail: None,
    };
    assert_eq!(draft(&media_message()).media, Some(expected));
}

/// Goal: media that could not be brought are read with the reason.
#[test]
fn corrupt_media_is_read() {
    let frame = with(
        text_message(),
        "/media",
        json!({"media_id": "8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11", "kind": "image",
            "mime_type": "media_corrupt_image", "quota_exceeded": true, "detail": "full"}),
    );
    let media = draft(&frame).media.expect("media");
    assert_eq!(media.mime_type, "media_corrupt_image");
    assert!(media.quota_exceeded);
    assert_eq!(media.detail.as_deref(), Some("full"));
}

/// Goal: what may be left out may be left out or null, and both mean the same.
#[test]
fn absent_and_null_are_the_same() {
    let optional =
        ["/bot_id", "/group", "/send_id", "/replayed", "/media", "/sender/alternate_identifiers"];
    for pointer in optional {
        let null = with(text_message(), pointer, Value::Null);
        assert_eq!(read(&null), read(&without(null.clone(), pointer)), "{pointer}");
    }
    let media = ["/message", "/media/size_bytes", "/media/sha256", "/media/detail"];
    for pointer in media {
        let null = with(media_message(), pointer, Value::Null);
        assert_eq!(read(&null), read(&without(null.clone(), pointer)), "{pointer}");
    }
}

/// Goal: media needs no caption, and a text may be empty.
#[test]
fn a_caption_may_be_absent_and_a_text_empty() {
    assert_eq!(draft(&without(media_message(), "/message")).content, "");
    assert_eq!(draft(&with(text_message(), "/message", json!(""))).content, "");
}

/// Goal: the echo of a send, a group and a late delivery are read.
#[test]
fn an_echo_in_a_group_is_read() {
    let frame = with(text_message(), "/direction", json!("outgoing"));
    let frame = with(frame, "/send_id", json!("wa-7/4917/17"));
    let frame = with(frame, "/replayed", json!(true));
    let draft = draft(&with(frame, "/group", json!({"identifier": "120363@g.us"})));
    assert_eq!(draft.direction, Direction::Outgoing);
    assert_eq!(draft.send_id, Some("wa-7/4917/17".into()));
    assert!(draft.replayed);
    assert_eq!(draft.group.expect("a group").identifier, "120363@g.us");
}

/// Goal: hello, status, sent and ping are read.
#[test]
fn the_other_frames_are_read() {
    let expected = Hello {
        bot_id: "wa-7".into(),
        provider_name: "whatsapp_baileys".into(),
        provider_instance: Some("b1f0".into()),
        token: Some("t0ken".into()),
    };
    assert_eq!(read(&hello()), ProviderFrame::Hello(expected));
    for (word, expected) in [
        ("connected", ProviderStatus::Connected),
        ("connecting", ProviderStatus::Connecting),
        ("disconnected", ProviderStatus::Disconnected),
        ("logged_out", ProviderStatus::LoggedOut),
    ] {
        let frame = read(&with(status(), "/status", json!(word)));
        let expected = StatusFrame { bot_id: None, status: expected, detail: None };
        assert_eq!(frame, ProviderFrame::Status(expected));
    }
    let expected = Sent { bot_id: None, send_id: "s-1".into(), provider_message_id: "3EB0".into() };
    assert_eq!(read(&sent()), ProviderFrame::Sent(expected));
    let expected = Ping { bot_id: Some("wa-7".into()) };
    assert_eq!(read(&json!({"type": "ping", "bot_id": "wa-7"})), ProviderFrame::Ping(expected));
}

/// Goal: a hello without an instance has one of its own, and needs no token.
#[test]
fn a_hello_without_instance_and_token_is_read() {
    for frame in [
        with(without(hello(), "/token"), "/provider_instance", json!("")),
        without(without(hello(), "/token"), "/provider_instance"),
    ] {
        match read(&frame) {
            ProviderFrame::Hello(hello) => {
                assert_eq!((hello.provider_instance, hello.token), (None, None));
            }
            other => panic!("{other:?} is no hello"),
        }
    }
}

/// Goal: a field that nobody knows changes nothing, wherever it stands.
#[test]
fn unknown_fields_are_ignored() {
    for pointer in ["/novel", "/sender/novel", "/media/novel"] {
        let frame = with(media_message(), pointer, json!({"deep": [1, {"er": null}]}));
        assert_eq!(read(&frame), read(&media_message()), "{pointer}");
    }
}

/// Goal: what only people read is cut at its bound, counted in characters.
#[test]
fn long_texts_for_people_are_cut() {
    let long = json!("é".repeat(40_000));
    let cut = |text: Option<String>| text.map(|text| text.chars().count() as u64);
    let named = draft(&with(text_message(), "/sender/display_name", long.clone()));
    assert_eq!(cut(named.sender.display_name), Some(limits::DISPLAY_NAME_CHARACTERS_MAX));
    let frame = with(media_message(), "/media/original_filename", long.clone());
    let media = draft(&with(frame, "/media/detail", long.clone())).media.expect("media");
    assert_eq!(cut(media.original_filename), Some(limits::FILENAME_CHARACTERS_MAX));
    assert_eq!(cut(media.detail), Some(limits::DETAIL_CHARACTERS_MAX));
    match read(&with(status(), "/detail", long)) {
        ProviderFrame::Status(status) => {
            assert_eq!(cut(status.detail), Some(limits::STATUS_DETAIL_CHARACTERS_MAX));
        }
        other => panic!("{other:?} is no status"),
    }
}

/// Goal: a text that JavaScript cut inside a character is read, not lost.
#[test]
fn half_a_character_loses_no_message() {
    let frame = text_message().to_string().replace("hello", "hi \\ud83d");
    match parse_provider_frame(&frame).expect("a frame") {
        ProviderFrame::Message(message) => assert_eq!(message.draft.content, "hi \u{fffd}"),
        other => panic!("{other:?} is no message"),
    }
}

/// Goal: a token is written where a client writes to the wire, and nowhere else.
#[test]
fn a_token_stays_secret() {
    let frame = read(&hello());
    let traced = serde_json::to_string(&frame).expect("JSON");
    for shown in [format!("{frame:?}"), format!("{frame:#?}"), traced] {
        assert!(shown.contains("[redacted]"), "{shown}");
        assert!(!shown.contains("t0ken"), "{shown}");
    }
    assert_eq!(parse_provider_frame(&frame.to_wire()), Ok(frame));
}

/// Goal: the server's frames stand on the wire as in the design, key by key in the same order.
#[test]
fn server_frames_have_the_wire_form_of_the_design() {
    for text in [
        r#"{"type":"receipt","seq":41,"outcome":"accepted","message_id":17}"#,
        r#"{"type":"receipt","seq":42,"outcome":"duplicate","message_id":12}"#,
        r#"{"type":"receipt","seq":43,"outcome":"rejected","reason":"overflow","retry_after_ms":2000}"#,
        r#"{"type":"send","send_id":"s","correspondent_id":"c","message":"m"}"#,
        r#"{"type":"quota","quota_bytes":26843545600,"used_bytes":1}"#,
        r#"{"type":"error","code":"unsupported_payload_version","field":"payload_version","detail":"d","supported":[1],"fatal":true}"#,
        r#"{"type":"pong"}"#,
        concat!(
            r#"{"type":"welcome","payload_version":1,"session_id":"0198c0de-0000-7000-8000-000000000001","#,
            r#""window":256,"media":{"staging_dir":"s","upload_url":"/v1/media","#,
            r#""quota_bytes":26843545600,"used_bytes":0,"max_file_bytes":2147483648}}"#
        ),
    ] {
        let frame: ServerFrame = serde_json::from_str(text).expect(text);
        assert_eq!(frame.to_wire(), text);
    }
}

/// Goal: a client does not take a welcome of another version for one it understands.
#[test]
fn a_welcome_of_another_version_is_refused() {
    let welcome = |payload_version: u32| {
        json!({"type": "welcome", "payload_version": payload_version,
            "session_id": "0198c0de-0000-7000-8000-000000000001", "window": 1,
            "media": {"upload_url": "u", "quota_bytes": 1, "used_bytes": 0, "max_file_bytes": 1}})
    };
    assert!(serde_json::from_value::<ServerFrame>(welcome(1)).is_ok());
    assert!(serde_json::from_value::<ServerFrame>(welcome(2)).is_err());
}
