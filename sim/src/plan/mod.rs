//! What a run is made of, decided before it begins: settings, workload and faults.
//!
//! Owns the plan and its JSON form. A run is a pure function of its plan; a seed is only one way to
//! come by a plan, and a changed generator reads old seeds differently. So a failing run is kept as
//! its plan, and shrunk by taking items out of its lists.

mod fault;
mod generate;
mod message;
mod settings;

use anteroom_core::id::{BotId, CorrespondentId, MediaId, ProviderInstance, SendId};
use anteroom_core::settings::{NodeSettings, Run};
use anteroom_core::time::Millis;
use serde::{Deserialize, Serialize};

use crate::checker::rule::Rule;

pub use fault::{Fault, Trouble, Way};
pub use message::{FileState, MessageName, PlannedMedia, PlannedMessage, Processing};

/// The version of the plans written here; others are refused.
pub const VERSION: u32 = 1;

/// What a run is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this form.
    pub version: u32,
    /// Where the plan came from, for people.
    pub note: String,
    /// The seed of what is drawn during the run: latencies, and whether a rate strikes.
    pub draws: u64,
    /// How long messages come and faults strike.
    pub duration: Millis,
    /// The nodes that share the store.
    pub nodes: Vec<NodePlan>,
    /// What nodes are set to: their first process to the first, each later one to the next, and
    /// from the beginning again.
    pub settings: Vec<NodeSettings>,
    /// The bots.
    pub bots: Vec<BotPlan>,
    /// The provider connections.
    pub providers: Vec<ProviderPlan>,
    /// What is done from outside.
    pub workload: Vec<Item>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// How the faults end.
    pub ending: Ending,
    /// What the world itself gets wrong, so that the checker has to see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sabotage: Option<Sabotage>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodePlan {
    /// Whether it runs bots.
    pub runs_bots: bool,
    /// Whether it runs workers.
    pub runs_workers: bool,
    /// How far its clock is ahead of the world's.
    pub clock_ahead: Millis,
}

/// A bot, and the consumer it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BotPlan {
    /// Its id.
    pub bot_id: BotId,
    /// When it runs, where it is registered before the first node boots.
    pub registered: Option<Run>,
    /// How its consumer answers.
    pub consumer: ConsumerPlan,
}

/// How a consumer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerPlan {
    /// It acknowledges by requests of its own.
    Acknowledges,
    /// It answers the call itself.
    Answers {
        /// Of a thousand callbacks, how many it answers with words.
        replies_per_mille: u64,
    },
}

/// A provider, which carries bots over one connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderPlan {
    /// The bots, as places in the plan's list.
    pub bots: Vec<usize>,
    /// How it names its installation.
    pub instance: Option<ProviderInstance>,
    /// Whether its frames go through the wire's own text.
    pub by_wire: bool,
}

/// Something that is done from outside, so long after the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// When.
    pub at: Millis,
    /// What.
    pub task: Task,
}

/// Something that is done from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A message comes from the network to a bot's provider.
    Message(Box<PlannedMessage>),
    /// A provider sends a message that has come before once more, whatever it was told.
    Again(MessageName),
    /// Somebody wants a message sent.
    Send {
        /// By which bot.
        bot: usize,
        /// To whom.
        correspondent_id: CorrespondentId,
        /// Its idempotency key.
        send_id: SendId,
        /// What the provider's network reports of it.
        echo: Echo,
    },
    /// A provider sends what is no frame.
    Nonsense {
        /// Which provider.
        provider: usize,
        /// What.
        kind: Nonsense,
    },
    /// An operator stops a bot at a node.
    StopBot {
        /// Which bot.
        bot: usize,
        /// Where.
        node: usize,
    },
    /// An operator starts a bot at a node.
    StartBot {
        /// Which bot.
        bot: usize,
        /// Where.
        node: usize,
    },
    /// An operator gives a job up.
    Discard {
        /// Which.
        media_id: MediaId,
    },
    /// An operator retries a job.
    Retry {
        /// Which.
        media_id: MediaId,
    },
    /// An operator has the callbacks of a bot made again that were given up.
    Redeliver {
        /// Of which bot.
        bot: usize,
    },
    /// An operator shuts a node down in order; it comes back.
    Restart {
        /// Which.
        node: usize,
    },
}

/// What a provider's network reports of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    /// Nothing.
    None,
    /// An outgoing message that carries the key.
    Named,
    /// An outgoing message that carries only the provider's own id.
    Unnamed,
}

/// What a provider may send that is no frame, or none for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nonsense {
    /// No JSON.
    Garbage,
    /// A message of the version before the first.
    VersionZero,
    /// A message that lacks a field.
    MissingField,
    /// A message larger than any frame may be.
    Oversized,
    /// A message for a bot that the connection has not introduced.
    Stranger,
    /// The hello of a bot under another provider's name.
    WrongProvider,
}

/// How the faults end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything is healed.
    AllHeal,
    /// These nodes stay dead, the rest is healed.
    StayDead(Vec<usize>),
}

/// What the world gets wrong on purpose: each must be found, by the rule that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sabotage {
    /// The store loses what it said was archived.
    LoseArchived,
    /// The line to the consumer says everything twice.
    CallTwice,
    /// The store changes a text.
    GarbleText,
    /// The store forgets epochs.
    ResetEpochs,
    /// Files are deleted as soon as somebody works on them.
    DeleteFiles,
    /// Receipts come twice.
    ReceiptTwice,
    /// Consumers never answer.
    LoseAnswers,
}

impl Sabotage {
    /// The rules that find it, whichever of them looks first.
    pub fn found_by(self) -> &'static [Rule] {
        match self {
            // Of a lost medium the job is still there, and its file goes all the same.
            Self::LoseArchived => &[Rule::S4, Rule::S1, Rule::S10],
            Self::CallTwice => &[Rule::S1],
            Self::GarbleText => &[Rule::S2],
            Self::ResetEpochs => &[Rule::S6, Rule::L5],
            Self::DeleteFiles => &[Rule::S10],
            Self::ReceiptTwice => &[Rule::S8],
            Self::LoseAnswers => &[Rule::L1, Rule::L5],
        }
    }
}

impl Plan {
    /// The plan as text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self)
            .expect("a plan is made of numbers, strings, lists and maps with names for keys")
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let plan: Self = serde_json::from_str(text).map_err(|error| format!("no plan: {error}"))?;
        if plan.version != VERSION {
            return Err(format!("a plan of version {}, not {VERSION}", plan.version));
        }
        plan.check()?;
        Ok(plan)
    }

    /// Whether everything that is named by its place is there.
    fn check(&self) -> Result<(), String> {
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        ensure(!self.nodes.is_empty(), "a plan needs a node")?;
        ensure(!self.settings.is_empty(), "a plan needs settings")?;
        let bots = self.providers.iter().flat_map(|provider| &provider.bots);
        ensure(bots.clone().all(|bot| *bot < self.bots.len()), "a provider's bot is unknown")?;
        for item in &self.workload {
            let holds = match &item.task {
                Task::Message(message) => message.bot < self.bots.len(),
                Task::Again(name) => name.bot < self.bots.len(),
                Task::Send { bot, .. } | Task::Redeliver { bot } => *bot < self.bots.len(),
                Task::Nonsense { provider, .. } => *provider < self.providers.len(),
                Task::StopBot { bot, node } | Task::StartBot { bot, node } => {
                    *bot < self.bots.len() && *node < self.nodes.len()
                }
                Task::Restart { node } => *node < self.nodes.len(),
                Task::Discard { .. } | Task::Retry { .. } => true,
            };
            ensure(holds, "an item names what is not there")?;
        }
        let known = self.faults.iter().all(|fault| {
            fault.what.node().is_none_or(|node| node < self.nodes.len())
                && fault.what.bot().is_none_or(|bot| bot < self.bots.len())
                && fault.what.provider().is_none_or(|provider| provider < self.providers.len())
        });
        ensure(known, "a fault names what is not there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a plan comes back from its text unchanged, so that a saved run is the same run.
    #[test]
    fn a_plan_survives_its_text() {
        for seed in 1..20 {
            let plan = Plan::from_seed(seed);
            assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
        }
    }

    /// Goal: a plan that names what is not there, or has another version, is refused in words.
    #[test]
    fn a_broken_plan_is_refused() {
        let mut plan = Plan::from_seed(1);
        plan.workload.push(Item { at: Millis::ZERO, task: Task::Restart { node: 99 } });
        assert!(Plan::from_json(&plan.to_json()).is_err());
        let mut plan = Plan::from_seed(1);
        plan.version = 0;
        assert!(Plan::from_json(&plan.to_json()).is_err());
    }
}
