//! What comes in: the top only routes, each room has an event type of its own.

use serde::{Deserialize, Serialize};

use crate::bot::event::BotEvent;
use crate::id::{BotId, SessionId};
use crate::janitor::JanitorEvent;
use crate::ownership::OwnershipEvent;
use crate::pool::event::PoolEvent;
use crate::session::event::SessionEvent;
use crate::store::BotRecord;

/// Something that happened outside the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A deadline may have been reached. A spurious tick changes nothing.
    Tick,
    /// The node itself.
    Node(NodeEvent),
    /// One provider connection.
    Session(SessionId, SessionEvent),
    /// One bot.
    Bot(BotId, BotEvent),
    /// The workers.
    Pools(PoolEvent),
    /// Which bots this node owns.
    Ownership(OwnershipEvent),
    /// The sweeps.
    Janitor(JanitorEvent),
}

/// The node's own life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeEvent {
    /// The node is ready to work. Given once, before any other event.
    Start {
        /// The bots that are known.
        bots: Vec<BotRecord>,
        /// Whether this node runs bots.
        runs_bots: bool,
        /// Whether this node runs workers.
        runs_workers: bool,
    },
    /// The node is to stop: claims end, bots drain, workers finish or release.
    Shutdown,
}
