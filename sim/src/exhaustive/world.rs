//! A tiny world: machines, the store's model, one provider and one consumer a bot, and everything that
//! is under way between them.
//!
//! Nothing happens by itself: whoever drives the world picks the next [`Choice`]. A world is a pure
//! function of its [`Scenario`] and of the choices made. Time stands still between the acts that
//! let it pass; a deadline that was reached is one more choice, and a node that is not ticked is a
//! node that was paused.

use std::collections::BTreeSet;
use std::sync::Arc;

use anteroom_core::event::Event;
use anteroom_core::id::{BotId, MediaId};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{BotRecord, StoreError, StoreRequest};
use anteroom_core::time::Timestamp;

use super::consumer::Consumer;
use super::fingerprint::{Names, OpNames, mix};
use super::node::{Asked, Node, Processor, Told};
use super::provider::Provider;
use super::rules::Rules;
use super::scenario::{Act, Prompt, Scenario};
use crate::store::StoreModel;

/// When every world begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_ms(1_000_000);

/// Everything there is.
#[derive(Clone)]
pub(crate) struct World {
    pub now: Timestamp,
    pub settings: Arc<NodeSettings>,
    pub store: StoreModel,
    pub nodes: Vec<Node>,
    /// Store operations that have not taken effect.
    pub asked: Vec<Asked>,
    /// What nodes are about to hear.
    pub told: Vec<Told>,
    pub processors: Vec<Processor>,
    pub providers: Vec<Provider>,
    pub consumer: Consumer,
    /// The media files in staging.
    pub staged: BTreeSet<MediaId>,
    pub rules: Rules,
    pub names: Names,
    pub faults: Faults,
    /// The fingerprint of the store, while that has not changed since.
    pub store_print: Option<u64>,
    pub prompt: Prompt,
    pub media_fail_first: bool,
    /// What each actor is still going to do, in its order.
    actors: Vec<std::vec::IntoIter<Act>>,
}

/// What may go wrong beyond the acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// How many store operations may still be lost, before or after they take effect.
    pub losses: u32,
    /// A node dies before it carries out these effects of the run, counted over all nodes.
    pub crashes_before_effects: [Option<u64>; 2],
    /// This store operation of the run is lost.
    pub lost_operation: Option<(u64, Loss)>,
    /// Effects carried out so far.
    pub effects: u64,
    /// Store operations that came to their turn so far.
    pub operations: u64,
}

/// How a store operation is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It does not take effect.
    Before,
    /// It takes effect, and its answer does not come.
    After,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// An actor does its next act.
    Act(usize),
    /// A store operation takes effect.
    Apply(usize),
    /// A store operation is lost.
    Lose(usize, Loss),
    /// A node hears something.
    Tell(usize),
    /// A processor ends.
    End(usize),
    /// The consumer acknowledges a callback.
    Acknowledge(usize),
    /// A node notices that a deadline was reached.
    Tick(usize),
}

impl World {
    /// The world as a scenario begins: its nodes run, and its prelude is over.
    pub fn new(scenario: &Scenario) -> Self {
        let mut world = Self {
            now: BEGIN,
            settings: Arc::new(scenario.settings.clone()),
            store: StoreModel::new(),
            nodes: (0..scenario.nodes).map(|_| Node::default()).collect(),
            asked: Vec::new(),
            told: Vec::new(),
            processors: Vec::new(),
            providers: (0..scenario.bots).map(Provider::new).collect(),
            consumer: Consumer::default(),
            staged: BTreeSet::new(),
            rules: Rules::default(),
            names: Names::default(),
            faults: Faults::default(),
            store_print: None,
            prompt: scenario.prompt,
            media_fail_first: scenario.media_fail_first,
            actors: Vec::new(),
        };
        world.rules.set(&scenario.settings, scenario.media_fail_first);
        for bot in 0..scenario.bots {
            let record =
                BotRecord { bot_id: bot_id(bot), provider_name: "sim".into(), run: scenario.run };
            let registered = world.store.apply(world.now, &StoreRequest::RegisterBot(record));
            debug_assert!(registered.is_ok(), "registering is never refused");
        }
        for act in &scenario.prelude {
            world.act(act.clone());
            world.run_down();
        }
        world.now = world.now + scenario.late;
        world.actors = scenario.actors.iter().map(|acts| acts.clone().into_iter()).collect();
        world.faults.losses = scenario.losses;
        world
    }

    /// Everything that may happen next.
    pub fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        for (index, _) in self.told.iter().enumerate() {
            choices.push(Choice::Tell(index));
        }
        for (index, asked) in self.asked.iter().enumerate() {
            choices.push(Choice::Apply(index));
            // Whether the request of a dead process was lost is seen by nobody but the store.
            if self.faults.losses > 0 && self.is_alive(asked.node, asked.incarnation) {
                choices.push(Choice::Lose(index, Loss::Before));
                choices.push(Choice::Lose(index, Loss::After));
            }
        }
        choices.extend((0..self.processors.len()).map(Choice::End));
        choices.extend((0..self.consumer.unacknowledged.len()).map(Choice::Acknowledge));
        choices.extend((0..self.nodes.len()).filter(|node| self.is_due(*node)).map(Choice::Tick));
        for (actor, acts) in self.actors.iter().enumerate() {
            if acts.as_slice().first().is_some_and(|act| self.is_possible(act)) {
                choices.push(Choice::Act(actor));
            }
        }
        choices
    }

    /// Makes a choice happen. One that is not possible (any more) changes nothing.
    pub fn take(&mut self, choice: Choice) {
        match choice {
            Choice::Act(actor) => {
                if let Some(act) = self.actors.get_mut(actor).and_then(Iterator::next) {
                    self.act(act);
                }
            }
            Choice::Apply(index) => {
                let asked = self.asked.remove(index);
                self.apply(asked, None);
            }
            Choice::Lose(index, loss) => {
                self.faults.losses -= 1;
                let asked = self.asked.remove(index);
                self.apply(asked, Some(loss));
            }
            Choice::Tell(index) => {
                let Told { node, incarnation, event } = self.told.remove(index);
                self.deliver(node, incarnation, event);
            }
            Choice::End(index) => self.processor_ends(index),
            Choice::Acknowledge(index) => self.acknowledge(index),
            Choice::Tick(node) => self.tell(node, Event::Tick),
        }
        self.answer_promptly();
    }

    /// The store answers at once what it answers at once.
    fn answer_promptly(&mut self) {
        let prompt = self.prompt;
        while let Some(index) = self.asked.iter().position(|it| prompt.answers(&it.request)) {
            let asked = self.asked.remove(index);
            let told = self.told.len();
            self.apply(asked, None);
            if told < self.told.len() {
                let Told { node, incarnation, event } = self.told.remove(told);
                self.deliver(node, incarnation, event);
            }
        }
    }

    /// The earliest thing that is under way and needs nobody's decision.
    pub fn first_underway(&self) -> Option<Choice> {
        let told = (!self.told.is_empty()).then_some(Choice::Tell(0));
        let asked = (!self.asked.is_empty()).then_some(Choice::Apply(0));
        let due = (0..self.nodes.len()).find(|node| self.is_due(*node)).map(Choice::Tick);
        let acknowledged =
            (!self.consumer.unacknowledged.is_empty()).then_some(Choice::Acknowledge(0));
        told.or(asked).or(due).or(acknowledged)
    }

    /// Lets everything happen that is under way, in the order in which it began; processors go on.
    pub fn run_down(&mut self) {
        for _ in 0..UNDERWAY_MAX {
            let Some(choice) = self.first_underway() else { return };
            self.take(choice);
            if self.rules.broken().is_some() {
                return;
            }
        }
        self.rules.break_rule("L0", format!("no rest after {UNDERWAY_MAX} happenings"));
    }

    /// The next act of the first actor that has one, and everything run down that comes of it. A node
    /// that is needed and dead is brought back. False when there is no act left.
    pub fn play_next(&mut self) -> bool {
        let has_acts = |acts: &std::vec::IntoIter<Act>| !acts.as_slice().is_empty();
        let Some(actor) = self.actors.iter().position(has_acts) else { return false };
        if self.next_act(actor).is_some_and(|act| !self.is_possible(act)) {
            self.heal();
            self.run_down();
        }
        self.take(Choice::Act(actor));
        self.run_down();
        true
    }

    /// What an actor does next.
    pub fn next_act(&self, actor: usize) -> Option<&Act> {
        self.actors.get(actor)?.as_slice().first()
    }

    fn is_due(&self, node: usize) -> bool {
        let machine = self.nodes[node].machine.as_ref();
        let deadline = machine.and_then(|machine| machine.next_deadline());
        deadline.is_some_and(|(at, _)| at <= self.now)
    }

    /// A store operation comes to its turn.
    fn apply(&mut self, asked: Asked, mut loss: Option<Loss>) {
        let number = self.faults.operations;
        self.faults.operations += 1;
        if let Some((lost, how)) = self.faults.lost_operation
            && lost == number
        {
            loss = Some(how);
        }
        if loss.is_some() {
            self.rules.forget_who_waits();
        }
        let unavailable = StoreError::Unavailable { detail: "lost".to_owned() };
        let result = if loss == Some(Loss::Before) {
            Err(unavailable)
        } else {
            self.store_print = None;
            let before = self.store.clone();
            let result = self.store.apply(self.now, &asked.request);
            self.rules.applied(self.now, &before, &self.store, &asked.request, &result);
            if loss.is_some() { Err(unavailable) } else { result }
        };
        if self.is_alive(asked.node, asked.incarnation) {
            let Asked { node, incarnation, asker, op, .. } = asked;
            self.told.push(Told { node, incarnation, event: asker.event(op, result) });
        }
    }

    /// The fingerprint of everything that decides what may come.
    pub fn fingerprint(&mut self) -> u64 {
        let no_ops = OpNames::new();
        for node in &mut self.nodes {
            if let (None, Some(machine)) = (node.print, &node.machine) {
                node.print = Some(self.names.of(machine, &node.ops));
            }
        }
        let store = *self.store_print.get_or_insert_with(|| store_print(&self.store, &self.names));
        let ops_of = |node: usize| &self.nodes[node].ops;
        let asked = self.asked.iter().map(|asked| self.names.of(asked, ops_of(asked.node)));
        let told = self.told.iter().map(|told| self.names.of(told, ops_of(told.node)));
        let mut hash = mix(self.now.as_ms(), store);
        hash = self.nodes.iter().fold(hash, |hash, node| mix(hash, node.print.unwrap_or_default()));
        hash = mix(hash, asked.map(|print| mix(2, print)).fold(0, u64::wrapping_add));
        hash = mix(hash, told.map(|print| mix(3, print)).fold(0, u64::wrapping_add));
        hash = mix(hash, self.names.of_all(&self.processors, &no_ops));
        hash = mix(hash, self.names.of(&self.providers, &no_ops));
        hash = mix(hash, self.names.of(&self.consumer, &no_ops));
        hash = mix(hash, self.names.of(&self.staged, &no_ops));
        hash = mix(hash, self.names.of(&self.rules, &no_ops));
        hash = mix(hash, u64::from(self.faults.losses));
        self.actors.iter().fold(hash, |hash, acts| mix(hash, acts.len() as u64))
    }
}

fn store_print(store: &StoreModel, names: &Names) -> u64 {
    let ops = OpNames::new();
    let mut hash = names.of_all(store.jobs(), &ops);
    hash = mix(hash, names.of_all(store.archive_rows(), &ops));
    hash = mix(hash, names.of_all(store.failed_copies(), &ops));
    hash = mix(hash, names.of_all(store.sends(), &ops));
    let ownerships: Vec<_> = store.ownerships().collect();
    mix(hash, names.of_all(&ownerships, &ops))
}

/// Happenings after which a world that nobody disturbs goes in circles.
const UNDERWAY_MAX: usize = 10_000;

/// The id of a bot.
pub(crate) fn bot_id(bot: usize) -> BotId {
    format!("bot-{bot}").into()
}
