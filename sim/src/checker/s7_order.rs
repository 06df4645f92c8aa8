//! S7: callbacks of a correspondent come one by one and in order, and under gating not before the
//! media in front of them, unless those had their time.

use std::collections::BTreeMap;

use anteroom_core::bot::event::Callback;
use anteroom_core::id::{BotId, CallbackKey, CorrespondentId, Epoch, MessageId};
use anteroom_core::settings::{BotSettings, NodeSettings};
use anteroom_core::store::{Acquired, StoreReply, StoreRequest};
use anteroom_core::time::{Millis, Timestamp};

use super::Judge;
use super::seen::{Scene, Seen};
use crate::store::CallbackState;

#[derive(Default)]
pub(super) struct Order {
    settings: BTreeMap<usize, NodeSettings>,
    /// When each bot was last owned anew, by the world's time.
    owned_since: BTreeMap<BotId, (Epoch, Timestamp)>,
    /// The last text called back for the first time, by correspondent.
    last_text: BTreeMap<(BotId, CorrespondentId), MessageId>,
    /// The last callback sent, by correspondent, and whether it was sent under gating.
    last_sent: BTreeMap<(BotId, CorrespondentId), (CallbackKey, bool)>,
}

impl Order {
    fn sent(
        &mut self,
        node: usize,
        node_now: Timestamp,
        bot_id: &BotId,
        callback: &Callback,
        scene: &Scene<'_>,
    ) -> Result<(), String> {
        let correspondent = (bot_id.clone(), callback.correspondent_id.clone());
        let settings = self.settings.get(&node);
        let settings =
            settings.map(|node| node.bots.get(bot_id).unwrap_or(&node.bot_defaults).clone());
        let gated = settings.filter(|bot| bot.is_gated(&callback.correspondent_id));
        let is_gated = gated.is_some();
        match gated {
            Some(settings) => self.not_gated_off(&settings, node_now, bot_id, callback, scene)?,
            None => self.alone(bot_id, callback, scene)?,
        }
        self.last_sent.insert(correspondent.clone(), (callback.key(), is_gated));
        if callback.message.media.is_some() || callback.attempt.0 > 1 {
            return Ok(());
        }
        let id = callback.message.id;
        match self.last_text.insert(correspondent, id) {
            Some(last) if last >= id => {
                Err(format!("{bot_id}/{}: text {id} comes after {last}", callback.correspondent_id))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the callback before has ended.
    fn alone(&self, bot_id: &BotId, callback: &Callback, scene: &Scene<'_>) -> Result<(), String> {
        let correspondent = (bot_id.clone(), callback.correspondent_id.clone());
        // Settings that changed since bring another order; then the one before may come later.
        let Some((last, false)) = self.last_sent.get(&correspondent) else { return Ok(()) };
        if *last == callback.key() {
            return Ok(());
        }
        let row = scene.store.archive_row(bot_id, &last.correspondent_id, last.message_id);
        let open = row.is_some_and(|row| {
            row.revision == last.revision && row.callback == CallbackState::Owed
        });
        if open {
            return Err(format!(
                "{bot_id}/{}: {} is called back while {} is open",
                callback.correspondent_id, callback.message.id, last.message_id
            ));
        }
        Ok(())
    }

    /// Whether no medium in front of the callback still has time.
    fn not_gated_off(
        &self,
        settings: &BotSettings,
        node_now: Timestamp,
        bot_id: &BotId,
        callback: &Callback,
        scene: &Scene<'_>,
    ) -> Result<(), String> {
        // The bot runs here since its ownership at the earliest; the node's clock may be ahead.
        let ahead = node_now.since(scene.now);
        let running_since =
            self.owned_since.get(bot_id).map_or(Timestamp::ZERO, |(_, at)| *at + ahead);
        let jobs = scene.store.jobs_of(bot_id).filter(|job| {
            job.revision == 0
                && job.correspondent_id == callback.correspondent_id
                && job.placeholder_message.id < callback.message.id
        });
        for job in jobs {
            let accepted = job.placeholder_message.accepted_time;
            let until = accepted.max(running_since) + settings.gating.max_wait;
            if node_now + Millis::from_ms(1) < until {
                return Err(format!(
                    "{bot_id}/{}: {} is called back before medium {} had its time",
                    callback.correspondent_id, callback.message.id, job.placeholder_message.id
                ));
            }
        }
        Ok(())
    }
}

impl Judge for Order {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Booted { node, settings, .. } => {
                self.settings.insert(*node, NodeSettings::clone(settings));
                Ok(())
            }
            // A clock that jumped says nothing of what was before.
            Seen::Disturbed { .. } => {
                let forgotten = |(_, at): &mut (Epoch, Timestamp)| *at = Timestamp::ZERO;
                self.owned_since.values_mut().for_each(forgotten);
                Ok(())
            }
            Seen::Applied {
                request: StoreRequest::AcquireBot { bot_id, .. },
                result: Ok(StoreReply::AcquireBot(Acquired::Acquired { epoch })),
                ..
            } => {
                // Asked again, the same ownership is told again.
                let since = self.owned_since.entry(bot_id.clone()).or_insert((*epoch, scene.now));
                if since.0 != *epoch {
                    *since = (*epoch, scene.now);
                }
                Ok(())
            }
            Seen::CallbackSent { node, node_now, bot_id, callback } => {
                self.sent(*node, *node_now, bot_id, callback, scene)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, callback_of};
    use super::*;

    fn send(rule: &mut Order, stage: &Stage, callback: &Callback) -> Result<(), String> {
        let (node_now, bot_id) = (stage.now, &stage.bot_id);
        rule.see(&Seen::CallbackSent { node: 0, node_now, bot_id, callback }, &stage.scene())
    }

    /// Goal: a second callback of a correspondent is found while the first is open, and fine after.
    #[test]
    fn one_at_a_time() {
        let mut stage = Stage::new();
        let first = callback_of(&stage.archive_text("m1", "first"));
        let second = callback_of(&stage.archive_text("m2", "second"));
        let mut rule = Order::default();
        send(&mut rule, &stage, &first).expect("the first callback");
        assert!(send(&mut rule, &stage, &second).is_err());
        stage.end(&first.key());
        let mut rule = Order::default();
        send(&mut rule, &stage, &first).expect("the first callback");
        assert_eq!(send(&mut rule, &stage, &second), Ok(()));
    }

    /// Goal: a text that comes behind a later one is found.
    #[test]
    fn texts_come_in_order() {
        let mut stage = Stage::new();
        let first = callback_of(&stage.archive_text("m1", "first"));
        let second = callback_of(&stage.archive_text("m2", "second"));
        stage.end(&second.key());
        let mut rule = Order::default();
        send(&mut rule, &stage, &second).expect("the first callback");
        assert!(send(&mut rule, &stage, &first).is_err());
    }

    /// Goal: a callback that passes an open medium is found under gating, until that had its time.
    #[test]
    fn media_in_front_have_their_time() {
        let mut stage = Stage::new();
        stage.settings.bot_defaults.gating.enabled = true;
        stage.insert_placeholder("m1", 1);
        let text = callback_of(&stage.archive_text("m2", "behind"));
        let mut rule = Order::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        assert!(send(&mut rule, &stage, &text).is_err());
        stage.now = stage.now + stage.settings.bot_defaults.gating.max_wait;
        let mut rule = Order::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        assert_eq!(send(&mut rule, &stage, &text), Ok(()));
    }
}
