//! `POST /v1/bots/{bot}/messages`.

use serde_json::{Value, json};

use crate::world::{BOT, World, posted};

const PATH: &str = "/v1/bots/demo/messages";

/// Goal: a posted message has the receipt of a sent one; a second one is the duplicate of the first.
#[tokio::test]
async fn a_posted_message_is_accepted_once() {
    let world = World::start().await;
    let _provider = world.provider(BOT).await;
    let body = posted("p1", "hello").to_string();
    let first = world.post(PATH, body.clone()).await;
    assert_eq!((first.status, first.content_type.as_str()), (200, "application/json"));
    assert_eq!(first.body, json!({"outcome": "accepted", "message_id": 1}));
    let second = world.post(PATH, body).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.body, json!({"outcome": "duplicate", "message_id": 1}));
}

/// Goal: what is no message is refused with the field and the reason of a receipt.
#[tokio::test]
async fn what_is_no_message_is_invalid() {
    let world = World::start().await;
    let with = |field: &str, value: Value| {
        let mut body = posted("p1", "x");
        body[field] = value;
        body.to_string()
    };
    for (body, code, field) in [
        ("{".to_owned(), "malformed_json", None),
        (with("sender", Value::Null), "missing_field", Some("sender")),
        (with("direction", json!("sideways")), "invalid_field", Some("direction")),
        (with("payload_version", json!(9)), "unsupported_payload_version", Some("payload_version")),
        (with("bot_id", json!("another")), "invalid_field", Some("bot_id")),
        (with("type", json!("ping")), "unknown_frame_type", Some("type")),
    ] {
        let problem = world.post(PATH, body).await.problem(422, code);
        assert_eq!(problem["field"].as_str(), field, "{problem}");
        assert_eq!(
            (&problem["outcome"], &problem["reason"]),
            (&json!("rejected"), &json!("invalid"))
        );
    }
    world.post(PATH, vec![0xff, 0xfe]).await.problem(400, "malformed_json");
    world.post(PATH, "x".repeat(300_000)).await.problem(413, "too_large");
}

/// Goal: a bot that does not run takes nothing, and says when to come again.
#[tokio::test]
async fn a_bot_that_does_not_run_takes_nothing() {
    let world = World::start().await;
    let answer = world.post(PATH, posted("p1", "x").to_string()).await;
    assert_eq!(answer.retry_after.as_deref(), Some("5"));
    let problem = answer.problem(409, "bot_not_running");
    assert_eq!(problem["reason"], "bot_not_running");
    assert_eq!(problem["retry_after_ms"], 5_000);
}

/// Goal: a node that has stopped answers that it has.
#[tokio::test]
async fn a_stopped_node_says_so() {
    let world = World::start().await;
    world.handle.shutdown().await;
    let answer = world.post(PATH, posted("p1", "x").to_string()).await;
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
    answer.problem(503, "stopping");
}
