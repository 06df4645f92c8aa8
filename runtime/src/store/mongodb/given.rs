//! Where the rows of the callbacks lie that were given to this node, to call back.
//!
//! Kept so that a mark finds its row by `_id`. It is never decided by: what is missing here, or stands here
//! and is no more, is looked for by the message it is of.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anteroom_core::id::{BotId, CallbackKey, CorrespondentId, Epoch, MessageId};
use anteroom_core::store::{Fence, Mark};
use mongodb::bson::oid::ObjectId;

use super::archive_documents::Row;

/// How many rows of a bot are remembered at the most: more than wait for a consumer at once.
const ROWS_OF_BOT_MAX: usize = 10_000;

/// The callbacks that were given to this node.
#[derive(Debug, Default)]
pub(super) struct Given(Mutex<BTreeMap<BotId, OfBot>>);

#[derive(Debug, Default)]
struct OfBot {
    epoch: Epoch,
    rows: BTreeMap<(CorrespondentId, MessageId), ObjectId>,
}

impl Given {
    /// Remembers rows whose callbacks are given out under an epoch.
    pub(super) fn add<'r>(
        &self,
        bot_id: &BotId,
        epoch: Epoch,
        rows: impl IntoIterator<Item = &'r Row>,
    ) {
        let mut bots = self.lock();
        let of_bot = bots.entry(bot_id.clone()).or_default();
        if of_bot.epoch != epoch {
            *of_bot = OfBot { epoch, rows: BTreeMap::new() };
        }
        for row in rows {
            if of_bot.rows.len() >= ROWS_OF_BOT_MAX {
                of_bot.rows.clear();
            }
            of_bot.rows.insert((row.correspondent_id.clone(), row.id), row.position);
        }
    }

    /// The rows of callbacks that end, in the order of the marks, and forgets them; none when one of
    /// them is not known.
    pub(super) fn take(&self, fence: &Fence, marks: &[Mark]) -> Option<Vec<ObjectId>> {
        let mut bots = self.lock();
        let of_bot = bots.get_mut(&fence.bot_id).filter(|of_bot| of_bot.epoch == fence.epoch)?;
        let taken: Vec<_> =
            marks.iter().map(|mark| of_bot.rows.remove(&place(&mark.key))).collect();
        taken.into_iter().collect()
    }

    /// Forgets a bot that is given up.
    pub(super) fn forget(&self, bot_id: &BotId) {
        self.lock().remove(bot_id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BotId, OfBot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a row is found by within its bot.
pub(super) fn place(key: &CallbackKey) -> (CorrespondentId, MessageId) {
    (key.correspondent_id.clone(), key.message_id)
}
