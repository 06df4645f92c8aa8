//! A provider that behaves: it keeps what has no final receipt, and after a reconnect sends all it
//! keeps again, in order.
//!
//! Owns a task with one connection at a time. **Invariant**: at most the server's `window` of
//! messages is without a receipt, and a message is dropped only on `accepted`, `duplicate` or
//! `rejected{invalid}`.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::observed::Observed;
use crate::{Connection, RECONNECT_AFTER, Server, frames, staging};

/// How many messages wait in the provider itself.
const BACKLOG_MAX: usize = 1_024;

/// What the provider has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// The staging directory.
    pub staging_directory: Option<PathBuf>,
    /// The messages with a final receipt, by `provider_message_id`.
    pub settled: BTreeSet<String>,
}

/// A provider with one bot.
#[derive(Debug)]
pub struct Provider {
    outgoing: mpsc::Sender<Value>,
    seen: Arc<Observed<Seen>>,
    task: JoinHandle<()>,
}

impl Provider {
    /// Connects `bot_id`, and again whenever the line breaks.
    pub fn connect(server: &Server, bot_id: &str) -> Self {
        let (outgoing, messages) = mpsc::channel(BACKLOG_MAX);
        let seen = Arc::new(Observed::new(Seen::default()));
        let line = Line {
            url: server.url().to_owned(),
            hello: frames::hello(bot_id, "provider"),
            kept: VecDeque::new(),
            seen: Arc::clone(&seen),
        };
        Self { outgoing, seen, task: tokio::spawn(line.run(messages)) }
    }

    /// Hands over a message; it is sent in its turn.
    ///
    /// # Panics
    /// When the provider's task has panicked.
    pub async fn send(&self, frame: Value) {
        self.outgoing.send(frame).await.expect("the provider's task runs until it is dropped");
    }

    /// What the provider has seen.
    pub fn seen(&self) -> &Observed<Seen> {
        &self.seen
    }

    /// Waits until `count` messages have their final receipt.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn settled(&self, count: usize) {
        let what = format!("{count} final receipts");
        self.seen.until(&what, |seen| seen.settled.len() >= count).await;
    }

    /// The staging directory, once the first `welcome` has named it.
    ///
    /// # Panics
    /// When there is no `welcome`.
    pub async fn staging_directory(&self) -> PathBuf {
        self.seen.seen("the first welcome", |seen| seen.staging_directory.clone()).await
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let failed = self.task.is_finished();
        self.task.abort();
        assert!(!failed || std::thread::panicking(), "the provider met something unexpected");
    }
}

/// A message that has no final receipt.
#[derive(Debug)]
struct Kept {
    frame: Value,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// To be sent in its turn.
    Waiting,
    /// Sent on this connection under this `seq`.
    Sent(u64),
    /// Refused for a while.
    Postponed(Instant),
}

#[derive(Debug)]
struct Line {
    url: String,
    hello: Value,
    kept: VecDeque<Kept>,
    seen: Arc<Observed<Seen>>,
}

impl Line {
    async fn run(mut self, mut messages: mpsc::Receiver<Value>) {
        loop {
            if let Some(connection) = self.connect().await {
                self.session(connection, &mut messages).await;
                for kept in &mut self.kept {
                    kept.place = Place::Waiting;
                }
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }

    async fn connect(&self) -> Option<Connection> {
        let mut connection = Connection::open(&self.url).await.ok()?;
        connection.send(&self.hello).await;
        match connection.welcomed().await {
            Ok(()) => {
                let directory = staging::directory(connection.welcome());
                self.seen.update(|seen| seen.staging_directory = Some(directory));
                Some(connection)
            }
            // The server was killed in between.
            Err(Value::Null) => None,
            Err(frame) => panic!("hello was answered with {frame}"),
        }
    }

    /// Speaks on one connection until it breaks.
    async fn session(&mut self, mut connection: Connection, messages: &mut mpsc::Receiver<Value>) {
        let window = connection.welcome()["window"].as_u64().expect("welcome names the window");
        let window = usize::try_from(window).expect("a window is small");
        loop {
            self.send_waiting(&mut connection, window).await;
            let postponed = self.kept.iter().filter_map(|kept| match kept.place {
                Place::Postponed(until) => Some(until),
                Place::Waiting | Place::Sent(_) => None,
            });
            let next_turn = postponed.min();
            tokio::select! {
                frame = connection.read_patiently() => match frame {
                    None => return,
                    Some(frame) if frame["type"] == "receipt" => self.settle(&frame),
                    Some(frame) => panic!("the provider did not expect {frame}"),
                },
                Some(frame) = messages.recv(), if self.kept.len() < BACKLOG_MAX => {
                    self.kept.push_back(Kept { frame, place: Place::Waiting });
                }
                () = sleep_until(next_turn), if next_turn.is_some() => self.return_postponed(),
            }
        }
    }

    /// Sends what waits, in order, as far as the window goes.
    async fn send_waiting(&mut self, connection: &mut Connection, window: usize) {
        let is_sent = |kept: &&Kept| matches!(kept.place, Place::Sent(_));
        let mut room = window.saturating_sub(self.kept.iter().filter(is_sent).count());
        for kept in &mut self.kept {
            if room == 0 {
                return;
            }
            if kept.place == Place::Waiting {
                kept.place = Place::Sent(connection.message(&kept.frame).await);
                room -= 1;
            }
        }
    }

    fn settle(&mut self, receipt: &Value) {
        let seq = receipt["seq"].as_u64().expect("a receipt names its seq");
        let position = self.kept.iter().position(|kept| kept.place == Place::Sent(seq));
        let position = position.unwrap_or_else(|| panic!("a second receipt for seq: {receipt}"));
        match (receipt["outcome"].as_str(), receipt["reason"].as_str()) {
            (Some("accepted" | "duplicate"), _) | (Some("rejected"), Some("invalid")) => {
                let id = frames::provider_message_id(&self.kept[position].frame).to_owned();
                self.kept.remove(position);
                self.seen.update(|seen| seen.settled.insert(id));
            }
            (Some("rejected" | "evicted"), Some(_)) => {
                let wait = receipt["retry_after_ms"].as_u64().expect("the receipt says how long");
                let until = Instant::now() + Duration::from_millis(wait);
                self.kept[position].place = Place::Postponed(until);
            }
            _ => panic!("an unknown receipt: {receipt}"),
        }
    }

    fn return_postponed(&mut self) {
        let now = Instant::now();
        for kept in &mut self.kept {
            if matches!(kept.place, Place::Postponed(until) if until <= now) {
                kept.place = Place::Waiting;
            }
        }
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
