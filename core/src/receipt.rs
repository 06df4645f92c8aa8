//! The answer to every message of a provider.
//!
//! **Architecture invariant:** `accepted` and `duplicate` are said only of what is durable; their ids
//! are [`Durable`], which only a reply of the store can make.

use serde::{Deserialize, Serialize};

use crate::durable::Durable;
use crate::id::{MessageId, RequestId, SessionId};
use crate::time::Millis;

/// Where a message came from, and so where its receipt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A provider's connection.
    Session {
        /// Which.
        session_id: SessionId,
        /// The provider's number of the message.
        seq: u64,
    },
    /// A request over HTTP.
    Request {
        /// Which.
        request_id: RequestId,
    },
}

/// What became of a message, as its provider is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Receipt {
    /// It is durable under this id.
    Accepted {
        /// Its id.
        message_id: Durable<MessageId>,
    },
    /// It was durable before, under this id.
    Duplicate {
        /// Its id.
        message_id: Durable<MessageId>,
    },
    /// It was not taken; the provider keeps it (unless it is invalid).
    Rejected {
        /// Why.
        reason: RejectReason,
        /// When to try again.
        retry_after: Millis,
    },
    /// It was given up while the store could not keep up; the provider keeps it.
    Evicted {
        /// Over which limit.
        reason: EvictReason,
        /// When to try again.
        retry_after: Millis,
    },
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The correspondent's queue is full.
    Overflow,
    /// The correspondent has too many open placeholders.
    PlaceholderLimit,
    /// The bot is stopped or stopping.
    BotNotRunning,
    /// The bot is starting, or the store cannot keep up.
    RetryLater,
    /// It can never be taken.
    Invalid,
}

/// Which limit a message was given up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvictReason {
    /// It waited too long for the store.
    Age,
    /// The queue held too many characters.
    Characters,
    /// The queue held too many messages.
    Count,
}

impl Receipt {
    /// A rejection, with the time to wait that suits its reason.
    pub fn rejected(reason: RejectReason) -> Self {
        let retry_after = match reason {
            RejectReason::Overflow | RejectReason::PlaceholderLimit => Millis::from_secs(2),
            RejectReason::BotNotRunning => Millis::from_secs(5),
            RejectReason::RetryLater => Millis::from_secs(1),
            RejectReason::Invalid => Millis::ZERO,
        };
        Self::Rejected { reason, retry_after }
    }

    /// An eviction, with the time to wait before the message may come again.
    pub fn evicted(reason: EvictReason) -> Self {
        Self::Evicted { reason, retry_after: Millis::from_secs(5) }
    }

    /// Whether the message is durable.
    pub fn is_durable(&self) -> bool {
        match self {
            Self::Accepted { .. } | Self::Duplicate { .. } => true,
            Self::Rejected { .. } | Self::Evicted { .. } => false,
        }
    }

    /// Whether the provider may forget the message.
    pub fn is_final_for_provider(&self) -> bool {
        match self {
            Self::Accepted { .. } | Self::Duplicate { .. } => true,
            Self::Rejected { reason, .. } => *reason == RejectReason::Invalid,
            Self::Evicted { .. } => false,
        }
    }
}
