//! `GET /v1/bots/{bot}/callbacks` and its acknowledgements.

use std::time::Duration;

use anteroom_runtime::http::HttpLimits;
use anteroom_runtime::media::staging::StagingLimits;
use serde_json::{Value, json};

use crate::world::{BOT, Socket, World, message};

const ACK: &str = "/v1/bots/demo/callbacks/ack";

async fn say(provider: &mut Socket, seq: u64, text: &str) {
    provider.say(&message(seq, text)).await;
    let receipt = provider.next().await;
    assert_eq!(receipt["outcome"], "accepted", "{receipt}");
}

/// Goal: a callback has its id, its type and its JSON on one line; its acknowledgement is confirmed
/// and lets the next one of the correspondent come.
#[tokio::test]
async fn a_callback_comes_and_is_acknowledged() {
    let world = World::start().await;
    let mut events = world.events(BOT).await;
    let mut provider = world.provider(BOT).await;
    say(&mut provider, 1, "first\nline").await;
    say(&mut provider, 2, "second").await;

    let event = events.next().await.expect("a callback");
    assert_eq!((event.id.as_str(), event.event.as_str()), ("demo/alice/1", "message"));
    let callback: Value = serde_json::from_str(&event.data).expect("JSON");
    assert_eq!(callback["type"], "message");
    assert_eq!(callback["callback_id"], "demo/alice/1");
    assert_eq!((&callback["attempt"], &callback["bot_id"]), (&json!(1), &json!("demo")));
    assert_eq!(callback["correspondent_id"], "alice");
    assert_eq!(callback["message"]["content"], "first\nline");

    let answer = world.post(ACK, json!({"callback_ids": ["demo/alice/1"]}).to_string()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, json!({"acknowledged": 1, "unknown": []}));
    assert_eq!(events.next().await.expect("a callback").id, "demo/alice/2");
}

/// Goal: what names no callback of the bot is told as unknown and takes no neighbour along.
#[tokio::test]
async fn odd_ids_take_no_neighbour_along() {
    let world = World::start().await;
    let mut events = world.events(BOT).await;
    let mut provider = world.provider(BOT).await;
    say(&mut provider, 1, "x").await;
    events.next().await.expect("a callback");
    let ids =
        json!({"callback_ids": ["nonsense", "other/alice/1", "demo/alice/1", "demo/alice/99"]});
    let answer = world.post(ACK, ids.to_string()).await;
    assert_eq!(answer.body["acknowledged"], 1, "{}", answer.body);
    assert_eq!(answer.body["unknown"], json!(["nonsense", "other/alice/1", "demo/alice/99"]));
    let foreign = json!({"callback_ids": ["other/alice/1"]}).to_string();
    let answer = world.post(ACK, foreign).await;
    assert_eq!(answer.body, json!({"acknowledged": 0, "unknown": ["other/alice/1"]}));
}

/// Goal: what is no acknowledgement is refused with the field.
#[tokio::test]
async fn what_is_no_acknowledgement_is_refused() {
    let world = World::start().await;
    world.post(ACK, "[").await.problem(422, "malformed_json");
    let problem = world.post(ACK, "{}").await.problem(422, "missing_field");
    assert_eq!(problem["field"], "callback_ids");
    world.post(ACK, " ".repeat(1_100_000)).await.problem(413, "too_large");
}

/// Goal: an acknowledgement that cannot be durable is not confirmed.
#[tokio::test]
async fn an_acknowledgement_that_is_not_durable_is_not_confirmed() {
    let world = World::start().await;
    let body = json!({"callback_ids": ["demo/alice/1"]}).to_string();
    let answer = world.post(ACK, body.clone()).await;
    assert!(answer.retry_after.is_some());
    answer.problem(503, "retry_later");
    world.handle.shutdown().await;
    world.post(ACK, body).await.problem(503, "stopping");
}

/// Goal: while the store is away, nothing is confirmed; the request ends in time.
#[tokio::test]
async fn an_acknowledgement_waits_for_the_store() {
    let limits =
        HttpLimits { request_time_max: Duration::from_millis(300), ..HttpLimits::default() };
    let world = World::within(limits, StagingLimits::default()).await;
    let mut events = world.events(BOT).await;
    let mut provider = world.provider(BOT).await;
    say(&mut provider, 1, "x").await;
    let event = events.next().await.expect("a callback");
    world.store.go_away();
    let body = json!({"callback_ids": [event.id]}).to_string();
    world.post(ACK, body).await.problem(503, "timed_out");
}

/// Goal: the newest stream wins; the older one is told and ends.
#[tokio::test]
async fn the_newest_stream_wins() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    let mut older = world.events(BOT).await;
    let mut newer = world.events(BOT).await;
    let event = older.next().await.expect("it is told");
    assert_eq!((event.event.as_str(), event.data.as_str()), ("replaced", "{}"));
    assert_eq!(older.next().await, None);
    say(&mut provider, 1, "x").await;
    assert_eq!(newer.next().await.expect("a callback").id, "demo/alice/1");
}

/// Goal: what a stream took along unacknowledged comes again on the next one, with a higher attempt.
#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    let mut events = world.events(BOT).await;
    say(&mut provider, 1, "x").await;
    let first = events.next().await.expect("a callback");
    drop(events);
    let mut events = world.events(BOT).await;
    let again = events.next().await.expect("it comes again");
    assert_eq!(again.id, first.id);
    let attempt = |data: &str| {
        let callback: Value = serde_json::from_str(data).expect("JSON");
        callback["attempt"].as_u64().expect("a number")
    };
    assert!(attempt(&again.data) > attempt(&first.data));
}

/// Goal: a silent stream says that it is alive, and ends when the node stops.
#[tokio::test]
async fn a_silent_stream_is_kept_alive_until_the_node_stops() {
    let limits =
        HttpLimits { keep_alive_every: Duration::from_millis(50), ..HttpLimits::default() };
    let world = World::within(limits, StagingLimits::default()).await;
    let mut events = world.events(BOT).await;
    assert!(events.block().await.expect("a sign of life").starts_with(':'));
    world.shutdown.cancel();
    assert_eq!(events.next().await, None);
    world.listener.await.expect("it does not panic").expect("it ends well");
}
