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
use anteroom_core::store::{StoreRequest, StoreResult};
use anteroom_core::time::Millis;

use super::durable::unavailable;
use super::node::Inside;
use super::{Happening, World};
use crate::checker::marks::Mark;

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
    /// An operator asks the store.
    pub(super) fn ask_as_operator(&mut self, request: StoreRequest) {
        self.ask(Asker { node: None, part: Place::Operator }, request);
    }

    /// A request is sent.
    pub(super) fn ask(&mut self, asker: Asker, request: StoreRequest) {
        let cut = asker.node.is_some_and(|(node, ..)| self.weather.nodes[node].cut_there);
        if cut {
            return self.after(PATIENCE, Happening::Inside(Inside::GiveUp { asker }));
        }
        let (late, slow) = (self.weather.store_late, self.weather.store_slow);
        if self.dice.store.strikes(late.per_mille) {
            let wait = Millis::from_ms(self.dice.store.below(late.most.as_ms()));
            self.after(PATIENCE, Happening::Inside(Inside::GiveUp { asker: asker.clone() }));
            let at = self.now + PATIENCE + wait;
            self.reach(Mark::LateApply);
            return self
                .at(at, Happening::Inside(Inside::Apply { asker, request, answered: false }));
        }
        let most = if self.dice.store.strikes(slow.per_mille) { slow.most.as_ms() } else { 20 };
        let wait = Millis::from_ms(1 + self.dice.store.below(most));
        self.after(wait, Happening::Inside(Inside::Apply { asker, request, answered: true }));
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
        let cut = asker.node.is_some_and(|(node, ..)| self.weather.nodes[node].cut_back);
        let lost = !answered || cut || self.dice.store.strikes(after);
        let by = asker.node.map(|(node, _, process)| (node, process));
        let result = self.execute(by, request, lost);
        if !answered {
            return;
        }
        if cut {
            return self.after(PATIENCE, Happening::Inside(Inside::GiveUp { asker }));
        }
        self.answer_soon(asker, if lost { Err(unavailable("after")) } else { result });
    }

    fn answer_soon(&mut self, asker: Asker, result: StoreResult) {
        let slow = self.weather.store_slow;
        let most = if self.dice.store.strikes(slow.per_mille) { slow.most.as_ms() } else { 20 };
        let wait = Millis::from_ms(1 + self.dice.store.below(most));
        self.after(wait, Happening::Inside(Inside::Answer { asker, result }));
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
}
