//! The world: nodes around a model of the store, with providers, processors, consumers and an operator,
//! and faults of all kinds.
//!
//! A run is a pure function of its [`Plan`]: one thread, one heap of what is going to happen, and draws
//! that only the plan decides. The rooms: [`provider`] with [`conversation`], [`posts`], [`operator`],
//! [`processor`] (what media become), [`durable`] (what the store does), [`weather`] (which faults are
//! at work), [`ending`] (healing, the watchdog, fresh work).
//!
//! What is inside a node, and how anything reaches it, differs between the tiers: [`node`], [`work`],
//! [`store_line`], [`lines`] and [`consumer`] are of tier 1 in `stepped` (real machines on the heap, a
//! death between any two effects), and of tier 2 in `driven` (the runtime's own driver in simulated
//! processes, on a simulated network). Everything else is the same, and so are the plans.

mod conversation;
mod durable;
mod ending;
mod heap;
mod operator;
mod posts;
mod processor;
mod provider;
mod replay;
mod stuck;
mod trace;
mod weather;

#[cfg_attr(not(madsim), path = "stepped/consumer.rs")]
#[cfg_attr(madsim, path = "driven/consumer.rs")]
mod consumer;
#[cfg_attr(not(madsim), path = "stepped/lines.rs")]
#[cfg_attr(madsim, path = "driven/lines.rs")]
mod lines;
#[cfg_attr(not(madsim), path = "stepped/node.rs")]
#[cfg_attr(madsim, path = "driven/node.rs")]
mod node;
#[cfg_attr(not(madsim), path = "stepped/store_line.rs")]
#[cfg_attr(madsim, path = "driven/store_line.rs")]
mod store_line;
#[cfg_attr(not(madsim), path = "stepped/work.rs")]
#[cfg_attr(madsim, path = "driven/work.rs")]
mod work;

#[cfg(madsim)]
mod driven;

use std::collections::BTreeSet;

use anteroom_core::id::{BotId, MediaId};
use anteroom_core::store::{BotRecord, StoreRequest};
use anteroom_core::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

use self::consumer::Consumer;
use self::ending::Phase;
use self::heap::Heap;
use self::node::{Inside, Node};
use self::operator::Operator;
use self::posts::Posts;
use self::processor::Media;
use self::provider::Provider;
use self::trace::Recorder;
use self::weather::Weather;
use crate::checker::marks::{Mark, Marks};
use crate::checker::rule::Rule;
use crate::checker::seen::{Scene, Seen};
use crate::checker::{Broken, Checker};
use crate::dice::Dice;
use crate::plan::{Plan, Sabotage, Task, Trouble};
use crate::store::StoreModel;

/// When every world begins.
const BEGINNING: Timestamp = Timestamp::from_ms(1_000_000_000);

/// Events after which a run goes in circles.
const STEPS_MAX: u64 = 1_000_000;

/// What a run is to be looked at with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looks {
    /// A hash over every event, effect and state.
    pub digest: bool,
    /// Every process's events are replayed at the end.
    pub replay: bool,
    /// A trace is written.
    pub trace: bool,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The rule that was broken, if one was.
    pub broken: Option<Broken>,
    /// When the run ended, after its beginning.
    pub lasted: Millis,
    /// Events that machines were stepped with.
    pub steps: u64,
    /// Callbacks that were sent.
    pub callbacks: u64,
    /// Of them, those that were sent again.
    pub repeated: u64,
    /// The situations that occurred.
    pub marks: Marks,
    /// A hash over every event, effect and state; 0 unless it was asked for.
    pub digest: u64,
    /// The trace; empty unless it was asked for.
    pub trace: String,
}

/// The world of one run.
pub struct World {
    plan: Plan,
    now: Timestamp,
    heap: Heap<Happening>,
    weather: Weather,
    /// The faults at work, as places in the plan's list.
    at_work: BTreeSet<usize>,
    dice: Draws,
    store: StoreModel,
    nodes: Vec<Node>,
    providers: Vec<Provider>,
    consumers: Vec<Consumer>,
    posts: Posts,
    operator: Operator,
    media: Media,
    staged: BTreeSet<MediaId>,
    /// What tasks have to do, and the ways between those outside and the nodes.
    #[cfg(madsim)]
    lines: lines::Lines,
    /// The last number given to a stream, a request or a session.
    last_number: u64,
    phase: Phase,
    checker: Checker,
    recorder: Recorder,
    steps: u64,
}

/// The draws of a run, one stream a purpose.
struct Draws {
    node: Dice,
    store: Dice,
    provider: Dice,
    consumer: Dice,
    processor: Dice,
    operator: Dice,
}

/// Something that is going to happen.
#[derive(Debug)]
enum Happening {
    /// Something inside a node, or on the way to it.
    Inside(Inside),
    /// A node's process begins.
    Boot { node: usize },
    /// A node that stood still goes on.
    Thaw { node: usize, incarnation: u32 },
    /// A fault begins.
    FaultBegins { fault: usize },
    /// A fault ends.
    FaultEnds { fault: usize },
    /// An item of the workload is due.
    Item { item: usize },
    /// A provider does the next thing.
    Provider { provider: usize, action: provider::Action },
    /// A consumer does the next thing.
    Consumer { consumer: usize, action: consumer::Action },
    /// A posted message is looked at.
    Post { post: usize, number: u64 },
    /// A send is asked for.
    AskSend { ask: usize },
    /// The faults end.
    Heal,
    /// Somebody looks whether everything has come to its end.
    Look,
}

impl World {
    /// The world of a plan, before anything has happened.
    pub fn new(plan: Plan, looks: Looks) -> Self {
        let dice = |purpose| Dice::new(plan.draws, purpose);
        let dice = Draws {
            node: dice(11),
            store: dice(12),
            provider: dice(13),
            consumer: dice(14),
            processor: dice(15),
            operator: dice(16),
        };
        let (nodes, bots) = (plan.nodes.len(), plan.bots.len());
        let mut world = Self {
            now: BEGINNING,
            heap: Heap::new(),
            weather: Weather::fair(nodes, bots, plan.providers.len()),
            at_work: BTreeSet::new(),
            dice,
            store: StoreModel::new(),
            nodes: plan.nodes.iter().map(Node::new).collect(),
            providers: plan.providers.iter().map(Provider::new).collect(),
            consumers: (0..bots).map(Consumer::new).collect(),
            posts: Posts::default(),
            operator: Operator::default(),
            media: Media::of_plan(&plan),
            staged: BTreeSet::new(),
            #[cfg(madsim)]
            lines: lines::Lines::default(),
            last_number: 0,
            phase: Phase::Faulty,
            checker: Checker::default(),
            recorder: Recorder::new(looks),
            steps: 0,
            plan,
        };
        world.populate();
        world
    }

    /// Whether the run has come to its end, or goes in circles.
    fn is_over(&mut self) -> bool {
        if self.steps > STEPS_MAX {
            let what = format!("no end in {STEPS_MAX} events: {}", self.stuck());
            self.checker.break_rule(Rule::Loop, what);
        }
        self.checker.broken().is_some() || self.phase == Phase::Over
    }

    fn report(&mut self) -> Report {
        if self.checker.broken().is_none()
            && let Err(what) = self.recorder.replay()
        {
            self.checker.break_rule(Rule::S11, what);
        }
        let broken = self.checker.broken().map(|broken| Broken {
            what: format!("at {} after the beginning: {}", self.age(), broken.what),
            ..broken.clone()
        });
        self.recorder.state(&self.store);
        if let Some(broken) = &broken {
            self.recorder.broken(self.now, broken.rule.to_string(), broken.what.clone());
        }
        let (callbacks, repeated) = self.checker.callbacks();
        Report {
            broken,
            lasted: self.age(),
            steps: self.steps,
            callbacks,
            repeated,
            marks: self.checker.marks().clone(),
            digest: self.recorder.digest(),
            trace: self.recorder.take_trace(),
        }
    }

    /// How long the world has lasted.
    fn age(&self) -> Millis {
        self.now.since(BEGINNING)
    }

    fn populate(&mut self) {
        for bot in &self.plan.bots {
            if let Some(run) = bot.registered {
                let (bot_id, provider_name) = (bot.bot_id.clone(), "sim".into());
                let record = BotRecord { bot_id, provider_name, run };
                let _known = self.store.apply(self.now, &StoreRequest::RegisterBot(record));
            }
        }
        for node in 0..self.nodes.len() {
            self.at(self.now, Happening::Boot { node });
        }
        for provider in 0..self.providers.len() {
            let at = self.now + Millis::from_ms(self.dice.provider.below(2_000));
            self.at(at, Happening::Provider { provider, action: provider::Action::Connect });
        }
        for item in 0..self.plan.workload.len() {
            let at = BEGINNING + self.plan.workload[item].at;
            self.at(at, Happening::Item { item });
        }
        for fault in 0..self.plan.faults.len() {
            let at = BEGINNING + self.plan.faults[fault].at;
            self.at(at, Happening::FaultBegins { fault });
        }
        self.at(BEGINNING + self.plan.duration, Happening::Heal);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Inside(inside) => self.inside(inside),
            Happening::Boot { node } => self.boot(node),
            Happening::Thaw { node, incarnation } => self.thaw(node, incarnation),
            Happening::FaultBegins { fault } => self.fault_begins(fault),
            Happening::FaultEnds { fault } => self.fault_ends(fault),
            Happening::Item { item } => self.item_is_due(item),
            Happening::Provider { provider, action } => self.provider_acts(provider, action),
            Happening::Consumer { consumer, action } => self.consumer_acts(consumer, action),
            Happening::Post { post, number } => self.look_at_post(post, number),
            Happening::AskSend { ask } => self.ask_send(ask),
            Happening::Heal => self.heal(),
            Happening::Look => self.look(),
        }
    }

    fn item_is_due(&mut self, item: usize) {
        let task = self.plan.workload[item].task.clone();
        match task {
            Task::Message(message) if message.posted => self.post(*message),
            Task::Message(message) => self.message_comes(*message),
            Task::Again(name) => self.comes_again(&name),
            Task::Send { bot, correspondent_id, send_id, echo } => {
                self.wants_sent(bot, correspondent_id, send_id, echo);
            }
            Task::Nonsense { provider, kind } => self.talk_nonsense(provider, kind),
            Task::StopBot { bot, node } => self.stop_bot(bot, node),
            Task::StartBot { bot, node } => self.start_bot(bot, node),
            Task::Discard { media_id } => self.discard(media_id),
            Task::Retry { media_id } => self.retry(media_id),
            Task::Redeliver { bot } => self.redeliver(bot),
            Task::Restart { node } => self.restart(node),
        }
    }

    fn fault_begins(&mut self, fault: usize) {
        if self.phase != Phase::Faulty {
            return;
        }
        let it = self.plan.faults[fault];
        let word = words_of(&it.what);
        match it.what {
            Trouble::Kill { node, after_effects } => {
                self.doom(node, after_effects, node::Doom::Kill { down: it.lasts });
            }
            Trouble::Freeze { node, after_effects } => {
                self.doom(node, after_effects, node::Doom::Freeze { lasts: it.lasts });
            }
            Trouble::ClockJumps { node, ahead } => {
                self.recorder.fault(self.now, Some(node), word, None);
                self.clock_jumps(node, ahead);
            }
            Trouble::Reset { provider } => {
                self.recorder.fault(self.now, None, word, None);
                self.connection_breaks(provider);
            }
            _ => {
                self.recorder.fault(self.now, it.what.node(), word, Some(it.lasts));
                self.at_work.insert(fault);
                self.weather_changes();
                self.at(self.now + it.lasts, Happening::FaultEnds { fault });
            }
        }
        if let Trouble::ConsumerDown { bot } = it.what {
            self.consumer_goes(bot);
        }
    }

    fn fault_ends(&mut self, fault: usize) {
        if self.at_work.remove(&fault) {
            let what = self.plan.faults[fault].what;
            let word = format!("over: {}", words_of(&what));
            self.recorder.fault(self.now, what.node(), word, None);
            self.weather_changes();
            match what {
                Trouble::ConsumerDown { bot } => self.consumer_comes(bot, false),
                Trouble::ConsumerGone { bot } => self.consumer_comes(bot, true),
                _ => {}
            }
        }
    }

    fn weather_changes(&mut self) {
        let faults = self.at_work.iter().map(|fault| &self.plan.faults[*fault]);
        self.weather = self.weather.of(faults);
    }

    /// Shows the checker what has happened.
    fn show(&mut self, seen: &Seen<'_>) {
        self.checker.see(seen, &Scene { now: self.now, store: &self.store });
    }

    fn reach(&mut self, mark: Mark) {
        self.checker.reach(mark);
    }

    fn is_sabotaged(&self, by: Sabotage) -> bool {
        self.plan.sabotage == Some(by)
    }

    fn bot_id(&self, bot: usize) -> BotId {
        self.plan.bots[bot].bot_id.clone()
    }

    fn place_of_bot(&self, bot_id: &BotId) -> Option<usize> {
        self.plan.bots.iter().position(|bot| bot.bot_id == *bot_id)
    }

    /// A number that was not given before.
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn at(&mut self, at: Timestamp, happening: Happening) {
        self.heap.push(at.max(self.now), happening);
    }

    fn after(&mut self, wait: Millis, happening: Happening) {
        self.at(self.now + wait, happening);
    }
}

/// A fault in words: its name, and what there is to say of it.
fn words_of(trouble: &Trouble) -> String {
    let json = serde_json::to_value(trouble).unwrap_or_default();
    match &json {
        serde_json::Value::Object(fields) => fields.iter().map(of_fields).collect(),
        serde_json::Value::String(name) => name.replace('_', " "),
        other => other.to_string(),
    }
}

fn of_fields((name, fields): (&String, &serde_json::Value)) -> String {
    let name = name.replace('_', " ");
    let fields = fields.as_object().into_iter().flatten();
    let fields: Vec<_> = fields.map(|(name, value)| format!("{name} {value}")).collect();
    format!("{name} {}", fields.join(" ").replace(['_', '"'], " "))
}

#[cfg(test)]
mod tests;
