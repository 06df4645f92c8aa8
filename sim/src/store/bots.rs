//! Bots: their records, who owns them, and the fence that every bot-side write passes.
//!
//! **Invariants:** epochs are never reset, and one that was given to an owner is never given to
//! another. The end of an ownership alone takes nothing away: its node keeps the bot until it
//! releases it or another node takes it.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, Epoch, NodeId};
use anteroom_core::store::{Acquired, BotRecord, Fence, StoreError};
use anteroom_core::time::{Millis, Timestamp};

/// Whose a bot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The fencing token that bot-side writes need.
    pub epoch: Epoch,
    /// Who holds it; none once it was released.
    pub owner: Option<Hold>,
}

/// A node's hold on a name for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Which node.
    pub node_id: NodeId,
    /// From when on others may take it.
    pub expires_at: Timestamp,
}

/// All that is known of bots, short of what they say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bots {
    records: BTreeMap<BotId, BotRecord>,
    ownerships: BTreeMap<BotId, Ownership>,
    singletons: BTreeMap<String, Hold>,
}

impl Bots {
    /// Makes a bot known; the first record stands.
    pub(super) fn register(&mut self, record: &BotRecord) -> BotRecord {
        self.records.entry(record.bot_id.clone()).or_insert_with(|| record.clone()).clone()
    }

    /// Takes ownership for a node, or tells who has it.
    pub(super) fn acquire(
        &mut self,
        bot_id: &BotId,
        node_id: NodeId,
        ttl: Millis,
        now: Timestamp,
    ) -> Acquired {
        let stored = self.ownerships.get(bot_id).copied();
        let epoch = stored.map_or(Epoch(0), |ownership| ownership.epoch);
        let owner = stored.and_then(|ownership| ownership.owner);
        let (epoch, expires_at) = match owner {
            Some(owner) if owner.node_id == node_id => (epoch, owner.expires_at.max(now + ttl)),
            Some(Hold { node_id, expires_at }) if now < expires_at => {
                return Acquired::HeldBy { node_id, remaining: expires_at.since(now) };
            }
            Some(_) | None => (Epoch(epoch.0.saturating_add(1)), now + ttl),
        };
        let owner = Some(Hold { node_id, expires_at });
        self.ownerships.insert(bot_id.clone(), Ownership { epoch, owner });
        Acquired::Acquired { epoch }
    }

    /// Prolongs a node's ownerships, and tells which are not its own under the given epochs.
    pub(super) fn renew(
        &mut self,
        node_id: NodeId,
        bots: &[(BotId, Epoch)],
        ttl: Millis,
        now: Timestamp,
    ) -> Vec<BotId> {
        let mut lost = Vec::new();
        for (bot_id, epoch) in bots {
            let ownership =
                self.ownerships.get_mut(bot_id).filter(|ownership| ownership.epoch == *epoch);
            let owner = ownership.and_then(|ownership| ownership.owner.as_mut());
            match owner.filter(|owner| owner.node_id == node_id) {
                Some(owner) => owner.expires_at = owner.expires_at.max(now + ttl),
                None => lost.push(bot_id.clone()),
            }
        }
        lost
    }

    /// Gives a bot up; its epoch stays.
    pub(super) fn release(&mut self, bot_id: &BotId) {
        if let Some(ownership) = self.ownerships.get_mut(bot_id) {
            ownership.owner = None;
        }
    }

    /// Refuses a write that is made under another epoch than the bot's.
    pub(super) fn pass(&self, fence: &Fence) -> Result<(), StoreError> {
        if self.is_current(&fence.bot_id, fence.epoch) { Ok(()) } else { Err(StoreError::Fenced) }
    }

    /// Whether the epoch is the bot's current one.
    pub(super) fn is_current(&self, bot_id: &BotId, epoch: Epoch) -> bool {
        self.ownerships.get(bot_id).is_some_and(|ownership| ownership.epoch == epoch)
    }

    /// Takes a name for a node, when it is free, has expired or is the node's own.
    pub(super) fn acquire_singleton(
        &mut self,
        name: &str,
        node_id: NodeId,
        ttl: Millis,
        now: Timestamp,
    ) -> bool {
        let taken = self
            .singletons
            .get(name)
            .is_some_and(|hold| hold.node_id != node_id && now < hold.expires_at);
        if !taken {
            self.singletons.insert(name.to_owned(), Hold { node_id, expires_at: now + ttl });
        }
        !taken
    }

    /// The record of a bot.
    pub(super) fn record(&self, bot_id: &BotId) -> Option<&BotRecord> {
        self.records.get(bot_id)
    }

    /// All records, in the order of their bots.
    pub(super) fn records(&self) -> impl Iterator<Item = &BotRecord> {
        self.records.values()
    }

    /// Who owns a bot, if it was ever owned.
    pub(super) fn ownership(&self, bot_id: &BotId) -> Option<&Ownership> {
        self.ownerships.get(bot_id)
    }

    /// All ownerships, in the order of their bots.
    pub(super) fn ownerships(&self) -> impl Iterator<Item = (&BotId, &Ownership)> {
        self.ownerships.iter()
    }
}
