//! The loop: inputs in, steps, effects out.
//!
//! Owns the machine and the order of things. **Invariants:** effects are carried out in the order in which they were given, before the next step; a turn handles a bounded number of
//! inputs and then lets other tasks run; completions come before commands, and neither can starve the
//! other, because each has its share of a turn.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anteroom_core::bot::event::BotEvent;
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::BotId;
use anteroom_core::janitor::JanitorEvent;
use anteroom_core::machine::Machine;
use anteroom_core::notice::Notice;
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::pool::routing::RoutingError;
use anteroom_core::session::event::SessionEvent;
use anteroom_core::settings::NodeSettings;
use anteroom_core::time::Millis;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::DropGuard;
use tracing::{trace, warn};

use super::calls::Calls;
use super::deletions::Deletions;
use super::handle::{Command, Handle, Status};
use super::journal::Journal;
use super::operating::NOTICES_MAX;
use super::outlets::{Outlets, Reply};
use super::ports::{Node, Ports, StagedFiles};
use super::recording::Recording;
use super::tasks::{Completion, Tasks};
use super::workers::Workers;
use crate::clock::Clock;
#[cfg(not(madsim))]
use crate::observe::Steps;
use crate::store::{Hint, Store};

/// Commands that may wait. A frame has at most 256 KiB, so this is also a bound on memory.
const INBOX_CAPACITY: usize = if cfg!(madsim) { 4 } else { 256 };

/// Inputs of each kind that one turn handles.
const TURN_INPUTS_MAX: usize = if cfg!(madsim) { 4 } else { 64 };

/// How long the loop sleeps at the most. Timers stand still while the computer is suspended; the
/// node's clock does not.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How long the loop sleeps at the least when a tick left its deadline standing.
const SLEEP_AFTER_TICK_MIN: Duration = Duration::from_millis(1);

/// How long tasks may go on once the machine has nothing left to do.
const LAST_TASKS_MAX: Duration = Duration::from_secs(5);

/// Starts a node. Its task ends after [`Handle::shutdown`], or once all handles are gone; when it
/// ends by a panic, the process must not go on.
///
/// # Errors
/// When the pools of the settings make no routing.
pub fn start(node: Node, ports: Ports) -> Result<(Handle, JoinHandle<()>), RoutingError> {
    start_watched(node, ports, Onlookers::default())
}

/// Who looks on while the machine is stepped.
#[derive(Default)]
pub struct Onlookers {
    /// Writes the steps down.
    pub recording: Option<Recording>,
    /// Counts and measures.
    #[cfg(not(madsim))]
    pub steps: Option<Steps>,
}

/// Starts a node whose steps are handed over to be written down.
///
/// # Errors
/// As [`start`].
pub fn start_recorded(
    node: Node,
    ports: Ports,
    recording: Option<Recording>,
) -> Result<(Handle, JoinHandle<()>), RoutingError> {
    let onlookers = Onlookers {
        recording,
        #[cfg(not(madsim))]
        steps: None,
    };
    start_watched(node, ports, onlookers)
}

/// Starts a node whose steps are looked at.
///
/// # Errors
/// As [`start`].
pub fn start_watched(
    node: Node,
    ports: Ports,
    onlookers: Onlookers,
) -> Result<(Handle, JoinHandle<()>), RoutingError> {
    let stream_capacity = stream_capacity(&node.settings);
    let ack_timeouts = AckTimeouts::of(&node.settings);
    let node_id = node.settings.node_id;
    let machine = Machine::new(node.settings, node.seed)?;
    let (notices, _) = broadcast::channel(NOTICES_MAX);
    let (inbox_sender, inbox) = mpsc::channel(INBOX_CAPACITY);
    let (completions_sender, completions) = mpsc::unbounded_channel();
    let status = Arc::new(Status::default());
    let handle = Handle {
        inbox: inbox_sender,
        completions: completions_sender.clone(),
        clock: Arc::clone(&ports.clock),
        status: Arc::clone(&status),
        last_stream: Arc::new(AtomicU64::new(0)),
        stream_capacity,
        called: Arc::default(),
        notices: notices.clone(),
        node_id,
    };
    let driver = Driver {
        machine,
        clock: ports.clock,
        inbox,
        completions,
        outlets: Outlets::default(),
        calls: Calls::default(),
        ack_timeouts,
        tasks: Tasks::new(completions_sender),
        hints: ports.store.hints(),
        store: ports.store,
        workers: Workers::new(ports.processors, Arc::clone(&ports.files)),
        deletions: Deletions::new(Arc::clone(&ports.files)),
        files: ports.files,
        phase: Phase::Running,
        effects: Vec::new(),
        recording: onlookers.recording,
        journal: Journal::default(),
        notices,
        #[cfg(not(madsim))]
        steps: onlookers.steps,
        _ended: status.ended.clone().drop_guard(),
        status,
        #[cfg(madsim)]
        watch: ports.watch,
    };
    let start = NodeEvent::Start {
        bots: node.bots,
        runs_bots: node.runs_bots,
        runs_workers: node.runs_workers,
    };
    Ok((handle, tokio::spawn(driver.run(start))))
}

/// Callbacks that may wait for a consumer's reader: every open one, and its next attempt, before the
/// stream counts as unread.
fn stream_capacity(settings: &NodeSettings) -> usize {
    let bots = settings.bots.values().chain([&settings.bot_defaults]);
    let open = bots.map(|bot| bot.callbacks.max_in_flight).max().unwrap_or_default();
    open.clamp(8, 4_096) * 2
}

/// How long a bot's consumer may take to answer.
struct AckTimeouts {
    of_most: Millis,
    of_bots: BTreeMap<BotId, Millis>,
}

impl AckTimeouts {
    fn of(settings: &NodeSettings) -> Self {
        let bots = settings.bots.iter();
        Self {
            of_most: settings.bot_defaults.callbacks.ack_timeout,
            of_bots: bots.map(|(id, bot)| (id.clone(), bot.callbacks.ack_timeout)).collect(),
        }
    }
}

pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) clock: Arc<dyn Clock>,
    inbox: mpsc::Receiver<Command>,
    completions: mpsc::UnboundedReceiver<Completion>,
    pub(super) outlets: Outlets,
    pub(super) calls: Calls,
    ack_timeouts: AckTimeouts,
    pub(super) tasks: Tasks,
    pub(super) store: Arc<dyn Store>,
    /// What other nodes do; none when there are none, or the store has ended.
    hints: Option<mpsc::Receiver<Hint>>,
    pub(super) workers: Workers,
    pub(super) deletions: Deletions,
    pub(super) files: Arc<dyn StagedFiles>,
    pub(super) phase: Phase,
    /// Empty between steps; kept for its room.
    effects: Vec<Effect>,
    recording: Option<Recording>,
    pub(super) journal: Journal,
    pub(super) notices: broadcast::Sender<Arc<Notice>>,
    #[cfg(not(madsim))]
    steps: Option<Steps>,
    status: Arc<Status>,
    /// Tells those who wait for the end, however the loop ends.
    _ended: DropGuard,
    #[cfg(madsim)]
    watch: Arc<dyn super::ports::Watch>,
}

/// How far the node's life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    ShuttingDown,
    /// The machine has nothing left to do.
    Stopped,
}

/// What ended a wait.
enum Input {
    Completion(Completion),
    Command(Command),
    /// Another node did something; none when the store has ended.
    Hint(Option<Hint>),
    /// All handles are gone.
    Abandoned,
    Time,
}

impl Driver {
    async fn run(mut self, start: NodeEvent) {
        self.step(Event::Node(start));
        self.status.ready.store(true, Ordering::Release);
        let mut ticked = false;
        while self.phase != Phase::Stopped {
            match self.wait(ticked).await {
                Input::Completion(completion) => self.complete(completion),
                Input::Command(command) => self.obey(command),
                Input::Hint(hint) => self.look(hint),
                Input::Abandoned => self.shut_down(),
                Input::Time => {}
            }
            self.drain();
            ticked = self.tick();
            tokio::task::yield_now().await;
        }
        self.outlets.close_all();
        self.await_last_tasks().await;
    }

    /// Waits for the next input, or until the machine is to be stepped again.
    async fn wait(&mut self, ticked: bool) -> Input {
        let least = if ticked { SLEEP_AFTER_TICK_MIN } else { Duration::ZERO };
        let pause = match self.machine.next_deadline() {
            None => SLEEP_MAX,
            Some((due, _)) => Duration::from(due.since(self.clock.now())).clamp(least, SLEEP_MAX),
        };
        // An inbox that has ended is told of once.
        let may_command = self.phase == Phase::Running || !self.inbox.is_closed();
        tokio::select! {
            biased;
            // The loop holds a sender of its own, so this channel never ends.
            Some(completion) = self.completions.recv() => Input::Completion(completion),
            command = self.inbox.recv(), if may_command => {
                command.map_or(Input::Abandoned, Input::Command)
            }
            hint = next_hint(&mut self.hints) => Input::Hint(hint),
            () = sleep(pause) => Input::Time,
        }
    }

    /// Handles what has come in besides, as far as a turn goes.
    fn drain(&mut self) {
        for _ in 0..TURN_INPUTS_MAX {
            let Ok(completion) = self.completions.try_recv() else { break };
            self.complete(completion);
        }
        for _ in 0..TURN_INPUTS_MAX {
            let Ok(command) = self.inbox.try_recv() else { break };
            self.obey(command);
        }
    }

    /// Steps the machine when its deadline is reached, and says whether it was.
    fn tick(&mut self) -> bool {
        let Some((due, reason)) = self.machine.next_deadline() else { return false };
        let is_due = due <= self.clock.now();
        if is_due {
            trace!(?reason, "tick");
            self.step(Event::Tick);
        }
        is_due
    }

    /// One step, and the steps that its effects make necessary: each of those follows from the loss of
    /// an outlet, so they are at most as many as there are outlets.
    pub(super) fn step(&mut self, event: Event) {
        let mut effects = std::mem::take(&mut self.effects);
        let mut lost = VecDeque::new();
        let mut next = Some(event);
        while let Some(event) = next {
            let now = self.clock.now();
            if let Some(recording) = &mut self.recording {
                recording.before(now, &event, &self.machine);
            }
            #[cfg(not(madsim))]
            if let Some(steps) = &mut self.steps {
                steps.hears(now, &event);
            }
            #[cfg(madsim)]
            self.watch.hears(now, &event);
            self.machine.step(now, event, &mut effects);
            if let Some(recording) = &mut self.recording {
                recording.after(&effects);
            }
            #[cfg(not(madsim))]
            if let Some(steps) = &mut self.steps {
                steps.says(&effects);
            }
            #[cfg(madsim)]
            self.watch.says(now, &effects, &self.machine);
            lost.extend(effects.drain(..).filter_map(|effect| self.carry_out(effect)));
            next = lost.pop_front();
        }
        self.effects = effects;
    }

    /// How long a bot's consumer may take to answer.
    pub(super) fn ack_timeout(&self, bot_id: &BotId) -> Millis {
        let own = self.ack_timeouts.of_bots.get(bot_id);
        own.copied().unwrap_or(self.ack_timeouts.of_most)
    }

    fn look(&mut self, hint: Option<Hint>) {
        match hint {
            Some(Hint::WorkWaiting { pool }) => {
                self.step(Event::Pools(PoolEvent::WorkWaiting { pool }));
            }
            Some(Hint::ResultsWaiting { bot_id }) => {
                self.step(Event::Bot(bot_id, BotEvent::ResultsWaiting));
            }
            None => self.hints = None,
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::OpenSession { session_id, outlet } => {
                self.outlets.open_session(session_id, outlet);
                self.step(Event::Session(session_id, SessionEvent::Opened));
            }
            Command::Session { session_id, event } => {
                let is_open = match event {
                    SessionEvent::Closed => self.outlets.close_session(session_id),
                    // Said above, once.
                    SessionEvent::Opened => false,
                    SessionEvent::Frame { .. }
                    | SessionEvent::Malformed { .. }
                    | SessionEvent::Heard => self.outlets.has_session(session_id),
                };
                if is_open {
                    self.step(Event::Session(session_id, event));
                }
            }
            Command::Post { bot_id, draft, reply } => {
                if let Some(request_id) = self.outlets.expect(Reply::Receipt(reply)) {
                    self.step(Event::Bot(bot_id, BotEvent::Post { request_id, draft }));
                }
            }
            Command::Attach { bot_id, stream_id, outlet } => {
                if self.outlets.attach(bot_id.clone(), stream_id, outlet) {
                    self.step(Event::Bot(bot_id, BotEvent::ConsumerAttached { stream_id }));
                }
            }
            Command::AttachCalled { bot_id, stream_id, consumer } => {
                self.calls.attach(stream_id, consumer);
                self.step(Event::Bot(bot_id, BotEvent::ConsumerAttached { stream_id }));
            }
            Command::Acknowledge { bot_id, keys, reply } => {
                if let Some(request_id) = self.outlets.expect(Reply::Acknowledged(reply)) {
                    self.step(Event::Bot(bot_id, BotEvent::Acknowledge { request_id, keys }));
                }
            }
            Command::Enqueue { bot_id, send, reply } => {
                if let Some(request_id) = self.outlets.expect(Reply::Enqueued(reply)) {
                    self.step(Event::Bot(bot_id, BotEvent::Enqueue { request_id, send }));
                }
            }
            Command::Operate(operation) => self.operate(operation),
            Command::Shutdown => self.shut_down(),
        }
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Answered { asker, op, result } => {
                self.tasks.ended();
                self.step(asker.event(op, result));
            }
            Completion::Worked { media_id, token, result } => {
                self.tasks.ended();
                self.workers.ended(media_id, token);
                self.step(Event::Pools(PoolEvent::Ended { media_id, token, result }));
            }
            Completion::Deleted => {
                self.tasks.ended();
                self.deletions.ended(&mut self.tasks);
            }
            Completion::Listed { files } => {
                self.tasks.ended();
                self.step(Event::Janitor(JanitorEvent::Staged { files }));
            }
            // The janitor looks again when its next sweep is due.
            Completion::NotListed => self.tasks.ended(),
            Completion::Called { whose, answer } => {
                self.tasks.ended();
                if let Some(event) = self.calls.ended(&whose, answer) {
                    self.step(event);
                }
                self.calls.go_on(&mut self.tasks, self.clock.now(), whose);
            }
            Completion::Detached { bot_id, stream_id } => {
                if self.outlets.detach(stream_id) {
                    self.step(Event::Bot(bot_id, BotEvent::ConsumerDetached { stream_id }));
                }
            }
        }
    }

    fn shut_down(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::ShuttingDown;
            self.status.ready.store(false, Ordering::Release);
            self.step(Event::Node(NodeEvent::Shutdown));
        }
    }

    /// The machine has said its last word: what is still under way is cancelled and waited for.
    async fn await_last_tasks(&mut self) {
        self.workers.cancel_all();
        self.calls.cancel_all();
        let ending = async {
            while self.tasks.running() > 0 {
                match self.completions.recv().await {
                    None => break,
                    Some(Completion::Detached { .. }) => {}
                    Some(Completion::Deleted) => {
                        self.tasks.ended();
                        self.deletions.ended(&mut self.tasks);
                    }
                    Some(
                        Completion::Answered { .. }
                        | Completion::Worked { .. }
                        | Completion::Called { .. }
                        | Completion::Listed { .. }
                        | Completion::NotListed,
                    ) => self.tasks.ended(),
                }
            }
        };
        if timeout(LAST_TASKS_MAX, ending).await.is_err() {
            warn!(tasks = self.tasks.running(), "tasks did not end in time and are left behind");
        }
    }
}

/// The next hint; never, where there are none.
async fn next_hint(hints: &mut Option<mpsc::Receiver<Hint>>) -> Option<Hint> {
    match hints {
        Some(hints) => hints.recv().await,
        None => std::future::pending().await,
    }
}
