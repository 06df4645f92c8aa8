//! Callbacks that an operator owes anew, after their consumer has refused them too often.
//!
//! A redelivered callback takes a new place in the archive, behind everything that the outbox may have
//! passed, as a revision does; so the two keep out of the way of pages and of archive batches alike.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Bot;
use super::event::BotEffect;
use super::lifecycle::Phase;
use crate::context::Context;
use crate::durable::Durable;
use crate::effect::Effect;
use crate::id::{Attempt, CallbackKey, OpId, RequestId};
use crate::lane::Lane;
use crate::notice::Notice;
use crate::store::{RedeliverAnswer, StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::Timestamp;

/// Requests that may wait; beyond, they are refused until there is room.
const WAITING_MAX: usize = 1_000;

/// A callback that is to be owed anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wanted {
    /// Who waits for it to be owed.
    request_id: RequestId,
    key: CallbackKey,
    /// Its last attempt, as the operator saw it.
    attempts: Attempt,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Redeliveries {
    waiting: VecDeque<Wanted>,
    lane: Lane<Wanted>,
}

impl Redeliveries {
    pub fn awaits(&self, op: OpId) -> bool {
        self.lane.awaits(op)
    }

    pub fn retry_at(&self) -> Option<Timestamp> {
        self.lane.retry_at()
    }

    /// Whether one is being made durable.
    pub fn is_underway(&self) -> bool {
        !self.lane.is_idle()
    }
}

impl Bot {
    /// An operator wants a callback made again.
    pub(super) fn redeliver(
        &mut self,
        cx: &mut Context<'_>,
        request_id: RequestId,
        key: CallbackKey,
        attempts: Attempt,
    ) {
        let takes =
            matches!(self.phase, Phase::Running) && self.redeliveries.waiting.len() < WAITING_MAX;
        if takes {
            self.redeliveries.waiting.push_back(Wanted { request_id, key, attempts });
        } else {
            self.answer_redelivery(cx, request_id, None);
        }
    }

    /// Whether one waits for its turn. One whose end is on its way to being durable (an operator may have seen
    /// it in the store before its bot has heard) waits for that: the outbox takes what a page brings of it
    /// until then to be from before.
    pub(super) fn wants_to_redeliver(&self) -> bool {
        let next = self.redeliveries.waiting.front();
        next.is_some_and(|wanted| !self.outbox.is_ending(&wanted.key))
    }

    pub(super) fn pump_redeliveries(&mut self, cx: &mut Context<'_>) {
        if self.may_change_archived()
            && self.wants_to_redeliver()
            && let Some(wanted) = self.redeliveries.waiting.pop_front()
        {
            self.ask_redeliver(cx, wanted);
            self.change_had_its_turn();
        }
    }

    pub(super) fn tick_redeliveries(&mut self, cx: &mut Context<'_>) {
        if let Some(wanted) = self.redeliveries.lane.take_due(cx.now) {
            self.ask_redeliver(cx, wanted);
        }
    }

    fn ask_redeliver(&mut self, cx: &mut Context<'_>, wanted: Wanted) {
        let Wanted { key, attempts, .. } = wanted.clone();
        let request = StoreRequest::Redeliver { fence: self.fence(), key, attempts };
        let op = self.ask_store(cx, request);
        self.redeliveries.lane.begin(op, wanted);
    }

    pub(super) fn on_redelivered(&mut self, cx: &mut Context<'_>, op: OpId, result: StoreResult) {
        let Some(wanted) = self.redeliveries.lane.take(op) else { return };
        let request_id = wanted.request_id;
        match result {
            Ok(reply) => {
                self.redeliveries.lane.settle();
                let StoreReply::Redeliver(answer) = &reply else {
                    self.answer_redelivery(cx, request_id, None);
                    return cx.unexpected(format!("bot {}: no answer to redeliver", self.id));
                };
                if let RedeliverAnswer::Owed { seq } = answer {
                    self.outbox.left_in_store(&wanted.key.correspondent_id, *seq);
                }
                self.answer_redelivery(cx, request_id, Some(Durable::by(&reply, *answer)));
            }
            Err(StoreError::Unavailable { detail }) => {
                self.redeliveries.lane.retry_later(cx, wanted, "redeliver", detail);
            }
            Err(StoreError::Fenced) => {
                self.answer_redelivery(cx, request_id, None);
                self.fenced_by_store(cx);
            }
            Err(StoreError::Invalid { detail }) => {
                self.answer_redelivery(cx, request_id, None);
                cx.notice(Notice::StoreRefused { operation: "redeliver".to_owned(), detail });
            }
        }
    }

    /// The bot stops: whoever waits asks the next owner.
    pub(super) fn refuse_redeliveries(&mut self, cx: &mut Context<'_>) {
        for Wanted { request_id, .. } in std::mem::take(&mut self.redeliveries.waiting) {
            self.answer_redelivery(cx, request_id, None);
        }
    }

    /// Nothing is redelivered any more.
    pub(super) fn clear_redeliveries(&mut self, cx: &mut Context<'_>) {
        if let Some(Wanted { request_id, .. }) = self.redeliveries.lane.take_any() {
            self.answer_redelivery(cx, request_id, None);
        }
        self.refuse_redeliveries(cx);
    }

    fn answer_redelivery(
        &self,
        cx: &mut Context<'_>,
        request_id: RequestId,
        answer: Option<Durable<RedeliverAnswer>>,
    ) {
        let effect = BotEffect::RedeliverAnswer { request_id, answer };
        cx.effect(Effect::Bot(self.id.clone(), effect));
    }
}
