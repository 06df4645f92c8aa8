//! The world of tier 1: real machines on an event heap, around a model of the store, providers,
//! processors and a consumer, with faults between any two effects.
//!
//! A run is a pure function of its [`Plan`]: one thread, one heap, one seeded generator.

mod checker;
mod consumer;
mod node;
mod plan;
mod provider;

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::event::Event;
use anteroom_core::id::MediaId;
use anteroom_core::store::StoreRequest;
use anteroom_core::time::{Millis, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use self::checker::Checker;
use self::consumer::Consumer;
use self::node::{Asker, Node};
pub use self::plan::{Faults, Plan};
use self::provider::Provider;
use crate::store::StoreModel;

/// How long after the last fault everything must have come to its end.
const SETTLE: Millis = Millis::from_minutes(30);

/// Steps after which a run goes in circles.
const STEPS_MAX: u64 = 200_000;

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Events that machines were stepped with.
    pub steps: u64,
    /// Callbacks that went out.
    pub callbacks: u64,
    /// Of them, those that went out again.
    pub repeated: u64,
    /// Node deaths.
    pub crashes: u64,
    /// A hash over every event and effect.
    pub hash: u64,
}

/// The world of one run.
pub struct World {
    plan: Plan,
    now: Timestamp,
    heap: BTreeMap<(Timestamp, u64), Happening>,
    order: u64,
    random: ChaCha8Rng,
    store: StoreModel,
    nodes: Vec<Node>,
    providers: Vec<Provider>,
    consumers: Vec<Consumer>,
    staged: BTreeSet<MediaId>,
    checker: Checker,
    /// Faults have ended.
    healed: bool,
}

/// Something that is going to happen.
#[derive(Debug)]
enum Happening {
    /// An event reaches a node, if that is still the same process.
    Deliver { node: usize, incarnation: u32, event: Event },
    /// A machine's deadline.
    Tick { node: usize, incarnation: u32 },
    /// A store operation takes effect.
    Apply { node: usize, incarnation: u32, asker: Asker, request: StoreRequest },
    /// A node's process begins.
    Boot { node: usize },
    /// A node's process dies.
    Kill { node: usize },
    /// A provider does the next thing.
    Provider { provider: usize, action: provider::Action },
    /// A consumer does the next thing.
    Consumer { consumer: usize, action: consumer::Action },
}

impl World {
    /// The world of a plan, before anything has happened.
    pub fn new(plan: Plan) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&plan.seed.to_le_bytes());
        let mut world = Self {
            now: Timestamp::from_ms(1_000_000),
            heap: BTreeMap::new(),
            order: 0,
            random: ChaCha8Rng::from_seed(seed),
            store: StoreModel::new(),
            nodes: (0..plan.nodes).map(|_| Node::default()).collect(),
            providers: Vec::new(),
            consumers: Vec::new(),
            staged: BTreeSet::new(),
            checker: Checker::default(),
            healed: false,
            plan,
        };
        world.populate();
        world
    }

    /// Prints every event and effect of the run as it comes.
    pub fn traced(mut self) -> Self {
        self.checker.traced = true;
        self
    }

    /// Runs to the end: faults, then healing, then everything has to come to its end.
    ///
    /// # Errors
    /// The rule that was broken, in words, with the moment.
    pub fn run(mut self) -> Result<Report, String> {
        let faults_end = self.now + self.plan.duration;
        let end = faults_end + SETTLE;
        while let Some(((at, _), happening)) = self.heap.pop_first() {
            if at >= faults_end && !self.healed {
                self.heal(faults_end);
            }
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.happen(happening);
            if let Some(broken) = self.checker.broken() {
                let seed = self.plan.seed;
                return Err(format!("seed {seed} at {}: {broken}", self.now));
            }
            if self.healed && self.is_settled() {
                break;
            }
            if self.checker.report().steps > STEPS_MAX {
                let seed = self.plan.seed;
                return Err(format!("seed {seed} at {}: no end in {STEPS_MAX} steps", self.now));
            }
        }
        self.judge_the_end()?;
        Ok(self.checker.report())
    }

    fn populate(&mut self) {
        for node in 0..self.plan.nodes {
            self.at(self.now, Happening::Boot { node });
            for _ in 0..self.plan.faults.kills {
                let at = self.within(self.plan.duration);
                self.at(at, Happening::Kill { node });
            }
        }
        for bot in 0..self.plan.bots {
            let provider = Provider::plan(&self.plan, bot, &mut self.random);
            self.providers.push(provider);
            self.consumers.push(Consumer::new(bot));
            let at = self.now + Millis::from_ms(self.below(2_000));
            self.at(at, Happening::Provider { provider: bot, action: provider::Action::Connect });
            let at = self.now + Millis::from_ms(self.below(2_000));
            self.at(at, Happening::Consumer { consumer: bot, action: consumer::Action::Connect });
            for _ in 0..self.plan.faults.disconnects {
                let at = self.within(self.plan.duration);
                let action = provider::Action::Disconnect;
                self.at(at, Happening::Provider { provider: bot, action });
                let at = self.within(self.plan.duration);
                let action = consumer::Action::Disconnect;
                self.at(at, Happening::Consumer { consumer: bot, action });
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { node, incarnation, event } => {
                self.deliver(node, incarnation, event);
            }
            Happening::Tick { node, incarnation } => self.tick(node, incarnation),
            Happening::Apply { node, incarnation, asker, request } => {
                self.apply(node, incarnation, asker, &request);
            }
            Happening::Boot { node } => self.boot(node),
            Happening::Kill { node } => self.kill(node),
            Happening::Provider { provider, action } => self.provider_acts(provider, action),
            Happening::Consumer { consumer, action } => self.consumer_acts(consumer, action),
        }
    }

    fn heal(&mut self, at: Timestamp) {
        self.healed = true;
        self.now = self.now.max(at);
    }

    fn is_settled(&self) -> bool {
        self.providers.iter().all(Provider::is_done)
            && self.checker.unconfirmed(&self.store).is_none()
            && self.store.jobs().next().is_none()
            && self.orphan().is_none()
    }

    /// A file that no job needs, and no failed copy keeps.
    fn orphan(&self) -> Option<MediaId> {
        let kept: BTreeSet<_> = self.store.failed_copies().map(|copy| copy.job.media_id).collect();
        self.staged.difference(&kept).next().copied()
    }

    /// After the faults: all accepted messages archived once and called back, no job left, no file.
    fn judge_the_end(&self) -> Result<(), String> {
        let seed = self.plan.seed;
        for (bot, provider) in self.providers.iter().enumerate() {
            if let Some(kept) = provider.kept() {
                return Err(format!("seed {seed}: L5: bot {bot}: no final receipt of {kept}"));
            }
        }
        if let Some(job) = self.store.jobs().next() {
            return Err(format!("seed {seed}: L2: job {} is left: {:?}", job.media_id, job.status));
        }
        if let Some(unconfirmed) = self.checker.unconfirmed(&self.store) {
            return Err(format!("seed {seed}: L1: {unconfirmed}"));
        }
        if let Some(media_id) = self.orphan() {
            return Err(format!("seed {seed}: L4: file {media_id} is left"));
        }
        self.checker.archive_is_exact(&self.store).map_err(|what| format!("seed {seed}: {what}"))
    }

    fn at(&mut self, at: Timestamp, happening: Happening) {
        self.order += 1;
        self.heap.insert((at.max(self.now), self.order), happening);
    }

    fn soon(&mut self, most_ms: u64, happening: Happening) {
        let at = self.now + Millis::from_ms(1 + self.below(most_ms));
        self.at(at, happening);
    }

    fn within(&mut self, length: Millis) -> Timestamp {
        self.now + Millis::from_ms(self.below(length.as_ms().max(1)))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit.max(1)
    }

    /// Whether a fault of this many in a thousand strikes.
    fn strikes(&mut self, per_mille: u64) -> bool {
        !self.healed && self.below(1_000) < per_mille
    }
}

#[cfg(test)]
mod tests;
