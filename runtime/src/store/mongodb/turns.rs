//! One transaction of a bot at a time.
//!
//! Every transaction of a bot writes the same fence, so two at once would only abort each other. Owns
//! the queues in which they wait; a bot that nobody waits for takes no room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anteroom_core::id::BotId;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// The bots whose transactions are under way.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queues: Mutex<BTreeMap<BotId, Arc<Queue<()>>>>,
}

/// A bot's turn, until dropped.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    bot_id: BotId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until no other transaction of the bot is under way.
    pub(super) async fn take(&self, bot_id: &BotId) -> Turn<'_> {
        let queue = Arc::clone(self.lock().entry(bot_id.clone()).or_default());
        // Made first, so that a caller that gives up waiting leaves nothing behind.
        let mut turn = Turn { turns: self, bot_id: bot_id.clone(), guard: None };
        turn.guard = Some(queue.lock_owned().await);
        turn
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<BotId, Arc<Queue<()>>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.lock();
        drop(self.guard.take());
        // Whoever waits holds a clone, and clones are made only under the lock that is held here.
        if queues.get(&self.bot_id).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.bot_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: turns of a bot follow one another, those of others do not wait, and nothing is left
    /// behind, also by a caller that gave up.
    #[tokio::test]
    async fn turns_of_a_bot_follow_one_another() {
        let turns = Turns::default();
        let (a, b) = (BotId::from("a"), BotId::from("b"));
        let first = turns.take(&a).await;
        let other = turns.take(&b).await;
        let mut second = Box::pin(turns.take(&a));
        assert!(futures_util::poll!(&mut second).is_pending());
        let gave_up = Box::pin(turns.take(&a));
        drop(gave_up);
        drop(first);
        drop((second.await, other));
        assert!(turns.lock().is_empty());
    }
}
