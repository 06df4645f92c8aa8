//! The bots that were acquired here: their providers as they were found then, and until when they are
//! surely nobody else's.
//!
//! A bot's provider changes only if the bot is removed and registered anew, and then it is acquired anew
//! before anyone acts for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anteroom_core::id::{BotId, Epoch, ProviderName};
use anteroom_core::store::Fence;
use anteroom_core::time::{Millis, Timestamp};

/// The bots that were acquired here.
#[derive(Debug, Default)]
pub(super) struct KnownBots(Mutex<BTreeMap<BotId, Known>>);

#[derive(Debug)]
struct Known {
    provider_name: Option<ProviderName>,
    hold: Option<Hold>,
}

/// A bot's ownership, as far as it is relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    epoch: Epoch,
    until: Timestamp,
}

impl Hold {
    /// That of an ownership that was asked for at a moment of this machine. Half of its time is not relied
    /// on: clocks go at different speeds, and the server's may be set.
    pub(super) fn new(epoch: Epoch, asked_at: Timestamp, ttl: Millis) -> Self {
        Self { epoch, until: asked_at + Millis::from_ms(ttl.as_ms() / 2) }
    }
}

impl KnownBots {
    /// Remembers a bot, and its provider if it has been registered.
    pub(super) fn add(&self, bot_id: &BotId, provider_name: Option<ProviderName>, hold: Hold) {
        self.lock().insert(bot_id.clone(), Known { provider_name, hold: Some(hold) });
    }

    /// Remembers that an ownership was prolonged, unless it was given up or lost meanwhile.
    pub(super) fn prolong(&self, bot_id: &BotId, by: Hold) {
        let mut known = self.lock();
        let hold = known.get_mut(bot_id).and_then(|known| known.hold.as_mut());
        if let Some(hold) = hold.filter(|hold| hold.epoch == by.epoch) {
            hold.until = hold.until.max(by.until);
        }
    }

    /// Remembers that a bot is no longer this node's.
    pub(super) fn give_up(&self, bot_id: &BotId) {
        if let Some(known) = self.lock().get_mut(bot_id) {
            known.hold = None;
        }
    }

    /// Whether a bot is surely its owner's at a moment of this machine: nobody else can have acquired it.
    /// When not, the server must be asked.
    pub(super) fn holds(&self, fence: &Fence, now: Timestamp) -> bool {
        let known = self.lock();
        let hold = known.get(&fence.bot_id).and_then(|known| known.hold);
        hold.is_some_and(|hold| hold.epoch == fence.epoch && now < hold.until)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<BotId> {
        self.lock().keys().cloned().collect()
    }

    /// Whether a bot was acquired here.
    pub(super) fn contains(&self, bot_id: &BotId) -> bool {
        self.lock().contains_key(bot_id)
    }

    /// A bot's provider, if it is known.
    pub(super) fn provider_name(&self, bot_id: &BotId) -> Option<ProviderName> {
        self.lock().get(bot_id).and_then(|known| known.provider_name.clone())
    }

    /// Forgets the provider of a bot that is registered anew.
    pub(super) fn forget_provider(&self, bot_id: &BotId) {
        if let Some(known) = self.lock().get_mut(bot_id) {
            known.provider_name = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BotId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(epoch: u64) -> Fence {
        Fence { bot_id: "b".into(), epoch: Epoch(epoch) }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    /// Goal: a bot is held for half of its ownership's time from the moment it was asked for, under its
    /// epoch alone, and no longer once it is given up.
    #[test]
    fn a_bot_is_held_for_half_of_its_time() {
        let bots = KnownBots::default();
        let bot_id = BotId::from("b");
        let ttl = Millis::from_secs(90);
        assert!(!bots.holds(&fence(1), at(0)));
        bots.add(&bot_id, None, Hold::new(Epoch(1), at(1_000), ttl));
        assert!(bots.holds(&fence(1), at(45_999)));
        assert!(!bots.holds(&fence(1), at(46_000)));
        assert!(!bots.holds(&fence(2), at(1_000)));
        bots.prolong(&bot_id, Hold::new(Epoch(1), at(31_000), ttl));
        assert!(bots.holds(&fence(1), at(46_000)));
        bots.give_up(&bot_id);
        bots.prolong(&bot_id, Hold::new(Epoch(1), at(46_000), ttl));
        assert!(!bots.holds(&fence(1), at(46_000)));
        assert!(bots.contains(&bot_id));
    }
}
