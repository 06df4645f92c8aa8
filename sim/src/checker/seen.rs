//! What observers see, and the scene in which they see it.

use std::collections::BTreeSet;

use anteroom_core::bot::event::Callback;
use anteroom_core::draft::Draft;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{
    BotId, CallbackKey, LeaseToken, MediaId, MessageId, NodeId, SessionId, StreamId,
};
use anteroom_core::message::Outcome;
use anteroom_core::notice::Notice;
use anteroom_core::pool::event::{ProcessorFailure, Work};
use anteroom_core::receipt::{EvictReason, Origin, Receipt, RejectReason};
use anteroom_core::session::event::SessionEffect;
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{StoreRequest, StoreResult};
use anteroom_core::time::{Millis, Timestamp};

use crate::plan::MessageName;
use crate::store::StoreModel;

/// What is true while something is seen.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The world's time, which is the store's.
    pub now: Timestamp,
    /// What is durable, after what is seen.
    pub store: &'a StoreModel,
}

/// What is left at the end.
#[derive(Debug, Clone, Copy)]
pub struct Final<'a> {
    /// What is durable.
    pub store: &'a StoreModel,
    /// The staged files.
    pub staged: &'a BTreeSet<MediaId>,
    /// The messages that providers keep.
    pub kept: &'a [MessageName],
}

/// What a receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The message is durable under this id.
    Accepted(MessageId),
    /// It was durable before, under this id.
    Duplicate(MessageId),
    /// It was not taken.
    Rejected(RejectReason),
    /// It was given up.
    Evicted(EvictReason),
}

impl Told {
    /// The id that the message is durable under.
    pub fn durable_id(self) -> Option<MessageId> {
        match self {
            Self::Accepted(message_id) | Self::Duplicate(message_id) => Some(message_id),
            Self::Rejected(_) | Self::Evicted(_) => None,
        }
    }
}

impl From<&Receipt> for Told {
    fn from(receipt: &Receipt) -> Self {
        match receipt {
            Receipt::Accepted { message_id } => Self::Accepted(*message_id.get()),
            Receipt::Duplicate { message_id } => Self::Duplicate(*message_id.get()),
            Receipt::Rejected { reason, .. } => Self::Rejected(*reason),
            Receipt::Evicted { reason, .. } => Self::Evicted(*reason),
        }
    }
}

/// Something that can be seen from outside.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// A node's process began.
    Booted {
        /// Which node.
        node: usize,
        /// Under which id.
        node_id: NodeId,
        /// What it is set to.
        settings: &'a NodeSettings,
    },
    /// A node's process ended.
    Died {
        /// Which node.
        node: usize,
    },
    /// A node stood still, or its clock jumped: it may take anything for late.
    Disturbed {
        /// Which node.
        node: usize,
    },
    /// The store has executed a request, and may yet fail to say so.
    Applied {
        /// Which node asked, and the process that it was then; none when an operator did.
        by: Option<(usize, NodeId)>,
        /// What was asked.
        request: &'a StoreRequest,
        /// What the store made of it.
        result: &'a StoreResult,
        /// Whether the answer is lost.
        lost: bool,
    },
    /// A provider hands a message over.
    Offered {
        /// Whose bot.
        bot_id: &'a BotId,
        /// Which message.
        name: &'a MessageName,
        /// As it is handed over.
        draft: &'a Draft,
    },
    /// A node writes a receipt.
    Receipted {
        /// Which node.
        node: usize,
        /// Whose bot.
        bot_id: &'a BotId,
        /// Whose receipt.
        origin: Origin,
        /// Of which message.
        name: &'a MessageName,
        /// What it says.
        told: Told,
    },
    /// A node is about to send callbacks together.
    Together {
        /// Which node.
        node: usize,
        /// Whose bot.
        bot_id: &'a BotId,
        /// The callbacks, which are seen one by one right after this.
        callbacks: &'a [Callback],
    },
    /// A node sends a callback.
    CallbackSent {
        /// Which node.
        node: usize,
        /// By its own clock.
        node_now: Timestamp,
        /// Whose bot.
        bot_id: &'a BotId,
        /// The callback.
        callback: &'a Callback,
    },
    /// A consumer gets a callback.
    CallbackGot {
        /// Whose bot.
        bot_id: &'a BotId,
        /// The callback.
        callback: &'a Callback,
    },
    /// A consumer's answer reaches a node.
    ConsumerSaid {
        /// Which node.
        node: usize,
        /// Whose bot.
        bot_id: &'a BotId,
        /// About which callback.
        key: &'a CallbackKey,
        /// Whether it took it.
        acknowledged: bool,
    },
    /// A node tells a consumer that its acknowledgement is durable.
    AckConfirmed {
        /// Which node.
        node: usize,
        /// Whose bot.
        bot_id: &'a BotId,
        /// Of which callback.
        key: &'a CallbackKey,
    },
    /// A node stops waiting for an answer.
    Aborted {
        /// Which node.
        node: usize,
        /// Whose bot.
        bot_id: &'a BotId,
        /// About which callback.
        key: &'a CallbackKey,
    },
    /// A consumer's line begins or ends at a node.
    LineChanged {
        /// Which node.
        node: usize,
        /// Whose bot.
        bot_id: &'a BotId,
    },
    /// A node takes itself for the owner of a bot.
    Trusts {
        /// Which node.
        node: usize,
        /// Of which bot.
        bot_id: &'a BotId,
        /// For how long.
        remaining: Millis,
    },
    /// A node does something else for a bot that only its owner may do.
    Outward {
        /// Which node.
        node: usize,
        /// Whose bot.
        bot_id: &'a BotId,
        /// What.
        what: &'static str,
    },
    /// A processor begins.
    ProcessorStarted {
        /// At which node.
        node: usize,
        /// On what.
        work: &'a Work,
        /// When its node decided so, by the world's time: earlier where the node stood still since.
        decided_at: Timestamp,
    },
    /// A processor has ended.
    ProcessorEnded {
        /// At which node.
        node: usize,
        /// On which job.
        media_id: MediaId,
        /// Under which lease.
        token: LeaseToken,
        /// With what.
        result: &'a Result<Outcome, ProcessorFailure>,
    },
    /// A staged file is deleted.
    Deleted {
        /// Which.
        media_id: MediaId,
    },
    /// A machine is about to be told something. This and what follows up to the deletion is seen where a
    /// driver is.
    MachineTold {
        /// At which node.
        node: usize,
        /// What.
        event: &'a Event,
    },
    /// A machine has decided something.
    MachineSaid {
        /// At which node.
        node: usize,
        /// By the node's own clock.
        node_now: Timestamp,
        /// What.
        effect: &'a Effect,
    },
    /// A driver asks the store.
    StoreAsked {
        /// At which node.
        node: usize,
        /// Which of the process's requests this is.
        number: u64,
        /// What is asked.
        request: &'a StoreRequest,
    },
    /// A driver is answered by the store's port.
    StoreAnswered {
        /// At which node.
        node: usize,
        /// Which request.
        number: u64,
        /// What the answer is.
        result: &'a StoreResult,
    },
    /// A driver hands something over to a provider's connection.
    HandedOver {
        /// At which node.
        node: usize,
        /// To which connection.
        session_id: SessionId,
        /// What.
        effect: &'a SessionEffect,
    },
    /// A driver hands a callback over to a consumer's stream.
    StreamedOver {
        /// At which node.
        node: usize,
        /// To which stream.
        stream_id: StreamId,
        /// What.
        callback: &'a Callback,
    },
    /// A driver has a staged file deleted.
    DeletionAsked {
        /// At which node.
        node: usize,
        /// Which file.
        media_id: MediaId,
    },
    /// A node's process has ended in order.
    Stopped {
        /// Which node.
        node: usize,
        /// Under which id it ran.
        node_id: NodeId,
        /// Tasks that it leaves behind.
        tasks: usize,
        /// How long its end took.
        took: Millis,
        /// Whether nothing disturbed its end.
        in_peace: bool,
    },
    /// A node has something to tell its operators.
    Noticed {
        /// Which node.
        node: usize,
        /// What.
        notice: &'a Notice,
    },
}
