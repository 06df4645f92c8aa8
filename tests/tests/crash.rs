//! What a person has left running goes on over a `kill -9` of the server, and what it was told stays
//! true. The torture looks at everything else (`torture.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use anteroom_tests::{Acknowledge, Consumer, PATIENCE, Server, cli, consumer};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

const BOT: &str = "demo";

/// Goal: a `tail` that a person left running goes on by itself over a crash of the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_tail_survives_a_kill() {
    let mut server = Server::start().await;
    cli::run(&server, &["send", "--bot", BOT, "--from", "alice", "--text", "one"])
        .await
        .succeeded();
    let mut tail = cli::start(&server, &["tail", "--bot", BOT, "--json"]);
    let stdout = tail.stdout.take().expect("standard output is piped");
    let mut lines = BufReader::new(stdout).lines();
    let mut attempts = BTreeMap::<String, u64>::new();
    for words in ["one", "two", "three"] {
        if words != "one" {
            server.kill().await;
            server.restart().await;
            cli::run(&server, &["send", "--bot", BOT, "--from", "alice", "--text", words])
                .await
                .succeeded();
        }
        loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("tail did not print {words}"));
            let line = line.expect("standard output can be read").expect("tail goes on");
            let callback: Value = serde_json::from_str(&line).expect("--json prints JSON");
            let id = callback["callback_id"].as_str().expect("it has an id").to_owned();
            let attempt = callback["attempt"].as_u64().expect("it has an attempt");
            assert!(attempts.insert(id, attempt) < Some(attempt), "no higher attempt: {line}");
            if callback["message"]["content"] == words {
                break;
            }
        }
    }
    assert_eq!(attempts.len(), 3, "three messages, three callback ids");
}

/// Goal: a `send` that ended well has its message called back, whenever the server was killed.
/// Method: kill at growing delays after `send` was started, and restart at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_ended_well_is_called_back() {
    let mut server = Server::start().await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    for number in 0..10_u32 {
        let text = format!("message {number}");
        let send = cli::start(&server, &["send", "--bot", BOT, "--from", "alice", "--text", &text]);
        tokio::time::sleep(Duration::from_millis(2) * number).await;
        server.kill().await;
        server.restart().await;
        // Whether it waits for a server that is away is its own choice; what it says must be true.
        if cli::ended(send).await.code == Some(0) {
            let what = format!("the callback of {text}, which was accepted");
            let is_it = |callback: &consumer::Callback| callback.content() == text;
            consumer.seen().until(&what, |seen| seen.callbacks().any(is_it)).await;
        }
    }
    let last = cli::run(&server, &["send", "--bot", BOT, "--from", "alice", "--text", "last"]);
    last.await.succeeded();
}
