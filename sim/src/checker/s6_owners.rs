//! S6: only the owner of a bot acts for it. Writes of others are refused, epochs are never given to two
//! nodes and never go back, and nothing leaves a node for a bot that the store gave to another. No node takes
//! itself for the owner for longer than the store does.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, Epoch, NodeId};
use anteroom_core::store::{Acquired, Fence, StoreReply, StoreRequest};
use anteroom_core::time::Millis;

use super::Judge;
use super::seen::{Scene, Seen};

#[derive(Default)]
pub(super) struct Owners {
    node_ids: BTreeMap<usize, NodeId>,
    /// To whom each epoch was given.
    given: BTreeMap<(BotId, Epoch), NodeId>,
}

impl Owners {
    fn acquired(&mut self, bot_id: &BotId, epoch: Epoch, node_id: NodeId) -> Result<(), String> {
        let last = self.given.range((bot_id.clone(), Epoch(0))..=(bot_id.clone(), Epoch(u64::MAX)));
        if let Some(((_, last), owner)) = last.last()
            && (*last > epoch || (*last == epoch && *owner != node_id))
        {
            return Err(format!("{bot_id}: epoch {epoch} is given to {node_id} after {last}"));
        }
        self.given.insert((bot_id.clone(), epoch), node_id);
        Ok(())
    }

    /// A fenced write was let through.
    fn wrote(&self, process: NodeId, fence: &Fence, what: &str) -> Result<(), String> {
        let owner = self.given.get(&(fence.bot_id.clone(), fence.epoch));
        if owner == Some(&process) {
            return Ok(());
        }
        let Fence { bot_id, epoch } = fence;
        Err(format!("node {process} did {what} for {bot_id} under epoch {epoch} of {owner:?}"))
    }

    /// Something left a node for a bot.
    fn acted(
        &self,
        node: usize,
        bot_id: &BotId,
        what: &str,
        scene: &Scene<'_>,
    ) -> Result<(), String> {
        let owner = scene.store.ownership(bot_id).and_then(|ownership| ownership.owner);
        if owner.is_some_and(|owner| self.node_ids.get(&node) == Some(&owner.node_id)) {
            return Ok(());
        }
        Err(format!("node {node} sends {what} for {bot_id}, which {owner:?} owns"))
    }
}

/// Whether the store takes a node for the owner of a bot for so long at least.
fn trusts(
    node_id: Option<&NodeId>,
    bot_id: &BotId,
    remaining: Millis,
    scene: &Scene<'_>,
) -> Result<(), String> {
    let owner = scene.store.ownership(bot_id).and_then(|ownership| ownership.owner);
    match owner.filter(|owner| node_id == Some(&owner.node_id)) {
        Some(owner) if owner.expires_at < scene.now + remaining => Err(format!(
            "node {} takes itself for the owner of {bot_id} for {remaining}, and the store does for {}",
            owner.node_id,
            owner.expires_at.since(scene.now)
        )),
        Some(_) | None => Ok(()),
    }
}

/// The fence and the name of a request that the store lets only an owner do.
fn fence_of(request: &StoreRequest) -> Option<(&Fence, &'static str)> {
    match request {
        StoreRequest::ReleaseBot(fence) => Some((fence, "release_bot")),
        StoreRequest::HoldBot(fence) => Some((fence, "hold_bot")),
        StoreRequest::RestoreBot { fence, .. } => Some((fence, "restore_bot")),
        StoreRequest::InsertJobs { fence, .. } => Some((fence, "insert_jobs")),
        StoreRequest::Archive { fence, .. } => Some((fence, "archive")),
        StoreRequest::Revise { fence, .. } => Some((fence, "revise")),
        StoreRequest::CompletedJobs { fence, .. } => Some((fence, "completed_jobs")),
        StoreRequest::OwedCallbacks { fence, .. } => Some((fence, "owed_callbacks")),
        StoreRequest::RaiseAttempts { fence, .. } => Some((fence, "raise_attempts")),
        StoreRequest::MarkCalledBack { fence, .. } => Some((fence, "mark_called_back")),
        StoreRequest::OwedSends { fence, .. } => Some((fence, "owed_sends")),
        StoreRequest::MarkSent { fence, .. } => Some((fence, "mark_sent")),
        StoreRequest::Redeliver { fence, .. } => Some((fence, "redeliver")),
        _ => None,
    }
}

impl Judge for Owners {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Booted { node, node_id, .. } => {
                self.node_ids.insert(*node, *node_id);
                Ok(())
            }
            Seen::Applied { by, request, result: Ok(reply), .. } => {
                if let (
                    StoreRequest::AcquireBot { bot_id, node_id, .. },
                    StoreReply::AcquireBot(Acquired::Acquired { epoch }),
                ) = (request, reply)
                {
                    return self.acquired(bot_id, *epoch, *node_id);
                }
                match (by, fence_of(request)) {
                    (Some((_, process)), Some((fence, what))) => self.wrote(*process, fence, what),
                    (None, _) | (_, None) => Ok(()),
                }
            }
            Seen::CallbackSent { node, bot_id, .. } => {
                self.acted(*node, bot_id, "a callback", scene)
            }
            Seen::AckConfirmed { node, bot_id, .. } => {
                self.acted(*node, bot_id, "a confirmation", scene)
            }
            Seen::Receipted { node, bot_id, told, .. } if told.durable_id().is_some() => {
                self.acted(*node, bot_id, "an acknowledgement", scene)
            }
            Seen::Trusts { node, bot_id, remaining } => {
                trusts(self.node_ids.get(node), bot_id, *remaining, scene)
            }
            Seen::Outward { node, bot_id, what } => self.acted(*node, bot_id, what, scene),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, node_id};
    use super::*;

    /// Goal: an epoch that goes back, or is given to two nodes, is found.
    #[test]
    fn epochs_only_grow() {
        let bot_id = BotId::from("bot");
        let mut rule = Owners::default();
        assert_eq!(rule.acquired(&bot_id, Epoch(3), node_id(1)), Ok(()));
        assert_eq!(rule.acquired(&bot_id, Epoch(3), node_id(1)), Ok(()));
        assert!(rule.acquired(&bot_id, Epoch(3), node_id(2)).is_err());
        assert!(rule.acquired(&bot_id, Epoch(2), node_id(1)).is_err());
        assert_eq!(rule.acquired(&BotId::from("bot-1"), Epoch(1), node_id(2)), Ok(()));
    }

    /// Goal: a write that was let through under another node's epoch is found.
    #[test]
    fn only_the_owner_writes() {
        let mut rule = Owners::default();
        rule.acquired(&BotId::from("bot"), Epoch(1), node_id(1)).expect("the first owner");
        let fence = Fence { bot_id: "bot".into(), epoch: Epoch(1) };
        assert_eq!(rule.wrote(node_id(1), &fence, "archive"), Ok(()));
        assert!(rule.wrote(node_id(2), &fence, "archive").is_err());
        let unknown = Fence { epoch: Epoch(2), ..fence };
        assert!(rule.wrote(node_id(1), &unknown, "archive").is_err());
    }

    /// Goal: what leaves a node that does not own the bot is found.
    #[test]
    fn only_the_owner_speaks() {
        let stage = Stage::new();
        let mut rule = Owners::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        let bot_id = &stage.bot_id;
        let outward = |node| Seen::Outward { node, bot_id, what: "a send" };
        assert_eq!(rule.see(&outward(0), &stage.scene()), Ok(()));
        assert!(rule.see(&outward(1), &stage.scene()).is_err());
        let foreign = BotId::from("bot-1");
        let seen = Seen::Outward { node: 0, bot_id: &foreign, what: "a send" };
        assert!(rule.see(&seen, &stage.scene()).is_err());
    }

    /// Goal: a node that takes itself for the owner for longer than the store does is found.
    #[test]
    fn nobody_trusts_longer_than_the_store() {
        let stage = Stage::new();
        let mut rule = Owners::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        let ownership = stage.store.ownership(&stage.bot_id).expect("it is owned");
        let left = ownership.owner.expect("it is owned").expires_at.since(stage.now);
        let longer = Millis::from_ms(left.as_ms() + 1);
        let trusts = |remaining| Seen::Trusts { node: 0, bot_id: &stage.bot_id, remaining };
        assert_eq!(rule.see(&trusts(left), &stage.scene()), Ok(()));
        assert!(rule.see(&trusts(longer), &stage.scene()).is_err());
    }
}
