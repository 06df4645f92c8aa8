//! A node of tier 2: a simulated process in which the runtime's driver runs, as the world sees it.
//!
//! What the machine in it is told and says is seen through the driver's watch; dying and standing still
//! strike at any point between two tasks, chosen by the simulation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anteroom_core::bot::event::{BotEvent, Callback};
use anteroom_core::context::Seed;
use anteroom_core::deadline::Deadline;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::BotId;
use anteroom_core::machine::Machine;
use anteroom_core::pool::event::{PoolEffect, PoolEvent, Work};
use anteroom_core::settings::NodeSettings;
use anteroom_core::time::{Millis, Timestamp};
use anteroom_runtime::store::Hint;
use anteroom_trace::line::When;
use tokio_util::sync::CancellationToken;

use super::lines::Order;
use super::{BEGINNING, Happening, Phase, World};
use crate::checker::marks::Mark;
use crate::checker::rule::Rule;
use crate::checker::seen::Seen;
use crate::plan::{NodePlan, Sabotage, Trouble};

/// How long a fault is felt after its end: a request that is applied late, a doom that waits for effects.
const AFTERMATH: Millis = Millis::from_minutes(2);

/// A node, alive or dead.
pub(super) struct Node {
    pub incarnation: u32,
    is_up: bool,
    pub runs_bots: bool,
    runs_workers: bool,
    /// How far its clock is ahead of the world's, in milliseconds.
    ahead_ms: Arc<AtomicU64>,
    pub settings: Option<Arc<NodeSettings>>,
    /// Something was told that starts a process, and none has begun.
    booting: bool,
    /// Tells the process to end in order.
    stop: CancellationToken,
    deadline: Option<(Timestamp, Deadline)>,
    dooms: Vec<(u32, Doom)>,
    pub frozen: bool,
    pub stopping: bool,
    /// When it was told to end.
    stopping_since: Timestamp,
    /// It stays dead.
    pub gone: bool,
    /// Work that the machine has decided on and no processor has begun, and when.
    pub decided: Vec<(Work, Timestamp)>,
    /// The last event was a tick.
    ticked: bool,
}

/// What is going to strike a node.
#[derive(Debug, Clone, Copy)]
pub(super) enum Doom {
    Kill { down: Millis },
    Freeze { lasts: Millis },
}

/// Something that happens to a node.
#[derive(Debug)]
pub(super) enum Inside {
    Strike { node: usize, incarnation: u32, doom: Doom },
}

/// What a process begins with.
pub(super) struct Boot {
    pub incarnation: u32,
    pub settings: NodeSettings,
    pub seed: Seed,
    pub runs_bots: bool,
    pub runs_workers: bool,
    pub ahead_ms: Arc<AtomicU64>,
    pub stop: CancellationToken,
}

impl Node {
    pub fn new(plan: &NodePlan) -> Self {
        Self {
            incarnation: 0,
            is_up: false,
            runs_bots: plan.runs_bots,
            runs_workers: plan.runs_workers,
            ahead_ms: Arc::new(AtomicU64::new(plan.clock_ahead.as_ms())),
            settings: None,
            booting: false,
            stop: CancellationToken::new(),
            deadline: None,
            dooms: Vec::new(),
            frozen: false,
            stopping: false,
            stopping_since: Timestamp::ZERO,
            gone: false,
            decided: Vec::new(),
            ticked: false,
        }
    }

    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Whether a process is the one that lives.
    pub fn is(&self, incarnation: u32) -> bool {
        self.is_up && self.incarnation == incarnation
    }
}

impl World {
    /// The time by a node's own clock.
    pub(super) fn node_now(&self, node: usize) -> Timestamp {
        let ahead_ms = self.nodes[node].ahead_ms.load(Ordering::Relaxed);
        self.now + Millis::from_ms(ahead_ms)
    }

    /// What a trace says of a node's time.
    fn when(&self, node: usize) -> When {
        When { node: node as u32, now: self.node_now(node), at: self.now }
    }

    pub(super) fn inside(&mut self, inside: Inside) {
        match inside {
            Inside::Strike { node, incarnation, doom } => {
                let strikes = self.phase == Phase::Faulty && self.nodes[node].is(incarnation);
                match doom {
                    _ if !strikes => {}
                    Doom::Kill { down } => self.kill(node, down),
                    Doom::Freeze { lasts } => self.freeze(node, lasts),
                }
            }
        }
    }

    /// What a node waits for, by its own clock.
    pub(super) fn deadline_of(&self, node: usize) -> Option<(Timestamp, Deadline)> {
        self.nodes[node].deadline
    }

    /// Has a process begin.
    pub(super) fn boot(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        if !it.is_up && !it.booting && !it.gone {
            it.booting = true;
            self.lines.order(Order::Boot { node });
        }
    }

    /// A process begins; none when nobody wanted one.
    pub(super) fn process_begins(&mut self, node: usize) -> Option<Boot> {
        if !std::mem::take(&mut self.nodes[node].booting) {
            return None;
        }
        let seed = Seed(self.dice.node.bytes());
        let node_id = self.dice.node.uuid().into();
        let it = &mut self.nodes[node];
        let which = it.incarnation as usize % self.plan.settings.len();
        let settings = NodeSettings { node_id, ..self.plan.settings[which].clone() };
        it.incarnation += 1;
        it.is_up = true;
        it.settings = Some(Arc::new(settings.clone()));
        (it.stopping, it.frozen, it.ticked, it.deadline) = (false, false, false, None);
        it.stop = CancellationToken::new();
        it.dooms.clear();
        it.decided.clear();
        let boot = Boot {
            incarnation: it.incarnation,
            settings,
            seed,
            runs_bots: it.runs_bots,
            runs_workers: it.runs_workers,
            ahead_ms: Arc::clone(&it.ahead_ms),
            stop: it.stop.clone(),
        };
        self.recorder.booted(self.when(node), boot.incarnation, &boot.settings, seed);
        self.show(&Seen::Booted { node, node_id, settings: &boot.settings });
        self.consumers_look_again();
        Some(boot)
    }

    /// Something will strike a node once its machine has decided on so many more effects.
    pub(super) fn doom(&mut self, node: usize, after_effects: u32, doom: Doom) {
        if self.nodes[node].is_up {
            self.nodes[node].dooms.push((after_effects, doom));
        }
    }

    pub(super) fn kill(&mut self, node: usize, down: Millis) {
        if self.nodes[node].is_up {
            self.lines.order(Order::Kill { node });
            self.recorder.fault(self.now, Some(node), "dies", Some(down));
            self.process_is_over(node, down);
        }
    }

    /// A process has ended in order, but for so many tasks.
    pub(super) fn process_ended(&mut self, node: usize, incarnation: u32, tasks: usize) {
        if self.nodes[node].is(incarnation) {
            let since = self.nodes[node].stopping_since;
            if let Some(node_id) = self.nodes[node].settings.as_ref().map(|it| it.node_id) {
                let took = self.now.since(since);
                let in_peace = self.was_in_peace(node, since);
                self.show(&Seen::Stopped { node, node_id, tasks, took, in_peace });
            }
            self.reach(Mark::NodeShutDown);
            let down = Millis::from_ms(self.dice.node.below(5_000));
            self.process_is_over(node, down);
        }
    }

    fn process_is_over(&mut self, node: usize, down: Millis) {
        let it = &mut self.nodes[node];
        (it.is_up, it.frozen, it.stopping, it.deadline) = (false, false, false, None);
        it.dooms.clear();
        it.decided.clear();
        self.show(&Seen::Died { node });
        self.after(down, Happening::Boot { node });
    }

    fn freeze(&mut self, node: usize, lasts: Millis) {
        let it = &mut self.nodes[node];
        it.frozen = true;
        let incarnation = it.incarnation;
        self.lines.order(Order::Pause { node });
        self.recorder.fault(self.now, Some(node), "stands still", Some(lasts));
        self.show(&Seen::Disturbed { node });
        self.after(lasts, Happening::Thaw { node, incarnation });
    }

    pub(super) fn thaw(&mut self, node: usize, incarnation: u32) {
        let it = &mut self.nodes[node];
        if !it.is(incarnation) || !it.frozen {
            return;
        }
        it.frozen = false;
        self.reach(Mark::ZombieWoke);
        self.recorder.fault(self.now, Some(node), "goes on", None);
        self.show(&Seen::Disturbed { node });
        self.lines.order(Order::Resume { node });
    }

    pub(super) fn clock_jumps(&mut self, node: usize, ahead: Millis) {
        self.nodes[node].ahead_ms.fetch_add(ahead.as_ms(), Ordering::Relaxed);
        self.show(&Seen::Disturbed { node });
    }

    /// Tells a process to end in order.
    pub(super) fn restart(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        if it.is_up && !it.stopping {
            (it.stopping, it.stopping_since) = (true, self.now);
            it.stop.cancel();
        }
    }

    /// Whether nothing has disturbed a node, or the store, since then and shortly before.
    fn was_in_peace(&self, node: usize, since: Timestamp) -> bool {
        let disturbs = |what: &Trouble| match what {
            Trouble::StoreDown
            | Trouble::StoreBefore { .. }
            | Trouble::StoreAfter { .. }
            | Trouble::StoreLate { .. }
            | Trouble::StoreSlow { .. }
            | Trouble::SlowToCancel { .. } => true,
            Trouble::StoreCut { node: other, .. }
            | Trouble::Freeze { node: other, .. }
            | Trouble::ClockJumps { node: other, .. } => *other == node,
            _ => false,
        };
        let mut faults = self.plan.faults.iter().filter(|fault| disturbs(&fault.what));
        faults.all(|fault| {
            let begins = BEGINNING + fault.at;
            let ends = begins + fault.lasts + AFTERMATH;
            ends < since || begins > self.now
        })
    }

    /// Tells a node something that is no message. The driver has no way yet for an operator who starts
    /// and stops bots.
    pub(super) fn tell_bot_event(&mut self, node: usize, event: Event) {
        let hint = match event {
            Event::Bot(bot_id, BotEvent::ResultsWaiting) => Hint::ResultsWaiting { bot_id },
            Event::Pools(PoolEvent::WorkWaiting { pool }) => Hint::WorkWaiting { pool },
            _ => return,
        };
        self.lines.order(Order::Hint { node, hint });
    }

    /// A machine is about to be told something.
    pub(super) fn machine_hears(
        &mut self,
        node: usize,
        incarnation: u32,
        node_now: Timestamp,
        event: &Event,
    ) {
        if !self.nodes[node].is(incarnation) {
            return;
        }
        self.steps += 1;
        self.nodes[node].ticked = *event == Event::Tick;
        self.recorder.event(When { now: node_now, ..self.when(node) }, event);
        self.show(&Seen::MachineTold { node, event });
        match event {
            Event::Bot(
                bot_id,
                BotEvent::ConsumerAttached { .. } | BotEvent::ConsumerDetached { .. },
            ) => self.show(&Seen::LineChanged { node, bot_id }),
            Event::Bot(bot_id, BotEvent::Acknowledge { keys, .. }) => {
                for key in keys {
                    self.show(&Seen::ConsumerSaid { node, bot_id, key, acknowledged: true });
                }
            }
            _ => {}
        }
    }

    /// What a machine has decided.
    pub(super) fn machine_says(
        &mut self,
        node: usize,
        incarnation: u32,
        node_now: Timestamp,
        effects: &[Effect],
        machine: &Machine,
    ) {
        if !self.nodes[node].is(incarnation) {
            return;
        }
        let deadline = machine.next_deadline();
        self.recorder.effects(node, effects, deadline);
        self.nodes[node].deadline = deadline;
        if let Err(broken) = machine.check_invariants() {
            self.checker.break_rule(Rule::Invariant, format!("node {node}: {broken}"));
        }
        if let Some((at, why)) = deadline
            && self.nodes[node].ticked
            && at <= node_now
        {
            let what = format!("node {node}: {why:?} is due again at once, at {at}");
            self.checker.break_rule(Rule::Loop, what);
        }
        for effect in effects {
            self.show(&Seen::MachineSaid { node, node_now, effect });
            self.decided(node, node_now, effect);
            self.nears(node, incarnation);
        }
    }

    fn calls_back(
        &mut self,
        node: usize,
        node_now: Timestamp,
        bot_id: &BotId,
        callback: &Callback,
    ) {
        self.show(&Seen::CallbackSent { node, node_now, bot_id, callback });
        if self.is_sabotaged(Sabotage::CallTwice) {
            self.show(&Seen::CallbackSent { node, node_now, bot_id, callback });
        }
    }

    fn decided(&mut self, node: usize, node_now: Timestamp, effect: &Effect) {
        use anteroom_core::bot::event::BotEffect;
        match effect {
            Effect::Notice(notice) => self.show(&Seen::Noticed { node, notice }),
            Effect::Pools(PoolEffect::Start(work)) => {
                let now = self.now;
                self.nodes[node].decided.push((work.clone(), now));
            }
            Effect::Bot(bot_id, BotEffect::AbortCallback { key, .. }) => {
                self.show(&Seen::Aborted { node, bot_id, key });
            }
            Effect::Bot(bot_id, BotEffect::Callback { callback, valid_until, .. }) => {
                if node_now < *valid_until {
                    self.calls_back(node, node_now, bot_id, callback.get());
                } else {
                    self.reach(Mark::LateEffectDropped);
                }
            }
            Effect::Bot(bot_id, BotEffect::Callbacks { callbacks, valid_until, .. }) => {
                if node_now < *valid_until {
                    let callbacks: Vec<_> =
                        callbacks.iter().map(|callback| callback.get().clone()).collect();
                    self.show(&Seen::Together { node, bot_id, callbacks: &callbacks });
                    for callback in &callbacks {
                        self.calls_back(node, node_now, bot_id, callback);
                    }
                } else {
                    self.reach(Mark::LateEffectDropped);
                }
            }
            effect if super::conversation::is_duplicate(effect) => {
                self.reach(Mark::ResendCaughtByWindow);
            }
            _ => {}
        }
    }

    /// One effect more: what has to strike comes nearer.
    fn nears(&mut self, node: usize, incarnation: u32) {
        let dooms = &mut self.nodes[node].dooms;
        let due: Vec<_> = dooms.extract_if(.., |(left, _)| *left == 0).collect();
        dooms.iter_mut().for_each(|(left, _)| *left -= 1);
        for (_, doom) in due {
            let strike = Inside::Strike { node, incarnation, doom };
            self.at(self.now, Happening::Inside(strike));
        }
    }
}
