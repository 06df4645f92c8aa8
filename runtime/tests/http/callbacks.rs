//! `GET /v1/bots/{bot}/callbacks` and its acknowledgements.

use std::cell::Cell;
use std::time::Duration;

use anteroom_runtime::http::HttpLimits;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{BOT, PATIENCE, Socket, World, message, roomy};

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
    let world = World::within(limits, roomy()).await;
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

/// Opens a stream with `last_event_id`, byte by byte as it is, and returns the status and the first event's JSON.
async fn opened(world: &World, last_event_id: &[u8]) -> (u16, Option<Value>) {
    let authority = world.url.trim_start_matches("http://");
    let mut line = TcpStream::connect(authority).await.expect("it listens");
    let head =
        format!("GET /v1/bots/{BOT}/callbacks HTTP/1.1\r\nhost: {authority}\r\nlast-event-id: ");
    let request = [head.as_bytes(), last_event_id, b"\r\n\r\n"].concat();
    // One that is refused for its size may be refused before it is read to its end.
    let _ = line.write_all(&request).await;
    let mut answer = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&answer);
            let data = text.lines().find_map(|line| line.strip_prefix("data: "));
            if let Some(data) = data.filter(|_| text.ends_with("\n\n") || text.contains("\n\n\r\n"))
            {
                break Some(serde_json::from_str(data).expect("JSON"));
            }
            let mut chunk = [0; 4_096];
            match line.read(&mut chunk).await {
                Ok(count) if count > 0 => answer.extend_from_slice(&chunk[..count]),
                Ok(_) | Err(_) => break None,
            }
        }
    };
    let event = timeout(PATIENCE, reading).await.expect("an event, or the end");
    let text = String::from_utf8_lossy(&answer);
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    (status.expect("a status").parse().expect("a number"), event)
}

/// Goal: whatever a stream says in `Last-Event-ID`, it acknowledges nothing and skips nothing: the oldest
/// callback that is owed comes, under a higher attempt; bytes that no header may have are refused, and so is
/// more than a head may have. Nothing stalls.
/// Method: ids of callbacks and pieces of them, texts, and noise, each on a stream of its own of one node.
#[test]
fn any_last_event_id_acknowledges_nothing() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(async {
        let world = World::start().await;
        let mut provider = world.provider(BOT).await;
        say(&mut provider, 1, "first").await;
        say(&mut provider, 2, "second").await;
        world
    });
    let ids = prop_oneof![
        "demo/alice/[0-9]{1,20}(/r[0-9]{1,3})?".prop_map(String::into_bytes),
        "(demo|alice|batch_|/|%[0-9a-f]{2}|-?[0-9]|\\.\\.|,|;){0,20}".prop_map(String::into_bytes),
        "\\PC{0,200}".prop_map(String::into_bytes),
        prop::collection::vec(
            any::<u8>().prop_filter("a line's end", |it| !b"\r\n".contains(it)),
            0..200
        ),
    ];
    let kept = FileFailurePersistence::Direct("../proptest-regressions/runtime_last_event_id.txt");
    let config = ProptestConfig {
        cases: 128,
        failure_persistence: Some(Box::new(kept)),
        ..ProptestConfig::default()
    };
    let last = Cell::new(0);
    let ended = TestRunner::new(config).run(&ids, |id| {
        let (status, event) = runtime.block_on(opened(&world, &id));
        let is_a_header = id.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
        prop_assert_eq!(status, if is_a_header { 200 } else { 400 });
        if let Some(event) = event {
            prop_assert_eq!(&event["callback_id"], "demo/alice/1");
            let attempt = event["attempt"].as_u64().expect("a number");
            prop_assert!(attempt > last.replace(attempt));
        }
        Ok(())
    });
    ended.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(last.get() > 1, "streams were opened");
    runtime.block_on(async {
        let (status, event) = opened(&world, &vec![b'x'; 200_000]).await;
        assert_eq!((status, event), (431, None));
        let acked = world.post(ACK, json!({"callback_ids": ["demo/alice/1"]}).to_string()).await;
        assert_eq!(acked.body, json!({"acknowledged": 1, "unknown": []}));
        let (_, next) = opened(&world, b"demo/alice/2").await;
        assert_eq!(next.expect("a callback")["callback_id"], "demo/alice/2");
    });
}

/// Goal: a silent stream says that it is alive, and ends when the node stops.
#[tokio::test]
async fn a_silent_stream_is_kept_alive_until_the_node_stops() {
    let limits =
        HttpLimits { keep_alive_every: Duration::from_millis(50), ..HttpLimits::default() };
    let world = World::within(limits, roomy()).await;
    let mut events = world.events(BOT).await;
    assert!(events.block().await.expect("a sign of life").starts_with(':'));
    world.shutdown.cancel();
    assert_eq!(events.next().await, None);
    world.listener.await.expect("it does not panic").expect("it ends well");
}
