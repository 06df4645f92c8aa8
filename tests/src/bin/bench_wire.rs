//! The wire under load: a thousand providers on one process, texts in and called back over the stream, the memory of
//! an idle connection, and how long receipts take meanwhile.
//!
//! Prints a table. A benchmark and no test: it asserts no figure, but every text must have come back once.
//! `cargo xtask bench wire` builds what it needs and runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anteroom_tests::{Connection, Server, frames, process};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Providers that are connected.
const CONNECTIONS: usize = 1_000;

/// Providers that talk at once.
const TALKING: usize = 50;

/// Texts of each of them.
const TEXTS: u64 = 4_000;

/// Correspondents of each of them.
const CORRESPONDENTS: u64 = 200;

/// Messages of one provider without a receipt; less than the window.
const WINDOW: usize = 200;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[tokio::main]
async fn main() {
    let server = Server::start().await;
    let before = process::resident_kib(server.id());
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        idle.push(Connection::hello(&server, &format!("bot-{number}")).await);
    }
    let after = process::resident_kib(server.id());
    let each = after.saturating_sub(before) as f64 / CONNECTIONS as f64;
    println!(
        "{CONNECTIONS} providers are connected, each with a bot of its own: {before} KiB, then {after} KiB"
    );
    println!("{:<48}{each:>10.1} KiB", "an idle connection and its bot");
    idle.drain(..TALKING);

    let begun = Instant::now();
    let mut talking = Vec::new();
    let mut listening = Vec::new();
    for number in 0..TALKING {
        let bot = format!("bot-{number}");
        talking.push(tokio::spawn(provide(server.url().to_owned(), bot.clone())));
        listening.push(tokio::spawn(consume(server.url().to_owned(), bot)));
    }
    let mut receipts = Vec::new();
    for provider in talking {
        receipts.extend(provider.await.expect("a provider does not panic"));
    }
    let received = begun.elapsed();
    for consumer in listening {
        consumer.await.expect("a consumer does not panic");
    }
    let called_back = begun.elapsed();
    let texts = TALKING as f64 * TEXTS as f64;
    println!(
        "{texts} texts of {TALKING} providers, called back over WebSockets, acknowledged and confirmed"
    );
    println!("{:<48}{:>10.0} /s", "accepted", texts / received.as_secs_f64());
    println!("{:<48}{:>10.0} /s", "called back and confirmed", texts / called_back.as_secs_f64());
    receipts.sort();
    let at = |per_mille: usize| {
        let place = (receipts.len() - 1) * per_mille / 1_000;
        receipts[place].as_secs_f64() * 1_000.0
    };
    println!("{:<48}{:>10.1} ms", "a receipt under this load, median", at(500));
    println!("{:<48}{:>10.1} ms", "p99", at(990));
    println!("{:<48}{:>10} KiB", "resident at the end", process::resident_kib(server.id()));
}

async fn connect(url: &str, path: &str) -> Socket {
    let address = format!("{}{path}", url.replacen("http", "ws", 1));
    connect_async(address).await.expect("it connects").0
}

/// The messages that are there, one at least.
async fn gathered(socket: &mut Socket) -> Vec<Value> {
    let mut frames = Vec::new();
    let mut next = Some(socket.next().await);
    while let Some(message) = next {
        match message.expect("it is open").expect("it is open") {
            Message::Text(text) => {
                frames.push(serde_json::from_str(&text).expect("frames are JSON"))
            }
            Message::Close(why) => panic!("it was closed: {why:?}"),
            _ => {}
        }
        next = socket.next().now_or_never();
    }
    frames
}

/// Sends texts as fast as receipts come, and returns how long each receipt took.
async fn provide(url: String, bot: String) -> Vec<Duration> {
    let mut socket = connect(&url, "/v1/provider").await;
    let hello = frames::hello(&bot, "connection").to_string();
    socket.send(Message::text(hello)).await.expect("it is open");
    let mut waiting = BTreeMap::new();
    let mut took = Vec::new();
    let mut sent = 0;
    let mut is_welcome = false;
    while (took.len() as u64) < TEXTS {
        while is_welcome && sent < TEXTS && waiting.len() < WINDOW {
            sent += 1;
            let from = format!("c{}", sent % CORRESPONDENTS);
            let mut frame = frames::text(&from, &format!("m{sent}"), "see you at eight");
            frame["seq"] = sent.into();
            socket.feed(Message::text(frame.to_string())).await.expect("it is open");
            waiting.insert(sent, Instant::now());
        }
        socket.flush().await.expect("it is open");
        for frame in gathered(&mut socket).await {
            match frame["type"].as_str() {
                Some("welcome") => is_welcome = true,
                Some("receipt") => {
                    assert_eq!(frame["outcome"], "accepted", "{frame}");
                    let seq = frame["seq"].as_u64().expect("a number");
                    took.push(waiting.remove(&seq).expect("it waits").elapsed());
                }
                _ => {}
            }
        }
    }
    took
}

/// Acknowledges what has come, until every text is confirmed.
async fn consume(url: String, bot: String) {
    let mut socket = connect(&url, &format!("/v1/bots/{bot}/callbacks")).await;
    let mut seen = BTreeSet::new();
    let mut confirmed = 0;
    while confirmed < TEXTS {
        let mut ids = Vec::new();
        for frame in gathered(&mut socket).await {
            match frame["type"].as_str() {
                Some("message") => {
                    let id = frame["callback_id"].as_str().expect("an id").to_owned();
                    assert!(seen.insert(id.clone()), "{id} came twice");
                    ids.push(id);
                }
                Some("acked") => confirmed += frame["acknowledged"].as_u64().expect("a number"),
                _ => panic!("unexpected: {frame}"),
            }
        }
        if !ids.is_empty() {
            let ack = json!({"type": "ack", "callback_ids": ids}).to_string();
            socket.send(Message::text(ack)).await.expect("it is open");
        }
    }
}
