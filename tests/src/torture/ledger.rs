//! The ledger: what the actors did and saw, in the order in which it happened.
//!
//! Actors only write. Whether a promise was kept is judged afterwards, by [`rules`](super::rules), from
//! what is written here and from what the store and the staging directory hold at the end.
//!
//! **Invariants**: an entry is never changed. What an actor is about to do is written before it does
//! it, what it saw after it has seen it; so if one thing caused another, it stands before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::frames;
use crate::observed::Observed;

/// Which message, in the order of their making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageNumber(pub usize);

/// Which connection or stream, in the order of their making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineId(pub u64);

/// A message as its author made it.
#[derive(Debug, Clone)]
pub struct Message {
    /// Whose.
    pub bot_id: Arc<str>,
    /// With whom.
    pub correspondent_id: Arc<str>,
    /// The provider's id.
    pub provider_message_id: String,
    /// What it is to read when it is called back.
    pub expected: Expected,
}

/// What a message is to read when it is called back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A text, word for word.
    Text(String),
    /// What becomes of a medium.
    Media {
        /// Which kind of outcome.
        outcome: &'static str,
        /// How the content begins.
        begins: String,
        /// How it ends.
        ends: String,
    },
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Fact {
    /// The node says that it is ready.
    Ready,
    /// Something is about to be ended.
    Ending(Victim, Death),
    /// It has ended.
    Ended(Victim, Death),
    /// The server of the store answers again.
    StoreBack,
    /// A file is about to be staged.
    Staging {
        /// For which message.
        number: MessageNumber,
        /// Its name.
        media_id: Uuid,
        /// How it gets there.
        way: Way,
    },
    /// A file is in staging.
    Staged {
        /// For which message.
        number: MessageNumber,
        /// Its name.
        media_id: Uuid,
    },
    /// A connection or stream is open.
    LineOpened {
        /// Which.
        line: LineId,
        /// Whose.
        who: Arc<str>,
    },
    /// A connection or stream has ended.
    LineEnded {
        /// Which.
        line: LineId,
        /// Whose doing it is.
        by: Side,
    },
    /// A message is about to be written to a connection.
    Written {
        /// Which message.
        number: MessageNumber,
        /// The connection.
        line: LineId,
        /// The medium that this frame names.
        media_id: Option<Uuid>,
    },
    /// A message's receipt was read.
    Receipt {
        /// Which message.
        number: MessageNumber,
        /// The connection.
        line: LineId,
        /// The medium that the frame named.
        media_id: Option<Uuid>,
        /// What the receipt says.
        verdict: Verdict,
    },
    /// A callback was read.
    Received(Callback),
    /// The server confirmed the acknowledgement of a callback.
    Confirmed {
        /// Its stream.
        line: LineId,
        /// Its id.
        callback_id: String,
    },
    /// The server does not know a callback that was acknowledged.
    Unknown {
        /// Its stream.
        line: LineId,
        /// Its id.
        callback_id: String,
    },
    /// Something that no rule foresees, in words.
    Unexpected(String),
}

/// What may be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The `anteroom` process.
    Node,
    /// The server of the store.
    Store,
}

/// How it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// `SIGKILL`.
    Killed,
    /// `SIGTERM`, and the time that it asks for.
    Stopped,
}

/// A side of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The actor.
    Ours,
    /// The server, or nobody.
    Theirs,
}

/// How a file reaches staging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through the shared directory.
    Shared,
    /// By an upload.
    Uploaded,
    /// By an upload that breaks off.
    BrokenOff,
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable under this id.
    Durable {
        /// The message's id.
        message_id: u64,
        /// Whether the receipt calls it a duplicate.
        duplicate: bool,
    },
    /// It is to be sent again later, for this reason.
    Later(String),
    /// It will never be taken; the receipt.
    Invalid(String),
}

/// A callback as it was read.
#[derive(Debug, Clone)]
pub struct Callback {
    /// The stream.
    pub line: LineId,
    /// Its id.
    pub callback_id: String,
    /// Which attempt at it.
    pub attempt: u64,
    /// Whose.
    pub bot_id: String,
    /// With whom.
    pub correspondent_id: String,
    /// The message's id.
    pub message_id: u64,
    /// The provider's id of the message.
    pub provider_message_id: String,
    /// What it reads.
    pub content: String,
    /// What became of its medium, if it has one.
    pub outcome: Option<String>,
    /// Why that failed, if it did.
    pub error: Option<String>,
}

/// A fact and its moment.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Since the run began.
    pub at: Duration,
    /// What happened.
    pub fact: Fact,
}

/// How much happened; cheap to look at while a run goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages made.
    pub messages: u64,
    /// Of those, how many carry media.
    pub media: u64,
    /// Message frames written, repetitions included.
    pub written: u64,
    /// Receipts read.
    pub receipts: u64,
    /// Messages that are durable.
    pub durable: u64,
    /// Callbacks read, repetitions included.
    pub received: u64,
    /// Messages called back.
    pub called_back: u64,
    /// Of those, how many carry media.
    pub media_called_back: u64,
    /// Acknowledgements confirmed.
    pub confirmed: u64,
    /// Deaths of the node by `SIGKILL`.
    pub kills: u64,
    /// Deaths of the node by `SIGTERM`.
    pub stops: u64,
    /// Deaths of the store's server.
    pub store_kills: u64,
}

/// What is written so far.
#[derive(Debug, Default)]
struct Book {
    messages: Vec<Message>,
    entries: Vec<Entry>,
    counts: Counts,
    /// By message: durable, called back.
    seen: Vec<(bool, bool)>,
    lines: u64,
    by_provider_message_id: BTreeMap<String, MessageNumber>,
}

/// The ledger; clones are the same one.
#[derive(Debug, Clone)]
pub struct Ledger {
    book: Arc<Observed<Book>>,
    begun: Instant,
    begun_at_ms: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        let book = Arc::new(Observed::new(Book::default()));
        Self { book, begun: Instant::now(), begun_at_ms: frames::now_ms() }
    }
}

impl Ledger {
    /// Enters a message that will be sent.
    pub fn make(&self, message: Message) -> MessageNumber {
        self.book.update(|book| {
            let number = MessageNumber(book.messages.len());
            book.by_provider_message_id.insert(message.provider_message_id.clone(), number);
            book.counts.messages += 1;
            book.counts.media += u64::from(message.is_media());
            book.messages.push(message);
            book.seen.push((false, false));
            number
        })
    }

    /// Enters what happened.
    pub fn record(&self, fact: Fact) {
        let at = self.begun.elapsed();
        self.book.update(|book| {
            book.count(&fact);
            book.entries.push(Entry { at, fact });
        });
    }

    /// Enters a new line.
    pub fn open_line(&self, who: &Arc<str>) -> LineId {
        let line = self.book.update(|book| {
            book.lines += 1;
            LineId(book.lines)
        });
        self.record(Fact::LineOpened { line, who: Arc::clone(who) });
        line
    }

    /// How much happened.
    pub fn counts(&self) -> Counts {
        self.book.read(|book| book.counts)
    }

    /// How long ago the run began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// When the run began, in milliseconds since the epoch.
    pub fn begun_at_ms(&self) -> u64 {
        self.begun_at_ms
    }

    /// Waits until the counts are as `condition` says, for `patience` at the most; says whether they are.
    pub async fn reaches(
        &self,
        patience: Duration,
        mut condition: impl FnMut(&Counts) -> bool,
    ) -> bool {
        let reached = |book: &Book| condition(&book.counts).then_some(());
        self.book.seen_within(patience, reached).await.is_some()
    }

    /// A message that was made.
    pub fn message(&self, number: MessageNumber) -> Message {
        self.book.read(|book| book.messages[number.0].clone())
    }

    /// Whether a message is known to be durable.
    pub fn is_durable(&self, number: MessageNumber) -> bool {
        self.book.read(|book| book.seen[number.0].0)
    }

    /// Everything that is written so far.
    pub fn copy(&self) -> (Vec<Message>, Vec<Entry>) {
        self.book.read(|book| (book.messages.clone(), book.entries.clone()))
    }
}

impl Book {
    fn count(&mut self, fact: &Fact) {
        let counts = &mut self.counts;
        match fact {
            Fact::Written { .. } => counts.written += 1,
            Fact::Receipt { number, verdict, .. } => {
                counts.receipts += 1;
                let durable = matches!(verdict, Verdict::Durable { .. });
                if durable && !std::mem::replace(&mut self.seen[number.0].0, true) {
                    counts.durable += 1;
                }
            }
            Fact::Received(callback) => {
                counts.received += 1;
                let number = self.by_provider_message_id.get(&callback.provider_message_id);
                if let Some(number) = number
                    && !std::mem::replace(&mut self.seen[number.0].1, true)
                {
                    counts.called_back += 1;
                    counts.media_called_back += u64::from(self.messages[number.0].is_media());
                }
            }
            Fact::Confirmed { .. } => counts.confirmed += 1,
            Fact::Ended(Victim::Node, Death::Killed) => counts.kills += 1,
            Fact::Ended(Victim::Node, Death::Stopped) => counts.stops += 1,
            Fact::Ended(Victim::Store, _) => counts.store_kills += 1,
            Fact::Ready
            | Fact::Ending(..)
            | Fact::StoreBack
            | Fact::Staging { .. }
            | Fact::Staged { .. }
            | Fact::LineOpened { .. }
            | Fact::LineEnded { .. }
            | Fact::Unknown { .. }
            | Fact::Unexpected(_) => {}
        }
    }
}

impl Message {
    /// Whether it carries media.
    pub fn is_media(&self) -> bool {
        matches!(self.expected, Expected::Media { .. })
    }
}
