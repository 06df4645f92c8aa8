//! `POST /v1/bots/{bot}/sends`.

use serde_json::{Value, json};

use crate::world::{BOT, World};

const PATH: &str = "/v1/bots/demo/sends";

fn send(send_id: &str, message: &str) -> Value {
    json!({"send_id": send_id, "correspondent_id": "alice", "message": message})
}

/// Goal: a send is durable when it is answered, told once, and reaches the provider.
#[tokio::test]
async fn a_send_reaches_the_provider() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    let answer = world.post(PATH, send("s1", "hi").to_string()).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.body, json!({"send_id": "s1", "outcome": "enqueued"}));
    let frame = provider.next().await;
    assert_eq!(frame["type"], "send", "{frame}");
    assert_eq!((&frame["send_id"], &frame["message"]), (&json!("s1"), &json!("hi")));
    assert_eq!(frame["correspondent_id"], "alice");

    let again = world.post(PATH, send("s1", "hi").to_string()).await;
    assert_eq!((again.status, &again.body["outcome"]), (200, &json!("already_present")));
    world.post(PATH, send("s1", "other words").to_string()).await.problem(409, "send_id_in_use");
}

/// Goal: what is no send is refused with the field.
#[tokio::test]
async fn what_is_no_send_is_refused() {
    let world = World::start().await;
    let problem = world.post(PATH, send("", "hi").to_string()).await.problem(422, "invalid_field");
    assert_eq!(problem["field"], "send_id");
    world.post(PATH, "nonsense").await.problem(422, "malformed_json");
    world.post(PATH, "x".repeat(300_000)).await.problem(413, "too_large");
}

/// Goal: a send that cannot be durable is not taken.
#[tokio::test]
async fn a_send_that_cannot_be_durable_is_not_taken() {
    let world = World::start().await;
    world.handle.shutdown().await;
    world.post(PATH, send("s1", "hi").to_string()).await.problem(503, "stopping");
}
