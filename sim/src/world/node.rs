//! A node: a machine, and what a driver would do around it.

use anteroom_core::bot::event::{BotEffect, BotEvent};
use anteroom_core::context::Seed;
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{BotId, MediaId, OpId};
use anteroom_core::janitor::{JanitorEffect, JanitorEvent};
use anteroom_core::machine::Machine;
use anteroom_core::message::{Extracted, Outcome};
use anteroom_core::ownership::{OwnershipEffect, OwnershipEvent};
use anteroom_core::pool::event::{PoolEffect, PoolEvent, ProcessorFailure, Work};
use anteroom_core::store::{StoreError, StoreRequest, StoreResult};
use anteroom_core::time::{Millis, Timestamp};
use rand_chacha::rand_core::Rng;

use super::{Happening, World};

/// A node, alive or dead.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub machine: Option<Machine>,
    pub incarnation: u32,
    ticking_at: Option<Timestamp>,
}

/// Who asked the store, and under which number.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    Bot(BotId, OpId),
    Pools(OpId),
    Ownership(OpId),
    Janitor(OpId),
}

impl Asker {
    fn event(self, result: StoreResult) -> Event {
        match self {
            Self::Bot(bot_id, op) => Event::Bot(bot_id, BotEvent::Store { op, result }),
            Self::Pools(op) => Event::Pools(PoolEvent::Store { op, result }),
            Self::Ownership(op) => Event::Ownership(OwnershipEvent::Store { op, result }),
            Self::Janitor(op) => Event::Janitor(JanitorEvent::Store { op, result }),
        }
    }
}

impl World {
    pub(super) fn boot(&mut self, node: usize) {
        if self.nodes[node].machine.is_some() {
            return;
        }
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        let mut id = [0; 16];
        self.random.fill_bytes(&mut id);
        let mut settings = self.plan.settings.clone();
        settings.node_id = uuid::Uuid::from_bytes(id).into();
        let machine = Machine::new(settings, Seed(seed)).expect("the plan's pools are a routing");
        let incarnation = self.nodes[node].incarnation + 1;
        self.nodes[node] = Node { machine: Some(machine), incarnation, ticking_at: None };
        let bots = self.store.bots().cloned().collect();
        let start = NodeEvent::Start { bots, runs_bots: true, runs_workers: true };
        self.deliver(node, incarnation, Event::Node(start));
    }

    pub(super) fn kill(&mut self, node: usize) {
        if self.healed || self.nodes[node].machine.take().is_none() {
            return;
        }
        self.checker.crashed();
        self.connections_lost(node);
        let at = self.now + Millis::from_ms(self.below(30_000));
        self.at(at, Happening::Boot { node });
    }

    pub(super) fn tick(&mut self, node: usize, incarnation: u32) {
        // A tick that an earlier deadline has overtaken is not made.
        let due = self.nodes[node].ticking_at.is_some_and(|at| at <= self.now);
        if self.nodes[node].incarnation == incarnation && due {
            self.nodes[node].ticking_at = None;
            self.deliver(node, incarnation, Event::Tick);
        }
    }

    /// Steps a machine and carries out its effects, unless the node dies in between.
    pub(super) fn deliver(&mut self, node: usize, incarnation: u32, event: Event) {
        if self.nodes[node].incarnation != incarnation {
            return;
        }
        let Some(machine) = &mut self.nodes[node].machine else { return };
        let mut effects = Vec::new();
        self.checker.stepped(&event);
        let ticked = event == Event::Tick;
        machine.step(self.now, event, &mut effects);
        if let Err(broken) = machine.check_invariants() {
            self.checker.break_rule(format!("invariant: {broken}"));
        }
        for effect in effects {
            if self.strikes(self.plan.faults.kill_between_effects) {
                return self.kill(node);
            }
            self.checker.effect(&effect);
            self.carry_out(node, incarnation, effect);
            if self.nodes[node].machine.is_none() {
                return;
            }
        }
        self.schedule_tick(node, incarnation, ticked);
    }

    fn schedule_tick(&mut self, node: usize, incarnation: u32, ticked: bool) {
        let Some(machine) = &self.nodes[node].machine else { return };
        let Some((at, why)) = machine.next_deadline() else { return };
        if ticked && at <= self.now {
            self.checker.break_rule(format!("{why:?} at {at} is due after its step"));
        }
        let at = at.max(self.now + Millis::from_ms(1));
        if self.nodes[node].ticking_at.is_none_or(|ticking| at < ticking) {
            self.nodes[node].ticking_at = Some(at);
            self.at(at, Happening::Tick { node, incarnation });
        }
    }

    fn carry_out(&mut self, node: usize, incarnation: u32, effect: Effect) {
        match effect {
            Effect::Session(session_id, effect) => {
                self.session_effect(node, session_id, effect);
            }
            Effect::Bot(bot_id, effect) => self.bot_effect(node, incarnation, bot_id, effect),
            Effect::Pools(PoolEffect::Store { op, request }) => {
                self.ask(node, incarnation, Asker::Pools(op), request);
            }
            Effect::Pools(PoolEffect::Start(work)) => self.process(node, incarnation, work),
            Effect::Pools(PoolEffect::Cancel { media_id, token }) => {
                let result = Err(ProcessorFailure::Cancelled);
                let event = Event::Pools(PoolEvent::Ended { media_id, token, result });
                self.soon(3_000, Happening::Deliver { node, incarnation, event });
            }
            Effect::Ownership(OwnershipEffect::Store { op, request }) => {
                self.ask(node, incarnation, Asker::Ownership(op), request);
            }
            Effect::Janitor(JanitorEffect::Store { op, request }) => {
                self.ask(node, incarnation, Asker::Janitor(op), request);
            }
            Effect::Janitor(JanitorEffect::ListStaged) => {
                let files = self.staged.iter().copied().collect();
                let event = Event::Janitor(JanitorEvent::Staged { files });
                self.soon(50, Happening::Deliver { node, incarnation, event });
            }
            Effect::Janitor(JanitorEffect::DeleteMedia { media_id }) => {
                self.delete(media_id.into_inner());
            }
            Effect::Notice(_) | Effect::Stopped => {}
        }
    }

    fn bot_effect(&mut self, node: usize, incarnation: u32, bot_id: BotId, effect: BotEffect) {
        match effect {
            BotEffect::Store { op, request } => {
                self.ask(node, incarnation, Asker::Bot(bot_id, op), request);
            }
            BotEffect::Callback { stream_id, callback, valid_until } => {
                if self.now < valid_until {
                    self.called_back(node, &bot_id, stream_id, callback.get());
                }
            }
            BotEffect::AckAnswer { request_id, answer, .. } => {
                self.ack_answered(&bot_id, request_id, answer.as_ref().map(|answer| answer.get()));
            }
            BotEffect::DeleteMedia { media_id } => self.delete(media_id.into_inner()),
            BotEffect::PostReceipt { .. }
            | BotEffect::AbortCallback { .. }
            | BotEffect::StreamReplaced { .. }
            | BotEffect::EnqueueAnswer { .. } => {}
        }
    }

    fn delete(&mut self, media_id: MediaId) {
        if let Some(job) = self.store.job(media_id) {
            self.checker.break_rule(format!("S10: file {media_id} deleted, job {:?}", job.status));
        }
        self.staged.remove(&media_id);
    }

    fn ask(&mut self, node: usize, incarnation: u32, asker: Asker, request: StoreRequest) {
        let slow = self.strikes(self.plan.faults.store_slow);
        let latency = if slow { 30_000 } else { 20 };
        self.soon(latency, Happening::Apply { node, incarnation, asker, request });
    }

    pub(super) fn apply(
        &mut self,
        node: usize,
        incarnation: u32,
        asker: Asker,
        request: &StoreRequest,
    ) {
        let unavailable = |detail: &str| StoreError::Unavailable { detail: detail.to_owned() };
        let result = if self.strikes(self.plan.faults.store_before) {
            Err(unavailable("before"))
        } else {
            let result = self.store.apply(self.now, request);
            self.checker.applied(request, &result);
            let lost = self.strikes(self.plan.faults.store_after);
            if lost { Err(unavailable("after")) } else { result }
        };
        let event = asker.event(result);
        self.soon(20, Happening::Deliver { node, incarnation, event });
    }

    fn process(&mut self, node: usize, incarnation: u32, work: Work) {
        let Work { media_id, token, .. } = work;
        let failure = Err(ProcessorFailure::Transient {
            retry_after: None,
            detail: "the engine is busy".to_owned(),
        });
        let (latency, result) = if self.strikes(self.plan.faults.hang) {
            return;
        } else if self.strikes(self.plan.faults.transient) {
            (5_000, failure)
        } else {
            let text = format!("text of {media_id}");
            (10_000, Ok(Outcome::Text(Extracted { text, ..Extracted::default() })))
        };
        let event = Event::Pools(PoolEvent::Ended { media_id, token, result });
        self.soon(latency, Happening::Deliver { node, incarnation, event });
    }
}
