//! L1: every acknowledged message is archived once and called back, and every send that was taken is
//! confirmed.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{BotId, CallbackKey, MessageId};
use anteroom_core::store::CallbackEnd;

use super::Ends;
use super::seen::{Final, Seen};
use crate::plan::MessageName;
use crate::store::CallbackState;

#[derive(Default)]
pub(super) struct Delivered {
    acknowledged: BTreeMap<MessageName, (BotId, MessageId)>,
    got: BTreeSet<(BotId, CallbackKey)>,
}

impl Ends for Delivered {
    fn see(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Receipted { bot_id, name, told, .. } => {
                if let Some(id) = told.durable_id() {
                    let named = (BotId::clone(bot_id), id);
                    self.acknowledged.insert(MessageName::clone(name), named);
                }
            }
            Seen::CallbackGot { bot_id, callback } => {
                self.got.insert((BotId::clone(bot_id), callback.key()));
            }
            _ => {}
        }
    }

    fn judge(&self, world: &Final<'_>) -> Result<(), String> {
        for (name, (bot_id, id)) in &self.acknowledged {
            if world.store.archive_row(bot_id, &name.correspondent_id, *id).is_none() {
                return Err(format!("{name:?} was acknowledged as {id} and is not archived"));
            }
        }
        let mut seen = BTreeSet::new();
        for row in world.store.archive_rows() {
            let message = &row.message;
            let named = format!("{}/{}/{}", row.bot_id, row.correspondent_id, message.id);
            let provider_message_id = message.provider_message_id.clone();
            if !seen.insert((&row.bot_id, &row.correspondent_id, provider_message_id)) {
                return Err(format!("{named} is archived twice"));
            }
            match row.callback {
                CallbackState::Owed => {
                    let revised = if row.revision > 0 { " of revision" } else { "" };
                    let attempts = row.attempts.0;
                    return Err(format!(
                        "{named} is owed its callback{revised}, {attempts} attempts"
                    ));
                }
                CallbackState::Ended { end: CallbackEnd::Acknowledged, .. }
                    if !row.told_by().any(|key| self.got.contains(&(row.bot_id.clone(), key))) =>
                {
                    return Err(format!("{named} counts as called back, and nobody got it"));
                }
                CallbackState::Ended { .. } | CallbackState::NotOwed { .. } => {}
            }
        }
        match world.store.sends().find(|send| send.sent.is_none()) {
            Some(send) => Err(format!("the send {} was never confirmed", send.send.send_id)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, callback_of};
    use super::*;

    /// Goal: a callback that is owed, and one that ended without anybody getting it, are found.
    #[test]
    fn callbacks_end_with_somebody() {
        let mut stage = Stage::new();
        let callback = callback_of(&stage.archive_text("m1", "hello"));
        let mut rule = Delivered::default();
        assert!(rule.judge(&stage.ends()).is_err(), "it is owed");
        stage.end(&callback.key());
        assert!(rule.judge(&stage.ends()).is_err(), "nobody got it");
        let bot_id = stage.bot_id.clone();
        rule.see(&Seen::CallbackGot { bot_id: &bot_id, callback: &callback });
        assert_eq!(rule.judge(&stage.ends()), Ok(()));
    }

    /// Goal: an acknowledged message that is not archived is found.
    #[test]
    fn acknowledged_messages_are_archived() {
        let stage = Stage::new();
        let (name, _) = stage.draft("m1", "hello");
        let mut rule = Delivered::default();
        rule.acknowledged.insert(name, (stage.bot_id.clone(), MessageId::FIRST));
        assert!(rule.judge(&stage.ends()).is_err());
    }
}
