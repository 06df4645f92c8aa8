//! What goes wrong: each fault at its moment, and for how long at least.

use anteroom_core::time::Millis;
use serde::{Deserialize, Serialize};

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When, after the beginning.
    pub at: Millis,
    /// For how long.
    pub lasts: Millis,
    /// What.
    pub what: Trouble,
}

/// What goes wrong. Rates are in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// A node's process dies, once it has carried out so many more effects.
    Kill {
        /// Which node.
        node: usize,
        /// How many.
        after_effects: u32,
    },
    /// A node stands still, once it has carried out so many more effects, and goes on as if nothing
    /// had happened.
    Freeze {
        /// Which node.
        node: usize,
        /// How many.
        after_effects: u32,
    },
    /// A node's clock jumps ahead, as after a suspend.
    ClockJumps {
        /// Which node.
        node: usize,
        /// How far.
        ahead: Millis,
    },
    /// A node and the store do not reach each other.
    StoreCut {
        /// Which node.
        node: usize,
        /// Which way nothing comes through.
        way: Way,
    },
    /// The store answers nobody.
    StoreDown,
    /// Store operations fail before they are applied.
    StoreBefore {
        /// How many.
        per_mille: u64,
    },
    /// Store operations are applied and their answers lost.
    StoreAfter {
        /// How many.
        per_mille: u64,
    },
    /// Store operations are given up, and applied later all the same.
    StoreLate {
        /// How many.
        per_mille: u64,
        /// How much later at the most.
        most: Millis,
    },
    /// Store operations are slow.
    StoreSlow {
        /// How many.
        per_mille: u64,
        /// How slow at the most.
        most: Millis,
    },
    /// A provider's connection breaks.
    Reset {
        /// Which provider.
        provider: usize,
    },
    /// Nothing comes through a provider's connection, and neither side is told.
    ProviderCut {
        /// Which provider.
        provider: usize,
    },
    /// A provider's connection is slow.
    ProviderSlow {
        /// Which provider.
        provider: usize,
        /// How slow at the most.
        most: Millis,
    },
    /// A provider sends messages a second time, under another number.
    SendsTwice {
        /// Which provider.
        provider: usize,
        /// How many.
        per_mille: u64,
    },
    /// A provider sends more than its windows allow.
    IgnoresWindow {
        /// Which provider.
        provider: usize,
    },
    /// A provider sends what it keeps in any order.
    AnyOrder {
        /// Which provider.
        provider: usize,
    },
    /// A bot's consumer is not there.
    ConsumerDown {
        /// Which bot's.
        bot: usize,
    },
    /// Callbacks, or their acknowledgements, are lost between a bot and its consumer.
    ConsumerCut {
        /// Which bot's.
        bot: usize,
        /// Which way nothing comes through; there are callbacks, back are acknowledgements.
        way: Way,
        /// How many.
        per_mille: u64,
    },
    /// A consumer is slow.
    ConsumerSlow {
        /// Which bot's.
        bot: usize,
        /// How slow at the most.
        most: Millis,
    },
    /// A consumer refuses callbacks, or asks for patience.
    ConsumerRefuses {
        /// Which bot's.
        bot: usize,
        /// How many.
        per_mille: u64,
        /// Whether it refuses the message; otherwise it is unavailable.
        message: bool,
    },
    /// A consumer that is called says that it is gone for good; it comes back at the fault's end.
    ConsumerGone {
        /// Which bot's.
        bot: usize,
    },
    /// Processors fail in a way that may pass.
    Transient {
        /// How many.
        per_mille: u64,
    },
    /// Processors do not end until they are told to.
    Hang {
        /// How many.
        per_mille: u64,
    },
    /// Processors do not end at once when they are told to.
    SlowToCancel {
        /// How slow at the most.
        most: Millis,
    },
    /// Processors are slow.
    Slow {
        /// How slow at the most.
        most: Millis,
    },
    /// Staged files are not deleted although they should be.
    DeletionFails {
        /// How many.
        per_mille: u64,
    },
}

/// Which way nothing comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Neither way.
    Both,
    /// Only what is asked is lost.
    There,
    /// Only what is answered is lost.
    Back,
}

impl Way {
    /// Whether what is asked is lost.
    pub fn cuts_there(self) -> bool {
        match self {
            Self::Both | Self::There => true,
            Self::Back => false,
        }
    }

    /// Whether what is answered is lost.
    pub fn cuts_back(self) -> bool {
        match self {
            Self::Both | Self::Back => true,
            Self::There => false,
        }
    }
}

impl Trouble {
    /// The node that is struck.
    pub fn node(&self) -> Option<usize> {
        match self {
            Self::Kill { node, .. }
            | Self::Freeze { node, .. }
            | Self::ClockJumps { node, .. }
            | Self::StoreCut { node, .. } => Some(*node),
            Self::StoreDown
            | Self::StoreBefore { .. }
            | Self::StoreAfter { .. }
            | Self::StoreLate { .. }
            | Self::StoreSlow { .. }
            | Self::Reset { .. }
            | Self::ProviderCut { .. }
            | Self::ProviderSlow { .. }
            | Self::SendsTwice { .. }
            | Self::IgnoresWindow { .. }
            | Self::AnyOrder { .. }
            | Self::ConsumerDown { .. }
            | Self::ConsumerCut { .. }
            | Self::ConsumerSlow { .. }
            | Self::ConsumerRefuses { .. }
            | Self::ConsumerGone { .. }
            | Self::Transient { .. }
            | Self::Hang { .. }
            | Self::SlowToCancel { .. }
            | Self::Slow { .. }
            | Self::DeletionFails { .. } => None,
        }
    }

    /// The bot whose consumer is struck.
    pub fn bot(&self) -> Option<usize> {
        if let Self::ConsumerDown { bot }
        | Self::ConsumerCut { bot, .. }
        | Self::ConsumerSlow { bot, .. }
        | Self::ConsumerRefuses { bot, .. }
        | Self::ConsumerGone { bot } = self
        {
            return Some(*bot);
        }
        None
    }

    /// The provider that is struck.
    pub fn provider(&self) -> Option<usize> {
        if let Self::Reset { provider }
        | Self::ProviderCut { provider }
        | Self::ProviderSlow { provider, .. }
        | Self::SendsTwice { provider, .. }
        | Self::IgnoresWindow { provider }
        | Self::AnyOrder { provider } = self
        {
            return Some(*provider);
        }
        None
    }
}
