//! The machine: one a node, made of small machines. Here events are routed, and nothing is decided.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bot::Bot;
use crate::bot::event::BotEvent;
use crate::context::{Context, Seed, Source};
use crate::deadline::Deadline;
use crate::effect::Effect;
use crate::event::{Event, NodeEvent};
use crate::id::{BotId, CorrespondentId};
use crate::janitor::Janitor;
use crate::ownership::Ownership;
use crate::pool::Pools;
use crate::pool::board::Board;
use crate::pool::routing::RoutingError;
use crate::session::Sessions;
use crate::settings::{BotSettings, NodeSettings};
use crate::signal::{BotSignal, PoolSignal, Signal};
use crate::store::BotRecord;
use crate::time::Timestamp;
use crate::view::{BotView, CorrespondentView};

/// One node's decisions: events in, effects out.
///
/// The one rule: [`step`](Self::step) with whatever happened, carry out the effects in their order,
/// report the end of each as an event, and step with [`Event::Tick`] when
/// [`next_deadline`](Self::next_deadline) is reached. The machine reads no clock and does no I/O; the
/// same events at the same times give the same effects, byte for byte.
///
/// Its serialized form is its snapshot, taken between two steps: the machine that is restored from it
/// does the same from there on, byte for byte. The form belongs to the version that wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    settings: NodeSettings,
    source: Source,
    board: Board,
    sessions: Sessions,
    bots: BTreeMap<BotId, Bot>,
    pools: Pools,
    ownership: Ownership,
    janitor: Janitor,
    phase: Phase,
    last_now: Timestamp,
    /// When each bot wants to be ticked; not later than it has to be.
    bot_deadlines: BTreeSet<(Timestamp, BotId)>,
    scheduled: BTreeMap<BotId, (Timestamp, Deadline)>,
    /// Empty between steps.
    #[serde(skip)]
    signals: VecDeque<Signal>,
}

/// Where the node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Idle,
    Running { runs_bots: bool },
    Stopping,
    Stopped,
}

impl Machine {
    /// A machine that has not been started.
    ///
    /// # Errors
    /// When the pools of the settings make no routing.
    pub fn new(settings: NodeSettings, seed: Seed) -> Result<Self, RoutingError> {
        Ok(Self {
            source: Source::new(seed),
            board: Board::new(&settings.pools)?,
            sessions: Sessions::default(),
            bots: BTreeMap::new(),
            pools: Pools::new(&settings),
            ownership: Ownership::default(),
            janitor: Janitor::default(),
            phase: Phase::Idle,
            last_now: Timestamp::ZERO,
            bot_deadlines: BTreeSet::new(),
            scheduled: BTreeMap::new(),
            signals: VecDeque::new(),
            settings,
        })
    }

    /// Takes one event in, and appends what is to be done to `effects`, in order.
    ///
    /// Total: any event in any state is handled. What means nothing becomes a notice and changes
    /// nothing. A `now` before the last one counts as the last one.
    pub fn step(&mut self, now: Timestamp, event: Event, effects: &mut Vec<Effect>) {
        self.last_now = self.last_now.max(now);
        self.route(event, effects);
        self.route_signals(effects);
        if self.phase == Phase::Stopping {
            self.advance_stop(effects);
        }
    }

    /// When to step with [`Event::Tick`], and why. May be early, never late; may change with every
    /// step.
    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        let bot = self.bot_deadlines.first().and_then(|(_, bot_id)| self.scheduled.get(bot_id));
        [
            bot.copied(),
            self.sessions.next_deadline(),
            self.pools.next_deadline(),
            self.ownership.next_deadline(),
            self.janitor.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The bots in memory behind `after`, in the order of their ids, at most `limit`.
    pub fn bot_views(&self, after: Option<&BotId>, limit: usize) -> Vec<BotView> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let bots = self.bots.range((from, Bound::Unbounded));
        bots.take(limit).map(|(_, bot)| bot.view()).collect()
    }

    /// One bot; none when it is not in memory here.
    pub fn bot_view(&self, bot_id: &BotId) -> Option<BotView> {
        self.bots.get(bot_id).map(Bot::view)
    }

    /// One correspondent, at most `limit` messages and callbacks of it; none when nothing of it is in
    /// memory here.
    pub fn correspondent_view(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
        limit: usize,
    ) -> Option<CorrespondentView> {
        let bot = self.bots.get(bot_id)?;
        bot.correspondent_view(self.last_now, correspondent_id, limit)
    }

    /// Checks every invariant of the machine, the hard way. Linear in what is in memory.
    ///
    /// # Errors
    /// The first broken one, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        for bot in self.bots.values() {
            bot.check_invariants()?;
        }
        self.pools.check_invariants(&self.board)?;
        self.sessions.check_invariants(self.settings.session.window.get() as usize)?;
        if !self.signals.is_empty() {
            return Err("no signal outlives its step".to_owned());
        }
        Ok(())
    }

    fn route(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Tick => self.tick(effects),
            Event::Node(NodeEvent::Start { bots, runs_bots, runs_workers }) => {
                self.start(bots, runs_bots, runs_workers, effects);
            }
            Event::Node(NodeEvent::Shutdown) => self.shut_down(effects),
            Event::Session(session_id, event) => {
                let (mut cx, rooms) = self.rooms(effects);
                rooms.sessions.on_event(&mut cx, session_id, event, rooms.bots);
            }
            Event::Bot(bot_id, event) => self.on_bot_event(bot_id, event, effects),
            Event::Pools(event) => {
                let (mut cx, rooms) = self.rooms(effects);
                rooms.pools.on_event(&mut cx, event);
            }
            Event::Ownership(event) => {
                let (mut cx, rooms) = self.rooms(effects);
                rooms.ownership.on_event(&mut cx, event);
            }
            Event::Janitor(event) => {
                let (mut cx, rooms) = self.rooms(effects);
                rooms.janitor.on_event(&mut cx, event);
            }
        }
    }

    fn route_signals(&mut self, effects: &mut Vec<Effect>) {
        while let Some(signal) = self.signals.pop_front() {
            self.route_signal(signal, effects);
        }
    }

    fn route_signal(&mut self, signal: Signal, effects: &mut Vec<Effect>) {
        match signal {
            Signal::Register(record) => self.register(record, effects),
            Signal::Bot(bot_id, signal) => self.signal_bot(&bot_id, signal, effects),
            Signal::Session(session_id, signal) => {
                let (mut cx, rooms) = self.rooms(effects);
                rooms.sessions.on_signal(&mut cx, session_id, signal);
            }
            Signal::Pools(signal) => {
                let (mut cx, rooms) = self.rooms(effects);
                rooms.pools.on_signal(&mut cx, signal);
            }
            Signal::Ownership(signal) => {
                let (mut cx, rooms) = self.rooms(effects);
                rooms.ownership.on_signal(&mut cx, signal);
            }
            Signal::FileUnneeded(media_id) => {
                let (mut cx, rooms) = self.rooms(effects);
                rooms.janitor.file_unneeded(&mut cx, media_id);
            }
            Signal::FileMentioned(media_id) => self.janitor.file_mentioned(self.last_now, media_id),
        }
    }

    /// The rooms, and the context in which they work.
    fn rooms<'a>(&'a mut self, effects: &'a mut Vec<Effect>) -> (Context<'a>, Rooms<'a>) {
        let cx = Context {
            now: self.last_now,
            settings: &self.settings,
            effects,
            signals: &mut self.signals,
            source: &mut self.source,
            board: &mut self.board,
        };
        let rooms = Rooms {
            sessions: &mut self.sessions,
            bots: &mut self.bots,
            pools: &mut self.pools,
            ownership: &mut self.ownership,
            janitor: &mut self.janitor,
        };
        (cx, rooms)
    }

    fn tick(&mut self, effects: &mut Vec<Effect>) {
        let (mut cx, rooms) = self.rooms(effects);
        rooms.ownership.tick(&mut cx);
        // A bot whose time is over hears of it before it can do anything else.
        self.route_signals(effects);
        let (mut cx, rooms) = self.rooms(effects);
        rooms.sessions.tick(&mut cx);
        rooms.pools.tick(&mut cx);
        let bots = &*rooms.bots;
        rooms.janitor.tick(&mut cx, || {
            let running = bots.iter();
            running
                .filter_map(|(bot_id, bot)| Some((bot_id.clone(), bot.running_epoch()?)))
                .collect()
        });
        let now = self.last_now;
        let due: Vec<_> = self
            .bot_deadlines
            .iter()
            .take_while(|(due_at, _)| *due_at <= now)
            .map(|(_, bot_id)| bot_id.clone())
            .collect();
        for bot_id in due {
            if let Some((due_at, _)) = self.scheduled.remove(&bot_id) {
                self.bot_deadlines.remove(&(due_at, bot_id.clone()));
            }
            self.with_bot(&bot_id, effects, |bot, cx| bot.tick(cx));
        }
    }

    fn start(
        &mut self,
        bots: Vec<BotRecord>,
        runs_bots: bool,
        runs_workers: bool,
        effects: &mut Vec<Effect>,
    ) {
        let idle = self.phase == Phase::Idle;
        let (mut cx, rooms) = self.rooms(effects);
        if !idle {
            return cx.unexpected("node: started twice");
        }
        if runs_workers {
            rooms.pools.start(&mut cx);
        }
        rooms.janitor.start(&cx);
        self.phase = Phase::Running { runs_bots };
        if runs_bots {
            for record in bots {
                let bot_id = record.bot_id.clone();
                let bot = Bot::new(bot_id.clone(), Some(record), self.bot_settings(&bot_id));
                self.bots.insert(bot_id.clone(), bot);
                self.with_bot(&bot_id, effects, |bot, cx| bot.start_if_wanted(cx));
            }
        }
    }

    fn shut_down(&mut self, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Idle | Phase::Running { .. } => self.phase = Phase::Stopping,
            Phase::Stopping | Phase::Stopped => return,
        }
        let (mut cx, rooms) = self.rooms(effects);
        rooms.pools.stop(&mut cx);
        for bot_id in rooms.bots.keys() {
            cx.tell_bot(bot_id, BotSignal::Stop);
        }
    }

    /// The node is stopped when its bots are, its workers have nothing left, and it owns nothing.
    fn advance_stop(&mut self, effects: &mut Vec<Effect>) {
        let workers_done = self.pools.is_idle() || self.pools.has_given_up();
        if !workers_done || !self.ownership.is_idle() || !self.bots.values().all(Bot::is_stopped) {
            return;
        }
        self.phase = Phase::Stopped;
        let (mut cx, rooms) = self.rooms(effects);
        rooms.janitor.stop();
        rooms.pools.abandon(cx.settings);
        rooms.sessions.close_all(&mut cx);
        self.signals.clear();
        effects.push(Effect::Stopped);
    }

    fn bot_settings(&self, bot_id: &BotId) -> Arc<BotSettings> {
        let settings = self.settings.bots.get(bot_id).unwrap_or(&self.settings.bot_defaults);
        Arc::new(settings.clone())
    }

    fn register(&mut self, record: BotRecord, effects: &mut Vec<Effect>) {
        let bot_id = record.bot_id.clone();
        self.know(&bot_id);
        // Where no bots run, or none are to start any more, it stays unregistered and takes nothing in.
        if matches!(self.phase, Phase::Running { runs_bots: true }) {
            self.with_bot(&bot_id, effects, |bot, cx| bot.register(cx, record));
        }
    }

    /// Makes a place for a bot that is asked for, known to the store or not.
    fn know(&mut self, bot_id: &BotId) {
        if !self.bots.contains_key(bot_id) {
            let bot = Bot::new(bot_id.clone(), None, self.bot_settings(bot_id));
            self.bots.insert(bot_id.clone(), bot);
        }
    }

    fn on_bot_event(&mut self, bot_id: BotId, event: BotEvent, effects: &mut Vec<Effect>) {
        let runs_bots = matches!(self.phase, Phase::Running { runs_bots: true });
        match &event {
            BotEvent::Post { .. }
            | BotEvent::Acknowledge { .. }
            | BotEvent::Enqueue { .. }
            | BotEvent::Redeliver { .. }
            | BotEvent::ConsumerAttached { .. } => self.know(&bot_id),
            BotEvent::Register { .. } if runs_bots => self.know(&bot_id),
            BotEvent::Start | BotEvent::Register { .. } if !runs_bots => {
                let (mut cx, _) = self.rooms(effects);
                return cx.unexpected(format!("bot {bot_id}: this node runs no bots"));
            }
            BotEvent::Start
            | BotEvent::Stop
            | BotEvent::Store { .. }
            | BotEvent::ConsumerDetached { .. }
            | BotEvent::Answered { .. }
            | BotEvent::AnsweredTogether { .. }
            | BotEvent::ResultsWaiting
            | BotEvent::Register { .. } => {}
        }
        if !self.with_bot(&bot_id, effects, |bot, cx| bot.on_event(cx, event)) {
            let (mut cx, _) = self.rooms(effects);
            cx.unexpected(format!("bot {bot_id}: not known here"));
        }
    }

    fn signal_bot(&mut self, bot_id: &BotId, signal: BotSignal, effects: &mut Vec<Effect>) {
        // A result for a bot that does not run here stays in the store.
        if let BotSignal::MediaDone { media_id, token, outcome, .. } = &signal
            && !self.bots.get(bot_id).is_some_and(Bot::accepts_results)
        {
            let (media_id, token, outcome) = (*media_id, *token, outcome.clone());
            let undelivered = PoolSignal::Undelivered { media_id, token, outcome };
            return self.signals.push_back(Signal::Pools(undelivered));
        }
        self.with_bot(bot_id, effects, |bot, cx| bot.on_signal(cx, signal));
    }

    /// Lets a bot work, and notes when it wants to be ticked. False when it is not known.
    fn with_bot(
        &mut self,
        bot_id: &BotId,
        effects: &mut Vec<Effect>,
        work: impl FnOnce(&mut Bot, &mut Context<'_>),
    ) -> bool {
        let (mut cx, rooms) = self.rooms(effects);
        let Some(bot) = rooms.bots.get_mut(bot_id) else { return false };
        work(bot, &mut cx);
        let forgettable = bot.is_forgettable();
        let wanted = bot.next_deadline();
        if forgettable {
            self.bots.remove(bot_id);
        }
        self.schedule(bot_id, wanted.filter(|_| !forgettable));
        true
    }

    /// A deadline that moves further away is left where it is: the tick will find nothing to do.
    fn schedule(&mut self, bot_id: &BotId, wanted: Option<(Timestamp, Deadline)>) {
        let Some((at, why)) = wanted else { return };
        match self.scheduled.get(bot_id) {
            Some((scheduled, _)) if *scheduled <= at => return,
            Some((scheduled, _)) => {
                self.bot_deadlines.remove(&(*scheduled, bot_id.clone()));
            }
            None => {}
        }
        self.scheduled.insert(bot_id.clone(), (at, why));
        self.bot_deadlines.insert((at, bot_id.clone()));
    }
}

/// All rooms but the one that holds them.
struct Rooms<'a> {
    sessions: &'a mut Sessions,
    bots: &'a mut BTreeMap<BotId, Bot>,
    pools: &'a mut Pools,
    ownership: &'a mut Ownership,
    janitor: &'a mut Janitor,
}
