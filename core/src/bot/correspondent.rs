//! One correspondent in memory: its queue, where its ids come from, and when it may be let go.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::Bot;
use super::intake::Waiting;
use crate::context::Context;
use crate::id::{CorrespondentId, MessageId, OpId};
use crate::notice::Notice;
use crate::queue::CorrespondentQueue;
use crate::receipt::{Receipt, RejectReason};
use crate::store::{StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::Timestamp;

/// How many correspondents' ids are read at a time.
const READS_IN_FLIGHT_MAX: usize = 64;

/// One correspondent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Correspondent {
    pub queue: CorrespondentQueue,
    pub ids: Ids,
    /// Whether the archive's list of correspondents with ready messages names it.
    pub listed_ready: bool,
    /// Its messages in the archive batch in flight.
    pub archiving: u32,
    /// Its media in the archive batch in flight, with the time each was accepted.
    pub archiving_media: BTreeMap<MessageId, Timestamp>,
    pub last_active: Timestamp,
}

/// Whether the first free id is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Ids {
    /// It has not been asked for.
    Unread,
    /// It is being asked for; messages wait.
    Reading(VecDeque<Waiting>),
    /// The queue knows it.
    Known,
}

impl Correspondent {
    pub fn new(now: Timestamp) -> Self {
        Self {
            queue: CorrespondentQueue::new(MessageId::FIRST),
            ids: Ids::Unread,
            listed_ready: false,
            archiving: 0,
            archiving_media: BTreeMap::new(),
            last_active: now,
        }
    }

    /// The media with a lower id that have not been archived, with the time each was accepted.
    pub fn open_media_before(
        &self,
        id: MessageId,
    ) -> impl Iterator<Item = (MessageId, Timestamp)> + '_ {
        let archiving = self.archiving_media.range(..id).map(|(id, at)| (*id, *at));
        self.queue.media_entries().take_while(move |(entry, _)| *entry < id).chain(archiving)
    }

    /// Takes out the messages that wait for the first free id, to be answered otherwise.
    pub fn take_waiting(&mut self) -> impl Iterator<Item = Waiting> + use<> {
        let waiting = match &mut self.ids {
            Ids::Reading(waiting) => std::mem::take(waiting),
            Ids::Unread | Ids::Known => VecDeque::new(),
        };
        if let Ids::Reading(_) = self.ids {
            self.ids = Ids::Unread;
        }
        waiting.into_iter()
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.archiving == 0
            && match &self.ids {
                Ids::Unread | Ids::Known => true,
                Ids::Reading(_) => false,
            }
    }
}

/// The reads of first free ids that are under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct IdReads {
    in_flight: BTreeMap<OpId, CorrespondentId>,
    queued: VecDeque<CorrespondentId>,
    /// The store did not answer: nothing is asked until then.
    retry_at: Option<Timestamp>,
    failures: u32,
}

impl IdReads {
    pub fn take(&mut self, op: OpId) -> Option<CorrespondentId> {
        self.in_flight.remove(&op)
    }

    pub fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Correspondents that may have been silent long enough to be let go, the longest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct SilentList {
    candidates: VecDeque<(Timestamp, CorrespondentId)>,
}

impl SilentList {
    pub fn due_at(&self) -> Option<Timestamp> {
        self.candidates.front().map(|(due, _)| *due)
    }

    pub fn clear(&mut self) {
        self.candidates.clear();
    }
}

impl Bot {
    /// The place of a correspondent that is heard of, in memory from here on; none when no more can
    /// be held. Places stay what they are until a correspondent is let go.
    pub(super) fn place_of(
        &mut self,
        correspondent_id: &CorrespondentId,
        now: Timestamp,
    ) -> Option<usize> {
        let place = match self.correspondents.get_index_of(correspondent_id) {
            Some(place) => place,
            None if self.can_hold_another() => self.take_into_memory(correspondent_id, now),
            None => return None,
        };
        self.correspondents[place].last_active = now;
        Some(place)
    }

    /// The correspondent, in memory from here on, however many there are.
    pub(super) fn correspondent(
        &mut self,
        correspondent_id: &CorrespondentId,
        now: Timestamp,
    ) -> &mut Correspondent {
        let known = self.correspondents.get_index_of(correspondent_id);
        let place = known.unwrap_or_else(|| self.take_into_memory(correspondent_id, now));
        let entry = &mut self.correspondents[place];
        entry.last_active = now;
        entry
    }

    /// Makes a place for a correspondent, to be let go when it has been silent for long enough.
    fn take_into_memory(&mut self, correspondent_id: &CorrespondentId, now: Timestamp) -> usize {
        let due = now + self.settings.limits.silent_after;
        self.silent.candidates.push_back((due, correspondent_id.clone()));
        self.correspondents.insert_full(correspondent_id.clone(), Correspondent::new(now)).0
    }

    /// Lets go of correspondents that have been silent for long enough and have nothing in memory.
    pub(super) fn release_silent(&mut self, now: Timestamp) {
        let silent_after = self.settings.limits.silent_after;
        while let Some((due, _)) = self.silent.candidates.front()
            && *due <= now
        {
            let Some((_, correspondent_id)) = self.silent.candidates.pop_front() else { return };
            let Some(entry) = self.correspondents.get_mut(&correspondent_id) else { continue };
            let silent = now.since(entry.last_active) >= silent_after;
            if silent && entry.is_idle() && self.outbox.let_go(&correspondent_id) {
                self.correspondents.swap_remove(&correspondent_id);
                continue;
            }
            let due = if silent { now + silent_after } else { entry.last_active + silent_after };
            self.silent.candidates.push_back((due, correspondent_id));
        }
    }

    /// Makes room for one more correspondent, or says that there is none.
    pub(super) fn can_hold_another(&mut self) -> bool {
        let max = self.settings.limits.max_correspondents;
        if self.correspondents.len() < max {
            return true;
        }
        let Some((due, correspondent_id)) = self.silent.candidates.pop_front() else {
            return false;
        };
        let idle = self.correspondents.get(&correspondent_id).is_none_or(Correspondent::is_idle)
            && self.outbox.let_go(&correspondent_id);
        if idle {
            self.correspondents.swap_remove(&correspondent_id);
        } else {
            self.silent.candidates.push_back((due, correspondent_id));
        }
        self.correspondents.len() < max
    }

    /// Asks the store for a correspondent's first free id.
    pub(super) fn read_next_id(&mut self, cx: &mut Context<'_>, id: CorrespondentId) {
        self.id_reads.queued.push_back(id);
        self.pump_id_reads(cx);
    }

    fn pump_id_reads(&mut self, cx: &mut Context<'_>) {
        if self.id_reads.retry_at.is_some() {
            return;
        }
        while self.id_reads.in_flight.len() < READS_IN_FLIGHT_MAX
            && let Some(correspondent_id) = self.id_reads.queued.pop_front()
        {
            let request = StoreRequest::NextId {
                bot_id: self.id.clone(),
                correspondent_id: correspondent_id.clone(),
            };
            let op = self.ask_store(cx, request);
            self.id_reads.in_flight.insert(op, correspondent_id);
        }
    }

    pub(super) fn retry_id_reads(&mut self, cx: &mut Context<'_>) {
        if self.id_reads.retry_at.is_some_and(|at| at <= cx.now) {
            self.id_reads.retry_at = None;
            self.pump_id_reads(cx);
        }
    }

    pub(super) fn on_next_id(
        &mut self,
        cx: &mut Context<'_>,
        correspondent_id: CorrespondentId,
        result: StoreResult,
    ) {
        match result {
            Ok(StoreReply::NextId(next_id)) => {
                self.id_reads.failures = 0;
                self.next_id_known(cx, &correspondent_id, next_id);
                self.pump_id_reads(cx);
            }
            Err(StoreError::Unavailable { detail }) => {
                let wait = cx.settings.store_retry.after(self.id_reads.failures);
                let wait = cx.source.jittered(wait);
                self.id_reads.failures = self.id_reads.failures.saturating_add(1);
                self.id_reads.retry_at = Some(cx.now + wait);
                self.id_reads.queued.push_front(correspondent_id);
                cx.notice(Notice::StoreRetried { operation: "next_id".to_owned(), detail });
            }
            Err(StoreError::Fenced) => self.fenced_by_store(cx),
            Ok(_) | Err(StoreError::Invalid { .. }) => {
                cx.unexpected(format!("bot {}: no answer to next_id", self.id));
                self.refuse_waiting(cx, &correspondent_id);
            }
        }
    }

    fn next_id_known(
        &mut self,
        cx: &mut Context<'_>,
        correspondent_id: &CorrespondentId,
        next_id: MessageId,
    ) {
        let Some((place, _, entry)) = self.correspondents.get_full_mut(correspondent_id) else {
            return;
        };
        entry.queue.raise_next_id(next_id);
        let ids = std::mem::replace(&mut entry.ids, Ids::Known);
        match ids {
            Ids::Reading(waiting) => {
                for message in waiting {
                    self.take_in(cx, place, message);
                }
            }
            Ids::Unread | Ids::Known => {}
        }
    }

    /// A first free id that cannot be read never means 1: the messages go back to their provider.
    fn refuse_waiting(&mut self, cx: &mut Context<'_>, correspondent_id: &CorrespondentId) {
        let Some(entry) = self.correspondents.get_mut(correspondent_id) else { return };
        let ids = std::mem::replace(&mut entry.ids, Ids::Unread);
        match ids {
            Ids::Reading(waiting) => {
                for Waiting { origin, .. } in waiting {
                    self.answer(cx, origin, Receipt::rejected(RejectReason::RetryLater));
                }
            }
            Ids::Unread | Ids::Known => {}
        }
    }
}
