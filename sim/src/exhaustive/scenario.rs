//! What a tiny world is made of: its settings, what has happened before it begins, and who does what,
//! each in its own order and all of them at any moment.

use std::num::NonZeroU32;

use anteroom_core::bot::event::BotEvent;
use anteroom_core::draft::Draft;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::MediaId;
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::settings::{BackOff, NodeSettings, PoolSettings, Run};
use anteroom_core::store::{OperatorAnswer, StoreReply, StoreRequest};
use anteroom_core::time::Millis;

use super::node::Told;
use super::world::{World, bot_id};

/// What a tiny world is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub purpose: &'static str,
    pub(crate) settings: NodeSettings,
    pub(crate) nodes: usize,
    pub(crate) bots: usize,
    pub(crate) run: Run,
    /// What happens first, each act run down to its end.
    pub(crate) prelude: Vec<Act>,
    /// How much time has passed between the prelude and the beginning, unnoticed.
    pub(crate) late: Millis,
    /// What happens in any order.
    pub(crate) actors: Vec<Vec<Act>>,
    /// How many store operations may be lost, at any moment.
    pub(crate) losses: u32,
    /// The operations that the store answers at once: what they race with is not the world's subject.
    pub(crate) prompt: Prompt,
    /// The first attempt at each medium fails for good; a retry succeeds.
    pub(crate) media_fail_first: bool,
}

/// Which operations the store answers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// None.
    Nothing,
    /// Reads of first ids and of sends.
    SideReads,
    /// All but those that change jobs or messages.
    AllReads,
}

impl Prompt {
    /// Whether it answers that request at once.
    pub fn answers(self, request: &StoreRequest) -> bool {
        match (self, request) {
            (_, StoreRequest::Claim { pool, .. }) if pool.as_str() == REST => true,
            (Self::Nothing, _) => false,
            (Self::SideReads, StoreRequest::NextId { .. } | StoreRequest::OwedSends { .. }) => true,
            (Self::SideReads, _) => false,
            (
                Self::AllReads,
                StoreRequest::NextId { .. }
                | StoreRequest::OwedSends { .. }
                | StoreRequest::OwedCallbacks { .. }
                | StoreRequest::RaiseAttempts { .. }
                | StoreRequest::MarkCalledBack { .. }
                | StoreRequest::RenewBots { .. },
            ) => true,
            (Self::AllReads, _) => false,
        }
    }
}

/// Something that somebody does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Boot {
        node: usize,
    },
    Crash {
        node: usize,
    },
    Shutdown {
        node: usize,
    },
    Connect {
        bot: usize,
        node: usize,
    },
    Disconnect {
        bot: usize,
    },
    LateClose {
        bot: usize,
    },
    Attach {
        bot: usize,
        node: usize,
    },
    Say {
        bot: usize,
        draft: Draft,
    },
    /// Several messages before anybody answers.
    Burst {
        bot: usize,
        drafts: Vec<Draft>,
    },
    /// The consumer hears no callback from here on.
    Mute,
    /// It hears again.
    Listen,
    Stop {
        bot: usize,
        node: usize,
    },
    Start {
        bot: usize,
        node: usize,
    },
    Pass(Millis),
    /// All processors end.
    Process,
    /// Several acts with nothing in between.
    AtOnce(Vec<Act>),
    Discard {
        draft: Draft,
    },
    Retry {
        draft: Draft,
    },
    /// A file that no message tells of.
    Litter {
        draft: Draft,
    },
}

impl Scenario {
    /// One node, one bot that runs from the start, one pool with one slot, nothing planned.
    pub(crate) fn new(name: &'static str, purpose: &'static str) -> Self {
        Self {
            name,
            purpose,
            settings: settings(),
            nodes: 1,
            bots: 1,
            run: Run::Always,
            prelude: vec![
                Act::Boot { node: 0 },
                Act::Attach { bot: 0, node: 0 },
                Act::Connect { bot: 0, node: 0 },
            ],
            late: Millis::ZERO,
            actors: Vec::new(),
            losses: 0,
            prompt: Prompt::SideReads,
            media_fail_first: false,
        }
    }
}

/// The pool that takes what no other takes: nothing, in these worlds.
const REST: &str = "rest";

/// One pool with one slot, and one for the rest. What comes back by itself comes rarely, so that a tiny world's time is its
/// own; connections are never too silent.
fn settings() -> NodeSettings {
    let mut settings = NodeSettings::new(uuid::Uuid::nil().into());
    let pool = |name: &str, mime_type: &str| PoolSettings {
        name: name.into(),
        mime_types: vec![mime_type.to_owned()],
        slots: NonZeroU32::MIN,
        buffer: 0,
        timeout: Millis::from_hours(1),
        transient_retries_max: 3,
        transient_back_off: BackOff::default(),
    };
    settings.pools = vec![pool("audio", "audio/*"), pool(REST, "*")];
    settings.bot_defaults.limits.max_characters_single_message = 8;
    settings.bot_defaults.limits.max_characters_media_text = 60;
    settings.session.ping_every = Millis::from_hours(1_000);
    settings.session.silence_max = Millis::from_hours(2_000);
    settings.lease.poll_every = Millis::from_minutes(10);
    settings.ownership.ttl = Millis::from_minutes(30);
    settings.ownership.renew_every = Millis::from_minutes(10);
    settings.janitor.reclaim_every = Millis::from_minutes(2);
    settings.janitor.expire_every = Millis::from_minutes(30);
    settings.janitor.files_every = Millis::from_minutes(20);
    settings.janitor.orphan_after = Millis::from_hours(1);
    settings
}

impl World {
    /// Whether an act makes sense at the moment.
    pub fn is_possible(&self, act: &Act) -> bool {
        let is_up = |node: usize| self.nodes[node].machine.is_some();
        match act {
            Act::Boot { node } => !is_up(*node),
            Act::Crash { node }
            | Act::Shutdown { node }
            | Act::Connect { node, .. }
            | Act::Attach { node, .. }
            | Act::Stop { node, .. }
            | Act::Start { node, .. } => is_up(*node),
            Act::Disconnect { .. }
            | Act::LateClose { .. }
            | Act::Say { .. }
            | Act::Burst { .. }
            | Act::Mute
            | Act::Listen
            | Act::Pass(_)
            | Act::Process
            | Act::AtOnce(_)
            | Act::Discard { .. }
            | Act::Litter { .. } => true,
            // An operator retries what has failed.
            Act::Retry { draft } => self.store.failed_copies().any(|copy| {
                Some(copy.job.media_id) == draft.media.as_ref().map(|media| media.media_id)
            }),
        }
    }

    pub fn act(&mut self, act: Act) {
        match act {
            Act::Boot { node } => self.boot(node),
            Act::Crash { node } => self.crash(node),
            Act::Shutdown { node } => {
                self.rules.shutting_down(node);
                self.tell(node, Event::Node(NodeEvent::Shutdown));
            }
            Act::Connect { bot, node } => self.connect(bot, node),
            Act::Disconnect { bot } => self.disconnect(bot),
            Act::LateClose { bot } => self.hear_of_late_close(bot),
            Act::Attach { bot, node } => self.attach(bot, node),
            Act::Say { bot, draft } => {
                self.providers[bot].kept.push(draft);
                self.providers_talk();
            }
            Act::Burst { bot, drafts } => {
                self.providers[bot].kept.extend(drafts);
                self.providers_talk();
            }
            Act::Mute => self.consumer.mute = true,
            Act::Listen => self.consumer.mute = false,
            Act::Stop { bot, node } => {
                self.rules.stopping(node, bot_id(bot));
                self.tell(node, Event::Bot(bot_id(bot), BotEvent::Stop));
            }
            Act::Start { bot, node } => {
                self.rules.starting(node, &bot_id(bot));
                self.tell(node, Event::Bot(bot_id(bot), BotEvent::Start));
            }
            Act::Pass(length) => self.now = self.now + length,
            Act::AtOnce(acts) => acts.into_iter().for_each(|act| self.act(act)),
            Act::Process => {
                while !self.processors.is_empty() {
                    self.processor_ends(0);
                }
            }
            Act::Discard { draft } => {
                self.operate(&draft, |media_id| StoreRequest::DiscardJob { media_id });
            }
            Act::Retry { draft } => {
                self.operate(&draft, |media_id| StoreRequest::RetryJob { media_id, routing: None });
            }
            Act::Litter { draft } => {
                self.staged.extend(draft.media.map(|media| media.media_id));
            }
        }
    }

    /// An operator's command reaches the store at once, and the nodes are told to look.
    fn operate(&mut self, draft: &Draft, command: impl FnOnce(MediaId) -> StoreRequest) {
        let Some(media) = &draft.media else { return };
        self.store_print = None;
        let answer = self.store.apply(self.now, &command(media.media_id));
        let (Ok(StoreReply::DiscardJob(answer)) | Ok(StoreReply::RetryJob(answer))) = answer else {
            return;
        };
        let OperatorAnswer::Done { bot_id, pool } = answer else { return };
        for node in 0..self.nodes.len() {
            let incarnation = self.nodes[node].incarnation;
            let results = Event::Bot(bot_id.clone(), BotEvent::ResultsWaiting);
            let work = Event::Pools(PoolEvent::WorkWaiting { pool: pool.clone() });
            let events = [results, work].map(|event| Told { node, incarnation, event });
            self.told.extend(events);
        }
    }
}
