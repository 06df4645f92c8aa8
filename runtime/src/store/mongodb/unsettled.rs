//! Bots of which a transaction may still be carried out that nobody waits for any more: a call that was
//! given up, a commit whose answer was lost.
//!
//! What such a bot is asked next must be asked behind its fence. Writing the fence tells that nothing is under
//! way any more: an open transaction of the bot would be in the way.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anteroom_core::id::BotId;

/// The bots whose last transaction is not known to have ended.
#[derive(Debug, Default)]
pub(super) struct Unsettled(Mutex<BTreeSet<BotId>>);

impl Unsettled {
    /// A transaction of the bot begins.
    pub(super) fn begin(&self, bot_id: &BotId) {
        self.lock().insert(bot_id.clone());
    }

    /// A transaction that has passed the bot's fence is durable, so all before it have ended as well.
    pub(super) fn end(&self, bot_id: &BotId) {
        self.lock().remove(bot_id);
    }

    /// Whether a transaction of the bot may be under way.
    pub(super) fn contains(&self, bot_id: &BotId) -> bool {
        self.lock().contains(bot_id)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<BotId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
