//! Many messages at once, through the whole node.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{BOT, PATIENCE, World, message};

/// Goal: more messages than any window holds pass through, each called back and confirmed.
/// Method: a provider that keeps to the window and a consumer that acknowledges what it has read.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_passes_through() {
    const COUNT: u64 = 1_500;
    const WINDOW: u64 = 256;
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    let mut events = world.events(BOT).await;
    let providing = async {
        let mut settled = 0;
        let mut sent = 0;
        let mut waiting = BTreeSet::new();
        while settled < COUNT {
            while sent < COUNT && (waiting.len() as u64) < WINDOW {
                sent += 1;
                let mut frame = message(sent, &"🦀".repeat(700));
                frame["correspondent_id"] = format!("c{}", sent % 64).into();
                provider.say(&frame).await;
                waiting.insert(sent);
            }
            let receipt = provider.next().await;
            assert_eq!(receipt["outcome"], "accepted", "{receipt}");
            assert!(waiting.remove(&receipt["seq"].as_u64().expect("a number")));
            settled += 1;
        }
    };
    let consuming = async {
        let mut confirmed = 0;
        while confirmed < COUNT {
            let ids: Vec<String> =
                events.all_there_is().await.into_iter().map(|it| it.id).collect();
            let body = json!({"callback_ids": ids}).to_string();
            let answer = world.post("/v1/bots/demo/callbacks/ack", body).await;
            assert_eq!(answer.body["unknown"], Value::Array(Vec::new()));
            confirmed += ids.len() as u64;
        }
    };
    let both = async { tokio::join!(providing, consuming) };
    tokio::time::timeout(PATIENCE, both).await.expect("all pass through in time");
}
