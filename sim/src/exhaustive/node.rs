//! A node: a machine, and what a driver does around it.

use anteroom_core::bot::event::{BotEffect, BotEvent};
use anteroom_core::context::Seed;
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{BotId, MediaId, NodeId, OpId};
use anteroom_core::janitor::{JanitorEffect, JanitorEvent};
use anteroom_core::machine::Machine;
use anteroom_core::message::{Extracted, FailureKind, Outcome};
use anteroom_core::ownership::{OwnershipEffect, OwnershipEvent};
use anteroom_core::pool::event::{PoolEffect, PoolEvent, ProcessorFailure, Work};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{StoreRequest, StoreResult};

use super::fingerprint::OpNames;
use super::provider::Provider;
use super::world::World;

/// A node, alive or dead.
#[derive(Clone, Default)]
pub(crate) struct Node {
    pub machine: Option<Machine>,
    /// Which process of the node this is; the first is 1.
    pub incarnation: u32,
    /// What its operation ids stand for.
    pub ops: OpNames,
    /// The fingerprint of its machine, while that has not been stepped since.
    pub print: Option<u64>,
}

/// A store operation on its way.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub node: usize,
    pub incarnation: u32,
    pub asker: Asker,
    pub op: OpId,
    pub request: StoreRequest,
}

/// Something that a process is about to hear.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub node: usize,
    pub incarnation: u32,
    pub event: Event,
}

/// A processor at work.
#[derive(Debug, Clone)]
pub(crate) struct Processor {
    pub node: usize,
    pub incarnation: u32,
    pub work: Work,
    pub cancelled: bool,
}

/// Which room asked the store.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    Bot(BotId),
    Pools,
    Ownership,
    Janitor,
}

impl Asker {
    /// The answer to an operation, as the room hears it.
    pub fn event(self, op: OpId, result: StoreResult) -> Event {
        match self {
            Self::Bot(bot_id) => Event::Bot(bot_id, BotEvent::Store { op, result }),
            Self::Pools => Event::Pools(PoolEvent::Store { op, result }),
            Self::Ownership => Event::Ownership(OwnershipEvent::Store { op, result }),
            Self::Janitor => Event::Janitor(JanitorEvent::Store { op, result }),
        }
    }
}

/// The id of a node's process.
pub(crate) fn node_id(node: usize, incarnation: u32) -> NodeId {
    let number = (u128::from(incarnation) << 32) | (node as u128 + 1);
    uuid::Uuid::from_u128(number << 64).into()
}

impl World {
    /// Whether that very process runs.
    pub fn is_alive(&self, node: usize, incarnation: u32) -> bool {
        let node = &self.nodes[node];
        node.machine.is_some() && node.incarnation == incarnation
    }

    /// A node's process begins.
    pub fn boot(&mut self, node: usize) {
        let incarnation = self.nodes[node].incarnation + 1;
        let mut settings = NodeSettings::clone(&self.settings);
        settings.node_id = node_id(node, incarnation);
        let mut seed = [node as u8; 32];
        seed[..4].copy_from_slice(&incarnation.to_le_bytes());
        match Machine::new(settings, Seed(seed)) {
            Ok(machine) => {
                let machine = Some(machine);
                self.nodes[node] = Node { machine, incarnation, ..Node::default() };
            }
            Err(error) => return self.rules.break_rule("setup", error.to_string()),
        }
        let bots = self.store.bots().cloned().collect();
        let start = NodeEvent::Start { bots, runs_bots: true, runs_workers: true };
        self.tell(node, Event::Node(start));
    }

    /// A node's process is gone, with everything that only it knew.
    pub fn crash(&mut self, node: usize) {
        let incarnation = self.nodes[node].incarnation;
        self.nodes[node].machine = None;
        self.nodes[node].print = None;
        self.told.retain(|told| told.node != node || told.incarnation != incarnation);
        self.processors.retain(|processor| processor.node != node);
        self.consumer.unacknowledged.retain(|callback| callback.node != node);
        self.rules.process_ended(node);
        self.rules.forget_who_waits();
        for provider in &mut self.providers {
            provider.node_is_gone(node);
        }
    }

    /// An event for whatever process the node runs.
    pub fn tell(&mut self, node: usize, event: Event) {
        let incarnation = self.nodes[node].incarnation;
        self.deliver(node, incarnation, event);
    }

    /// Steps a machine, carries out its effects, and lets providers talk.
    pub fn deliver(&mut self, node: usize, incarnation: u32, event: Event) {
        if !self.is_alive(node, incarnation) {
            return;
        }
        self.nodes[node].print = None;
        let Some(machine) = &mut self.nodes[node].machine else { return };
        let mut effects = Vec::new();
        let ticked = event == Event::Tick;
        machine.step(self.now, event, &mut effects);
        if let Err(broken) = machine.check_invariants() {
            self.rules.break_rule("S2", format!("invariant: {broken}"));
        }
        if let Some((at, why)) = machine.next_deadline()
            && ticked
            && at <= self.now
        {
            self.rules.break_rule("L0", format!("{why:?} at {at} is due after its step"));
        }
        for effect in effects {
            let number = self.faults.effects;
            self.faults.effects += 1;
            if self.faults.crashes_before_effects.contains(&Some(number)) {
                return self.crash(node);
            }
            self.carry_out(node, effect);
        }
        self.providers_talk();
    }

    fn carry_out(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Session(session_id, effect) => self.provider_hears(node, session_id, effect),
            Effect::Bot(bot_id, effect) => self.bot_effect(node, bot_id, effect),
            Effect::Pools(PoolEffect::Store { op, request }) => {
                self.ask(node, Asker::Pools, op, request);
            }
            Effect::Pools(PoolEffect::Start(work)) => self.processor_starts(node, work),
            Effect::Pools(PoolEffect::Cancel { media_id, token }) => {
                let cancelled = self.processors.iter_mut().filter(|processor| {
                    processor.work.media_id == media_id && processor.work.token == token
                });
                cancelled.for_each(|processor| processor.cancelled = true);
            }
            Effect::Ownership(OwnershipEffect::Store { op, request }) => {
                self.ask(node, Asker::Ownership, op, request);
            }
            Effect::Janitor(JanitorEffect::Store { op, request }) => {
                self.ask(node, Asker::Janitor, op, request);
            }
            Effect::Janitor(JanitorEffect::ListStaged) => {
                let files = self.staged.iter().copied().collect();
                let event = Event::Janitor(JanitorEvent::Staged { files });
                let incarnation = self.nodes[node].incarnation;
                self.told.push(Told { node, incarnation, event });
            }
            Effect::Janitor(JanitorEffect::DeleteMedia { media_id }) => {
                self.delete(media_id.into_inner());
            }
            Effect::Notice(_) => {}
            // The process ends.
            Effect::Stopped => self.crash(node),
        }
    }

    fn bot_effect(&mut self, node: usize, bot_id: BotId, effect: BotEffect) {
        match effect {
            BotEffect::Store { op, request } => self.ask(node, Asker::Bot(bot_id), op, request),
            BotEffect::Callback { callback, valid_until, .. } => {
                if self.now < valid_until {
                    self.called_back(node, &bot_id, callback.get());
                }
            }
            BotEffect::Callbacks { callbacks, valid_until, .. } => {
                if self.now < valid_until {
                    for callback in &callbacks {
                        self.called_back(node, &bot_id, callback.get());
                    }
                }
            }
            BotEffect::AckAnswer { request_id, answer, .. } => {
                self.rules.acknowledgement_answered(request_id, answer.as_ref().map(|a| a.get()));
            }
            BotEffect::DeleteMedia { media_id } => self.delete(media_id.into_inner()),
            BotEffect::PostReceipt { .. }
            | BotEffect::AbortCallback { .. }
            | BotEffect::StreamReplaced { .. }
            | BotEffect::EnqueueAnswer { .. }
            | BotEffect::RedeliverAnswer { .. } => {}
        }
    }

    fn ask(&mut self, node: usize, asker: Asker, op: OpId, request: StoreRequest) {
        let incarnation = self.nodes[node].incarnation;
        match &request {
            StoreRequest::Claim { pool, lease, .. } => {
                let purpose = ("claim", node, incarnation, pool);
                self.names.token(lease.token.to_string(), &purpose);
            }
            StoreRequest::RestoreBot { fence, offers, .. } => {
                for offer in offers {
                    let purpose = ("restore", node, incarnation, fence, &offer.pool);
                    self.names.token(offer.lease.token.to_string(), &purpose);
                }
            }
            StoreRequest::InsertJobs { jobs, .. } => {
                for new in jobs {
                    let purpose = ("insert", node, incarnation, new.job.media_id);
                    if let Some(lease) = new.lease {
                        self.names.token(lease.token.to_string(), &purpose);
                    }
                }
            }
            StoreRequest::ReleaseBot(fence) => self.rules.giving_up(fence),
            _ => {}
        }
        let name = self.names.operation(&(node, incarnation, &asker, &request));
        self.nodes[node].ops.insert(op.0, name);
        self.asked.push(Asked { node, incarnation, asker, op, request });
    }

    fn processor_starts(&mut self, node: usize, work: Work) {
        let pools = &self.settings.pools;
        self.rules.processing(self.now, node, &work, &self.processors, pools);
        let incarnation = self.nodes[node].incarnation;
        self.processors.push(Processor { node, incarnation, work, cancelled: false });
    }

    /// A processor comes to its end: with a text, unless it was told to end.
    pub fn processor_ends(&mut self, index: usize) {
        let Processor { node, incarnation, work, cancelled } = self.processors.remove(index);
        let is_retry =
            self.store.archive_rows().any(|row| row.message.media_id() == Some(work.media_id));
        let text = format!("text of {}", work.media_id);
        let result = if cancelled {
            Err(ProcessorFailure::Cancelled)
        } else if self.media_fail_first && !is_retry {
            Err(ProcessorFailure::Permanent { error: FailureKind::Engine, detail: None })
        } else {
            Ok(Outcome::Text(Extracted { text, ..Extracted::default() }))
        };
        let (media_id, token) = (work.media_id, work.token);
        self.deliver(node, incarnation, Event::Pools(PoolEvent::Ended { media_id, token, result }));
        self.makes_room(media_id);
    }

    /// S9: a medium that has become text has made room for itself: no text waits above the limit.
    fn makes_room(&mut self, media_id: MediaId) {
        let Some(job) = self.store.job(media_id) else { return };
        let limits = self.settings.bot_defaults.limits;
        let text = (media_id.to_string().len() as u64 + 8).min(limits.max_characters_media_text);
        let correspondent_id = job.correspondent_id.clone();
        let waiting = self.providers.iter().flat_map(Provider::unanswered).filter(|draft| {
            let asked = self.asked.iter().any(|asked| match &asked.request {
                StoreRequest::Archive { items, .. } => items
                    .iter()
                    .any(|item| item.message.provider_message_id == draft.provider_message_id),
                _ => false,
            });
            draft.correspondent_id == correspondent_id && draft.media.is_none() && !asked
        });
        let waiting = waiting.count() as u64 * limits.max_characters_single_message;
        if waiting > 0 && waiting + text > limits.max_characters + limits.overflow.characters() {
            let what = format!("{waiting} characters wait above the limit behind {media_id}");
            self.rules.break_rule("S9", what);
        }
    }

    fn delete(&mut self, media_id: MediaId) {
        self.rules.deleted(media_id, &self.store);
        self.staged.remove(&media_id);
    }
}
