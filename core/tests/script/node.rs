//! The machine, its clock, the store operations it waits for, and the trace of all it did.

use anteroom_core::Seed;
use anteroom_core::bot::event::{BotEffect, BotEvent};
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{ArchiveSeq, Attempt, BotId, LeaseToken, OpId};
use anteroom_core::janitor::{JanitorEffect, JanitorEvent};
use anteroom_core::job::{Job, Lease, Status};
use anteroom_core::machine::Machine;
use anteroom_core::ownership::{OwnershipEffect, OwnershipEvent};
use anteroom_core::pool::event::{PoolEffect, PoolEvent};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{
    Acquired, ArchiveAnswer, BotRecord, JobPage, MarkAnswer, OwedCallback, StoreError, StoreReply,
    StoreRequest, StoreResult,
};
use anteroom_core::time::{Millis, Timestamp};
use anteroom_trace::words::request_name;

use super::trace::Trace;
use super::vocabulary::{
    BOT, PROVIDER, SESSION, epoch, hello, job, message_id, node_id, node_settings, record, say,
    session, text,
};

/// When every script begins.
pub const BEGIN: Timestamp = Timestamp::from_ms(1_000_000);

/// A node whose store, providers and consumers are the test.
pub struct Node {
    pub machine: Machine,
    pub now: Timestamp,
    /// The store operations without an answer, oldest first.
    pub asked: Vec<Asked>,
    pub trace: Trace,
}

/// A store operation that waits for its answer.
#[derive(Debug, Clone)]
pub struct Asked {
    pub asker: Asker,
    pub op: OpId,
    pub request: StoreRequest,
}

/// Which room asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    Bot(BotId),
    Pools,
    Ownership,
    Janitor,
}

impl Asker {
    /// The answer to an operation, as the room hears it.
    pub fn event(&self, op: OpId, result: StoreResult) -> Event {
        match self {
            Self::Bot(bot_id) => Event::Bot(bot_id.clone(), BotEvent::Store { op, result }),
            Self::Pools => Event::Pools(PoolEvent::Store { op, result }),
            Self::Ownership => Event::Ownership(OwnershipEvent::Store { op, result }),
            Self::Janitor => Event::Janitor(JanitorEvent::Store { op, result }),
        }
    }
}

impl Asked {
    /// What an effect asks the store, if it asks.
    pub fn by(effect: &Effect) -> Option<Self> {
        let (asker, op, request) = match effect {
            Effect::Bot(bot_id, BotEffect::Store { op, request }) => {
                (Asker::Bot(bot_id.clone()), op, request)
            }
            Effect::Pools(PoolEffect::Store { op, request }) => (Asker::Pools, op, request),
            Effect::Ownership(OwnershipEffect::Store { op, request }) => {
                (Asker::Ownership, op, request)
            }
            Effect::Janitor(JanitorEffect::Store { op, request }) => (Asker::Janitor, op, request),
            _ => return None,
        };
        Some(Self { asker, op: *op, request: request.clone() })
    }

    /// The request's name, as the design writes it.
    pub fn name(&self) -> String {
        request_name(&self.request)
    }
}

impl Node {
    /// A node that has not been started.
    pub fn new(settings: NodeSettings) -> Self {
        let machine = Machine::new(settings, Seed([7; 32])).expect("the pools make a routing");
        Self { machine, now: BEGIN, asked: Vec::new(), trace: Trace::new(BEGIN) }
    }

    /// A node whose one bot runs, welcomed on one connection, with nothing owed from before.
    pub fn running(settings: NodeSettings) -> Self {
        let mut node = Self::restoring(settings);
        node.answer("restore_bot", Ok(no_jobs()));
        node.owes_nothing();
        node
    }

    /// The same, while it waits for its jobs.
    pub fn restoring(settings: NodeSettings) -> Self {
        let mut node = Self::new(settings);
        node.start();
        node.open(SESSION);
        node.step(hello(SESSION, BOT, PROVIDER));
        node.own(1);
        node
    }

    /// A running node without workers.
    pub fn running_alone(settings: NodeSettings) -> Self {
        let mut node = Self::reading(settings);
        node.owes_nothing();
        node
    }

    /// A node without workers, whose one bot has its jobs, and reads what it is owed.
    pub fn reading(settings: NodeSettings) -> Self {
        let mut node = Self::new(settings);
        node.step(start([record(BOT)], true, false));
        node.open(SESSION);
        node.step(hello(SESSION, BOT, PROVIDER));
        node.restored(1);
        node
    }

    /// The default settings, running.
    pub fn plain() -> Self {
        Self::running(node_settings())
    }

    pub fn start(&mut self) -> Vec<Effect> {
        self.step(start([record(BOT)], true, true))
    }

    /// Answers the bot's acquisition.
    pub fn own(&mut self, number: u64) -> Vec<Effect> {
        self.answer("acquire_bot", Ok(acquired(number)))
    }

    /// The bot that is being asked for runs; what it is owed is being read.
    pub fn restored(&mut self, epoch: u64) {
        self.own(epoch);
        self.answer("restore_bot", Ok(no_jobs()));
    }

    /// The bot is owed nothing.
    fn owes_nothing(&mut self) {
        self.answer("owed_callbacks", Ok(nothing_owed()));
        self.answer("owed_sends", Ok(StoreReply::OwedSends(Vec::new())));
    }

    pub fn open(&mut self, number: u128) -> Vec<Effect> {
        use anteroom_core::session::event::SessionEvent;
        self.step(Event::Session(session(number), SessionEvent::Opened))
    }

    /// Steps, checks what must always hold, notes what the machine asks the store.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.machine.step(self.now, event.clone(), &mut effects);
        self.trace.step(self.now, &event, &effects);
        self.machine.check_invariants().expect("invariants hold after every step");
        self.asked.extend(effects.iter().filter_map(Asked::by));
        effects
    }

    /// Answers the oldest operation of that name.
    pub fn answer(&mut self, name: &str, result: StoreResult) -> Vec<Effect> {
        let asked = self.take(name);
        self.step(asked.asker.event(asked.op, result))
    }

    /// The store does not answer the oldest operation of that name.
    pub fn fail(&mut self, name: &str) -> Vec<Effect> {
        self.answer(name, Err(unavailable()))
    }

    /// Takes the oldest operation of that name, to be answered later, or never.
    pub fn take(&mut self, name: &str) -> Asked {
        let index = self.asked.iter().position(|asked| asked.name() == name);
        let index = index.unwrap_or_else(|| panic!("{name} was asked: {:?}", self.names()));
        self.asked.remove(index)
    }

    /// The oldest operation of that name.
    pub fn asked(&self, name: &str) -> &StoreRequest {
        let asked = self.asked.iter().find(|asked| asked.name() == name);
        &asked.unwrap_or_else(|| panic!("{name} was asked: {:?}", self.names())).request
    }

    /// A job as the oldest claim under way leases it to this node.
    pub fn leased(&self, correspondent: &str, id: u64, number: u128) -> (Job, LeaseToken) {
        let &StoreRequest::Claim { lease, .. } = self.asked("claim") else {
            panic!("claim asks for jobs")
        };
        let (token, claimed_at, expires_at) = (lease.token, self.now, self.now + lease.ttl);
        let lease = Lease { worker_id: node_id(1), token, claimed_at, expires_at };
        (job(correspondent, id, number, Status::Processing { lease }), token)
    }

    /// Whether an operation of that name has no answer.
    pub fn asks(&self, name: &str) -> bool {
        self.asked.iter().any(|asked| asked.name() == name)
    }

    /// The names of all operations without an answer.
    pub fn names(&self) -> Vec<String> {
        self.asked.iter().map(Asked::name).collect()
    }

    /// Time passes; the machine is ticked at each of its deadlines on the way, and at the end.
    pub fn wait(&mut self, length: Millis) -> Vec<Effect> {
        let end = self.now + length;
        let mut effects = Vec::new();
        while let Some((at, _)) = self.machine.next_deadline()
            && at <= end
        {
            assert!(at > self.now, "a served deadline is over");
            self.now = at;
            effects.extend(self.step(Event::Tick));
        }
        self.now = end;
        effects
    }

    /// Time passes, and nobody tells the machine.
    pub fn sleep(&mut self, length: Millis) {
        self.now = self.now + length;
    }
}

pub fn start(
    bots: impl IntoIterator<Item = BotRecord>,
    runs_bots: bool,
    runs_workers: bool,
) -> Event {
    Event::Node(NodeEvent::Start { bots: bots.into_iter().collect(), runs_bots, runs_workers })
}

pub fn acquired(number: u64) -> StoreReply {
    StoreReply::AcquireBot(Acquired::Acquired { epoch: epoch(number) })
}

pub fn no_jobs() -> StoreReply {
    StoreReply::RestoreBot(JobPage { jobs: Vec::new(), more: false })
}

pub fn nothing_owed() -> StoreReply {
    StoreReply::OwedCallbacks { callbacks: Vec::new(), more: false }
}

pub fn unavailable() -> StoreError {
    StoreError::Unavailable { detail: "down".to_owned() }
}

pub fn stored(seqs: impl IntoIterator<Item = u64>) -> StoreReply {
    let answers = seqs.into_iter().map(|seq| ArchiveAnswer::Stored { seq: ArchiveSeq(seq) });
    StoreReply::Archive(answers.collect())
}

pub fn next_id(number: u64) -> StoreReply {
    StoreReply::NextId(message_id(number))
}

pub fn marked(callbacks: usize) -> StoreReply {
    StoreReply::MarkCalledBack(vec![MarkAnswer::Ended; callbacks])
}

/// A callback of a page, its attempt the second.
pub fn owed(correspondent: &str, id: u64, seq: u64) -> OwedCallback {
    OwedCallback {
        seq: ArchiveSeq(seq),
        correspondent_id: correspondent.into(),
        message: job(correspondent, id, 0xa1, Status::Pending).placeholder_message.into(),
        revision: 0,
        attempt: Attempt(2),
        failures: 0,
    }
}

/// A text that is durable, and called back if there is a consumer.
pub fn archived(node: &mut Node, seq: u64, correspondent: &str) -> Vec<Effect> {
    node.step(say(SESSION, seq, text(correspondent, &format!("p{seq}"), "hello")));
    if node.asks("next_id") {
        node.answer("next_id", Ok(next_id(1)));
    }
    node.answer("archive", Ok(stored([seq])))
}
