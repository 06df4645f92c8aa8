//! Correspondents as numbers.
//!
//! Owns the `correspondents` table. The names of a bot and of a correspondent are long, and stand at the
//! beginning of every key that a message is found by; in their place the keys hold one number. A number is
//! given once and never changes, so a connection remembers those that it has met.
//!
//! **Invariant:** what is remembered is committed, or written in the transaction that is open: whoever
//! rolls back forgets.

use std::cell::RefCell;
use std::collections::HashMap;

use anteroom_core::id::{BotId, CorrespondentId};

use super::failure::Answer;
use super::work::Work;

/// How many numbers a connection remembers, some 20 MB of them.
const REMEMBERED_MAX: usize = 100_000;

/// The number of a correspondent.
pub(super) const NUMBER: &str = "SELECT correspondent FROM correspondents
     WHERE bot_id = ?1 AND correspondent_id = ?2";

/// The numbers that a connection has met.
#[derive(Debug, Default)]
pub(super) struct Correspondents(RefCell<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    of_bots: HashMap<BotId, HashMap<CorrespondentId, i64>>,
    count: usize,
}

impl Correspondents {
    /// Forgets all numbers, for those of a transaction that was rolled back may be given to others.
    pub(super) fn forget(&self) {
        self.0.take();
    }

    fn get(&self, bot_id: &BotId, correspondent_id: &CorrespondentId) -> Option<i64> {
        self.0.borrow().of_bots.get(bot_id)?.get(correspondent_id).copied()
    }

    fn remember(&self, bot_id: &BotId, correspondent_id: &CorrespondentId, number: i64) {
        let mut remembered = self.0.borrow_mut();
        if remembered.count >= REMEMBERED_MAX {
            *remembered = Remembered::default();
        }
        remembered.count += 1;
        let of_bot = remembered.of_bots.entry(bot_id.clone()).or_default();
        of_bot.insert(correspondent_id.clone(), number);
    }
}

/// The number of a correspondent, if the store has ever heard of it. As a parameter, none finds nothing.
pub(super) fn number(
    work: &Work<'_>,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
) -> Answer<Option<i64>> {
    if let Some(number) = work.correspondents.get(bot_id, correspondent_id) {
        return Ok(Some(number));
    }
    let names = (bot_id.as_str(), correspondent_id.as_str());
    let number = work.first(NUMBER, names, |row| row.get(0))?;
    if let Some(number) = number {
        work.correspondents.remember(bot_id, correspondent_id, number);
    }
    Ok(number)
}

/// The number of a correspondent that something is to be written for.
pub(super) fn number_for_writing(
    work: &Work<'_>,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
) -> Answer<i64> {
    if let Some(number) = number(work, bot_id, correspondent_id)? {
        return Ok(number);
    }
    work.run(
        "INSERT INTO correspondents (bot_id, correspondent_id) VALUES (?1, ?2)",
        (bot_id.as_str(), correspondent_id.as_str()),
    )?;
    let number = work.connection.last_insert_rowid();
    work.correspondents.remember(bot_id, correspondent_id, number);
    Ok(number)
}
