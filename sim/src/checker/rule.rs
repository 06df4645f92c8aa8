//! The names of the rules, and each in one sentence.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A rule that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// One callback a message.
    S1,
    /// Nothing said is changed or lost.
    S2,
    /// Ids grow and are never reused.
    S3,
    /// What is acknowledged is durable.
    S4,
    /// A result comes from the lease that holds its job.
    S5,
    /// Only a bot's owner acts for it.
    S6,
    /// Callbacks come in order.
    S7,
    /// Receipts are final and unique.
    S8,
    /// Windows and buffers stay within their caps.
    S9,
    /// No file is deleted while it is needed.
    S10,
    /// A trace replays to the same effects.
    S11,
    /// No complaint is logged that the plan does not explain.
    S12,
    /// A driver does what its machine says.
    S13,
    /// What is acknowledged is archived and called back.
    L1,
    /// No job and no lease is left.
    L2,
    /// Every placeholder ends.
    L3,
    /// No file is left that nobody needs.
    L4,
    /// Whatever a provider keeps gets its final receipt.
    L5,
    /// A machine's own invariants.
    Invariant,
    /// Time goes on.
    Loop,
    /// Nothing panics.
    Panic,
    /// Two processes run a plan the same.
    Replay,
}

/// What kind of failure it is when a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The run itself broke down.
    Crash,
    /// Something happened that must not happen.
    Safety,
    /// Something did not happen that must happen.
    Liveness,
}

impl Rule {
    /// The rule in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::S1 => {
                "a message is called back once, and again only after an attempt whose \
                 acknowledgement did not reach us durably, with a higher number"
            }
            Self::S2 => "what was said is archived as it was said, and sizes count characters",
            Self::S3 => "a correspondent's ids grow, and one that was acknowledged is never reused",
            Self::S4 => {
                "what was acknowledged is durable and stays so; a placeholder is not archived"
            }
            Self::S5 => {
                "a result comes from the lease that holds its job, and one job has one worker"
            }
            Self::S6 => "only the owner of a bot acts for it, and epochs are never given twice",
            Self::S7 => {
                "callbacks of a correspondent come one by one, in order, behind open media when gated"
            }
            Self::S8 => "a message frame gets one receipt, and a message has one id",
            Self::S9 => "batches, windows, slots and callbacks under way stay within their caps",
            Self::S10 => "a staged file is deleted only when no job and no failed copy needs it",
            Self::S11 => "the events of a process, replayed, give the same effects",
            Self::S12 => "no complaint is logged that the plan does not explain",
            Self::S13 => {
                "a driver does what its machine says, once and in order, and tells it what came"
            }
            Self::L1 => "every acknowledged message is archived once and called back",
            Self::L2 => "no job is left, and no lease",
            Self::L3 => "every placeholder has come to its end",
            Self::L4 => "staging holds no file that nobody needs",
            Self::L5 => "everything that a provider keeps gets its final receipt",
            Self::Invariant => "a machine's own invariants hold after every step",
            Self::Loop => "time goes on: a deadline that was handled is not due again at once",
            Self::Panic => "nothing panics",
            Self::Replay => "two processes run the same plan the same",
        }
    }

    /// What kind of failure it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::L1 | Self::L2 | Self::L3 | Self::L4 | Self::L5 | Self::Loop => Kind::Liveness,
            Self::Panic => Kind::Crash,
            Self::S1
            | Self::S2
            | Self::S3
            | Self::S4
            | Self::S5
            | Self::S6
            | Self::S7
            | Self::S8
            | Self::S9
            | Self::S10
            | Self::S11
            | Self::S12
            | Self::S13
            | Self::Invariant
            | Self::Replay => Kind::Safety,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invariant => f.write_str("invariant"),
            Self::Loop => f.write_str("loop"),
            Self::Panic => f.write_str("panic"),
            Self::Replay => f.write_str("replay"),
            Self::S1
            | Self::S2
            | Self::S3
            | Self::S4
            | Self::S5
            | Self::S6
            | Self::S7
            | Self::S8
            | Self::S9
            | Self::S10
            | Self::S11
            | Self::S12
            | Self::S13
            | Self::L1
            | Self::L2
            | Self::L3
            | Self::L4
            | Self::L5 => write!(f, "{self:?}"),
        }
    }
}
