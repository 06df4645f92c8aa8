//! Owed callbacks that do not fit in memory: left in the store, and read again in pages.
//!
//! Windows are tiny here, so that everything spills; the store is the simulation's model.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::bot::event::BotEffect;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{Attempt, CallbackKey};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{OwedScope, StoreRequest, StoreResult};
use anteroom_sim::store::{CallbackState, StoreModel};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::script::*;

/// Goal: a flood of messages does not keep a page of what is owed from being read. Method: the window has room again while
/// a batch is on its way and another message waits for the next.
#[test]
fn pages_and_batches_take_turns() {
    let mut settings = node_settings();
    settings.bot_defaults.callbacks.outbox_window = 1;
    let mut node = Node::running_alone(settings);
    node.step(attach(1));
    node::archived(&mut node, 1, "alice");
    node::archived(&mut node, 2, "bob");
    assert!(!node.asks("owed_callbacks"), "the window is full");
    for (seq, whose) in [(3, "carol"), (4, "dave")] {
        node.step(say(SESSION, seq, text(whose, &format!("p{seq}"), "hello")));
        node.answer("next_id", Ok(node::next_id(1)));
    }
    node.step(acknowledge(1, [key("alice", 1)]));
    node.answer("mark_called_back", Ok(node::marked(1)));
    assert!(!node.asks("owed_callbacks"), "a batch is on its way");
    node.answer("archive", Ok(node::stored([3])));
    assert!(node.asks("owed_callbacks") && !node.asks("archive"), "{:?}", node.names());
}

/// Something that happens to a running bot.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A text comes from one of the correspondents.
    Say(u8),
    /// The store does what it was asked first, and its answer is on its way.
    Apply,
    /// One of the store's answers comes.
    Answer(usize),
    /// The consumer acknowledges so many of what it has.
    Acknowledge(usize),
    /// Another consumer takes its place.
    Replace,
}

/// A bot, its store, and its consumer.
struct World {
    node: Node,
    outbox_window: usize,
    correspondent_window: usize,
    store: StoreModel,
    /// The answers that are on their way.
    answers: Vec<(Asked, StoreResult)>,
    said: u64,
    streams: u64,
    requests: u64,
    /// What the consumer has and has not acknowledged.
    held: Vec<CallbackKey>,
    /// The last attempt at each callback.
    attempts: BTreeMap<CallbackKey, Attempt>,
    /// What was acknowledged, and what of each correspondent came last for the first time.
    acknowledged: BTreeSet<CallbackKey>,
    last: BTreeMap<String, u64>,
}

impl World {
    fn new(settings: NodeSettings) -> Self {
        let callbacks = &settings.bot_defaults.callbacks;
        let mut world = Self {
            outbox_window: callbacks.outbox_window,
            correspondent_window: callbacks.correspondent_window,
            node: Node::new(settings),
            store: StoreModel::new(),
            answers: Vec::new(),
            said: 0,
            streams: 0,
            requests: 0,
            held: Vec::new(),
            attempts: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            last: BTreeMap::new(),
        };
        let register = StoreRequest::RegisterBot(record(BOT));
        world.store.apply(world.node.now, &register).expect("it is new");
        world.node.step(node::start([record(BOT)], true, false));
        world.node.open(SESSION);
        world.hear(hello(SESSION, BOT, PROVIDER));
        world.answer_all();
        world.replace();
        world
    }

    fn hear(&mut self, event: Event) {
        let effects = self.node.step(event);
        self.see(&effects);
    }

    /// What the consumer sees of it: attempts grow, nothing comes again that is acknowledged for certain, and what is
    /// new of a correspondent comes in order.
    fn see(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Bot(_, BotEffect::Callback { callback, .. }) = effect else { continue };
            let (key, attempt) = (callback.get().key(), callback.get().attempt);
            assert!(!self.acknowledged.contains(&key), "{key:?} comes again");
            let before = self.attempts.insert(key.clone(), attempt);
            assert!(before.is_none_or(|before| before < attempt), "{key:?} {before:?} {attempt:?}");
            if before.is_none() {
                let last = self.last.entry(key.correspondent_id.as_str().to_owned()).or_default();
                assert_eq!(key.message_id.get(), *last + 1, "{key:?} is not the next");
                *last += 1;
            }
            self.held.push(key);
        }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Say(whose) => {
                self.said += 1;
                let provider_message_id = format!("p{}", self.said);
                let text = text(&format!("c{whose}"), &provider_message_id, "hello");
                self.hear(say(SESSION, self.said, text));
            }
            Step::Apply => {
                self.apply();
            }
            Step::Answer(which) => {
                self.answer(which);
            }
            Step::Acknowledge(count) => {
                let count = count.min(self.held.len());
                let keys: Vec<_> = self.held.drain(..count).collect();
                self.acknowledged.extend(keys.iter().cloned());
                self.requests += 1;
                self.hear(acknowledge(self.requests, keys));
            }
            Step::Replace => self.replace(),
        }
    }

    fn replace(&mut self) {
        self.held.clear();
        self.streams += 1;
        self.hear(attach(self.streams));
    }

    /// Has the store do what it was asked first; false when it was asked nothing.
    fn apply(&mut self) -> bool {
        let Some(name) = self.node.names().first().cloned() else { return false };
        let asked = self.node.take(&name);
        if let StoreRequest::OwedCallbacks { scope, limit, .. } = &asked.request {
            self.check_page(scope, *limit as usize);
        }
        let result = self.store.apply(self.node.now, &asked.request);
        self.answers.push((asked, result));
        true
    }

    /// A page holds no more than there may be in memory, and one of several lanes no more than a page may.
    fn check_page(&self, scope: &OwedScope, limit: usize) {
        let (window, lane) = (self.outbox_window, self.correspondent_window);
        match scope {
            OwedScope::Bot { .. } => assert!(limit <= window, "{limit} of {window}"),
            OwedScope::CorrespondentById { .. } => assert_eq!(limit, lane),
            OwedScope::Correspondents(of) => {
                assert!(of.iter().all(|of| of.limit as usize <= lane), "{of:?} of {lane}");
                assert_eq!(of.iter().map(|of| of.limit as usize).sum::<usize>(), limit);
                assert!(of.len() == 1 || limit <= window.max(lane), "{of:?} of {window}");
            }
        }
    }

    /// Has one of the answers come; false when there is none.
    fn answer(&mut self, which: usize) -> bool {
        if self.answers.is_empty() {
            return false;
        }
        let (asked, result) = self.answers.remove(which % self.answers.len());
        self.hear(asked.asker.event(asked.op, result));
        true
    }

    fn answer_all(&mut self) {
        while self.answer(0) || self.apply() {}
    }

    /// Everything goes on until there is nothing left to do: at most as often as there are messages.
    fn settle(&mut self) {
        for _ in 0..=self.said {
            self.answer_all();
            self.act(Step::Acknowledge(usize::MAX));
        }
        self.answer_all();
    }

    fn owed(&self) -> Vec<String> {
        let rows = self.store.archive_rows();
        let owed = rows.filter(|row| matches!(row.callback, CallbackState::Owed));
        owed.map(|row| format!("{}/{}", row.correspondent_id, row.message.id)).collect()
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Step::Say),
        4 => Just(Step::Apply),
        4 => (0..4_usize).prop_map(Step::Answer),
        2 => (1..4_usize).prop_map(Step::Acknowledge),
        1 => Just(Step::Replace),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "../proptest-regressions/core_paging.txt",
        ))),
        ..ProptestConfig::with_cases(200)
    })]

    /// Goal: however little fits in memory, every message is called back, in the order of its correspondent, under
    /// growing attempt numbers, and never again once it is acknowledged; the bot waits for nobody's clock. Method:
    /// windows of a few callbacks; texts, answers of the store, acknowledgements and replaced consumers in any order.
    #[test]
    fn what_does_not_fit_is_called_back_all_the_same(
        outbox_window in 1..8_usize,
        correspondent_window in 1..4_usize,
        max_in_flight in 1..6_usize,
        gated in any::<bool>(),
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let mut settings = node_settings();
        settings.bot_defaults.gating.enabled = gated;
        let callbacks = &mut settings.bot_defaults.callbacks;
        callbacks.outbox_window = outbox_window;
        callbacks.correspondent_window = correspondent_window;
        callbacks.max_in_flight = max_in_flight;
        let mut world = World::new(settings);
        for step in steps {
            world.act(step);
        }
        world.settle();
        prop_assert_eq!(world.owed(), Vec::<String>::new());
        prop_assert_eq!(world.acknowledged.len() as u64, world.said);
    }
}

/// Goal: what a consumer does not take stays in the store, however many chats there are. Method: everybody has said
/// something before; then all talk and nobody acknowledges, and the machine checks its bounds after each step.
#[test]
fn a_consumer_that_takes_nothing_fills_no_memory() {
    let mut settings = node_settings();
    settings.bot_defaults.callbacks.outbox_window = 4;
    settings.bot_defaults.callbacks.correspondent_window = 8;
    let mut world = World::new(settings);
    let everybody_talks = |world: &mut World| {
        for whose in 0..40 {
            world.act(Step::Say(whose));
            // The next one waits for a batch that is under way.
            if whose % 2 == 1 {
                world.answer_all();
                let archived = world.store.archive_rows().count() as u64;
                assert_eq!(archived, world.said, "nothing waits for what never comes");
            }
        }
    };
    everybody_talks(&mut world);
    world.settle();
    for _ in 0..10 {
        everybody_talks(&mut world);
    }
    world.settle();
    assert_eq!(world.owed(), Vec::<String>::new());
    assert_eq!(world.acknowledged.len() as u64, world.said);
}
