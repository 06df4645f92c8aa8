//! No text breaks the reading, and what is written is read as what it was.

use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Map, Number, Value};

use super::{hello, media_message, sent, status, text_message};
use crate::draft::{Direction, Draft, DraftMedia};
use crate::id::{BotId, MediaId, MessageId, SessionId};
use crate::message::{MediaKind, Participant};
use crate::protocol::consumer::parse_webhook_answer;
use crate::protocol::limits::TIME_MS_MAX;
use crate::protocol::provider::{Ping, ProviderStatus, Sent, StatusFrame};
use crate::protocol::receipt::EvictionReason;
use crate::protocol::server::{Pong, Quota, SendFrame, WelcomeMedia};
use crate::protocol::{
    ConsumerFrame, ErrorCode, ErrorFrame, Hello, MessageFrame, PayloadVersion, ProviderFrame,
    Receipt, ReceiptOutcome, Rejection, ServerFrame, Welcome, parse_ack, parse_consumer_frame,
    parse_provider_frame,
};
use crate::time::{Millis, Timestamp};

/// An id as the protocol takes it.
fn id() -> impl Strategy<Value = String> {
    "\\P{Cc}{1,40}"
}

fn bot_id() -> impl Strategy<Value = Option<BotId>> {
    option::of(id().prop_map(BotId::from))
}

fn participant() -> impl Strategy<Value = Participant> {
    (id(), option::of(".{0,40}"), vec(id(), 0..4)).prop_map(|(identifier, display_name, others)| {
        Participant { identifier, display_name, alternate_identifiers: others }
    })
}

fn media_kind() -> impl Strategy<Value = MediaKind> {
    prop_oneof![
        Just(MediaKind::Audio),
        Just(MediaKind::Video),
        Just(MediaKind::Image),
        Just(MediaKind::Sticker),
        Just(MediaKind::Document),
    ]
}

fn media() -> impl Strategy<Value = DraftMedia> {
    (
        (any::<u128>(), media_kind(), id(), option::of(".{0,40}")),
        (
            option::of(any::<u64>()),
            option::of("[0-9a-f]{64}"),
            any::<bool>(),
            option::of(".{0,40}"),
        ),
    )
        .prop_map(|((uuid, kind, mime_type, original_filename), rest)| {
            let (size_bytes, sha256, quota_exceeded, detail) = rest;
            DraftMedia {
                media_id: MediaId::from(uuid::Uuid::from_u128(uuid)),
                kind,
                mime_type,
                original_filename,
                size_bytes,
                sha256,
                quota_exceeded,
                detail,
            }
        })
}

fn draft() -> impl Strategy<Value = Draft> {
    (
        (id(), id(), any::<String>(), participant(), option::of(participant())),
        (any::<bool>(), option::of(id()), 0..=TIME_MS_MAX, any::<bool>(), option::of(media())),
    )
        .prop_map(|((correspondent, provider_message, content, sender, group), rest)| {
            let (outgoing, send_id, time, replayed, media) = rest;
            Draft {
                correspondent_id: correspondent.into(),
                provider_message_id: provider_message.into(),
                content,
                sender,
                direction: if outgoing { Direction::Outgoing } else { Direction::Incoming },
                send_id: send_id.map(Into::into),
                originating_time: Timestamp::from_ms(time),
                group,
                replayed,
                media,
            }
        })
}

fn provider_frame() -> impl Strategy<Value = ProviderFrame> {
    let status = prop_oneof![
        Just(ProviderStatus::Connected),
        Just(ProviderStatus::Connecting),
        Just(ProviderStatus::Disconnected),
        Just(ProviderStatus::LoggedOut),
    ];
    prop_oneof![
        (id(), id(), option::of(id()), option::of(any::<String>())).prop_map(
            |(bot_id, provider_name, instance, token)| ProviderFrame::Hello(Hello {
                bot_id: bot_id.into(),
                provider_name: provider_name.into(),
                provider_instance: instance.map(Into::into),
                token: token.map(Into::into),
            })
        ),
        (any::<u64>(), bot_id(), draft()).prop_map(|(seq, bot_id, draft)| {
            ProviderFrame::Message(MessageFrame { seq, bot_id, draft: Box::new(draft) })
        }),
        (bot_id(), status, option::of(any::<String>())).prop_map(|(bot_id, status, detail)| {
            ProviderFrame::Status(StatusFrame { bot_id, status, detail })
        }),
        (bot_id(), id(), id()).prop_map(|(bot_id, send_id, provider_message_id)| {
            let (send_id, provider_message_id) = (send_id.into(), provider_message_id.into());
            ProviderFrame::Sent(Sent { bot_id, send_id, provider_message_id })
        }),
        bot_id().prop_map(|bot_id| ProviderFrame::Ping(Ping { bot_id })),
    ]
}

fn outcome() -> impl Strategy<Value = ReceiptOutcome> {
    let message_id =
        || (1..=u64::MAX).prop_map(|number| MessageId::new(number).expect("from 1 up"));
    let wait = || any::<u64>().prop_map(Millis::from_ms);
    prop_oneof![
        message_id().prop_map(|message_id| ReceiptOutcome::Accepted { message_id }),
        message_id().prop_map(|message_id| ReceiptOutcome::Duplicate { message_id }),
        prop_oneof![
            wait().prop_map(|retry_after| Rejection::Overflow { retry_after }),
            wait().prop_map(|retry_after| Rejection::PlaceholderLimit { retry_after }),
            wait().prop_map(|retry_after| Rejection::BotNotRunning { retry_after }),
            wait().prop_map(|retry_after| Rejection::RetryLater { retry_after }),
            (option::of(any::<String>()), option::of(any::<String>()))
                .prop_map(|(field, detail)| Rejection::Invalid { field, detail }),
        ]
        .prop_map(ReceiptOutcome::Rejected),
        (
            prop_oneof![
                Just(EvictionReason::Age),
                Just(EvictionReason::Characters),
                Just(EvictionReason::Count),
            ],
            wait()
        )
            .prop_map(|(reason, retry_after)| ReceiptOutcome::Evicted { reason, retry_after }),
    ]
}

fn welcome() -> impl Strategy<Value = ServerFrame> {
    (bot_id(), any::<u128>(), 1..=u32::MAX, option::of(any::<u64>()), option::of(any::<String>()))
        .prop_map(|(bot_id, session, window, resume_after_seq, staging_dir)| {
            ServerFrame::Welcome(Welcome {
                payload_version: PayloadVersion,
                bot_id,
                session_id: SessionId::from(uuid::Uuid::from_u128(session)),
                window: NonZeroU32::new(window).expect("from 1 up"),
                resume_after_seq,
                media: WelcomeMedia {
                    staging_dir,
                    upload_url: "/v1/media".to_owned(),
                    quota_bytes: u64::MAX,
                    used_bytes: 0,
                    max_file_bytes: 1,
                },
            })
        })
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    let optional = || option::of(any::<String>());
    prop_oneof![
        welcome(),
        (bot_id(), any::<u64>(), outcome()).prop_map(|(bot_id, seq, outcome)| {
            ServerFrame::Receipt(Receipt { bot_id, seq, outcome })
        }),
        (bot_id(), id(), id(), any::<String>()).prop_map(
            |(bot_id, send, correspondent, message)| {
                let (send_id, correspondent_id) = (send.into(), correspondent.into());
                ServerFrame::Send(SendFrame { bot_id, send_id, correspondent_id, message })
            }
        ),
        (bot_id(), any::<u64>(), any::<u64>()).prop_map(|(bot_id, quota_bytes, used_bytes)| {
            ServerFrame::Quota(Quota { bot_id, quota_bytes, used_bytes })
        }),
        (
            bot_id(),
            optional(),
            any::<String>(),
            optional(),
            option::of(any::<u64>()),
            any::<bool>()
        )
            .prop_map(|(bot_id, field, detail, expected, seq, fatal)| {
                let (code, supported) = (ErrorCode::InvalidField, Some(vec![1]));
                let error =
                    ErrorFrame { bot_id, code, field, detail, supported, expected, seq, fatal };
                ServerFrame::Error(error)
            }),
        bot_id().prop_map(|bot_id| ServerFrame::Pong(Pong { bot_id })),
    ]
}

/// Any JSON, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|x| Number::from_f64(x).map_or(Value::Null, Value::Number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((any::<String>(), inner), 0..6)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

/// A frame in which some fields, at any depth, have been replaced by any JSON.
fn mangled_frame() -> impl Strategy<Value = Value> {
    let frame = prop_oneof![
        Just(hello()),
        Just(text_message()),
        Just(media_message()),
        Just(status()),
        Just(sent()),
    ];
    (frame, vec((any::<prop::sample::Index>(), any_json()), 1..4)).prop_map(
        |(mut frame, changes)| {
            for (index, value) in changes {
                let pointers = pointers(&frame);
                if let Some(place) = frame.pointer_mut(&pointers[index.index(pointers.len())]) {
                    *place = value;
                }
            }
            frame
        },
    )
}

/// The places of an object and of the objects in it.
fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = name.replace('~', "~0").replace('/', "~1");
        found.extend(pointers(value).iter().map(|rest| format!("/{name}{rest}")));
    }
    found
}

/// Reads a text and expects a frame, or an error that can be told.
fn is_total(text: &str) {
    if let Err(error) = parse_provider_frame(text) {
        let whole_frame = matches!(error.code, ErrorCode::MalformedJson | ErrorCode::FrameTooLarge);
        assert_eq!(error.field.is_none(), whole_frame, "{error}");
        assert!(!error.detail.is_empty() && error.detail.len() < 1_000, "{error}");
        let seq = error.seq;
        let told = error.into_reply().to_wire();
        match (seq, serde_json::from_str(&told)) {
            (Some(seq), Ok(ServerFrame::Receipt(receipt))) => assert_eq!(receipt.seq, seq),
            (None, Ok(ServerFrame::Error(_))) => {}
            (seq, told) => panic!("{seq:?} was told {told:?}"),
        }
    }
}

/// Failing cases are kept with those of the other crates.
fn kept() -> ProptestConfig {
    const REGRESSIONS: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/core/protocol.txt");
    let file = FileFailurePersistence::Direct(REGRESSIONS);
    ProptestConfig { failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(kept())]

    /// Goal: no text breaks the reading.
    #[test]
    fn any_text_is_a_frame_or_an_error(text in any::<String>()) {
        is_total(&text);
        let _ = parse_ack(&text);
        let _ = parse_consumer_frame(&text);
        let _ = parse_webhook_answer(text.as_bytes());
    }

    /// Goal: no bytes of a webhook break the reading of its answer, and a reply is what it says.
    #[test]
    fn any_bytes_are_a_webhooks_answer(bytes in any::<Vec<u8>>(), reply in any::<String>()) {
        let _ = parse_webhook_answer(&bytes);
        let body = serde_json::json!({ "reply": reply }).to_string();
        let read = parse_webhook_answer(body.as_bytes()).expect("a reply is a text");
        prop_assert_eq!(read.unwrap_or_default(), reply);
    }

    /// Goal: whatever stands in a consumer's frame, it is an acknowledgement or an error that ends nothing,
    /// and every entry is either an id or told as unknown.
    #[test]
    fn any_entries_are_acknowledged_or_unknown(entries in prop::collection::vec(any::<String>(), 0..20)) {
        let frame = serde_json::json!({ "type": "ack", "callback_ids": entries }).to_string();
        let Ok(ConsumerFrame::Ack(request)) = parse_consumer_frame(&frame) else {
            return Err(TestCaseError::fail("it is an acknowledgement"));
        };
        prop_assert_eq!(request.callback_ids.len() + request.unknown.len(), entries.len());
    }

    /// Goal: no text that looks like JSON breaks the reading, escapes and half characters included.
    #[test]
    fn any_jsonish_text_is_a_frame_or_an_error(text in r#"([\[\]{},:" ]|\\|\\u|d83d|de00|"type"|"message"|"seq"|[0-9]|é){0,40}"#) {
        is_total(&text);
    }

    /// Goal: no JSON breaks the reading.
    #[test]
    fn any_json_is_a_frame_or_an_error(json in any_json()) {
        is_total(&json.to_string());
        let _ = parse_ack(&json.to_string());
    }

    /// Goal: no frame with anything at all in place of its fields breaks the reading.
    #[test]
    fn a_mangled_frame_is_a_frame_or_an_error(frame in mangled_frame()) {
        is_total(&frame.to_string());
    }

    /// Goal: a frame that is cut anywhere is refused, not misread.
    #[test]
    fn a_cut_frame_is_refused(cut in any::<prop::sample::Index>()) {
        let text = media_message().to_string();
        let error = parse_provider_frame(&text[..cut.index(text.len())]).expect_err("no frame");
        prop_assert_eq!(error.code, ErrorCode::MalformedJson);
    }

    /// Goal: what a client writes is read as what it was.
    #[test]
    fn provider_frames_survive_the_wire(frame in provider_frame()) {
        prop_assert_eq!(parse_provider_frame(&frame.to_wire()), Ok(frame));
    }

    /// Goal: what Anteroom writes is read as what it was.
    #[test]
    fn server_frames_survive_the_wire(frame in server_frame()) {
        let read: ServerFrame = serde_json::from_str(&frame.to_wire()).expect("a frame");
        prop_assert_eq!(read, frame);
    }

    /// Goal: a message that was read is within its bounds: written and read again it stays the same.
    #[test]
    fn a_frame_that_was_read_stays_the_same(frame in mangled_frame()) {
        if let Ok(read) = parse_provider_frame(&frame.to_string()) {
            prop_assert_eq!(parse_provider_frame(&read.to_wire()), Ok(read));
        }
    }
}
