//! `CorrespondentQueue`: what one correspondent has said and the archive does not hold yet.
//!
//! Owns the entries, their ids and the window that tells resends apart; decides what is evicted and
//! what is rejected. Knows nothing of stores, sessions or callbacks.
//!
//! Texts and media live apart, because the rules treat them apart. A text is ready when it is
//! added, is the only thing that can be evicted, and is added in the order of ids *and* of
//! acceptance; so a plain deque gives the oldest in O(1), whichever rule asks for it. Media wait
//! until their text comes, in any order, and are acknowledged by then, so never evicted.
//!
//! Invariants: `total_chars` is the sum of the entries' `message_size`; ids are unique and below
//! `next_id`; `len` and `total_chars` stay within the hard bounds of the limits, unless an injection
//! (recovery, settings lowered since) exceeded them, and then nothing is added until they are under
//! again.

mod dedupe;
mod retention;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::dedupe::{DedupeWindow, Seen};
use crate::content;
use crate::draft::{Direction, Draft};
use crate::durable::Durable;
use crate::id::{MediaId, MessageId, ProviderMessageId};
use crate::lookup::Lookup;
use crate::message::{Media, Message, Outcome, Source, size_of, truncate};
use crate::receipt::{EvictReason, Origin, RejectReason};
use crate::settings::Limits;
use crate::store::FinishedJob;
use crate::time::Timestamp;
use crate::view::QueuedView;

/// What one correspondent has said and the archive does not hold yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CorrespondentQueue {
    next_id: MessageId,
    /// Ready texts, oldest first.
    texts: VecDeque<Text>,
    /// Placeholders, and media that have become text.
    #[serde(with = "crate::lookup::sorted")]
    media: Lookup<MediaId, MediaEntry>,
    /// The same in the order of ids.
    media_ids: BTreeMap<MessageId, MediaId>,
    /// The media that have become text.
    ready_media: BTreeSet<MessageId>,
    total_chars: u64,
    /// The part of `total_chars` that could be evicted.
    text_chars: u64,
    last_accepted_time: Timestamp,
    window: DedupeWindow,
    /// An injection went over the hard bounds, or may yet with its text, and not all media have
    /// left since. The invariants say less meanwhile; nothing else depends on it.
    over_bounds: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Text {
    message: Arc<Message>,
    origin: Option<Origin>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct MediaEntry {
    message: Arc<Message>,
    /// What is to be known of it until its job is known to be durable.
    unconfirmed: Option<Box<Unconfirmed>>,
    state: MediaState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Unconfirmed {
    /// Where its receipt goes.
    origin: Option<Origin>,
    /// What the provider said of a medium that it could not bring.
    excuse: Excuse,
}

/// What a provider says of a medium that it could not bring.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Excuse {
    /// It had no space for it.
    pub quota_exceeded: bool,
    /// Its reason.
    #[serde(serialize_with = "crate::contents::maybe")]
    pub detail: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum MediaState {
    /// Its text has not come.
    Waiting,
    /// Its text has come. Boxed, for many wait for theirs.
    Ready(Box<FinishedJob>),
}

/// What became of an addition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The verdict on the new message.
    pub verdict: Verdict,
    /// What had to go.
    pub evicted: Vec<Evicted>,
}

/// The verdict on a new message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the queue under this id.
    Added {
        /// Its id.
        id: MessageId,
        /// Whether it waits for its media.
        placeholder: bool,
        /// Whether it stands above a limit.
        overflow: bool,
    },
    /// It is a resend of a message whose fate is still open.
    Joined {
        /// The message's id.
        id: MessageId,
    },
    /// It is a resend of a durable message.
    Duplicate {
        /// The message's id.
        id: Durable<MessageId>,
    },
    /// It was not taken, and took no id.
    Rejected {
        /// Why.
        reason: RejectReason,
    },
}

/// A message that had to go before it was durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    /// Its id.
    pub id: MessageId,
    /// Its size.
    pub message_size: u64,
    /// Where its receipt goes.
    pub origin: Option<Origin>,
    /// Over which limit.
    pub reason: EvictReason,
}

/// What became of a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// The placeholder is a ready message.
    Updated {
        /// Its id.
        id: MessageId,
        /// Its size as a placeholder.
        old_size: u64,
        /// Its size with its text.
        new_size: u64,
        /// Whether the engine's text was cut.
        truncated: bool,
        /// What had to go, so that it fits.
        evicted: Vec<Evicted>,
    },
    /// No open placeholder waits for that media.
    NotFound,
}

/// What became of an injection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// The placeholder stands at its id's place.
    Injected,
    /// That media, or that id, is there already.
    AlreadyPresent,
}

/// A ready message on its way to the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Popped {
    /// The message.
    pub message: Arc<Message>,
    /// Where its receipt goes, when it has none yet.
    pub origin: Option<Origin>,
    /// The job that ends with it.
    pub job: Option<FinishedJob>,
}

/// A placeholder that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The message.
    pub message: Arc<Message>,
    /// Where its receipt goes, when it has none yet.
    pub origin: Option<Origin>,
}

impl CorrespondentQueue {
    /// An empty queue whose next message gets `next_id`.
    pub fn new(next_id: MessageId) -> Self {
        Self {
            next_id,
            texts: VecDeque::new(),
            media: Lookup::default(),
            media_ids: BTreeMap::new(),
            ready_media: BTreeSet::new(),
            total_chars: 0,
            text_chars: 0,
            last_accepted_time: Timestamp::ZERO,
            window: DedupeWindow::default(),
            over_bounds: false,
        }
    }

    /// Entries, ready or not.
    pub fn len(&self) -> usize {
        self.texts.len() + self.media.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.media.is_empty()
    }

    /// The sum of all entries' sizes, in Unicode scalar values.
    pub fn total_chars(&self) -> u64 {
        self.total_chars
    }

    /// The id of the next message.
    pub fn next_id(&self) -> MessageId {
        self.next_id
    }

    /// Whether [`Self::pop_ready_message`] would give one.
    pub fn has_ready(&self) -> bool {
        !self.texts.is_empty() || !self.ready_media.is_empty()
    }

    /// The media in the queue, ready or not, by id, with the time each was accepted.
    pub fn media_entries(&self) -> impl Iterator<Item = (MessageId, Timestamp)> + '_ {
        self.media_ids.iter().filter_map(|(id, media_id)| {
            self.media.get(media_id).map(|entry| (*id, entry.message.accepted_time))
        })
    }

    /// The entries in the order of ids, at most `limit`, as operators see them.
    pub fn views(&self, limit: usize) -> Vec<QueuedView> {
        let view = |message: &Message, placeholder| QueuedView {
            message_id: message.id,
            media_id: message.media_id(),
            placeholder,
            message_size: message.message_size,
            accepted_time: message.accepted_time,
        };
        let texts = self.texts.iter().take(limit).map(|text| view(&text.message, false));
        let media = self.media_ids.values().take(limit).filter_map(|media_id| {
            let entry = self.media.get(media_id)?;
            Some(view(&entry.message, entry.state == MediaState::Waiting))
        });
        let mut views: Vec<_> = texts.chain(media).collect();
        views.sort_by_key(|view| view.message_id);
        views.truncate(limit);
        views
    }

    /// No id below `floor` will be given.
    pub fn raise_next_id(&mut self, floor: MessageId) {
        self.next_id = self.next_id.max(floor);
    }

    /// Takes a message in: tells resends apart, cuts its text or caption, makes room or refuses.
    ///
    /// A message that would be refused even with everything evictable gone evicts nothing but what
    /// is too old. O(log n), and linear only in what it evicts.
    pub fn add_message(
        &mut self,
        draft: Box<Draft>,
        source: Source,
        origin: Option<Origin>,
        limits: &Limits,
        now: Timestamp,
    ) -> Addition {
        let provider_message_id = &draft.provider_message_id;
        match self.window.look_up(provider_message_id) {
            None => {}
            Some(Seen::Pending { message_id }) => {
                return Addition::only(Verdict::Joined { id: message_id });
            }
            Some(Seen::Durable { message_id }) => {
                return Addition::only(Verdict::Duplicate { id: message_id });
            }
        }
        if draft.media.as_ref().is_some_and(|media| self.media.contains_key(&media.media_id)) {
            return Addition::only(Verdict::Rejected { reason: RejectReason::Invalid });
        }
        let excuse = excuse(&draft);
        let message = self.draw_up(*draft, source, limits, now);
        let placeholder = message.is_placeholder();
        let mut evicted = self.evict_aged(limits, now);
        if placeholder && self.media.len() >= limits.max_placeholders {
            let verdict = Verdict::Rejected { reason: RejectReason::PlaceholderLimit };
            return Addition { verdict, evicted };
        }
        if !self.can_fit(message.message_size, limits) {
            let verdict = Verdict::Rejected { reason: RejectReason::Overflow };
            return Addition { verdict, evicted };
        }
        self.make_room(1, message.message_size, limits, &mut evicted);
        let overflow = self.len() + 1 > limits.max_messages
            || self.total_chars + message.message_size > limits.max_characters;
        let id = message.id;
        self.settle_bounds(limits);
        self.insert(message, excuse, origin);
        Addition { verdict: Verdict::Added { id, placeholder, overflow }, evicted }
    }

    /// Recovery: puts a placeholder back at its id's place. No limit applies and no callback comes
    /// of it. O(log n).
    pub fn inject_placeholder(&mut self, message: Durable<Message>, limits: &Limits) -> Injection {
        let durable_id = message.as_ref().map(|message| message.id);
        let message = message.into_inner();
        let Some(media_id) = message.media_id() else { return Injection::AlreadyPresent };
        let id = message.id;
        let id_taken = self.media_ids.contains_key(&id)
            || self.texts.binary_search_by_key(&id, |text| text.message.id).is_ok();
        if id_taken || self.media.contains_key(&media_id) {
            return Injection::AlreadyPresent;
        }
        self.window.hold(&message.provider_message_id, durable_id);
        self.raise_next_id(id.next());
        let size = message.message_size;
        self.total_chars += size;
        self.media_ids.insert(id, media_id);
        let message = Arc::new(message);
        let entry = MediaEntry { message, unconfirmed: None, state: MediaState::Waiting };
        self.media.insert(media_id, entry);
        // A caption from before the settings were lowered can grow over the bounds with its text.
        self.over_bounds |= size > limits.max_characters_single_message;
        self.over_bounds |= !self.is_within_bounds(limits);
        Injection::Injected
    }

    /// Gives a placeholder its outcome; it becomes a ready message. A second call finds nothing.
    /// O(1) whatever else waits, O(log n) in what is ready, and linear in what it evicts.
    pub fn update_message_by_media_id(
        &mut self,
        job: FinishedJob,
        outcome: Outcome,
        limits: &Limits,
    ) -> Completion {
        let Some(entry) = self.media.get_mut(&job.media_id) else { return Completion::NotFound };
        match &entry.state {
            MediaState::Waiting => {}
            MediaState::Ready(_) => return Completion::NotFound,
        }
        let message = Arc::make_mut(&mut entry.message);
        let id = message.id;
        let old_size = message.message_size;
        let truncated = content::complete(message, outcome, limits.max_characters_media_text);
        let new_size = message.message_size;
        entry.state = MediaState::Ready(Box::new(job));
        self.ready_media.insert(id);
        self.total_chars = self.total_chars - old_size + new_size;
        let mut evicted = Vec::new();
        self.make_room(0, 0, limits, &mut evicted);
        Completion::Updated { id, old_size, new_size, truncated, evicted }
    }

    /// Removes and returns the ready message with the lowest id. O(log n), whatever stands in front.
    pub fn pop_ready_message(&mut self) -> Option<Popped> {
        let text_id = self.texts.front().map(|text| text.message.id);
        let media_id = self.ready_media.first().copied();
        let media_first = match (text_id, media_id) {
            (Some(text_id), Some(media_id)) => media_id < text_id,
            (None, Some(_)) => true,
            (Some(_) | None, None) => false,
        };
        if media_first {
            self.pop_ready_media()
        } else {
            let Text { message, origin } = self.texts.pop_front()?;
            self.total_chars -= message.message_size;
            self.text_chars -= message.message_size;
            Some(Popped { message, origin, job: None })
        }
    }

    /// Removes an open placeholder: its job was refused, abandoned, or ended by an operator.
    pub fn remove_placeholder(&mut self, media_id: MediaId) -> Option<Removed> {
        match &self.media.get(&media_id)?.state {
            MediaState::Waiting => {}
            MediaState::Ready(_) => return None,
        }
        let MediaEntry { message, unconfirmed, .. } = self.media.remove(&media_id)?;
        self.media_ids.remove(&message.id);
        self.total_chars -= message.message_size;
        self.window.abandon(&message.provider_message_id);
        Some(Removed { message, origin: unconfirmed.and_then(|unconfirmed| unconfirmed.origin) })
    }

    /// Whether the message of that id is here and came with that media.
    pub fn has_media(&self, media_id: MediaId, id: MessageId) -> bool {
        self.media.get(&media_id).is_some_and(|entry| entry.message.id == id)
    }

    /// The placeholder that waits for that media, as long as its job is not durable, and what its
    /// provider said of a medium that it could not bring.
    pub fn unconfirmed(&self, media_id: MediaId) -> Option<(&Message, &Excuse)> {
        let entry = self.media.get(&media_id)?;
        match &entry.state {
            MediaState::Waiting => Some((&*entry.message, &entry.unconfirmed.as_ref()?.excuse)),
            MediaState::Ready(_) => None,
        }
    }

    /// The placeholder's job is durable: it is acknowledged from here on. Returns its id, and where
    /// its receipt goes.
    pub fn confirm_placeholder(
        &mut self,
        media_id: Durable<MediaId>,
    ) -> Option<(Durable<MessageId>, Option<Origin>)> {
        let entry = self.media.get_mut(media_id.get())?;
        let origin = entry.unconfirmed.take().and_then(|unconfirmed| unconfirmed.origin);
        let message = &entry.message;
        let durable_id = media_id.map(|_| message.id);
        self.window.hold(&message.provider_message_id, durable_id);
        Some((durable_id, origin))
    }

    /// A popped message is durable, under `id`.
    pub fn confirm(
        &mut self,
        provider_message_id: &ProviderMessageId,
        id: Durable<MessageId>,
        limits: &Limits,
    ) {
        self.window.confirm(provider_message_id, id, limits.dedupe_window);
    }

    /// A popped message will not become durable.
    pub fn abandon(&mut self, provider_message_id: &ProviderMessageId) {
        self.window.abandon(provider_message_id);
    }

    /// Gives up every message that is not acknowledged: the bot stops and the store did not take it.
    pub fn abandon_unacknowledged(&mut self) -> Vec<(MessageId, Option<Origin>)> {
        let mut given_up = Vec::new();
        for Text { message, origin } in std::mem::take(&mut self.texts) {
            self.total_chars -= message.message_size;
            self.text_chars -= message.message_size;
            self.window.abandon(&message.provider_message_id);
            given_up.push((message.id, origin));
        }
        let media_ids = self.media_ids.values().copied();
        let unconfirmed: Vec<_> =
            media_ids.filter(|media_id| self.unconfirmed(*media_id).is_some()).collect();
        for media_id in unconfirmed {
            if let Some(Removed { message, origin }) = self.remove_placeholder(media_id) {
                given_up.push((message.id, origin));
            }
        }
        given_up
    }

    fn draw_up(
        &self,
        draft: Draft,
        source: Source,
        limits: &Limits,
        now: Timestamp,
    ) -> Arc<Message> {
        let mut content = draft.content;
        let truncated = truncate(&mut content, limits.max_characters_single_message);
        let caption = || (!content.is_empty()).then(|| content.clone());
        let media = draft.media.map(|media| Media {
            media_id: media.media_id,
            kind: media.kind,
            mime_type: media.mime_type,
            original_filename: media.original_filename,
            caption: caption(),
            outcome: None,
        });
        let mut message = Arc::new(Message {
            id: self.next_id,
            message_size: size_of(&content),
            content,
            sender: draft.sender,
            source,
            accepted_time: now.max(self.last_accepted_time),
            originating_time: draft.originating_time,
            group: draft.group.map(Box::new),
            provider_message_id: draft.provider_message_id,
            replayed: draft.replayed,
            truncated,
            media: media.map(Box::new),
        });
        if draft.direction == Direction::Outgoing {
            let limit = limits.max_characters_media_text;
            content::complete(Arc::make_mut(&mut message), Outcome::NotProcessed, limit);
        }
        message
    }

    fn insert(&mut self, message: Arc<Message>, excuse: Excuse, origin: Option<Origin>) {
        let id = message.id;
        self.next_id = id.next();
        self.last_accepted_time = message.accepted_time;
        self.total_chars += message.message_size;
        self.window.begin(message.provider_message_id.clone(), id);
        let media_id = message.media_id().filter(|_| message.is_placeholder());
        match media_id {
            Some(media_id) => {
                self.media_ids.insert(id, media_id);
                let unconfirmed = Some(Box::new(Unconfirmed { origin, excuse }));
                let entry = MediaEntry { message, unconfirmed, state: MediaState::Waiting };
                self.media.insert(media_id, entry);
            }
            None => {
                self.text_chars += message.message_size;
                self.texts.push_back(Text { message, origin });
            }
        }
    }

    fn pop_ready_media(&mut self) -> Option<Popped> {
        let id = self.ready_media.pop_first()?;
        let media_id = self.media_ids.remove(&id)?;
        let MediaEntry { message, unconfirmed, state } = self.media.remove(&media_id)?;
        self.total_chars -= message.message_size;
        let job = match state {
            MediaState::Ready(job) => Some(*job),
            MediaState::Waiting => None,
        };
        let origin = unconfirmed.and_then(|unconfirmed| unconfirmed.origin);
        Some(Popped { message, origin, job })
    }
}

fn excuse(draft: &Draft) -> Excuse {
    let Some(media) = &draft.media else { return Excuse::default() };
    Excuse { quota_exceeded: media.quota_exceeded, detail: media.detail.as_deref().map(Box::from) }
}

impl Addition {
    fn only(verdict: Verdict) -> Self {
        Self { verdict, evicted: Vec::new() }
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
