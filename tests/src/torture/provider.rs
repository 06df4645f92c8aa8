//! A provider of several bots on one connection, which it loses, drops and replaces.
//!
//! Owns a connection at a time and what has no final receipt yet; after a reconnect it sends all it
//! keeps again, in order. **Invariants**: at most the server's `window` of messages is without a
//! receipt, and a message is dropped only on `accepted`, `duplicate` or `rejected{invalid}`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::torture::author::Outgoing;
use crate::torture::dice::Dice;
use crate::torture::ledger::{Fact, Ledger, LineId, Side, Verdict};
use crate::{Connection, PATIENCE, RECONNECT_AFTER, frames};

/// Messages that a line keeps; what is beyond waits with its author.
const KEPT_MAX: usize = 512;

/// A provider.
#[derive(Debug)]
pub struct Provider {
    /// What it is called; also its instance.
    pub name: Arc<str>,
    /// The nodes' addresses.
    pub urls: Arc<[String]>,
    /// Its bots.
    pub bots: Vec<Arc<str>>,
    /// Its draws.
    pub dice: Dice,
    /// Where everything is entered.
    pub ledger: Ledger,
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The line broke.
    Broken,
    /// It was dropped, or is about to be replaced.
    Dropped,
    /// The node says that another one has the bot.
    SentAway,
}

/// A message that has no final receipt.
#[derive(Debug)]
struct Kept {
    outgoing: Outgoing,
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

impl Provider {
    /// Talks until it is aborted; connections are dropped at random as long as authors write.
    pub async fn run(mut self, mut messages: mpsc::Receiver<Outgoing>) {
        let mut kept = VecDeque::new();
        let mut replaced = None;
        let mut authors_are_gone = false;
        for attempt in 0.. {
            let url = self.urls[attempt % self.urls.len()].clone();
            let Some((connection, line)) = self.connect(&url).await else {
                tokio::time::sleep(RECONNECT_AFTER).await;
                continue;
            };
            // A connection that was left open is replaced by the new one, and closed late.
            drop(replaced.take());
            let mut session = Session {
                life: self.life(authors_are_gone),
                authors_are_gone: &mut authors_are_gone,
                kept: &mut kept,
                ledger: &self.ledger,
                line,
                connection,
                has_choice: self.urls.len() > 1,
            };
            let end = session.run(&mut messages).await;
            let by = match end {
                End::Broken => Side::Theirs,
                End::Dropped | End::SentAway => Side::Ours,
            };
            self.ledger.record(Fact::LineEnded { line, by });
            if end == End::Dropped && self.dice.chance(50) {
                replaced = Some(session.connection);
            }
            for message in &mut kept {
                message.place = Place::Waiting;
            }
        }
    }

    /// When the connection is dropped at the latest; none when the authors are gone.
    fn life(&mut self, authors_are_gone: bool) -> Option<Instant> {
        let life = self.dice.millis(300..8_000);
        (!authors_are_gone).then(|| Instant::now() + life)
    }

    /// Connects and introduces every bot.
    async fn connect(&mut self, url: &str) -> Option<(Connection, LineId)> {
        let line = self.ledger.open_line(&self.name);
        let connected = timeout(PATIENCE, self.introduce(url)).await;
        match connected {
            Ok(Ok(connection)) => Some((connection, line)),
            Ok(Err(unexpected)) => {
                let what = unexpected.map(|frame| format!("{}: hello: {frame}", self.name));
                what.into_iter().for_each(|what| self.ledger.record(Fact::Unexpected(what)));
                self.ledger.record(Fact::LineEnded { line, by: Side::Ours });
                None
            }
            Err(_) => {
                let what = format!("{}: no welcome within {PATIENCE:?}", self.name);
                self.ledger.record(Fact::Unexpected(what));
                self.ledger.record(Fact::LineEnded { line, by: Side::Ours });
                None
            }
        }
    }

    /// # Errors
    /// The frame that came instead of a `welcome`; none when the server is away, or gives a bot up.
    async fn introduce(&self, url: &str) -> Result<Connection, Option<Value>> {
        let mut connection = Connection::open(url).await.map_err(|_| None)?;
        for bot_id in &self.bots {
            connection.send(&frames::hello(bot_id, &self.name)).await;
        }
        for _ in &self.bots {
            let welcomed = connection.welcomed().await;
            let is_expected = |frame: &Value| frame.is_null() || says_bot_lost(frame);
            welcomed.map_err(|frame| Some(frame).filter(|frame| !is_expected(frame)))?;
        }
        Ok(connection)
    }
}

/// One connection that is welcome.
struct Session<'a> {
    connection: Connection,
    line: LineId,
    life: Option<Instant>,
    authors_are_gone: &'a mut bool,
    kept: &'a mut VecDeque<Kept>,
    ledger: &'a Ledger,
    /// Whether there are other nodes.
    has_choice: bool,
}

impl Session<'_> {
    async fn run(&mut self, messages: &mut mpsc::Receiver<Outgoing>) -> End {
        let window = self.connection.welcome()["window"].as_u64().unwrap_or_default();
        let window = usize::try_from(window).unwrap_or_default();
        loop {
            self.send_waiting(window).await;
            let turn = self.kept.iter().filter_map(Kept::postponed_until).min();
            let takes_more = !*self.authors_are_gone && self.kept.len() < KEPT_MAX;
            tokio::select! {
                frame = self.connection.read_patiently() => match frame {
                    Some(frame) if self.has_choice && says_bot_lost(&frame) => {
                        return End::SentAway;
                    }
                    // A node that could not reach its store for long has given the bot up.
                    Some(frame) if says_bot_lost(&frame) => return End::Broken,
                    None => return End::Broken,
                    Some(frame) => self.take(&frame),
                },
                received = messages.recv(), if takes_more => match received {
                    Some(outgoing) => {
                        self.kept.push_back(Kept { outgoing, place: Place::Waiting });
                    }
                    None => {
                        *self.authors_are_gone = true;
                        self.life = None;
                    }
                },
                () = at(turn), if turn.is_some() => self.return_postponed(),
                () = at(self.life), if self.life.is_some() => return End::Dropped,
            }
        }
    }

    /// Sends what waits, in order, as far as the window goes.
    async fn send_waiting(&mut self, window: usize) {
        let is_sent = |kept: &&Kept| matches!(kept.place, Place::Sent(_));
        let mut room = window.saturating_sub(self.kept.iter().filter(is_sent).count());
        for kept in self.kept.iter_mut() {
            if room == 0 {
                return;
            }
            if kept.place == Place::Waiting {
                let Outgoing { number, media_id, ref frame, .. } = kept.outgoing;
                self.ledger.record(Fact::Written { number, line: self.line, media_id });
                kept.place = Place::Sent(self.connection.message(frame).await);
                room -= 1;
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        if frame["type"] != "receipt" {
            return self.unexpected(format!("the provider did not expect {frame}"));
        }
        let seq = frame["seq"].as_u64();
        let position = self.kept.iter().position(|kept| seq.map(Place::Sent) == Some(kept.place));
        let Some(position) = position else {
            return self
                .unexpected(format!("a receipt for no message that waits for one: {frame}"));
        };
        let Outgoing { number, media_id, .. } = self.kept[position].outgoing;
        let Some(verdict) = verdict(frame) else {
            return self.unexpected(format!("an unknown receipt: {frame}"));
        };
        match &verdict {
            Verdict::Durable { .. } | Verdict::Invalid(_) => drop(self.kept.remove(position)),
            Verdict::Later(_) => {
                let wait = frame["retry_after_ms"].as_u64().unwrap_or_default();
                let until = Instant::now() + Duration::from_millis(wait);
                self.kept[position].place = Place::Postponed(until);
            }
        }
        self.ledger.record(Fact::Receipt { number, line: self.line, media_id, verdict });
    }

    fn unexpected(&self, what: String) {
        self.ledger.record(Fact::Unexpected(format!("line {}: {what}", self.line.0)));
    }

    fn return_postponed(&mut self) {
        let now = Instant::now();
        for kept in self.kept.iter_mut() {
            if kept.postponed_until().is_some_and(|until| until <= now) {
                kept.place = Place::Waiting;
            }
        }
    }
}

impl Kept {
    fn postponed_until(&self) -> Option<Instant> {
        match self.place {
            Place::Postponed(until) => Some(until),
            Place::Waiting | Place::Sent(_) => None,
        }
    }
}

/// What a receipt says; none when it says nothing that is known.
pub fn verdict(receipt: &Value) -> Option<Verdict> {
    Some(match (receipt["outcome"].as_str()?, receipt["reason"].as_str()) {
        (outcome @ ("accepted" | "duplicate"), None) => Verdict::Durable {
            message_id: receipt["message_id"].as_u64()?,
            duplicate: outcome == "duplicate",
        },
        ("rejected", Some("invalid")) => Verdict::Invalid(receipt.to_string()),
        ("rejected" | "evicted", Some(reason)) => Verdict::Later(reason.to_owned()),
        _ => return None,
    })
}

/// Whether the node does not own one of the connection's bots any more.
fn says_bot_lost(frame: &Value) -> bool {
    frame["type"] == "error" && frame["code"] == "bot_lost"
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
