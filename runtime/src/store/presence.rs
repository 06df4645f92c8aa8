//! Which nodes run, as far as they say so.
//!
//! A node says from time to time that it runs, so that operators see one that holds nothing, too. Nothing
//! is decided by it: ownerships and leases have times of their own.

use anteroom_core::id::NodeId;
use anteroom_core::time::Millis;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Which node.
    pub node_id: NodeId,
    /// What it does: `all`, `bots` or `workers`.
    pub role: String,
    /// Where it listens.
    pub listen: String,
    /// Its version of Anteroom.
    pub version: String,
}

/// A node that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// What it said.
    pub node: Presence,
    /// Since when, by the store's clock.
    pub up: Millis,
    /// How long ago it said so last; longer than [`SILENT_MAX`] of a node that was killed, or that does not
    /// reach the store.
    pub silent: Millis,
}

/// How often a node says that it runs.
pub const SIGN_EVERY: Millis = Millis::from_secs(10);

/// A node that has been silent for longer is taken to be gone.
pub const SILENT_MAX: Millis = Millis::from_secs(30);

/// For how long a node that went without a word is still told of.
pub const KEPT_FOR: Millis = Millis::from_hours(1);
