//! A webhook's receiver that answers as a test says, byte by byte.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::world::PATIENCE;

/// How a call is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// With a status, more header lines, and a body.
    Answer(u16, &'static str, String),
    /// With a status and nothing more, and then the line is cut.
    AnswerAndCut(u16),
    /// With a status, once the test says so.
    When(Arc<Notify>, u16),
    /// With these bytes, whatever they are, and then the line is cut.
    Bytes(Vec<u8>),
    /// With the head of a 2xx whose body never comes: the line is cut.
    CutAfterHead,
    /// Not at all: the line is cut at once.
    Cut,
    /// Not until the caller has given up; then with a 2xx that nobody reads.
    TooLate,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self::Answer(status, "", String::new())
    }

    pub fn says(reply: &str) -> Self {
        Self::Answer(200, "", serde_json::json!({ "reply": reply }).to_string())
    }
}

/// A call as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The lines of its head.
    head: String,
    pub body: String,
}

impl Received {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body's JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("callbacks are JSON")
    }

    /// Which attempt it says it is.
    pub fn attempt(&self) -> u64 {
        self.json()["attempt"].as_u64().expect("a callback has an attempt")
    }

    /// Its `webhook-id`, and what its message says.
    pub fn said(&self) -> (String, String) {
        let content = self.json()["message"]["content"].as_str().expect("words").to_owned();
        (self.header("webhook-id").expect("it is signed").to_owned(), content)
    }
}

/// A receiver.
pub struct Receiver {
    pub url: String,
    received: mpsc::UnboundedReceiver<Received>,
    /// Told when a caller gave up on [`Reply::TooLate`].
    given_up: mpsc::UnboundedReceiver<()>,
    _serving: AbortOnDropHandle<()>,
}

impl Receiver {
    /// Answers the first calls as said, and all others with 204.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let replies: Arc<Mutex<VecDeque<Reply>>> =
            Arc::new(Mutex::new(replies.into_iter().collect()));
        let (receives, received) = mpsc::unbounded_channel();
        let (gives_up, given_up) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (replies, receives) = (Arc::clone(&replies), receives.clone());
                tokio::spawn(serve(stream, replies, receives, gives_up.clone()));
            }
        });
        Self { url, received, given_up, _serving: AbortOnDropHandle::new(serving) }
    }

    /// The next call.
    pub async fn next(&mut self) -> Received {
        let next = timeout(PATIENCE, self.received.recv()).await;
        next.expect("a call comes").expect("the receiver lives")
    }

    /// Waits until a caller has given up.
    pub async fn given_up(&mut self) {
        let next = timeout(PATIENCE, self.given_up.recv()).await;
        next.expect("somebody gives up").expect("the receiver lives");
    }

    /// Whether nothing has come that was not taken.
    pub fn is_silent(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

async fn serve(
    mut stream: TcpStream,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    receives: mpsc::UnboundedSender<Received>,
    gives_up: mpsc::UnboundedSender<()>,
) {
    while let Some(call) = read(&mut stream).await {
        let reply = replies.lock().expect("no test panics with it").pop_front();
        let _ = receives.send(call);
        match reply.unwrap_or_else(|| Reply::status(204)) {
            Reply::Answer(status, headers, body) => {
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} So\r\n{headers}content-length: {length}\r\n\r\n");
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
            Reply::AnswerAndCut(status) => {
                let _ = stream.write_all(bare(status).as_bytes()).await;
                return;
            }
            Reply::When(said, status) => {
                said.notified().await;
                let _ = stream.write_all(bare(status).as_bytes()).await;
            }
            Reply::Bytes(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::CutAfterHead => {
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"reply\":";
                let _ = stream.write_all(head).await;
                return;
            }
            Reply::Cut => return,
            Reply::TooLate => {
                let mut byte = [0];
                while stream.read(&mut byte).await.is_ok_and(|count| count > 0) {}
                let _ = gives_up.send(());
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                return;
            }
        }
    }
}

/// An answer without a body.
fn bare(status: u16) -> String {
    format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n")
}

/// Reads one request; none when the connection has ended.
async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_length = loop {
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        let mut chunk = [0; 4_096];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
    };
    let head = String::from_utf8(bytes[..head_length].to_vec()).expect("heads are ASCII");
    let mut received = Received { head, body: String::new() };
    let length = received.header("content-length").expect("a body has a length");
    let length: usize = length.parse().expect("a number");
    let mut body = bytes.split_off(head_length);
    let missing = length - body.len();
    body.resize(length, 0);
    stream.read_exact(&mut body[length - missing..]).await.ok()?;
    received.body = String::from_utf8(body).expect("UTF-8");
    Some(received)
}
