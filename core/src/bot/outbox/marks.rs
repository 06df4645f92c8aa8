//! What is made durable of callbacks: that they have ended, and the numbers of their next attempts.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::lane::EntryState;
use super::{Outbox, OutboxContext};
use crate::bot::event::{AckAnswer, BotEffect, Callback};
use crate::durable::Durable;
use crate::id::{CallbackKey, CorrespondentId, OpId, RequestId};
use crate::lane::Lane;
use crate::notice::Notice;
use crate::store::{Mark, MarkAnswer, StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::Timestamp;

/// Marks of one store operation.
const BATCH_MAX: usize = 500;

/// Marks that may wait; beyond, acknowledgements are refused until there is room.
const WAITING_MAX: usize = 10_000;

/// The ends of callbacks on their way to being durable.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Marks {
    waiting: Vec<Ending>,
    lane: Lane<Vec<Ending>>,
    /// How many of the next marks go alone, after a batch with an invalid one among them.
    singly: usize,
    /// The requests that wait, with what is known for them so far.
    requests: BTreeMap<RequestId, Progress>,
    /// Acknowledged while they were not in memory: a page or a batch under way may bring them yet.
    /// Never iterated.
    #[serde(with = "crate::lookup::sorted_set")]
    ahead: HashSet<CallbackKey>,
    /// A reply has become a durable send with its mark.
    replied: bool,
}

/// The end of one callback.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ending {
    pub mark: Mark,
    /// Who waits for it to be durable.
    pub request_id: Option<RequestId>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Progress {
    outstanding: usize,
    acknowledged: usize,
    unknown: Vec<CallbackKey>,
}

impl Marks {
    pub fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.lane.is_idle()
    }

    pub fn has_room(&self, more: usize) -> bool {
        self.waiting.len() + more <= WAITING_MAX
    }

    pub fn awaits(&self, op: OpId) -> bool {
        self.lane.awaits(op)
    }

    /// Whether the end of a callback is on its way to being durable. Linear in the marks that are.
    pub fn includes(&self, key: &CallbackKey) -> bool {
        let in_flight = self.lane.payload().into_iter().flatten();
        self.waiting.iter().chain(in_flight).any(|ending| ending.mark.key == *key)
    }

    pub fn retry_at(&self) -> Option<Timestamp> {
        self.lane.retry_at()
    }

    pub fn take_replied(&mut self) -> bool {
        std::mem::take(&mut self.replied)
    }

    pub fn push(&mut self, ending: Ending) {
        self.waiting.push(ending);
    }

    /// A callback that is not in memory is acknowledged.
    pub fn came_ahead(&mut self, key: &CallbackKey) {
        self.ahead.insert(key.clone());
    }

    /// The state in which a callback comes into memory.
    pub fn entry_state(&self, callback: &Callback) -> EntryState {
        let ended = !self.ahead.is_empty() && self.ahead.contains(&callback.key());
        if ended { EntryState::Ending } else { EntryState::Ready }
    }

    /// The end of a callback is durable, or it never was.
    fn caught_up(&mut self, key: &CallbackKey) {
        if !self.ahead.is_empty() {
            self.ahead.remove(key);
        }
    }

    /// A request waits for these marks to be durable.
    pub fn request(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        request_id: RequestId,
        marks: Vec<Mark>,
        unknown: Vec<CallbackKey>,
    ) {
        if marks.is_empty() {
            let answer = Some(Durable::of_nothing(unknown));
            let valid_until = cx.valid_until;
            return cx.effect(BotEffect::AckAnswer { request_id, answer, valid_until });
        }
        let progress = Progress { outstanding: marks.len(), acknowledged: 0, unknown };
        self.requests.insert(request_id, progress);
        self.waiting
            .extend(marks.into_iter().map(|mark| Ending { mark, request_id: Some(request_id) }));
    }

    /// The bot stops before the marks are durable: whoever waits is told to ask again.
    pub fn refuse_requests(&mut self, cx: &mut OutboxContext<'_, '_>) {
        for (request_id, _) in std::mem::take(&mut self.requests) {
            let valid_until = Timestamp::MAX;
            cx.effect(BotEffect::AckAnswer { request_id, answer: None, valid_until });
        }
    }

    fn settle(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        reply: &StoreReply,
        ending: &Ending,
        answer: MarkAnswer,
    ) {
        let Some(request_id) = ending.request_id else { return };
        let Some(progress) = self.requests.get_mut(&request_id) else { return };
        progress.outstanding -= 1;
        match answer {
            MarkAnswer::Ended => progress.acknowledged += 1,
            MarkAnswer::Unknown => progress.unknown.push(ending.mark.key.clone()),
        }
        if progress.outstanding > 0 {
            return;
        }
        if let Some(Progress { acknowledged, unknown, .. }) = self.requests.remove(&request_id) {
            let answer = Some(Durable::by(reply, AckAnswer { acknowledged, unknown }));
            let valid_until = cx.valid_until;
            cx.effect(BotEffect::AckAnswer { request_id, answer, valid_until });
        }
    }
}

impl Outbox {
    pub(super) fn pump_marks(&mut self, cx: &mut OutboxContext<'_, '_>) {
        if !cx.may_store || !self.marks.lane.is_idle() || self.marks.waiting.is_empty() {
            return;
        }
        let most = if self.marks.singly > 0 { 1 } else { BATCH_MAX };
        let count = self.marks.waiting.len().min(most);
        self.marks.singly = self.marks.singly.saturating_sub(1);
        let endings: Vec<_> = self.marks.waiting.drain(..count).collect();
        self.ask_marks(cx, endings);
    }

    pub(super) fn retry_marks(&mut self, cx: &mut OutboxContext<'_, '_>) {
        if let Some(endings) = self.marks.lane.take_due(cx.cx.now) {
            self.ask_marks(cx, endings);
        }
    }

    fn ask_marks(&mut self, cx: &mut OutboxContext<'_, '_>, endings: Vec<Ending>) {
        let marks = endings.iter().map(|ending| ending.mark.clone()).collect();
        let op = cx.ask_store(|fence| StoreRequest::MarkCalledBack { fence, marks });
        self.marks.lane.begin(op, endings);
    }

    pub(super) fn on_marked(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        op: OpId,
        result: StoreResult,
    ) -> bool {
        let Some(endings) = self.marks.lane.take(op) else { return false };
        match result {
            Ok(reply) => {
                self.marks.lane.settle();
                self.marked(cx, &endings, &reply);
                false
            }
            Err(StoreError::Unavailable { detail }) => {
                self.marks.lane.retry_later(cx.cx, endings, "mark_called_back", detail);
                false
            }
            Err(StoreError::Fenced) => true,
            Err(StoreError::Invalid { detail }) => {
                self.marks.lane.settle();
                self.marks_refused(cx, endings, detail);
                false
            }
        }
    }

    /// The store has said of each callback whether it has ended.
    fn marked(&mut self, cx: &mut OutboxContext<'_, '_>, endings: &[Ending], reply: &StoreReply) {
        let StoreReply::MarkCalledBack(answers) = reply else {
            return cx.cx.unexpected("outbox: no answer to mark_called_back");
        };
        for (ending, answer) in endings.iter().zip(answers) {
            self.marks.caught_up(&ending.mark.key);
            self.marks.replied |= ending.mark.reply.is_some();
            match answer {
                MarkAnswer::Ended => self.leave(&ending.mark.key),
                MarkAnswer::Unknown => self.not_ended(&ending.mark.key),
            }
            self.marks.settle(cx, reply, ending, *answer);
        }
    }

    /// The store calls the batch invalid: its marks go again one by one, so that one bad mark never takes its
    /// neighbours along. There is no callback that one which is refused alone could end.
    fn marks_refused(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        endings: Vec<Ending>,
        detail: String,
    ) {
        if endings.len() > 1 {
            self.marks.singly += endings.len();
            self.marks.waiting.splice(0..0, endings);
            return;
        }
        let operation = "mark_called_back".to_owned();
        cx.cx.notice(Notice::StoreRefused { operation, detail });
        let unknown = StoreReply::MarkCalledBack(vec![MarkAnswer::Unknown]);
        self.marked(cx, &endings, &unknown);
    }

    /// The end of a callback is durable: the next one of its correspondent has its turn.
    fn leave(&mut self, key: &CallbackKey) {
        self.paging.ended(key);
        let Some(lane) = self.lanes.get_mut(&key.correspondent_id) else { return };
        if let Some(entry) = lane.remove(key) {
            self.in_window = self.in_window.saturating_sub(1);
            if let EntryState::Open { order } = entry.state {
                self.open.remove(order);
            }
        }
        if lane.needs_refill(self.lane_max, self.in_window >= self.window) {
            lane.refilling = true;
            self.paging.refill(key.correspondent_id.clone());
        }
        if lane.entries.is_empty() {
            self.forget_if_empty(&key.correspondent_id);
        } else if !lane.listed {
            lane.listed = true;
            self.sendable.push_back(key.correspondent_id.clone());
        }
    }

    /// The store says that a callback was never sent: it is still owed, should it be in memory.
    fn not_ended(&mut self, key: &CallbackKey) {
        let lane = self.lanes.get_mut(&key.correspondent_id);
        if let Some(entry) = lane.and_then(|lane| lane.find(key))
            && entry.state == EntryState::Ending
        {
            entry.state = EntryState::Spent;
            self.list(&key.correspondent_id);
        }
    }

    /// The next attempt number of a callback is to be made durable.
    pub(super) fn raise(&mut self, key: CallbackKey) {
        let lane = self.lanes.get_mut(&key.correspondent_id);
        if let Some(entry) = lane.and_then(|lane| lane.find(&key)) {
            entry.state = EntryState::Raising;
            self.to_raise.push_back(key);
        }
    }

    pub(super) fn pump_raises(&mut self, cx: &mut OutboxContext<'_, '_>) {
        if !cx.may_send || !self.raises.is_idle() || self.to_raise.is_empty() {
            return;
        }
        let mut callbacks = Vec::new();
        while callbacks.len() < BATCH_MAX
            && let Some(key) = self.to_raise.pop_front()
        {
            let lane = self.lanes.get_mut(&key.correspondent_id);
            let failures = lane.and_then(|lane| lane.find(&key)).map(|entry| entry.failures);
            callbacks.extend(failures.map(|failures| (key, failures)));
        }
        if !callbacks.is_empty() {
            self.ask_raise(cx, callbacks);
        }
    }

    pub(super) fn retry_raises(&mut self, cx: &mut OutboxContext<'_, '_>) {
        if let Some(callbacks) = self.raises.take_due(cx.cx.now) {
            self.ask_raise(cx, callbacks);
        }
    }

    fn ask_raise(&mut self, cx: &mut OutboxContext<'_, '_>, callbacks: Vec<(CallbackKey, u32)>) {
        let asked = callbacks.clone();
        let op = cx.ask_store(|fence| StoreRequest::RaiseAttempts { fence, callbacks: asked });
        self.raises.begin(op, callbacks);
    }

    pub(super) fn on_raised(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        asked: Vec<(CallbackKey, u32)>,
        result: StoreResult,
    ) -> bool {
        match result {
            Ok(reply) => {
                self.raises.settle();
                let StoreReply::RaiseAttempts(attempts) = &reply else {
                    cx.cx.unexpected("outbox: no answer to raise_attempts");
                    return false;
                };
                for ((key, _), attempt) in asked.iter().zip(attempts) {
                    match attempt {
                        Some(attempt) => {
                            let lane = self.lanes.get_mut(&key.correspondent_id);
                            let Some(entry) = lane.and_then(|lane| lane.find(key)) else {
                                continue;
                            };
                            if entry.state == EntryState::Raising {
                                let callback =
                                    Callback { attempt: *attempt, ..entry.callback.get().clone() };
                                entry.callback = Durable::by(&reply, callback);
                                entry.state = EntryState::Ready;
                            }
                        }
                        // Its end is durable already: it is not owed any more.
                        None => self.leave(key),
                    }
                    self.list_first(&key.correspondent_id);
                }
                false
            }
            Err(StoreError::Unavailable { detail }) => {
                self.raises.retry_later(cx.cx, asked, "raise_attempts", detail);
                false
            }
            Err(StoreError::Fenced) => true,
            Err(StoreError::Invalid { detail }) => {
                let operation = "raise_attempts".to_owned();
                cx.cx.notice(Notice::StoreRefused { operation, detail });
                false
            }
        }
    }

    /// Lists a lane so that it has the next turn: its new attempt number is fresh, or it is the probe.
    pub(super) fn list_first(&mut self, correspondent_id: &CorrespondentId) {
        if let Some(lane) = self.lanes.get_mut(correspondent_id)
            && !lane.listed
        {
            lane.listed = true;
            self.sendable.push_front(correspondent_id.clone());
        }
    }
}
