//! What goes out: data, small and ordered. The driver carries each out and reports its end as an event.

use serde::Serialize;

use crate::bot::event::BotEffect;
use crate::id::{BotId, SessionId};
use crate::janitor::JanitorEffect;
use crate::notice::Notice;
use crate::ownership::OwnershipEffect;
use crate::pool::event::PoolEffect;
use crate::session::event::SessionEffect;

/// Something for the driver to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// At one provider connection.
    Session(SessionId, SessionEffect),
    /// For one bot.
    Bot(BotId, BotEffect),
    /// For the workers.
    Pools(PoolEffect),
    /// For the node's ownerships.
    Ownership(OwnershipEffect),
    /// For the sweeps.
    Janitor(JanitorEffect),
    /// One log line and one metric.
    Notice(Notice),
    /// Nothing is left to do: the node has shut down.
    Stopped,
}

impl From<PoolEffect> for Effect {
    fn from(effect: PoolEffect) -> Self {
        Self::Pools(effect)
    }
}

impl From<OwnershipEffect> for Effect {
    fn from(effect: OwnershipEffect) -> Self {
        Self::Ownership(effect)
    }
}

impl From<JanitorEffect> for Effect {
    fn from(effect: JanitorEffect) -> Self {
        Self::Janitor(effect)
    }
}
