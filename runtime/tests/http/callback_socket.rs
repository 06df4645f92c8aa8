//! A bot's callbacks over a WebSocket.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::world::{BOT, Socket, World, client, message};

const ACK: &str = "/v1/bots/demo/callbacks/ack";

async fn say(provider: &mut Socket, seq: u64, text: &str) {
    provider.say(&message(seq, text)).await;
    let receipt = provider.next().await;
    assert_eq!(receipt["outcome"], "accepted", "{receipt}");
}

fn ack(ids: &[&str]) -> Value {
    json!({"type": "ack", "callback_ids": ids})
}

/// Goal: a callback is the same JSON as everywhere; acknowledged in-band it is confirmed in-band, and the
/// next one comes.
#[tokio::test]
async fn a_callback_is_acknowledged_in_band() {
    let world = World::start().await;
    let mut consumer = world.callback_socket(BOT).await;
    let mut provider = world.provider(BOT).await;
    say(&mut provider, 1, "first\nline").await;
    say(&mut provider, 2, "second").await;
    let callback = consumer.next().await;
    assert_eq!(
        (&callback["type"], &callback["callback_id"]),
        (&json!("message"), &json!("demo/alice/1"))
    );
    assert_eq!(callback["message"]["content"], "first\nline");
    consumer.say(&ack(&["demo/alice/1", "odd"])).await;
    // The next callback and the answer come in either order.
    let (one, other) = (consumer.next().await, consumer.next().await);
    let (acked, second) = if one["type"] == "acked" { (one, other) } else { (other, one) };
    assert_eq!(acked, json!({"type": "acked", "acknowledged": 1, "unknown": ["odd"]}));
    assert_eq!((&second["callback_id"], &second["attempt"]), (&json!("demo/alice/2"), &json!(1)));
}

/// Goal: what is acknowledged by request is acknowledged for the socket too.
#[tokio::test]
async fn a_callback_is_acknowledged_by_request() {
    let world = World::start().await;
    let mut consumer = world.callback_socket(BOT).await;
    let mut provider = world.provider(BOT).await;
    say(&mut provider, 1, "x").await;
    say(&mut provider, 2, "y").await;
    consumer.next().await;
    let body = json!({"callback_ids": ["demo/alice/1"]}).to_string();
    assert_eq!(world.post(ACK, body).await.body["acknowledged"], 1);
    assert_eq!(consumer.next().await["callback_id"], "demo/alice/2");
}

/// Goal: many acknowledgements may be on their way; each is answered, in order.
#[tokio::test]
async fn acknowledgements_are_answered_in_order() {
    let world = World::start().await;
    let mut consumer = world.callback_socket(BOT).await;
    for number in 0..100 {
        consumer.say(&ack(&[&format!("odd {number}")])).await;
    }
    for number in 0..100 {
        let acked = consumer.next().await;
        assert_eq!(acked["unknown"], json!([format!("odd {number}")]));
    }
}

/// Goal: a newer stream of either kind takes the place of the older; that one is told, and ends.
#[tokio::test]
async fn the_newest_stream_wins() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    let mut first = world.callback_socket(BOT).await;
    let mut second = world.callback_socket(BOT).await;
    assert_eq!(first.next().await, json!({"type": "replaced"}));
    assert_eq!(u16::from(first.closed().await.expect("a word").code), 1000);
    let mut third = world.events(BOT).await;
    assert_eq!(second.next().await, json!({"type": "replaced"}));
    let mut fourth = world.callback_socket(BOT).await;
    assert_eq!(third.next().await.expect("it is told").event, "replaced");
    say(&mut provider, 1, "x").await;
    assert_eq!(fourth.next().await["callback_id"], "demo/alice/1");
}

/// Goal: what a socket took along unacknowledged comes again on the next one, with a higher attempt.
#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    let mut consumer = world.callback_socket(BOT).await;
    say(&mut provider, 1, "x").await;
    let first = consumer.next().await;
    drop(consumer);
    let again = world.callback_socket(BOT).await.next().await;
    assert_eq!(again["callback_id"], first["callback_id"]);
    assert!(again["attempt"].as_u64() > first["attempt"].as_u64());
}

/// Goal: what is no frame is answered with the field, and the socket stays; a message beyond all bounds ends
/// it.
#[tokio::test]
async fn what_is_no_frame_is_answered() {
    let world = World::start().await;
    let mut consumer = world.callback_socket(BOT).await;
    for (frame, code, field) in [
        ("nonsense", "malformed_json", Value::Null),
        ("[]", "malformed_json", Value::Null),
        ("{}", "missing_field", json!("type")),
        (r#"{"type":"hello"}"#, "unknown_frame_type", json!("type")),
        (r#"{"type":"ack"}"#, "missing_field", json!("callback_ids")),
    ] {
        consumer.say_raw(Message::text(frame)).await.expect("the socket is open");
        let error = consumer.next().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{error}");
        assert_eq!((&error["field"], &error["fatal"]), (&field, &json!(false)), "{error}");
    }
    consumer.say_raw(Message::binary(vec![0])).await.expect("the socket is open");
    assert_eq!(consumer.next().await["code"], "malformed_json");
    consumer.say_raw(Message::text(" ".repeat(1_100_000))).await.expect("the socket is open");
    assert_eq!(consumer.next().await["code"], "frame_too_large");
    consumer.say(&json!({"type": "ping"})).await;
    assert_eq!(consumer.next().await, json!({"type": "pong"}));
    consumer.say_raw(Message::text(" ".repeat(3_000_000))).await.expect("the socket is open");
    assert_eq!(u16::from(consumer.closed().await.expect("a word").code), 1009);
}

/// Goal: an acknowledgement that cannot be durable is not confirmed, and is to be sent again.
#[tokio::test]
async fn an_acknowledgement_that_is_not_durable_is_not_confirmed() {
    let world = World::start().await;
    let mut consumer = world.callback_socket(BOT).await;
    consumer.say(&ack(&["demo/alice/1"])).await;
    let answer = consumer.next().await;
    assert_eq!(answer["type"], "not_acked", "{answer}");
    assert!(answer["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{answer}");
}

/// Goal: a WebSocket is what the upgrade asks for; an upgrade to something else is refused.
#[tokio::test]
async fn an_upgrade_to_something_else_is_refused() {
    let world = World::start().await;
    let request = client()
        .get(world.at("/v1/bots/demo/callbacks"))
        .header("connection", "upgrade")
        .header("upgrade", "h2c");
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 426);
}

/// Goal: a socket ends in order when the node stops.
#[tokio::test]
async fn a_socket_ends_when_the_node_stops() {
    let world = World::start().await;
    let mut consumer = world.callback_socket(BOT).await;
    world.shutdown.cancel();
    assert_eq!(u16::from(consumer.closed().await.expect("a word").code), 1012);
}

/// Goal: of two streams the one that was answered last is the newest, however soon it comes after the other; so
/// a consumer that connects again at once is never replaced by its own older line.
/// Method: many pairs; in each the older is told, and the newer gets the callback.
#[tokio::test(flavor = "multi_thread")]
async fn the_stream_that_was_answered_last_is_the_newest() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    provider.say(&message(1, "hello")).await;
    assert_eq!(provider.next().await["outcome"], "accepted");
    for round in 0..50 {
        let mut older = world.callback_socket(BOT).await;
        let mut newer = world.callback_socket(BOT).await;
        // The older may have had the callback before.
        while older.next().await["type"] != "replaced" {}
        assert_eq!(newer.next().await["callback_id"], "demo/alice/1", "round {round}");
    }
}
