//! How a world comes to rest: everything is healed, nobody does anything new, time passes. Then every
//! promise must have been kept.
//!
//! Liveness: L1 every accepted message is archived once and called back, L2 no job is left, L4 no file is
//! left, L5 every message has its final receipt; L0 is a node that goes in circles.

use anteroom_core::bot::event::BotEvent;
use anteroom_core::event::Event;

use super::provider::Provider;
use super::rules::{Broken, has_ended};
use super::world::{BEGIN, World, bot_id};
use anteroom_core::time::Millis;

/// How long a world may take to come to rest; the longest wait is that for the end of a job's time.
const REST_MAX: Millis = Millis::from_hours(12);

/// How a machine shows that it has a queue.
const QUEUE: &str = "CorrespondentQueue {";

/// How often time may pass on the way.
const ROUNDS_MAX: usize = 2_000;

impl World {
    /// Heals everything and lets time pass until nothing is open.
    ///
    /// # Errors
    /// The rule that was broken on the way, or the promise that was not kept.
    pub fn come_to_rest(&mut self) -> Result<(), Broken> {
        let begun = self.now;
        self.consumer.mute = false;
        self.faults.losses = 0;
        for _ in 0..ROUNDS_MAX {
            self.heal();
            self.run_down_with_processors();
            if let Some(broken) = self.rules.broken() {
                return Err(broken.clone());
            }
            if self.open_promise().is_none() {
                return Ok(());
            }
            if self.nodes.iter().any(|node| node.machine.is_none()) {
                continue;
            }
            let deadlines = self.nodes.iter().filter_map(|node| node.machine.as_ref());
            let next = deadlines.filter_map(|machine| machine.next_deadline()).min();
            match next {
                Some((at, _)) if at.since(begun) < REST_MAX => self.now = self.now.max(at),
                Some(_) | None => break,
            }
        }
        Err(self.open_promise().unwrap_or(Broken {
            rule: "L0",
            what: format!("no rest after {} since the beginning", self.now.since(BEGIN)),
        }))
    }

    /// A world at rest lets go of everybody who is silent (S9): what stays in memory would stay for ever.
    ///
    /// # Errors
    /// When a node still has a correspondent's queue.
    pub fn let_go(&mut self) -> Result<(), Broken> {
        let silent_after = self.settings.bot_defaults.limits.silent_after;
        for _ in 0..3 {
            self.now = self.now + silent_after;
            self.run_down();
        }
        let machines = self.nodes.iter().filter_map(|node| node.machine.as_ref());
        match machines.map(|machine| format!("{machine:?}")).find(|it| it.contains(QUEUE)) {
            None => Ok(()),
            Some(_) => {
                let what = "a silent correspondent's queue is never let go".to_owned();
                Err(Broken { rule: "S9", what })
            }
        }
    }

    fn run_down_with_processors(&mut self) {
        self.run_down();
        while !self.processors.is_empty() && self.rules.broken().is_none() {
            self.processor_ends(0);
            self.run_down();
        }
    }

    /// Every node runs, every bot is started, and each provider is connected where its bot is.
    pub fn heal(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].machine.is_none() {
                self.boot(node);
            }
            for bot in 0..self.providers.len() {
                // Whoever stopped a bot starts it again, once.
                if self.rules.starting(node, &bot_id(bot)) {
                    self.tell(node, Event::Bot(bot_id(bot), BotEvent::Start));
                }
                self.attach(bot, node);
            }
        }
        for bot in 0..self.providers.len() {
            let home = self.home_of(bot);
            self.hear_of_late_close(bot);
            if self.providers[bot].line.as_ref().is_none_or(|line| line.node != home) {
                self.disconnect(bot);
                self.connect(bot, home);
            }
            self.providers[bot].try_again();
        }
        self.providers_talk();
    }

    /// The node that owns a bot, or the first one.
    fn home_of(&self, bot: usize) -> usize {
        let bot_id = bot_id(bot);
        let mut ownerships = self.store.ownerships().filter(|(owned, _)| **owned == bot_id);
        let owner = ownerships.next().and_then(|(_, ownership)| ownership.owner);
        let is_owner = |node: usize| {
            let id = super::node::node_id(node, self.nodes[node].incarnation);
            owner.is_some_and(|owner| owner.node_id == id)
        };
        (0..self.nodes.len()).find(|node| is_owner(*node)).unwrap_or_default()
    }

    /// The first promise that is not kept.
    fn open_promise(&self) -> Option<Broken> {
        let kept = self.providers.iter().find_map(|provider| provider.kept.first());
        if let Some(draft) = kept {
            let what = format!("{} has no final receipt", draft.provider_message_id);
            return Some(Broken { rule: "L5", what });
        }
        if self.providers.iter().any(Provider::waits) {
            return Some(Broken { rule: "L5", what: "a message has no receipt".to_owned() });
        }
        if let Some(job) = self.store.jobs().next() {
            let what = format!("job {} is left: {:?}", job.media_id, job.status);
            return Some(Broken { rule: "L2", what });
        }
        if let Some(what) = self.unkept() {
            return Some(Broken { rule: "L1", what });
        }
        let copies: Vec<_> = self.store.failed_copies().map(|copy| copy.job.media_id).collect();
        let orphan = self.staged.iter().find(|media_id| !copies.contains(media_id));
        orphan.map(|media_id| Broken { rule: "L4", what: format!("file {media_id} is left") })
    }

    /// L1: an accepted message that is not archived, not called back, or still owed.
    fn unkept(&self) -> Option<String> {
        self.rules.accepted.iter().find_map(|(said, id)| {
            let (bot_id, correspondent_id, _) = said;
            let Some(row) = self.store.archive_row(bot_id, correspondent_id, *id) else {
                return Some(format!("accepted {said:?} is not archived as {id}"));
            };
            if !has_ended(row.callback) {
                return Some(format!("accepted {said:?} is owed: {:?}", row.callback));
            }
            let told = |key| self.rules.attempts.contains_key(&(bot_id.clone(), key));
            let called = row.told_by().any(told);
            (!called).then(|| format!("accepted {said:?} was never called back"))
        })
    }
}
