//! One machine, a model store, and the rest of the world as the actions say.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;

use anteroom_core::Seed;
use anteroom_core::bot::event::BotEffect;
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{Attempt, BotId, CallbackKey, MessageId, OpId};
use anteroom_core::janitor::JanitorEvent;
use anteroom_core::machine::Machine;
use anteroom_core::message::{FailureKind, Outcome};
use anteroom_core::pool::event::{PoolEffect, PoolEvent, ProcessorFailure, Work};
use anteroom_core::protocol::ProviderFrame;
use anteroom_core::settings::{Debounce, NodeSettings, Overflow, Run};
use anteroom_core::store::{BotRecord, StoreError, StoreReply, StoreRequest};
use anteroom_core::time::{Millis, Timestamp};
use anteroom_sim::store::StoreModel;
use anteroom_trace::columns::Columns;
use anteroom_trace::line::Contents;

use super::action::{Action, Choice, How};
use super::lies::distorted;
use super::watch::{Trust, Watch};
use crate::script::{Asked, Asker, media, node_id, node_settings, token, words};

pub(crate) const BOTS: [&str; 4] = ["a", "b", "unknown", "nobody"];

/// Answers that may come again.
const REMEMBERED_MAX: usize = 8;

/// One machine, a model store, and all that is under way.
pub struct World {
    settings: NodeSettings,
    seed: Seed,
    machine: Machine,
    /// A machine that never hears what people write.
    blanked: Option<Machine>,
    store: StoreModel,
    now: Timestamp,
    /// The latest time that the machine has heard of.
    clock: Timestamp,
    asked: Vec<Asked>,
    answered: VecDeque<Event>,
    running: Vec<Work>,
    pub(crate) callbacks: Vec<(BotId, CallbackKey, Attempt)>,
    /// The last message of each connection.
    pub(crate) frames: BTreeMap<u128, ProviderFrame>,
    /// The connections, by the number that actions give them; a new one for each that is opened.
    pub(crate) sessions: BTreeMap<u8, u128>,
    numbers: u64,
    watch: Watch,
    trace: Columns,
    events: Vec<(Timestamp, Event)>,
    written: Vec<u8>,
}

impl World {
    pub fn new(choice: &Choice, trust: Trust) -> Self {
        let settings = settings(choice);
        let seed = Seed([choice.seed; 32]);
        let now = Timestamp::from_ms(1_000_000);
        let mut world = Self {
            machine: Machine::new(settings.clone(), seed).expect("the pools make a routing"),
            blanked: None,
            store: StoreModel::new(),
            settings,
            seed,
            now,
            clock: Timestamp::ZERO,
            asked: Vec::new(),
            answered: VecDeque::new(),
            running: Vec::new(),
            callbacks: Vec::new(),
            frames: BTreeMap::new(),
            sessions: BTreeMap::new(),
            numbers: 0,
            watch: Watch::new(trust),
            trace: Columns::new(now),
            events: Vec::new(),
            written: Vec::new(),
        };
        for record in records() {
            let registered = world.store.apply(now, &StoreRequest::RegisterBot(record));
            registered.expect("a bot can be registered");
        }
        if choice.started {
            world.act(&Action::Start { bots: true, workers: true });
            world.act(&Action::AnswerAll);
        }
        world
    }

    pub fn act(&mut self, action: &Action) {
        match action {
            Action::Wait { ms } => self.now = self.now + Millis::from_ms(*ms),
            Action::StepBack { ms } => self.now = self.now.minus(Millis::from_ms(*ms)),
            Action::Deadline => self.deadline(),
            Action::Tick => self.tick(),
            Action::Answer { which, how } => {
                if !self.asked.is_empty() {
                    let asked = self.asked.remove(which % self.asked.len());
                    self.answer(asked, *how);
                }
            }
            Action::AnswerAll => {
                for asked in std::mem::take(&mut self.asked) {
                    self.answer(asked, How::Right);
                }
            }
            Action::Again { which } => {
                if !self.answered.is_empty() {
                    let event = self.answered[which % self.answered.len()].clone();
                    self.step(event);
                }
            }
            Action::Unasked { room, op } => self.unasked(*room, OpId(1_000_000 + op)),
            Action::Start { bots, workers } => self.step(Event::Node(NodeEvent::Start {
                bots: records().into(),
                runs_bots: *bots,
                runs_workers: *workers,
            })),
            Action::Shutdown => self.step(Event::Node(NodeEvent::Shutdown)),
            Action::Session { session: number, what } => self.session_talk(*number, what),
            Action::Bot { bot, what } => self.bot_talk(BOTS[usize::from(*bot)].into(), what),
            Action::Ended { which, how } => {
                if !self.running.is_empty() {
                    let Work { media_id, token, .. } =
                        self.running.remove(which % self.running.len());
                    let result = processed(*how);
                    self.step(Event::Pools(PoolEvent::Ended { media_id, token, result }));
                }
            }
            Action::EndedUnknown { media: number } => {
                let (media_id, result) = (media(u128::from(*number)), processed(*number));
                let token = token(7);
                self.step(Event::Pools(PoolEvent::Ended { media_id, token, result }));
            }
            Action::WorkWaiting => {
                self.step(Event::Pools(PoolEvent::WorkWaiting { pool: "audio".into() }));
                self.step(Event::Pools(PoolEvent::WorkWaiting { pool: "no such".into() }));
            }
            Action::Staged { media: number } => {
                let files = (0..u128::from(*number)).map(media).collect();
                self.step(Event::Janitor(JanitorEvent::Staged { files }));
            }
            Action::Usurp { bot } => self.usurp(BOTS[usize::from(*bot)].into()),
            Action::Operate { media: number, retry } => {
                let media_id = media(u128::from(*number));
                let request = if *retry {
                    StoreRequest::RetryJob { media_id, routing: None }
                } else {
                    StoreRequest::DiscardJob { media_id }
                };
                self.store.apply(self.clock, &request).expect("an operator gets an answer");
            }
        }
    }

    /// Replaces the machine by the one that its snapshot gives, and the one beside it by the one that
    /// the snapshot without contents gives.
    pub fn restore(&mut self) {
        let snapshot = Contents::Kept.json(&self.machine);
        self.machine = serde_json::from_str(&snapshot).expect("a machine can be restored");
        assert_eq!(Contents::Kept.json(&self.machine), snapshot, "it is the same machine");
        let snapshot = Contents::Blanked.json(&self.machine);
        self.blanked = Some(serde_json::from_str(&snapshot).expect("a machine can be restored"));
    }

    /// What happens, without contents, gives the same effects, without contents.
    fn step_blanked(&mut self, event: &Event, effects: &[Effect]) {
        let Some(machine) = &mut self.blanked else { return };
        let event = Contents::Blanked.json(event);
        let event = serde_json::from_str(&event).expect("an event can be read back");
        let mut again = Vec::new();
        machine.step(self.now, event, &mut again);
        assert_eq!(Contents::Blanked.json(&again), Contents::Blanked.json(&effects));
        assert_eq!(machine.next_deadline(), self.machine.next_deadline());
    }

    /// Replays all events into a second machine: it does the same, byte for byte.
    pub fn replay(&self) {
        let mut machine =
            Machine::new(self.settings.clone(), self.seed).expect("the pools make a routing");
        let mut written = Vec::new();
        let mut effects = Vec::new();
        for (now, event) in &self.events {
            machine.step(*now, event.clone(), &mut effects);
            for effect in effects.drain(..) {
                write(&mut written, &effect);
            }
        }
        assert_eq!(hash(&written), hash(&self.written), "a replay has the same hash");
        assert!(written == self.written, "a replay does the same, byte for byte");
        assert_eq!(machine.next_deadline(), self.machine.next_deadline());
    }

    pub(crate) fn step(&mut self, event: Event) {
        self.effects_of(event);
    }

    fn effects_of(&mut self, event: Event) -> Vec<Effect> {
        self.clock = self.clock.max(self.now);
        self.watch.event(&event);
        self.events.push((self.now, event.clone()));
        let mut effects = Vec::new();
        self.machine.step(self.now, event.clone(), &mut effects);
        self.trace.step(self.now, &event, &effects);
        self.step_blanked(&event, &effects);
        if let Err(broken) = self.machine.check_invariants() {
            panic!("{broken} TRACE\n{}\nEND", self.trace.to_text());
        }
        for effect in &effects {
            write(&mut self.written, effect);
            self.watch.effect(effect);
            self.asked.extend(Asked::by(effect));
            match effect {
                Effect::Pools(PoolEffect::Start(work)) => self.running.push(work.clone()),
                Effect::Bot(bot_id, BotEffect::Callback { callback, .. }) => {
                    let (key, attempt) = (callback.get().key(), callback.get().attempt);
                    self.callbacks.push((bot_id.clone(), key, attempt));
                }
                Effect::Bot(bot_id, BotEffect::Callbacks { callbacks, .. }) => {
                    let named = callbacks.iter().map(|callback| callback.get());
                    let named = named.map(|it| (bot_id.clone(), it.key(), it.attempt));
                    self.callbacks.extend(named);
                }
                _ => {}
            }
        }
        effects
    }

    /// A tick, early or late. It serves all deadlines, and a second one finds nothing to do.
    fn tick(&mut self) {
        let early =
            self.machine.next_deadline().is_none_or(|(at, _)| at > self.clock.max(self.now));
        let effects = self.effects_of(Event::Tick);
        assert!(!early || effects.is_empty(), "a spurious tick does {effects:?}");
        if let Some((at, why)) = self.machine.next_deadline() {
            assert!(at > self.clock, "{why:?} at {at} is not served at {}", self.clock);
        }
        let effects = self.effects_of(Event::Tick);
        assert!(effects.is_empty(), "a second tick does {effects:?}");
    }

    fn deadline(&mut self) {
        if let Some((at, _)) = self.machine.next_deadline()
            && at < self.now + Millis::from_hours(2)
        {
            self.now = self.now.max(at);
            self.tick();
        }
    }

    fn answer(&mut self, asked: Asked, how: How) {
        let Asked { asker, op, request } = asked;
        let unavailable = Err(StoreError::Unavailable { detail: "lost".to_owned() });
        if let (StoreRequest::ReleaseBot(_), How::Fenced | How::Invalid | How::WrongKind) =
            (&request, how)
        {
            // No store refuses to release a bot that is its asker's: what is refused is free, and is acquired
            // under a new epoch.
            let _ = self.store.apply(self.clock, &request);
        }
        let result = match how {
            How::Right => self.store.apply(self.clock, &request),
            How::Distorted(how) => {
                self.store.apply(self.clock, &request).map(|reply| distorted(reply, how))
            }
            How::LostBefore => unavailable,
            How::LostAfter => self.store.apply(self.clock, &request).and(unavailable),
            How::Fenced => Err(StoreError::Fenced),
            How::Invalid => Err(StoreError::Invalid { detail: "no".to_owned() }),
            How::WrongKind => match request {
                StoreRequest::NextId { .. } => Ok(StoreReply::ReleaseBot),
                _ => Ok(StoreReply::NextId(MessageId::FIRST)),
            },
        };
        self.watch.answer(&request, &result);
        let event = asker.event(op, result);
        if self.answered.len() >= REMEMBERED_MAX {
            self.answered.pop_front();
        }
        self.answered.push_back(event.clone());
        self.step(event);
    }

    fn unasked(&mut self, room: u8, op: OpId) {
        let asker = match room {
            0 => Asker::Bot("a".into()),
            1 => Asker::Pools,
            2 => Asker::Ownership,
            _ => Asker::Janitor,
        };
        self.step(asker.event(op, Ok(StoreReply::ReleaseBot)));
    }

    /// Another node takes the bot, if nobody owns it for the moment.
    fn usurp(&mut self, bot_id: BotId) {
        let ttl = Millis::from_ms(1);
        let request = StoreRequest::AcquireBot { bot_id, node_id: node_id(2), ttl };
        self.store.apply(self.clock, &request).expect("a bot can be asked for");
    }

    /// A number that was never used.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

fn records() -> [BotRecord; 2] {
    let record = |bot: &str, run| BotRecord { bot_id: bot.into(), provider_name: "p".into(), run };
    [record("a", Run::WhileConnected), record("b", Run::Always)]
}

/// Small limits, so that each is reached.
fn settings(choice: &Choice) -> NodeSettings {
    let two = NonZeroU32::MIN.saturating_add(1);
    let mut settings = node_settings();
    settings.session.window = two.saturating_add(1);
    settings.session.bots_max = 2;
    settings.session.auto_create_bots = choice.auto_create;
    settings.pools.retain(|pool| ["audio", "unsupported"].contains(&pool.name.as_str()));
    for pool in &mut settings.pools {
        pool.buffer = 1;
        pool.transient_retries_max = 1;
    }
    let bot = &mut settings.bot_defaults;
    bot.gating.enabled = choice.gated;
    bot.gating.max_wait = Millis::from_secs(20);
    bot.gating_overrides.insert("y".into(), !choice.gated);
    bot.callbacks.ack_timeout = Millis::from_secs(2);
    bot.callbacks.max_in_flight = 2;
    bot.callbacks.outbox_window = 4;
    bot.callbacks.correspondent_window = 2;
    bot.callbacks.refusals_max = 2;
    bot.callbacks.debounce = choice.debounced.then_some(Debounce {
        window: Millis::from_ms(100),
        max_wait: Millis::from_ms(250),
        max_messages: two,
    });
    let limits = &mut bot.limits;
    limits.max_messages = 4;
    limits.max_characters = 60;
    limits.max_characters_single_message = 30;
    limits.max_characters_media_text = 230;
    limits.max_age = Millis::from_secs(60);
    limits.max_placeholders = 3;
    limits.overflow = match choice.reject_overflow {
        true => Overflow::Reject,
        false => Overflow::Bounded { messages: 2, characters: 20 },
    };
    limits.dedupe_window = 4;
    limits.max_waiting_for_id = 2;
    limits.max_correspondents = 2;
    limits.silent_after = Millis::from_secs(30);
    limits.archive_batch_messages = 3;
    limits.insert_batch_jobs = 2;
    settings
}

fn processed(how: u8) -> Result<Outcome, ProcessorFailure> {
    match how {
        0 => Err(ProcessorFailure::Cancelled),
        1 => Err(ProcessorFailure::TimedOut),
        2 => Err(ProcessorFailure::Transient { retry_after: None, detail: "busy".to_owned() }),
        3 => Err(ProcessorFailure::Permanent { error: FailureKind::Engine, detail: None }),
        4 => Ok(Outcome::Nothing),
        _ => Ok(words("what was said, in more words than there is room for")),
    }
}

fn write(into: &mut Vec<u8>, effect: &Effect) {
    serde_json::to_writer(&mut *into, effect).expect("an effect is JSON");
    into.push(b'\n');
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
