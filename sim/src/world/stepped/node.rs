//! A node: a machine, and what a driver does around it.
//!
//! A step's effects are carried out in their order, one by one; between any two of them the node may
//! die, or stand still and go on later with the rest, as if no time had passed.

use std::collections::VecDeque;
use std::sync::Arc;

use anteroom_core::bot::event::BotEffect;
use anteroom_core::context::Seed;
use anteroom_core::deadline::Deadline;
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{BotId, SessionId};
use anteroom_core::janitor::{JanitorEffect, JanitorEvent};
use anteroom_core::machine::Machine;
use anteroom_core::ownership::OwnershipEffect;
use anteroom_core::pool::event::PoolEffect;
use anteroom_core::session::event::SessionEffect;
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{StoreRequest, StoreResult};
use anteroom_core::time::{Millis, Timestamp};
use anteroom_trace::line::When;

use super::store_line::{Asker, Place};
use super::work::{Ended, Processors};
use super::{Happening, Phase, Report, World};
use crate::checker::marks::Mark;
use crate::checker::rule::Rule;
use crate::checker::seen::Seen;
use crate::plan::NodePlan;

/// A node, alive or dead.
pub(super) struct Node {
    pub machine: Option<Machine>,
    pub incarnation: u32,
    pub runs_bots: bool,
    runs_workers: bool,
    /// How far its clock is ahead of the world's.
    ahead: Millis,
    pub settings: Option<Arc<NodeSettings>>,
    ticking_at: Option<Timestamp>,
    /// Effects that have not been carried out.
    todo: VecDeque<Effect>,
    /// Effects since the last whole step.
    done_of_step: u32,
    /// When the last step was, by the world's time.
    pub stepped_at: Timestamp,
    dooms: Vec<(u32, Doom)>,
    pub frozen: bool,
    /// What reaches it while it stands still.
    inbox: VecDeque<Event>,
    pub processors: Processors,
    pub stopping: bool,
    /// It stays dead.
    pub gone: bool,
}

/// Something that happens inside a node, or on the way to it.
#[derive(Debug)]
pub(super) enum Inside {
    /// An event reaches a node, if that is still the same process.
    Deliver { node: usize, incarnation: u32, event: Event },
    /// A machine's deadline.
    Tick { node: usize, incarnation: u32 },
    /// A store operation takes effect.
    Apply { asker: Asker, request: StoreRequest, answered: bool },
    /// A store operation's answer is given up.
    GiveUp { asker: Asker },
    /// A store operation's answer arrives.
    Answer { asker: Asker, result: StoreResult },
    /// A provider hears what a node said.
    Heard { provider: usize, session_id: SessionId, effect: SessionEffect },
    /// A processor ends by itself.
    ProcessorEnds { node: usize, incarnation: u32, ended: Ended },
}

/// What is going to strike a node between two effects.
#[derive(Debug, Clone, Copy)]
pub(super) enum Doom {
    Kill { down: Millis },
    Freeze { lasts: Millis },
}

impl Node {
    pub fn new(plan: &NodePlan) -> Self {
        Self {
            machine: None,
            incarnation: 0,
            runs_bots: plan.runs_bots,
            runs_workers: plan.runs_workers,
            ahead: plan.clock_ahead,
            settings: None,
            ticking_at: None,
            todo: VecDeque::new(),
            done_of_step: 0,
            stepped_at: Timestamp::ZERO,
            dooms: Vec::new(),
            frozen: false,
            inbox: VecDeque::new(),
            processors: Processors::default(),
            stopping: false,
            gone: false,
        }
    }

    pub fn is_up(&self) -> bool {
        self.machine.is_some()
    }
}

impl World {
    /// Runs to the end: faults, then healing, then everything has to come to its end.
    pub fn run(mut self) -> Report {
        while let Some((at, happening)) = self.heap.pop() {
            self.now = self.now.max(at);
            self.happen(happening);
            if self.is_over() {
                break;
            }
        }
        self.report()
    }

    pub(super) fn inside(&mut self, inside: Inside) {
        match inside {
            Inside::Deliver { node, incarnation, event } => self.deliver(node, incarnation, event),
            Inside::Tick { node, incarnation } => self.tick(node, incarnation),
            Inside::Apply { asker, request, answered } => self.apply(asker, &request, answered),
            Inside::GiveUp { asker } => self.give_up(asker),
            Inside::Answer { asker, result } => self.answer(asker, result),
            Inside::Heard { provider, session_id, effect } => {
                self.provider_hears(provider, session_id, effect);
            }
            Inside::ProcessorEnds { node, incarnation, ended } => {
                self.processor_ends(node, incarnation, ended);
            }
        }
    }

    /// Has something inside a node happen.
    pub(super) fn inside_at(&mut self, at: Timestamp, inside: Inside) {
        self.at(at, Happening::Inside(inside));
    }

    /// Tells a node something that is no message, if it is there.
    pub(super) fn tell_bot_event(&mut self, node: usize, event: Event) {
        let incarnation = self.nodes[node].incarnation;
        self.deliver(node, incarnation, event);
    }

    /// What a node waits for, by its own clock.
    pub(super) fn deadline_of(&self, node: usize) -> Option<(Timestamp, Deadline)> {
        self.nodes[node].machine.as_ref()?.next_deadline()
    }

    /// The time by a node's own clock.
    pub(super) fn node_now(&self, node: usize) -> Timestamp {
        self.now + self.nodes[node].ahead
    }

    /// What a trace says of a node's time.
    fn when(&self, node: usize) -> When {
        When { node: node as u32, now: self.node_now(node), at: self.now }
    }

    /// The world's time at which a node's clock shows a time.
    fn by_the_world(&self, node: usize, at: Timestamp) -> Timestamp {
        at.minus(self.nodes[node].ahead)
    }

    pub(super) fn boot(&mut self, node: usize) {
        if self.nodes[node].is_up() || self.nodes[node].gone {
            return;
        }
        let seed = Seed(self.dice.node.bytes());
        let node_id = self.dice.node.uuid().into();
        let it = &mut self.nodes[node];
        let which = it.incarnation as usize % self.plan.settings.len();
        let settings = NodeSettings { node_id, ..self.plan.settings[which].clone() };
        let machine = Machine::new(settings.clone(), seed).expect("the plan's pools are a routing");
        it.incarnation += 1;
        it.machine = Some(machine);
        it.settings = Some(Arc::new(settings.clone()));
        (it.ticking_at, it.stopping, it.frozen) = (None, false, false);
        let (incarnation, runs_bots, runs_workers) =
            (it.incarnation, it.runs_bots, it.runs_workers);
        self.recorder.booted(self.when(node), incarnation, &settings, seed);
        self.show(&Seen::Booted { node, node_id, settings: &settings });
        let bots = self.store.bots().cloned().collect();
        let start = NodeEvent::Start { bots, runs_bots, runs_workers };
        self.deliver(node, incarnation, Event::Node(start));
        self.consumers_look_again();
    }

    /// Something will strike a node once it has carried out so many more effects.
    pub(super) fn doom(&mut self, node: usize, after_effects: u32, doom: Doom) {
        if self.nodes[node].is_up() {
            self.nodes[node].dooms.push((after_effects, doom));
        }
    }

    pub(super) fn kill(&mut self, node: usize, down: Millis) {
        let it = &mut self.nodes[node];
        if it.machine.take().is_none() {
            return;
        }
        it.todo.clear();
        it.inbox.clear();
        it.dooms.clear();
        it.processors = Processors::default();
        (it.frozen, it.stopping) = (false, false);
        self.show(&Seen::Died { node });
        self.connections_lost(node);
        self.streams_lost(node);
        self.after(down, Happening::Boot { node });
    }

    fn freeze(&mut self, node: usize, lasts: Millis) {
        let it = &mut self.nodes[node];
        it.frozen = true;
        let incarnation = it.incarnation;
        self.recorder.fault(self.now, Some(node), "stands still", Some(lasts));
        self.show(&Seen::Disturbed { node });
        self.after(lasts, Happening::Thaw { node, incarnation });
    }

    pub(super) fn thaw(&mut self, node: usize, incarnation: u32) {
        let it = &mut self.nodes[node];
        if it.incarnation != incarnation || !it.frozen {
            return;
        }
        it.frozen = false;
        self.recorder.fault(self.now, Some(node), "goes on", None);
        if !self.nodes[node].todo.is_empty() {
            self.reach(Mark::ZombieWoke);
        }
        self.show(&Seen::Disturbed { node });
        self.carry_out_all(node);
        while !self.nodes[node].frozen
            && let Some(event) = self.nodes[node].inbox.pop_front()
        {
            self.deliver(node, incarnation, event);
        }
        self.schedule_tick(node, false);
    }

    pub(super) fn clock_jumps(&mut self, node: usize, ahead: Millis) {
        let it = &mut self.nodes[node];
        it.ahead = Millis::from_ms(it.ahead.as_ms() + ahead.as_ms());
        it.ticking_at = None;
        self.show(&Seen::Disturbed { node });
        self.schedule_tick(node, false);
    }

    pub(super) fn restart(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        if it.is_up() && !it.stopping {
            it.stopping = true;
            let incarnation = it.incarnation;
            self.deliver(node, incarnation, Event::Node(NodeEvent::Shutdown));
        }
    }

    pub(super) fn tick(&mut self, node: usize, incarnation: u32) {
        // A tick that an earlier deadline has overtaken is not made.
        let it = &self.nodes[node];
        let due = it.ticking_at.is_some_and(|at| at <= self.now);
        if it.incarnation == incarnation && due {
            self.nodes[node].ticking_at = None;
            self.deliver(node, incarnation, Event::Tick);
        }
    }

    /// Steps a machine and carries out its effects, if it is still the same process.
    pub(super) fn deliver(&mut self, node: usize, incarnation: u32, event: Event) {
        let when = self.when(node);
        let it = &mut self.nodes[node];
        if it.incarnation != incarnation {
            return;
        }
        if it.frozen {
            it.inbox.push_back(event);
            return;
        }
        let Some(machine) = &mut it.machine else { return };
        self.steps += 1;
        let ticked = event == Event::Tick;
        self.recorder.event(when, &event);
        let framed = matches!(event, Event::Session(..));
        let mut effects = Vec::new();
        machine.step(when.now, event, &mut effects);
        let deadline = machine.next_deadline();
        let sound = machine.check_invariants();
        self.recorder.effects(node, &effects, deadline);
        if framed && effects.iter().any(super::conversation::is_duplicate) {
            self.reach(Mark::ResendCaughtByWindow);
        }
        self.nodes[node].done_of_step = 0;
        self.nodes[node].stepped_at = self.now;
        self.nodes[node].todo.extend(effects);
        if let Err(broken) = sound {
            self.checker.break_rule(Rule::Invariant, format!("node {node}: {broken}"));
        }
        self.carry_out_all(node);
        self.schedule_tick(node, ticked);
    }

    fn carry_out_all(&mut self, node: usize) {
        while !self.nodes[node].todo.is_empty() {
            if self.strikes_now(node) {
                return;
            }
            if let Some(effect) = self.nodes[node].todo.pop_front() {
                self.nodes[node].done_of_step += 1;
                self.carry_out(node, effect);
            }
        }
    }

    /// Whether the node does not come to its next effect.
    fn strikes_now(&mut self, node: usize) -> bool {
        let faulty = self.phase == Phase::Faulty;
        let it = &mut self.nodes[node];
        if it.dooms.is_empty() {
            return false;
        }
        if !faulty {
            it.dooms.clear();
            return false;
        }
        let Some(place) = it.dooms.iter().position(|(left, _)| *left == 0) else {
            it.dooms.iter_mut().for_each(|(left, _)| *left -= 1);
            return false;
        };
        let (_, doom) = it.dooms.remove(place);
        let between = it.done_of_step > 0;
        match doom {
            Doom::Kill { down } => {
                if between {
                    self.reach(Mark::NodeDiedBetweenEffects);
                }
                self.recorder.fault(self.now, Some(node), "dies", Some(down));
                self.kill(node, down);
            }
            Doom::Freeze { lasts } => self.freeze(node, lasts),
        }
        true
    }

    fn schedule_tick(&mut self, node: usize, ticked: bool) {
        let it = &self.nodes[node];
        let Some(machine) = it.machine.as_ref().filter(|_| !it.frozen) else { return };
        let Some((at, why)) = machine.next_deadline() else { return };
        let (incarnation, ticking_at) = (it.incarnation, it.ticking_at);
        if ticked && at <= self.node_now(node) {
            let what = format!("node {node}: {why:?} is due again at once, at {at}");
            self.checker.break_rule(Rule::Loop, what);
        }
        let at = self.by_the_world(node, at).max(self.now + Millis::from_ms(1));
        if ticking_at.is_none_or(|ticking| at < ticking) {
            self.nodes[node].ticking_at = Some(at);
            self.inside_at(at, Inside::Tick { node, incarnation });
        }
    }

    fn carry_out(&mut self, node: usize, effect: Effect) {
        let incarnation = self.nodes[node].incarnation;
        let Some(process) = self.nodes[node].settings.as_ref().map(|it| it.node_id) else { return };
        let place = |part| Asker { node: Some((node, incarnation, process)), part };
        match effect {
            Effect::Session(session_id, effect) => self.session_effect(node, session_id, effect),
            Effect::Bot(bot_id, BotEffect::Store { op, request }) => {
                self.ask(place(Place::Bot(bot_id, op)), request);
            }
            Effect::Bot(bot_id, effect) => self.bot_effect(node, &bot_id, effect),
            Effect::Pools(PoolEffect::Store { op, request }) => {
                self.ask(place(Place::Pools(op)), request);
            }
            Effect::Pools(PoolEffect::Start(work)) => self.process(node, &work),
            Effect::Pools(PoolEffect::Cancel { media_id, token }) => {
                self.cancel(node, media_id, token);
            }
            Effect::Ownership(OwnershipEffect::Store { op, request }) => {
                self.ask(place(Place::Ownership(op)), request);
            }
            Effect::Janitor(JanitorEffect::Store { op, request }) => {
                self.ask(place(Place::Janitor(op)), request);
            }
            Effect::Janitor(JanitorEffect::ListStaged) => {
                let files = self.staged.iter().copied().collect();
                let event = Event::Janitor(JanitorEvent::Staged { files });
                let wait = Millis::from_ms(1 + self.dice.node.below(50));
                self.inside_at(self.now + wait, Inside::Deliver { node, incarnation, event });
            }
            Effect::Janitor(JanitorEffect::DeleteMedia { media_id }) => {
                self.delete(media_id.into_inner());
            }
            Effect::Notice(notice) => self.show(&Seen::Noticed { node, notice: &notice }),
            Effect::Stopped => {
                self.reach(Mark::NodeShutDown);
                let down = Millis::from_ms(self.dice.node.below(5_000));
                self.kill(node, down);
            }
        }
    }

    fn bot_effect(&mut self, node: usize, bot_id: &BotId, effect: BotEffect) {
        let now = self.node_now(node);
        if let BotEffect::Callback { valid_until, .. }
        | BotEffect::Callbacks { valid_until, .. }
        | BotEffect::AckAnswer { valid_until, .. }
        | BotEffect::PostReceipt { valid_until, .. } = &effect
            && now < *valid_until
            && *valid_until < Timestamp::MAX
        {
            self.show(&Seen::Trusts { node, bot_id, remaining: valid_until.since(now) });
        }
        match effect {
            BotEffect::Store { .. } => {}
            BotEffect::Callback { stream_id, callback, valid_until } => {
                if now < valid_until {
                    self.call_back(node, bot_id, stream_id, vec![callback.into_inner()]);
                } else {
                    self.reach(Mark::LateEffectDropped);
                }
            }
            BotEffect::Callbacks { stream_id, callbacks, valid_until } => {
                let callbacks: Vec<_> = callbacks
                    .into_iter()
                    .map(anteroom_core::durable::Durable::into_inner)
                    .collect();
                if now < valid_until {
                    self.show(&Seen::Together { node, bot_id, callbacks: &callbacks });
                    self.call_back(node, bot_id, stream_id, callbacks);
                } else {
                    self.reach(Mark::LateEffectDropped);
                }
            }
            BotEffect::AckAnswer { request_id, answer, valid_until } => {
                if now < valid_until {
                    let answer = answer.as_ref().map(|answer| answer.get());
                    self.ack_answered(node, bot_id, request_id, answer);
                }
            }
            BotEffect::DeleteMedia { media_id } => self.delete(media_id.into_inner()),
            BotEffect::PostReceipt { request_id, receipt, valid_until } => {
                if now < valid_until {
                    self.post_told(node, bot_id, request_id, &receipt);
                    self.post_hears(request_id, &receipt);
                }
            }
            BotEffect::AbortCallback { key, .. } => {
                self.show(&Seen::Aborted { node, bot_id, key: &key });
            }
            BotEffect::StreamReplaced { stream_id } => self.stream_replaced(node, stream_id),
            // Whoever asked sees in the store what became of it.
            BotEffect::RedeliverAnswer { .. } => {}
            BotEffect::EnqueueAnswer { answer, send_id, .. } => {
                self.send_answered(
                    &send_id,
                    answer.map(anteroom_core::durable::Durable::into_inner),
                );
            }
        }
    }
}
