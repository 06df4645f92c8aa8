//! The way to the store and back, and what happens to requests and answers on it.
//!
//! Every request is answered, or given up after a while; one that is given up may have been applied,
//! or be applied yet.

use anteroom_core::bot::event::BotEvent;
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, NodeId, OpId};
use anteroom_core::janitor::JanitorEvent;
use anteroom_core::ownership::OwnershipEvent;
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::store::{ArchiveItem, StoreError, StoreReply, StoreRequest, StoreResult};
use anteroom_core::time::Millis;
use std::sync::Arc;

use super::{Happening, World};
use crate::checker::marks::Mark;
use crate::checker::seen::Seen;
use crate::plan::Sabotage;

/// How long a request without an answer is waited for.
const PATIENCE: Millis = Millis::from_secs(5);

/// Who asked the store.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    /// Which node, which of its processes, and under which id; none for an operator.
    pub node: Option<(usize, u32, NodeId)>,
    /// Which part of it.
    pub part: Place,
}

/// Which part of a node asked, under which number.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Bot(BotId, OpId),
    Pools(OpId),
    Ownership(OpId),
    Janitor(OpId),
    Operator,
}

impl World {
    /// A request is sent.
    pub(super) fn ask(&mut self, asker: Asker, request: StoreRequest) {
        let cut = asker.node.is_some_and(|(node, ..)| self.weather.nodes[node].cut_there);
        if cut {
            return self.after(PATIENCE, Happening::GiveUp { asker });
        }
        let (late, slow) = (self.weather.store_late, self.weather.store_slow);
        if self.dice.store.strikes(late.per_mille) {
            let wait = Millis::from_ms(self.dice.store.below(late.most.as_ms()));
            self.after(PATIENCE, Happening::GiveUp { asker: asker.clone() });
            let at = self.now + PATIENCE + wait;
            self.reach(Mark::LateApply);
            return self.at(at, Happening::Apply { asker, request, answered: false });
        }
        let most = if self.dice.store.strikes(slow.per_mille) { slow.most.as_ms() } else { 20 };
        let wait = Millis::from_ms(1 + self.dice.store.below(most));
        self.after(wait, Happening::Apply { asker, request, answered: true });
    }

    /// A request takes effect, or does not.
    pub(super) fn apply(&mut self, asker: Asker, request: &StoreRequest, answered: bool) {
        let (before, after) = (self.weather.store_before, self.weather.store_after);
        if self.weather.store_down || self.dice.store.strikes(before) {
            if answered {
                self.answer_soon(asker, Err(unavailable("before")));
            }
            return;
        }
        let owner = self.owner_asked_for(request);
        let result = self.sabotaged_apply(request);
        if owner.is_some() && owner != self.owner_asked_for(request) {
            self.reach(Mark::BotTakenOver);
        }
        let cut = asker.node.is_some_and(|(node, ..)| self.weather.nodes[node].cut_back);
        let lost = !answered || cut || self.dice.store.strikes(after);
        let by = asker.node.map(|(node, _, process)| (node, process));
        self.show(&Seen::Applied { by, request, result: &result, lost });
        let node = asker.node.map(|(node, ..)| node);
        self.recorder.applied((self.now, node), request, &result, &self.store);
        if !answered {
            return;
        }
        if cut {
            return self.after(PATIENCE, Happening::GiveUp { asker });
        }
        self.answer_soon(asker, if lost { Err(unavailable("after")) } else { result });
    }

    /// Who owns the bot that a request wants to own.
    fn owner_asked_for(&self, request: &StoreRequest) -> Option<NodeId> {
        let StoreRequest::AcquireBot { bot_id, .. } = request else { return None };
        self.store.ownership(bot_id)?.owner.map(|hold| hold.node_id)
    }

    fn answer_soon(&mut self, asker: Asker, result: StoreResult) {
        let wait = Millis::from_ms(1 + self.dice.store.below(20));
        self.after(wait, Happening::Answer { asker, result });
    }

    /// Nobody waits for the answer any longer.
    pub(super) fn give_up(&mut self, asker: Asker) {
        self.answer(asker, Err(unavailable("no answer")));
    }

    /// An answer reaches whoever asked.
    pub(super) fn answer(&mut self, asker: Asker, result: StoreResult) {
        let event = match asker.part {
            Place::Bot(bot_id, op) => Event::Bot(bot_id, BotEvent::Store { op, result }),
            Place::Pools(op) => Event::Pools(PoolEvent::Store { op, result }),
            Place::Ownership(op) => Event::Ownership(OwnershipEvent::Store { op, result }),
            Place::Janitor(op) => Event::Janitor(JanitorEvent::Store { op, result }),
            Place::Operator => return self.operator_answered(&result),
        };
        if let Some((node, incarnation, _)) = asker.node {
            self.deliver(node, incarnation, event);
        }
    }

    /// The store, unless the plan says that it gets something wrong.
    fn sabotaged_apply(&mut self, request: &StoreRequest) -> StoreResult {
        if let StoreRequest::Archive { fence, items } = request {
            if self.is_sabotaged(Sabotage::LoseArchived) {
                let seq = anteroom_core::id::ArchiveSeq(self.number());
                let stored = anteroom_core::store::ArchiveAnswer::Stored { seq };
                return Ok(StoreReply::Archive(vec![stored; items.len()]));
            }
            if self.is_sabotaged(Sabotage::GarbleText) {
                let (fence, items) = (fence.clone(), items.iter().map(garbled).collect());
                return self.store.apply(self.now, &StoreRequest::Archive { fence, items });
            }
        }
        let result = self.store.apply(self.now, request);
        if self.is_sabotaged(Sabotage::ResetEpochs)
            && let Ok(StoreReply::AcquireBot(anteroom_core::store::Acquired::Acquired { epoch })) =
                &result
        {
            let earlier = anteroom_core::id::Epoch(1_000_000_u64.saturating_sub(epoch.0));
            let acquired = anteroom_core::store::Acquired::Acquired { epoch: earlier };
            return Ok(StoreReply::AcquireBot(acquired));
        }
        result
    }
}

fn garbled(item: &ArchiveItem) -> ArchiveItem {
    let mut item = item.clone();
    Arc::make_mut(&mut item.message).content.push('?');
    item
}

fn unavailable(detail: &str) -> StoreError {
    StoreError::Unavailable { detail: detail.to_owned() }
}
