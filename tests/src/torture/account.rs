//! The account: the ledger's entries beside what is left at the end, arranged to be judged.
//!
//! Owns the questions that more than one rule asks: what died when, which line lasted how long, what
//! happened to a message. Nothing here knows a promise.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::torture::ledger::{
    Callback, Entry, Fact, Ledger, LineId, Message, MessageNumber, Side, Verdict, Victim,
};
use crate::torture::remains::{Archived, Remains};

/// For how long after the store's server is back a node may find that it has lost its bots.
const AFTERMATH_OF_STORE: Duration = Duration::from_secs(30);

/// Everything there is to judge by.
#[derive(Debug)]
pub struct Account {
    /// The messages, by their numbers.
    pub messages: Vec<Message>,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// What is left.
    pub remains: Remains,
    begun_at_ms: u64,
    by_provider_message_id: BTreeMap<String, MessageNumber>,
    /// Rows of the archive, by the provider's id of their message.
    rows: BTreeMap<String, Vec<usize>>,
    first_written: BTreeMap<MessageNumber, usize>,
    /// Which message was first called back under an id.
    callback_ids: BTreeMap<String, MessageNumber>,
    deaths: Vec<Span>,
    lines: BTreeMap<LineId, Line>,
}

/// While something was dying: from before it was told to until after it was gone.
#[derive(Debug, Clone, Copy)]
struct Span {
    begun: usize,
    begun_at: Duration,
    ended: usize,
    ended_at: Duration,
}

/// How long a line lasted, by entries.
#[derive(Debug, Clone)]
pub struct Line {
    /// Whose it was.
    pub who: String,
    /// The entry of its beginning.
    pub opened: usize,
    /// The entry of its end, and whose doing that was; none when it outlasted everything.
    pub ended: Option<(usize, Side)>,
}

/// Something that happened at an entry.
#[derive(Debug, Clone, Copy)]
pub struct At<T> {
    /// The entry.
    pub index: usize,
    /// Since the run began.
    pub at: Duration,
    /// What.
    pub what: T,
}

impl Account {
    /// The account of a run.
    pub fn new(ledger: &Ledger, remains: Remains) -> Self {
        let (messages, entries) = ledger.copy();
        Self::of(messages, entries, ledger.begun_at_ms(), remains)
    }

    /// The account of what happened, since a moment in milliseconds since the epoch, and of what is left.
    pub fn of(
        messages: Vec<Message>,
        entries: Vec<Entry>,
        begun_at_ms: u64,
        remains: Remains,
    ) -> Self {
        let numbered = messages.iter().enumerate();
        let by_provider_message_id: BTreeMap<_, _> = numbered
            .map(|(number, message)| (message.provider_message_id.clone(), MessageNumber(number)))
            .collect();
        let mut rows: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, row) in remains.archive.iter().enumerate() {
            rows.entry(row.provider_message_id.clone()).or_default().push(index);
        }
        let (mut first_written, mut callback_ids) = (BTreeMap::new(), BTreeMap::new());
        for (index, entry) in entries.iter().enumerate() {
            match &entry.fact {
                Fact::Written { number, .. } => {
                    first_written.entry(*number).or_insert(index);
                }
                Fact::Received(callback) => {
                    if let Some(number) = by_provider_message_id.get(&callback.provider_message_id)
                    {
                        callback_ids.entry(callback.callback_id.clone()).or_insert(*number);
                    }
                }
                _ => {}
            }
        }
        Self {
            begun_at_ms,
            rows,
            first_written,
            callback_ids,
            deaths: deaths(&entries),
            lines: lines(&entries),
            messages,
            entries,
            remains,
            by_provider_message_id,
        }
    }

    /// All messages.
    pub fn numbers(&self) -> impl Iterator<Item = MessageNumber> + use<> {
        (0..self.messages.len()).map(MessageNumber)
    }

    /// The entry at which a message was first written to a line.
    pub fn first_written(&self, number: MessageNumber) -> Option<usize> {
        self.first_written.get(&number).copied()
    }

    /// A message.
    pub fn message(&self, number: MessageNumber) -> &Message {
        &self.messages[number.0]
    }

    /// The message that its provider knows by an id.
    pub fn number(&self, provider_message_id: &str) -> Option<MessageNumber> {
        self.by_provider_message_id.get(provider_message_id).copied()
    }

    /// Every receipt, in order: the message, the medium that its frame named, and what was said.
    pub fn receipts(&self) -> impl Iterator<Item = At<(MessageNumber, Option<Uuid>, &Verdict)>> {
        self.all(|fact| match fact {
            Fact::Receipt { number, media_id, verdict, .. } => Some((*number, *media_id, verdict)),
            _ => None,
        })
    }

    /// The first id under which each message was said to be durable.
    pub fn durable_ids(&self) -> BTreeMap<MessageNumber, u64> {
        let mut ids = BTreeMap::new();
        for At { what: (number, _, verdict), .. } in self.receipts() {
            if let Verdict::Durable { message_id, .. } = verdict {
                ids.entry(number).or_insert(*message_id);
            }
        }
        ids
    }

    /// Every callback that was read, in order.
    pub fn callbacks(&self) -> impl Iterator<Item = At<&Callback>> {
        self.all(|fact| match fact {
            Fact::Received(callback) => Some(callback),
            _ => None,
        })
    }

    /// Every callback that was read, in order, by its id.
    pub fn callbacks_by_id(&self) -> BTreeMap<&str, Vec<At<&Callback>>> {
        let mut by_id: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for callback in self.callbacks() {
            by_id.entry(&callback.what.callback_id).or_default().push(callback);
        }
        by_id
    }

    /// Whether a message was called back under an id.
    pub fn is_callback_of(&self, callback_id: &str, number: MessageNumber) -> bool {
        self.callback_ids.get(callback_id) == Some(&number)
    }

    /// The first confirmation of each callback.
    pub fn confirmations(&self) -> BTreeMap<&str, At<()>> {
        let confirmed = self.all(|fact| match fact {
            Fact::Confirmed { callback_id, .. } => Some(callback_id.as_str()),
            _ => None,
        });
        let mut first = BTreeMap::new();
        for At { index, at, what } in confirmed {
            first.entry(what).or_insert(At { index, at, what: () });
        }
        first
    }

    /// Everything of a kind, in order.
    pub fn all<'a, T>(
        &'a self,
        pick: impl Fn(&'a Fact) -> Option<T>,
    ) -> impl Iterator<Item = At<T>> {
        self.entries.iter().enumerate().filter_map(move |(index, Entry { at, fact })| {
            pick(fact).map(|what| At { index, at: *at, what })
        })
    }

    /// The archived rows of a message.
    pub fn rows_of(&self, number: MessageNumber) -> impl Iterator<Item = &Archived> {
        let message = self.message(number);
        let rows = self.rows.get(&message.provider_message_id).into_iter().flatten();
        rows.map(|index| &self.remains.archive[*index]).filter(|row| row.is_of(message))
    }

    /// The lines.
    pub fn lines(&self) -> &BTreeMap<LineId, Line> {
        &self.lines
    }

    /// How often something was dying between two entries.
    pub fn deaths_between(&self, from: usize, to: usize) -> usize {
        self.deaths.iter().filter(|death| death.begun <= to && from <= death.ended).count()
    }

    /// Whether something was dying between two moments.
    pub fn died_between(&self, from: Duration, to: Duration) -> bool {
        self.deaths.iter().any(|death| death.begun_at <= to && from <= death.ended_at)
    }

    /// The moment of a time of day.
    pub fn moment(&self, at_ms: u64) -> Duration {
        Duration::from_millis(at_ms.saturating_sub(self.begun_at_ms))
    }
}

impl Archived {
    /// Whether this is the row of a message.
    pub fn is_of(&self, message: &Message) -> bool {
        self.provider_message_id == message.provider_message_id
            && self.bot_id == *message.bot_id
            && self.correspondent_id == *message.correspondent_id
    }
}

fn deaths(entries: &[Entry]) -> Vec<Span> {
    let mut spans = Vec::new();
    for (index, Entry { at, fact }) in entries.iter().enumerate() {
        let Fact::Ending(victim, _) = fact else { continue };
        let is_end = |entry: &Entry| match victim {
            Victim::Node => matches!(entry.fact, Fact::Ended(Victim::Node, _)),
            Victim::Store => matches!(entry.fact, Fact::StoreBack),
        };
        let end = entries[index..].iter().position(is_end).map(|ahead| index + ahead);
        let ended_at = end.map_or(Duration::MAX, |end| match victim {
            Victim::Node => entries[end].at,
            Victim::Store => entries[end].at + AFTERMATH_OF_STORE,
        });
        let ended = match victim {
            Victim::Node => end.unwrap_or(entries.len()),
            Victim::Store => entries.partition_point(|entry| entry.at <= ended_at),
        };
        spans.push(Span { begun: index, begun_at: *at, ended, ended_at });
    }
    spans
}

fn lines(entries: &[Entry]) -> BTreeMap<LineId, Line> {
    let mut lines = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        match &entry.fact {
            Fact::LineOpened { line, who } => {
                lines.insert(*line, Line { who: who.to_string(), opened: index, ended: None });
            }
            Fact::LineEnded { line, by } => {
                if let Some(line) = lines.get_mut(line) {
                    line.ended = Some((index, *by));
                }
            }
            _ => {}
        }
    }
    lines
}
