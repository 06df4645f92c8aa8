//! What is read from the store: owed callbacks that are not in memory.
//!
//! The bot's cursor finds everything that was left in the store, in archive order, when the bot
//! starts and when the window was full. A lane that was full *spills*: it reads its own next page when
//! it has room, so that it never holds the others up. Lanes that are short at the same time share a
//! page. Under gating a lane is read by message id, and alone, for a late medium has a low id and a
//! late place in the archive.
//!
//! A page and an archive batch never overlap, so what a page has not found was not there. Callbacks
//! that end while a page is under way are remembered, for the page may still have found them owed. One
//! whose end is only on its way to being durable is taken in as ending, so that the next one waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::lane::{Entry, OutboxLane};
use super::{Outbox, OutboxContext};
use crate::bot::event::Callback;
use crate::durable::Durable;
use crate::id::{ArchiveSeq, CallbackKey, CorrespondentId, MessageId, OpId};
use crate::lane::Lane;
use crate::notice::Notice;
use crate::store::{
    OwedCallback, OwedOf, OwedScope, StoreError, StoreReply, StoreRequest, StoreResult,
};
use crate::time::Timestamp;

/// Callbacks of one page.
const PAGE_MAX: usize = 250;

/// How far the store has been read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Paging {
    /// Everything up to here is in memory, has ended, or belongs to a lane that reads its own pages.
    cursor: ArchiveSeq,
    /// Nothing is behind the cursor.
    caught_up: bool,
    lane: Lane<Page>,
    /// The lanes that want a page of their own, in turn.
    refills: VecDeque<CorrespondentId>,
    /// The lanes that read their own pages: the store owes more for them than is in memory.
    spilled: BTreeSet<CorrespondentId>,
    /// What has ended while a page is under way.
    ended: BTreeSet<CallbackKey>,
}

/// A page under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Page {
    scope: OwedScope,
    limit: usize,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            cursor: ArchiveSeq(0),
            caught_up: true,
            lane: Lane::default(),
            refills: VecDeque::new(),
            spilled: BTreeSet::new(),
            ended: BTreeSet::new(),
        }
    }
}

impl Paging {
    pub fn from_the_beginning() -> Self {
        Self { caught_up: false, ..Self::default() }
    }

    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    pub fn is_underway(&self) -> bool {
        !self.lane.is_idle()
    }

    pub fn awaits(&self, op: OpId) -> bool {
        self.lane.awaits(op)
    }

    pub fn retry_at(&self) -> Option<Timestamp> {
        self.lane.retry_at()
    }

    /// A callback entered memory without being read.
    pub fn entered(&mut self, seq: ArchiveSeq) {
        if self.caught_up {
            self.cursor = self.cursor.max(seq);
        }
    }

    /// A callback was left in the store, to be found by the cursor.
    pub fn left_in_store(&mut self, seq: ArchiveSeq) {
        self.cursor = self.cursor.min(ArchiveSeq(seq.0.saturating_sub(1)));
        self.caught_up = false;
    }

    /// A lane wants a page of its own.
    pub fn refill(&mut self, correspondent_id: CorrespondentId) {
        self.refills.push_back(correspondent_id);
    }

    /// The end of a callback is durable.
    pub fn ended(&mut self, key: &CallbackKey) {
        if self.is_underway() {
            self.ended.insert(key.clone());
        }
    }
}

impl OutboxLane {
    /// Whether it is short of what the store owes, and has room for at least half a page. While the window is
    /// full, one that has something goes on with that: what leaves makes room. One that is refused has enough.
    pub fn needs_refill(&self, max: usize, is_full: bool) -> bool {
        let has_room = self.entries.len() + self.reserved <= max / 2;
        let may_wait = is_full && !self.entries.is_empty();
        self.spilled && !self.refilling && has_room && !may_wait && !self.is_refused()
    }
}

impl Outbox {
    /// A lane wants a page of its own.
    pub(super) fn refill(&mut self, correspondent_id: &CorrespondentId) {
        if let Some(lane) = self.lanes.get_mut(correspondent_id)
            && !lane.refilling
        {
            lane.refilling = true;
            self.paging.refill(correspondent_id.clone());
        }
    }

    /// A lane that has spilled may have room again.
    pub(super) fn refill_if_short(&mut self, correspondent_id: &CorrespondentId) {
        let lane = self.lanes.get(correspondent_id);
        if lane.is_some_and(|lane| lane.needs_refill(self.lane_max, self.is_full())) {
            self.refill(correspondent_id);
        }
    }

    /// Whether there is no place in the window.
    pub(super) fn is_full(&self) -> bool {
        self.in_window >= self.window
    }

    /// Whether a page is to be read as soon as it may.
    pub fn wants_page(&self) -> bool {
        !self.paging.refills.is_empty() || self.wants_bot_page()
    }

    /// The window is refilled when it is half empty, so that pages are worth their while, and as far as it may be
    /// when all that is in it waits: others may not have to.
    fn wants_bot_page(&self) -> bool {
        let all_waits = self.sendable.is_empty() && self.open.is_empty();
        let is_short = self.in_window <= self.window / 2 || (all_waits && !self.is_full());
        !self.paging.caught_up && is_short
    }

    pub(super) fn pump_pages(&mut self, cx: &mut OutboxContext<'_, '_>) {
        if !cx.may_page || !cx.may_send || self.paging.is_underway() {
            return;
        }
        if let Some(page) = self.refill_page(cx) {
            return self.ask_page(cx, page);
        }
        if self.wants_bot_page() {
            let limit = PAGE_MAX.min(self.window - self.in_window);
            let except = self.paging.spilled.iter().cloned().collect();
            let scope = OwedScope::Bot { after: self.paging.cursor, except };
            self.ask_page(cx, Page { scope, limit });
        }
    }

    /// The page of the lanes that want one: of a gated one alone, or of as many others as fit.
    fn refill_page(&mut self, cx: &OutboxContext<'_, '_>) -> Option<Page> {
        let lane_max = cx.settings.callbacks.correspondent_window;
        let page_max = PAGE_MAX.min(self.window).max(lane_max);
        let is_full = self.is_full();
        let mut of: Vec<OwedOf> = Vec::new();
        let mut limit = 0;
        while let Some(correspondent_id) = self.paging.refills.pop_front() {
            let Some(lane) = self.lanes.get(&correspondent_id) else { continue };
            let gated = cx.settings.is_gated(&correspondent_id);
            // While the window is full a lane gets one callback, so that none stands still. One that is
            // gated is read by message id, and cannot go on without what may be in front.
            let room = match gated {
                true => lane_max,
                false if is_full => 1,
                false => lane_max.saturating_sub(lane.entries.len() + lane.reserved).max(1),
            };
            if !of.is_empty() && (gated || limit + room > page_max) {
                self.paging.refills.push_front(correspondent_id);
                break;
            }
            limit += room;
            if gated {
                let scope = OwedScope::CorrespondentById { correspondent_id, after: None };
                return Some(Page { scope, limit });
            }
            let room = u32::try_from(room).unwrap_or(u32::MAX);
            of.push(OwedOf { correspondent_id, after: lane.last_seq, limit: room });
        }
        (!of.is_empty()).then_some(Page { scope: OwedScope::Correspondents(of), limit })
    }

    pub(super) fn retry_page(&mut self, cx: &mut OutboxContext<'_, '_>) {
        if let Some(page) = self.paging.lane.take_due(cx.cx.now) {
            self.ask_page(cx, page);
        }
    }

    fn ask_page(&mut self, cx: &mut OutboxContext<'_, '_>, page: Page) {
        let Page { scope, limit } = page.clone();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let op = cx.ask_store(|fence| StoreRequest::OwedCallbacks { fence, scope, limit });
        self.paging.lane.begin(op, page);
    }

    pub(super) fn on_page(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        op: OpId,
        result: StoreResult,
    ) -> bool {
        let Some(page) = self.paging.lane.take(op) else { return false };
        match result {
            Ok(reply) => {
                self.paging.lane.settle();
                let ended = std::mem::take(&mut self.paging.ended);
                let StoreReply::OwedCallbacks { callbacks, more } = &reply else {
                    cx.cx.unexpected("outbox: no answer to owed_callbacks");
                    return false;
                };
                match page.scope {
                    OwedScope::Bot { .. } => {
                        self.on_bot_page(cx, &reply, callbacks, *more, &ended);
                    }
                    OwedScope::Correspondents(of) => {
                        self.on_lanes_page(cx, &reply, callbacks, &ended, of);
                    }
                    OwedScope::CorrespondentById { correspondent_id, .. } => {
                        let through = callbacks.last().map(|owed| owed.message.id);
                        self.load(cx, &reply, callbacks, &ended, true);
                        self.on_lane_page(&correspondent_id, *more, through);
                    }
                }
                false
            }
            Err(StoreError::Unavailable { detail }) => {
                self.paging.lane.retry_later(cx.cx, page, "owed_callbacks", detail);
                false
            }
            Err(StoreError::Fenced) => true,
            Err(StoreError::Invalid { detail }) => {
                let operation = "owed_callbacks".to_owned();
                cx.cx.notice(Notice::StoreRefused { operation, detail });
                false
            }
        }
    }

    fn on_bot_page(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        reply: &StoreReply,
        callbacks: &[OwedCallback],
        more: bool,
        ended: &BTreeSet<CallbackKey>,
    ) {
        self.load(cx, reply, callbacks, ended, false);
        if let Some(last) = callbacks.last() {
            self.paging.cursor = self.paging.cursor.max(last.seq);
        }
        self.paging.caught_up = !more;
        for owed in callbacks {
            if more && cx.settings.is_gated(&owed.correspondent_id) {
                self.spill(&owed.correspondent_id, true);
                self.refill(&owed.correspondent_id);
            }
        }
    }

    fn on_lanes_page(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        reply: &StoreReply,
        callbacks: &[OwedCallback],
        ended: &BTreeSet<CallbackKey>,
        of: Vec<OwedOf>,
    ) {
        let crowded = self.load(cx, reply, callbacks, ended, false);
        let mut found: BTreeMap<&CorrespondentId, u32> = BTreeMap::new();
        for owed in callbacks {
            *found.entry(&owed.correspondent_id).or_default() += 1;
        }
        for OwedOf { correspondent_id, limit, .. } in of {
            let found = found.get(&correspondent_id).copied().unwrap_or_default();
            let more = found >= limit || crowded.contains(&correspondent_id);
            self.on_lane_page(&correspondent_id, more, None);
        }
    }

    fn on_lane_page(
        &mut self,
        correspondent_id: &CorrespondentId,
        more: bool,
        complete_through: Option<MessageId>,
    ) {
        let Some(lane) = self.lanes.get_mut(correspondent_id) else { return };
        lane.refilling = false;
        lane.complete_through = complete_through;
        if !more {
            lane.spilled = false;
            self.paging.spilled.remove(correspondent_id);
        }
        self.list(correspondent_id);
        // All that the page held may have ended meanwhile.
        self.refill_if_short(correspondent_id);
    }

    /// Takes callbacks into memory, less those that are there, or have ended meanwhile. Returns whose
    /// lanes had no room for one of them, and have spilled.
    fn load(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        reply: &StoreReply,
        callbacks: &[OwedCallback],
        ended: &BTreeSet<CallbackKey>,
        by_id: bool,
    ) -> BTreeSet<CorrespondentId> {
        let mut crowded = BTreeSet::new();
        let max = cx.settings.callbacks.correspondent_window;
        for owed in callbacks {
            let correspondent_id = &owed.correspondent_id;
            let callback = Callback {
                correspondent_id: correspondent_id.clone(),
                attempt: owed.attempt,
                revision: owed.revision,
                message: owed.message.clone(),
            };
            let key = callback.key();
            let gated = cx.settings.is_gated(correspondent_id);
            let lane = self.lanes.entry(correspondent_id.clone()).or_default();
            if ended.contains(&key) || lane.find(&key).is_some() {
                lane.last_seq = lane.last_seq.max(owed.seq);
                continue;
            }
            if !by_id && (lane.entries.len() + lane.reserved >= max || lane.is_refused()) {
                self.spill(correspondent_id, gated);
                crowded.insert(correspondent_id.clone());
                continue;
            }
            let entry = Entry {
                seq: owed.seq,
                state: self.marks.entry_state(&callback),
                callback: Durable::by(reply, callback),
                failures: owed.failures,
                since: owed.message.accepted_time.min(cx.cx.now),
                together: false,
            };
            lane.insert(entry, gated);
            self.in_window += 1;
            self.list(correspondent_id);
        }
        for owed in callbacks {
            self.forget_if_empty(&owed.correspondent_id);
        }
        crowded
    }

    /// The store owes more for a correspondent than is in memory: its lane reads its own pages.
    pub(super) fn spill(&mut self, correspondent_id: &CorrespondentId, gated: bool) {
        let Some(lane) = self.lanes.get_mut(correspondent_id) else {
            // A medium of a gated one that is archived beside it would find a place, and pass it.
            self.paging.caught_up &= !gated;
            return;
        };
        if !lane.spilled || gated {
            // What was read by id may have a gap from here on: a late medium has a low id.
            lane.complete_through = None;
        }
        lane.spilled = true;
        self.paging.spilled.insert(correspondent_id.clone());
    }
}
