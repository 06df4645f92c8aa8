//! Load on the wire: providers that send texts as fast as they get receipts, and consumers that acknowledge
//! as fast as they read. For benchmarks; they assert nothing but that every text comes once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::frames;

/// Correspondents of a provider.
const CORRESPONDENTS: u64 = 200;

/// How a provider talks.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Messages without a receipt.
    window: usize,
    /// The silence after receipts.
    pause: Duration,
}

impl Pace {
    /// As fast as receipts come, with nearly as many texts under way as the server's window allows.
    pub const FLOOD: Self = Self { window: 200, pause: Duration::ZERO };

    /// A text at a time, and a pause after its receipt.
    pub const fn one_every(pause: Duration) -> Self {
        Self { window: 1, pause }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

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

/// Sends so many texts, and returns how long each receipt took.
///
/// # Panics
/// When a text is not accepted, or the line breaks.
pub async fn provide(url: String, bot: String, texts: u64, pace: Pace) -> Vec<Duration> {
    let mut socket = connect(&url, "/v1/provider").await;
    let hello = frames::hello(&bot, "connection").to_string();
    socket.send(Message::text(hello)).await.expect("it is open");
    let mut waiting = BTreeMap::new();
    let mut took = Vec::new();
    let mut sent = 0;
    let mut is_welcome = false;
    while (took.len() as u64) < texts {
        while is_welcome && sent < texts && waiting.len() < pace.window {
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
        if !pace.pause.is_zero() {
            tokio::time::sleep(pace.pause).await;
        }
    }
    took
}

/// Acknowledges what has come, until so many texts are confirmed.
///
/// # Panics
/// When one comes twice, or the line breaks.
pub async fn consume(url: String, bot: String, texts: u64) {
    let mut socket = connect(&url, &format!("/v1/bots/{bot}/callbacks")).await;
    let mut seen = BTreeSet::new();
    let mut confirmed = 0;
    while confirmed < texts {
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
