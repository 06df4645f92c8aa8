//! One provider connection, frame by frame.
//!
//! Owns a WebSocket and nothing else: it neither reconnects nor resends, so a test sees exactly what
//! the server answers. [`Provider`](crate::Provider) is the one that behaves.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::{PATIENCE, Server, frames};

/// A connection to `/v1/provider`.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that came while another one was waited for.
    set_aside: VecDeque<Value>,
    /// What was said of staging, unasked.
    quotas: VecDeque<Value>,
    welcome: Value,
    last_seq: u64,
}

impl Connection {
    /// Connects without a word.
    ///
    /// # Errors
    /// When the server is not there or refuses.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let address = format!("{}/v1/provider", url.replacen("http", "ws", 1));
        let (socket, _) = connect_async(address).await?;
        let (set_aside, quotas) = (VecDeque::new(), VecDeque::new());
        Ok(Self { socket, set_aside, quotas, welcome: Value::Null, last_seq: 0 })
    }

    /// Connects and says `hello` for `bot_id`.
    ///
    /// # Panics
    /// When the server does not answer `welcome`.
    pub async fn hello(server: &Server, bot_id: &str) -> Self {
        let mut connection = Self::open(server.url()).await.expect("the server takes connections");
        connection.send(&frames::hello(bot_id, "connection")).await;
        connection.welcomed().await.expect("the server answers hello with welcome");
        connection
    }

    /// Waits for `welcome`; anything else, the end included, is the error.
    ///
    /// # Errors
    /// The frame that came instead, or null at the connection's end.
    pub async fn welcomed(&mut self) -> Result<(), Value> {
        let frame = self.next().await.unwrap_or_default();
        if frame["type"] != "welcome" {
            return Err(frame);
        }
        self.welcome = frame;
        Ok(())
    }

    /// What the server said in its `welcome`.
    pub fn welcome(&self) -> &Value {
        &self.welcome
    }

    /// Sends a frame as it is. That the line broke shows when the answer is read.
    pub async fn send(&mut self, frame: &Value) {
        self.send_text(frame.to_string()).await;
    }

    /// Sends text that need not be JSON.
    pub async fn send_text(&mut self, text: String) {
        let _ = self.socket.send(Message::text(text)).await;
    }

    /// Sends a binary frame.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        let _ = self.socket.send(Message::binary(bytes)).await;
    }

    /// The next `seq`, for a frame that the test writes itself.
    pub fn take_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    /// Gives a message frame the next `seq`, sends it, and returns the `seq`.
    pub async fn message(&mut self, frame: &Value) -> u64 {
        let seq = self.take_seq();
        let mut frame = frame.clone();
        frame["seq"] = seq.into();
        self.send(&frame).await;
        seq
    }

    /// Sends a message and waits for its receipt.
    pub async fn receipt(&mut self, frame: &Value) -> Value {
        let seq = self.message(frame).await;
        self.receipt_of(seq).await
    }

    /// The next frame that is not a mere sign of life; none at the connection's end.
    ///
    /// # Panics
    /// When nothing comes in time.
    pub async fn next(&mut self) -> Option<Value> {
        if let Some(frame) = self.set_aside.pop_front() {
            return Some(frame);
        }
        self.read().await
    }

    /// The receipt of `seq`; frames that come before it are kept for [`Self::next`].
    ///
    /// # Panics
    /// When it does not come in time, or the connection ends.
    pub async fn receipt_of(&mut self, seq: u64) -> Value {
        let is_it = |frame: &Value| frame["type"] == "receipt" && frame["seq"] == seq;
        if let Some(position) = self.set_aside.iter().position(is_it) {
            return self.set_aside.remove(position).expect("it was found there");
        }
        loop {
            let frame = self.read().await;
            let frame = frame.unwrap_or_else(|| panic!("the line ended before receipt {seq}"));
            if is_it(&frame) {
                return frame;
            }
            self.set_aside.push_back(frame);
        }
    }

    /// What is said of staging next; frames that come before it are kept for [`Self::next`].
    ///
    /// # Panics
    /// When nothing is said in time, or the connection ends.
    pub async fn quota(&mut self) -> Value {
        let waiting = async {
            while self.quotas.is_empty() {
                match self.read_any().await {
                    Some(frame) if frame["type"] == "quota" => self.quotas.push_back(frame),
                    Some(frame) => self.set_aside.push_back(frame),
                    None => panic!("the line ended before a word on the quota"),
                }
            }
        };
        let said = tokio::time::timeout(PATIENCE, waiting).await;
        said.unwrap_or_else(|_| panic!("nothing was said of the quota within {PATIENCE:?}"));
        self.quotas.pop_front().expect("there is one")
    }

    /// The next frame as it comes from the line, however long that takes; safe to cancel.
    pub(crate) async fn read_patiently(&mut self) -> Option<Value> {
        loop {
            let frame = self.read_any().await?;
            match frame["type"] == "quota" {
                true => self.quotas.push_back(frame),
                false => return Some(frame),
            }
        }
    }

    /// The next frame that is not a mere sign of life; safe to cancel.
    async fn read_any(&mut self) -> Option<Value> {
        loop {
            let text = match self.socket.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | Err(_))
                | None => return None,
            };
            let frame: Value = serde_json::from_str(&text).expect("the server sends JSON");
            match frame["type"].as_str() {
                Some("ping" | "pong") => {}
                Some(_) => return Some(frame),
                None => panic!("a frame without a type: {frame}"),
            }
        }
    }

    async fn read(&mut self) -> Option<Value> {
        let frame = tokio::time::timeout(PATIENCE, self.read_patiently()).await;
        frame.unwrap_or_else(|_| panic!("no frame came within {PATIENCE:?}"))
    }
}
