//! The naive queue: one list, linear scans, every sum taken anew.
//!
//! Written from the words of the design's table "CorrespondentQueue", sharing no code with the
//! queue but the shapes of its answers. Slow, and obviously right.

use std::sync::Arc;

use super::{Answer, Step};
use crate::durable::Durable;
use crate::id::{MediaId, MessageId, ProviderMessageId};
use crate::message::{Media, MediaKind, Message, Outcome, Participant, Source};
use crate::queue::{Addition, Completion, Evicted, Excuse, Injection, Popped, Removed, Verdict};
use crate::receipt::{EvictReason, Origin, RejectReason};
use crate::settings::{Limits, Overflow};
use crate::store::{FinishedJob, StoreReply};
use crate::time::Timestamp;

/// What the queue is believed to hold.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub limits: Limits,
    pub now: Timestamp,
    pub next_id: u64,
    /// In the order of ids.
    pub entries: Vec<Entry>,
    /// Provider messages whose fate is open.
    pub pending: Vec<(ProviderMessageId, MessageId)>,
    /// Provider messages that the store has, oldest first.
    pub durable: Vec<(ProviderMessageId, MessageId)>,
    /// Durable and still a medium of the queue, or on its way to the archive.
    pub held: Vec<(ProviderMessageId, MessageId)>,
    /// Popped and neither confirmed nor abandoned.
    pub in_flight: Vec<(ProviderMessageId, MessageId)>,
    pub last_accepted: Timestamp,
    /// How many additions there were; names their origins.
    pub additions: u64,
    /// What the last step answered.
    pub answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub message: Message,
    pub origin: Option<Origin>,
    pub state: State,
    pub excuse: Excuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A text, ready from the start, and not acknowledged before it is archived.
    Text,
    /// A placeholder whose job may not be durable.
    Unconfirmed,
    /// A placeholder whose job is durable.
    Waiting,
    /// A placeholder that has become text.
    Ready(FinishedJob),
}

impl Entry {
    pub fn id(&self) -> u64 {
        self.message.id.get()
    }

    fn evictable(&self) -> bool {
        self.state == State::Text
    }

    fn is_media(&self) -> bool {
        self.state != State::Text
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Text | State::Ready(_))
    }

    fn is_open(&self, media_id: MediaId) -> bool {
        matches!(self.state, State::Unconfirmed | State::Waiting)
            && self.message.media_id() == Some(media_id)
    }
}

impl Model {
    pub fn new(limits: Limits, next_id: u64) -> Self {
        Self {
            limits,
            now: Timestamp::from_ms(1_000),
            next_id,
            entries: Vec::new(),
            pending: Vec::new(),
            durable: Vec::new(),
            held: Vec::new(),
            in_flight: Vec::new(),
            last_accepted: Timestamp::ZERO,
            additions: 0,
            answer: Answer::Nothing,
        }
    }

    pub fn total_chars(&self) -> u64 {
        self.entries.iter().map(|entry| entry.message.content.chars().count() as u64).sum()
    }

    pub fn has_ready(&self) -> bool {
        self.entries.iter().any(Entry::is_ready)
    }

    pub fn step(&mut self, step: &Step) {
        self.answer = match step {
            Step::Add(draft) => Answer::Added(self.add(draft)),
            Step::Inject(placeholder) => Answer::Injected(self.inject(placeholder)),
            Step::Complete { media, outcome } => {
                Answer::Completed(self.complete(super::job(*media), outcome.clone()))
            }
            Step::Pop => Answer::Popped(self.pop()),
            Step::Remove { media } => Answer::Removed(self.remove(super::media_id(*media))),
            Step::ConfirmPlaceholder { media } => {
                Answer::PlaceholderConfirmed(self.confirm_placeholder(super::media_id(*media)))
            }
            Step::Confirm { provider } => {
                let provider = super::provider_message_id(*provider);
                if let Some((_, id)) = self.land(&provider) {
                    self.confirm(provider, id);
                }
                Answer::Nothing
            }
            Step::Abandon { provider } => {
                let provider = super::provider_message_id(*provider);
                self.land(&provider);
                self.forget(&provider);
                Answer::Nothing
            }
            Step::AbandonUnacknowledged => Answer::GivenUp(self.abandon_unacknowledged()),
            Step::RaiseNextId { to } => {
                self.next_id = self.next_id.max(*to);
                Answer::Nothing
            }
            Step::Pass { ms } => {
                self.now = Timestamp::from_ms(self.now.as_ms() + ms);
                Answer::Nothing
            }
            Step::Rewind { ms } => {
                self.now = Timestamp::from_ms(self.now.as_ms().saturating_sub(*ms));
                Answer::Nothing
            }
        };
    }

    /// Dedupe, cut, then age, placeholders, characters, count.
    fn add(&mut self, draft: &super::Addend) -> Addition {
        self.additions += 1;
        let provider = super::provider_message_id(draft.provider);
        let only = |verdict| Addition { verdict, evicted: Vec::new() };
        if let Some((_, id)) = self.pending.iter().find(|(known, _)| *known == provider) {
            return only(Verdict::Joined { id: *id });
        }
        let durable = || self.held.iter().chain(&self.durable);
        if let Some((_, id)) = durable().find(|(known, _)| *known == provider) {
            return only(Verdict::Duplicate { id: Durable::by(&StoreReply::MarkSent, *id) });
        }
        let media_id = draft.media.as_ref().map(|media| super::media_id(media.number));
        let taken = |entry: &Entry| entry.is_media() && entry.message.media_id() == media_id;
        if media_id.is_some() && self.entries.iter().any(taken) {
            return only(Verdict::Rejected { reason: RejectReason::Invalid });
        }

        let entry = self.entry(draft, provider.clone());
        let size = entry.message.message_size;
        let mut evicted = Vec::new();
        let max_age = self.limits.max_age;
        while let Some(old) = self.entries.iter().position(|entry| {
            entry.evictable() && self.now.since(entry.message.accepted_time) > max_age
        }) {
            evicted.push(self.evict(old, EvictReason::Age));
        }
        let rejected =
            |reason, evicted| Addition { verdict: Verdict::Rejected { reason }, evicted };
        let media = self.entries.iter().filter(|entry| entry.is_media()).count();
        if entry.is_media() && media >= self.limits.max_placeholders {
            return rejected(RejectReason::PlaceholderLimit, evicted);
        }
        if !self.fits_without_texts(size) {
            return rejected(RejectReason::Overflow, evicted);
        }
        while self.total_chars() + size > self.limits.max_characters
            && let Some(oldest) = self.entries.iter().position(Entry::evictable)
        {
            evicted.push(self.evict(oldest, EvictReason::Characters));
        }
        while self.entries.len() + 1 > self.limits.max_messages
            && let Some(oldest) = self.entries.iter().position(Entry::evictable)
        {
            evicted.push(self.evict(oldest, EvictReason::Count));
        }

        let id = entry.message.id;
        let placeholder = entry.is_media();
        self.next_id += 1;
        self.last_accepted = entry.message.accepted_time;
        self.pending.push((provider, id));
        self.entries.push(entry);
        let overflow = self.entries.len() > self.limits.max_messages
            || self.total_chars() > self.limits.max_characters;
        Addition { verdict: Verdict::Added { id, placeholder, overflow }, evicted }
    }

    /// Whether one more of that size could be taken if every evictable entry were gone.
    fn fits_without_texts(&self, size: u64) -> bool {
        let mut without = self.clone();
        without.entries.retain(|entry| !entry.evictable());
        let (more_messages, more_characters) = match self.limits.overflow {
            Overflow::Reject => (0, 0),
            Overflow::Bounded { messages, characters } => (messages, characters),
        };
        without.entries.len() < self.limits.max_messages + more_messages
            && without.total_chars() + size <= self.limits.max_characters + more_characters
    }

    fn entry(&self, draft: &super::Addend, provider_message_id: ProviderMessageId) -> Entry {
        let most = self.limits.max_characters_single_message;
        let text = first(most, &draft.text);
        let truncated = text != draft.text;
        let mut message = Message {
            id: MessageId::new(self.next_id).unwrap(),
            message_size: text.chars().count() as u64,
            content: text.clone(),
            sender: Participant::default(),
            source: Source::User,
            accepted_time: self.now.max(self.last_accepted),
            originating_time: Timestamp::ZERO,
            group: None,
            provider_message_id,
            replayed: false,
            truncated,
            media: draft.media.as_ref().map(|media| {
                Box::new(Media {
                    media_id: super::media_id(media.number),
                    kind: MediaKind::Audio,
                    mime_type: "audio/ogg".to_owned(),
                    original_filename: None,
                    caption: (!text.is_empty()).then_some(text),
                    outcome: None,
                })
            }),
        };
        let mut state = if message.media.is_some() { State::Unconfirmed } else { State::Text };
        let mut excuse = Excuse::default();
        if let Some(media) = &draft.media {
            if media.outgoing {
                state = State::Text;
                self.fill(&mut message, Outcome::NotProcessed);
            } else if media.quota_exceeded {
                excuse.quota_exceeded = true;
            }
        }
        Entry { message, origin: super::origin(self.additions), state, excuse }
    }

    /// Writes an outcome into a message: the wrapper, what stands in it, the caption on its own line.
    fn fill(&self, message: &mut Message, mut outcome: Outcome) -> bool {
        let media = message.media.as_mut().unwrap();
        let caption = media.caption.as_ref().map_or(String::new(), |text| format!("\n{text}"));
        let mut cut = false;
        let said = match &mut outcome {
            Outcome::Text(extracted) => {
                let around = format!("[Audio transcript: ]{caption}").chars().count() as u64;
                let room = self.limits.max_characters_media_text.saturating_sub(around);
                let text = first(room, &extracted.text);
                cut = text != extracted.text;
                extracted.truncated |= cut;
                extracted.text.clone_from(&text);
                format!("[Audio transcript: {text}]")
            }
            Outcome::Nothing => "[Audio transcript: no speech]".to_owned(),
            Outcome::NotProcessed => "[Audio not processed]".to_owned(),
            Outcome::Expired => "[Audio processing expired]".to_owned(),
            other => panic!("no step has the outcome {other:?}"),
        };
        media.outcome = Some(Box::new(outcome));
        message.content = format!("{said}{caption}");
        message.message_size = message.content.chars().count() as u64;
        cut
    }

    fn inject(&mut self, placeholder: &super::Placeholder) -> Injection {
        let message = super::placeholder_message(placeholder);
        let known = |entry: &Entry| {
            entry.id() == message.id.get()
                || entry.is_media() && entry.message.media_id() == message.media_id()
        };
        if self.entries.iter().any(known) {
            return Injection::AlreadyPresent;
        }
        self.next_id = self.next_id.max(message.id.get() + 1);
        self.hold(message.provider_message_id.clone(), message.id);
        self.entries.push(Entry {
            message,
            origin: None,
            state: State::Waiting,
            excuse: Excuse::default(),
        });
        self.entries.sort_by_key(Entry::id);
        Injection::Injected
    }

    fn complete(&mut self, job: FinishedJob, outcome: Outcome) -> Completion {
        let Some(at) = self.entries.iter().position(|entry| entry.is_open(job.media_id)) else {
            return Completion::NotFound;
        };
        let mut message = self.entries[at].message.clone();
        let old_size = message.message_size;
        let truncated = self.fill(&mut message, outcome);
        let (id, new_size) = (message.id, message.message_size);
        self.entries[at].message = message;
        self.entries[at].state = State::Ready(job);
        let mut evicted = Vec::new();
        while self.total_chars() > self.limits.max_characters
            && let Some(oldest) = self.entries.iter().position(Entry::evictable)
        {
            evicted.push(self.evict(oldest, EvictReason::Characters));
        }
        Completion::Updated { id, old_size, new_size, truncated, evicted }
    }

    fn pop(&mut self) -> Option<Popped> {
        let at = self.entries.iter().position(Entry::is_ready)?;
        let Entry { message, origin, state, .. } = self.entries.remove(at);
        self.in_flight.push((message.provider_message_id.clone(), message.id));
        let job = match state {
            State::Ready(job) => Some(job),
            State::Text | State::Unconfirmed | State::Waiting => None,
        };
        Some(Popped { message: Arc::new(message), origin, job })
    }

    fn remove(&mut self, media_id: MediaId) -> Option<Removed> {
        let at = self.entries.iter().position(|entry| entry.is_open(media_id))?;
        let Entry { message, origin, .. } = self.entries.remove(at);
        self.forget(&message.provider_message_id);
        Some(Removed { message: Arc::new(message), origin })
    }

    fn confirm_placeholder(&mut self, media_id: MediaId) -> Option<(MessageId, Option<Origin>)> {
        let of_media =
            |entry: &&mut Entry| entry.is_media() && entry.message.media_id() == Some(media_id);
        let entry = self.entries.iter_mut().find(of_media)?;
        if entry.state == State::Unconfirmed {
            entry.state = State::Waiting;
        }
        let (provider, id) = (entry.message.provider_message_id.clone(), entry.message.id);
        let origin = entry.origin.take();
        entry.excuse = Excuse::default();
        self.hold(provider, id);
        Some((id, origin))
    }

    fn abandon_unacknowledged(&mut self) -> Vec<(MessageId, Option<Origin>)> {
        let mut given_up = Vec::new();
        for unacknowledged in [State::Text, State::Unconfirmed] {
            while let Some(at) = self.entries.iter().position(|it| it.state == unacknowledged) {
                let Entry { message, origin, .. } = self.entries.remove(at);
                self.forget(&message.provider_message_id);
                given_up.push((message.id, origin));
            }
        }
        given_up
    }

    fn evict(&mut self, at: usize, reason: EvictReason) -> Evicted {
        let Entry { message, origin, .. } = self.entries.remove(at);
        self.forget(&message.provider_message_id);
        Evicted { id: message.id, message_size: message.message_size, origin, reason }
    }

    /// Takes a message out of flight.
    fn land(&mut self, provider: &ProviderMessageId) -> Option<(ProviderMessageId, MessageId)> {
        let at = self.in_flight.iter().position(|(known, _)| known == provider)?;
        Some(self.in_flight.remove(at))
    }

    fn forget(&mut self, provider: &ProviderMessageId) {
        self.pending.retain(|(known, _)| known != provider);
        self.held.retain(|(known, _)| known != provider);
    }

    fn hold(&mut self, provider: ProviderMessageId, id: MessageId) {
        if self.durable.iter().all(|(known, _)| *known != provider) {
            self.forget(&provider);
            self.held.push((provider, id));
        }
    }

    fn confirm(&mut self, provider: ProviderMessageId, id: MessageId) {
        self.forget(&provider);
        match self.durable.iter_mut().find(|(known, _)| *known == provider) {
            Some((_, known)) => *known = id,
            None => self.durable.push((provider, id)),
        }
        while self.durable.len() > self.limits.dedupe_window {
            self.durable.remove(0);
        }
    }
}

fn first(most: u64, text: &str) -> String {
    text.chars().take(most as usize).collect()
}
