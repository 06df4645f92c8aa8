//! The window of messages without a receipt, while the store keeps them waiting.

use std::collections::BTreeMap;

use anteroom_tests::held_store::HeldStore;
use anteroom_tests::{Connection, frames, process};
use serde_json::{Value, json};

use crate::Configured;

/// A bot stays its node's however long the store is held.
const HELD_LONG: &str = "[ownership]\nttl = \"10 min\"\n";

/// A connection of a bot that knows its correspondents: their ids need not be read any more.
async fn connected(world: &Configured, correspondents: u64) -> Connection {
    let mut connection = Connection::hello(&world.server, "demo").await;
    for number in 0..correspondents {
        let known = frames::text(&format!("c{number}"), &format!("known {number}"), "hello");
        assert_eq!(connection.receipt(&known).await["outcome"], "accepted");
    }
    connection
}

fn assert_is_to_come_again(receipt: &Value, seq: u64) {
    assert_eq!(
        (&receipt["seq"], &receipt["outcome"], &receipt["reason"]),
        (&json!(seq), &json!("rejected"), &json!("retry_later"))
    );
    assert!(receipt["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{receipt}");
}

/// Goal: what is beyond the window is to be sent again, a number that waits for its receipt cannot be used
/// again, and both receipts come once the store writes. Method: a window of two, and a store that is held.
#[tokio::test]
async fn the_window_is_kept() {
    let world = Configured::start(&format!("{HELD_LONG}[session]\nwindow = 2\n")).await;
    let mut connection = connected(&world, 1).await;
    assert_eq!(connection.welcome()["window"], 2);
    let held = HeldStore::of(&world.server);
    let first = connection.message(&frames::text("c0", "m1", "x")).await;
    let second = connection.message(&frames::text("c0", "m2", "x")).await;
    let third = connection.message(&frames::text("c0", "m3", "x")).await;
    assert_is_to_come_again(&connection.next().await.expect("a receipt"), third);
    let mut again = frames::text("c0", "m4", "x");
    again["seq"] = second.into();
    connection.send(&again).await;
    let error = connection.next().await.expect("an error");
    assert_eq!((&error["type"], &error["field"]), (&json!("error"), &json!("seq")), "{error}");
    assert_eq!(error["fatal"], false, "{error}");
    held.release();
    for (seq, message_id) in [(first, 2), (second, 3)] {
        let receipt = connection.next().await.expect("a receipt");
        assert_eq!(
            (&receipt["seq"], &receipt["outcome"], &receipt["message_id"]),
            (&json!(seq), &json!("accepted"), &json!(message_id))
        );
    }
    let receipt = connection.receipt(&frames::text("c0", "m3", "x")).await;
    assert_eq!((&receipt["outcome"], &receipt["message_id"]), (&json!("accepted"), &json!(4)));
}

/// Goal: while the store stands still, a full window waits without a receipt, however much is sent beyond it:
/// that is refused at once, and kept nowhere. When the store goes on, every receipt comes, each
/// correspondent's in order, and the window is free again.
/// Method: a held store; two thousand messages of 10 kB beyond the window, 20 MB if they were kept.
#[tokio::test]
async fn a_full_window_waits_for_the_store_and_nothing_beyond_it_is_kept() {
    const CORRESPONDENTS: u64 = 8;
    const BEYOND: u64 = 2_000;
    const AT_ONCE: u64 = 100;
    const EXTRA_KIB_MAX: u64 = 10 * 1_024;
    let world = Configured::start(HELD_LONG).await;
    let mut connection = connected(&world, CORRESPONDENTS).await;
    let window = connection.welcome()["window"].as_u64().expect("welcome names the window");
    let held = HeldStore::of(&world.server);
    let mut waiting = Vec::new();
    for number in 0..window {
        let from = format!("c{}", number % CORRESPONDENTS);
        let frame = frames::text(&from, &format!("waits {number}"), "a word");
        waiting.push((connection.message(&frame).await, from));
    }
    let long = "x".repeat(10_000);
    let mut before = None;
    for round in 0..BEYOND / AT_ONCE {
        let mut beyond = Vec::new();
        for number in 0..AT_ONCE {
            let frame = frames::text("c0", &format!("beyond {round} {number}"), &long);
            beyond.push(connection.message(&frame).await);
        }
        for seq in beyond {
            assert_is_to_come_again(&connection.next().await.expect("a receipt"), seq);
        }
        before.get_or_insert_with(|| process::resident_kib(world.server.id()));
    }
    let extra = process::resident_kib(world.server.id()).saturating_sub(before.expect("a round"));
    println!("{extra} KiB more after {BEYOND} messages beyond the window");
    assert!(extra < EXTRA_KIB_MAX, "{extra} KiB more");

    held.release();
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut ids: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for _ in 0..window {
        let receipt = connection.next().await.expect("a receipt");
        assert_eq!(receipt["outcome"], "accepted", "{receipt}");
        let seq = receipt["seq"].as_u64().expect("a number");
        let (_, from) = waiting.iter().find(|(sent, _)| *sent == seq).expect("it waited");
        seqs.entry(from.clone()).or_default().push(seq);
        ids.entry(from.clone()).or_default().push(receipt["message_id"].as_u64().expect("an id"));
    }
    for (from, seqs) in seqs {
        let sent: Vec<u64> =
            waiting.iter().filter(|(_, of)| *of == from).map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, sent, "of {from}");
        let numbered: Vec<u64> = (2..).take(sent.len()).collect();
        assert_eq!(ids[&from], numbered, "of {from}");
    }
    let receipt = connection.receipt(&frames::text("c0", "beyond 0 0", &long)).await;
    assert_eq!(receipt["outcome"], "accepted", "{receipt}");
}
