//! `GET /v1/provider`.

use std::time::Duration;

use anteroom_runtime::http::HttpLimits;
use anteroom_runtime::media::staging::StagingLimits;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::world::{BOT, World, client, hello, message, roomy};

/// Goal: a provider is welcomed with what it needs to bring media, and its message gets a receipt.
#[tokio::test]
async fn a_provider_is_welcomed_and_gets_its_receipt() {
    let world = World::start().await;
    let mut provider = world.socket().await;
    provider.say(&hello(BOT, "cli")).await;
    let welcome = provider.next().await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    assert_eq!(welcome["payload_version"], 1);
    assert_eq!(welcome["bot_id"], BOT);
    assert!(welcome["window"].as_u64() > Some(0) && welcome["session_id"].is_string());
    let media = &welcome["media"];
    let directory = std::path::Path::new(media["staging_dir"].as_str().expect("it is shared"));
    assert!(directory.is_absolute() && directory.is_dir());
    assert_eq!(media["upload_url"], "/v1/media");
    assert_eq!(media["quota_bytes"], StagingLimits::default().quota_bytes);
    assert_eq!(media["max_file_bytes"], StagingLimits::default().file_bytes_max);
    assert_eq!(media["used_bytes"], 0);

    provider.say(&message(1, "hello")).await;
    let receipt = provider.next().await;
    assert_eq!(receipt["type"], "receipt");
    assert_eq!((&receipt["seq"], &receipt["outcome"]), (&json!(1), &json!("accepted")));
    assert_eq!(receipt["message_id"], 1);
    provider.say(&message(1, "hello")).await;
    assert_eq!(provider.next().await["outcome"], "duplicate");
}

/// Goal: what is no frame is answered with the reason, and the connection goes on.
#[tokio::test]
async fn what_is_no_frame_is_answered() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    for (raw, code) in [
        (Message::text("{"), "malformed_json"),
        (Message::text(r#"{"type":"telegram"}"#), "unknown_frame_type"),
        (Message::binary(vec![0xff; 64]), "malformed_json"),
        (Message::binary(vec![b'x'; 300_000]), "frame_too_large"),
        (Message::text("x".repeat(10_000_000)), "frame_too_large"),
    ] {
        provider.say_raw(raw).await.expect("the socket is open");
        let error = provider.next().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{error}");
        assert_eq!(error["fatal"], false);
    }
    provider.say(&message(1, "still here")).await;
    assert_eq!(provider.next().await["outcome"], "accepted");
}

/// Goal: a message whose number can be read gets its receipt even when it is no frame.
#[tokio::test]
async fn a_bad_message_gets_its_receipt() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    let mut bad = message(7, "x");
    bad["direction"] = "sideways".into();
    provider.say(&bad).await;
    let receipt = provider.next().await;
    assert_eq!(receipt["type"], "receipt", "{receipt}");
    assert_eq!((&receipt["seq"], &receipt["reason"]), (&json!(7), &json!("invalid")));
    assert_eq!(receipt["field"], "direction");
    assert!(receipt["detail"].is_string() && receipt.get("retry_after_ms").is_none());
}

/// Goal: what cannot be skipped in bounded memory, and what is not UTF-8, ends the connection with
/// the reason that the WebSocket protocol has for it.
#[tokio::test]
async fn what_cannot_be_read_on_ends_the_connection() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    // The head of a frame is enough.
    provider.say_bytes(&[0x82, 0xff, 0, 0, 0, 0, 1, 16, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(provider.closed().await.expect("a reason").code, CloseCode::Size);

    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let mut provider = world.provider(BOT).await;
    let frame = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    provider.say_raw(Message::Frame(frame)).await.expect("the socket is open");
    assert_eq!(provider.closed().await.expect("a reason").code, CloseCode::Invalid);

    let mut other = world.provider("other").await;
    other.say(&message(1, "unharmed")).await;
    assert_eq!(other.next().await["outcome"], "accepted");
}

/// Goal: both kinds of ping are answered.
#[tokio::test]
async fn pings_are_answered() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    provider.say(&json!({"type": "ping"})).await;
    assert_eq!(provider.next().await["type"], "pong");
    provider.say_raw(Message::Ping("x".into())).await.expect("the socket is open");
    assert_eq!(provider.next_raw().await, Some(Message::Pong("x".into())));
}

/// Goal: a fatal error is told before the connection ends.
#[tokio::test]
async fn a_fatal_error_is_told_before_the_end() {
    let world = World::start().await;
    let _first = world.provider(BOT).await;
    let mut second = world.socket().await;
    second.say(&hello(BOT, "another")).await;
    let error = second.next().await;
    assert_eq!(error["code"], "provider_mismatch", "{error}");
    assert_eq!((&error["expected"], &error["fatal"]), (&json!("cli"), &json!(true)));
    assert_eq!(second.closed().await.expect("a code").code, CloseCode::Normal);
}

/// Goal: a peer that sends and never reads is let go, and others are served meanwhile.
/// Method: frames that are answered at length, without end, and a small buffer for the answers.
#[tokio::test]
async fn a_peer_that_does_not_read_is_let_go() {
    let limits =
        HttpLimits { write_stall_max: Duration::from_millis(300), ..HttpLimits::default() };
    let world = World::within(limits, roomy()).await;
    let mut deaf = world.socket_with_a_small_ear().await;
    let flood = async {
        let nonsense = Message::text(r#"{"type":"nonsense"}"#);
        while deaf.say_raw(nonsense.clone()).await.is_ok() {}
    };
    let others = async {
        let mut provider = world.provider(BOT).await;
        for seq in 1..=20 {
            provider.say(&message(seq, "x")).await;
            assert_eq!(provider.next().await["outcome"], "accepted");
        }
    };
    let both = async { tokio::join!(flood, others) };
    tokio::time::timeout(crate::world::PATIENCE, both).await.expect("the deaf peer is let go");
}

/// Goal: when the node stops, providers are told to come again, and the listener ends.
#[tokio::test]
async fn a_stop_tells_providers_to_come_again() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    world.shutdown.cancel();
    assert_eq!(provider.closed().await.expect("a reason").code, CloseCode::Restart);
    drop(provider);
    world.listener.await.expect("it does not panic").expect("it ends well");
}

/// Goal: a plain request is told that this is a WebSocket.
#[tokio::test]
async fn a_plain_request_is_told_what_this_is() {
    let world = World::start().await;
    let response = client().get(world.at("/v1/provider")).send().await.expect("an answer");
    crate::world::Answer::of(response).await.problem(426, "websocket_expected");
}
