//! S7: callbacks of a correspondent come one by one and in order, and under gating not before the
//! media in front of them, unless those had their time. What comes together counts as one, and what
//! came together once gets no company later, as long as its bot runs and no operator owes it anew.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::bot::event::Callback;
use anteroom_core::id::{BotId, CallbackKey, CorrespondentId, Epoch, MessageId};
use anteroom_core::settings::{BotSettings, NodeSettings};
use anteroom_core::store::{Acquired, Mark, StoreReply, StoreRequest};
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
    /// The last callbacks sent at once, by correspondent, and whether they were sent under gating.
    last_sent: BTreeMap<(BotId, CorrespondentId), (BTreeSet<CallbackKey>, bool)>,
    /// What came together last since the bot was started, by correspondent.
    together: BTreeMap<(BotId, CorrespondentId), BTreeSet<CallbackKey>>,
    /// What is said to come together and has not come yet.
    coming: BTreeSet<(BotId, CallbackKey)>,
}

impl Order {
    /// Callbacks come together, at once after this.
    fn comes_together(
        &mut self,
        node: usize,
        bot_id: &BotId,
        callbacks: &[Callback],
        scene: &Scene<'_>,
    ) -> Result<(), String> {
        let Some(first) = callbacks.first() else {
            return Err(format!("{bot_id}: nothing comes together"));
        };
        let correspondent = (bot_id.clone(), first.correspondent_id.clone());
        let keys: BTreeSet<_> = callbacks.iter().map(Callback::key).collect();
        if callbacks.iter().any(|it| it.correspondent_id != first.correspondent_id) {
            return Err(format!("{bot_id}: callbacks of several correspondents come together"));
        }
        if keys.len() != callbacks.len() {
            return Err(format!("{bot_id}/{}: one comes twice together", correspondent.1));
        }
        let bot =
            self.settings.get(&node).map(|it| it.bots.get(bot_id).unwrap_or(&it.bot_defaults));
        if bot.is_some_and(|bot| keys.len() > bot.callbacks.together_max()) {
            return Err(format!("{bot_id}/{}: {} come together", correspondent.1, keys.len()));
        }
        let is_gated = bot.is_some_and(|bot| bot.is_gated(&first.correspondent_id));
        if !is_gated {
            self.alone(bot_id, &first.correspondent_id, &keys, scene)?;
        }
        if let Some(before) = self.together.get(&correspondent)
            && !before.is_disjoint(&keys)
            && !keys.is_subset(before)
        {
            return Err(format!(
                "{bot_id}/{}: what came together has new company: {keys:?}, before {before:?}",
                correspondent.1
            ));
        }
        self.together.insert(correspondent.clone(), keys.clone());
        self.coming = keys.iter().map(|key| (bot_id.clone(), key.clone())).collect();
        self.last_sent.insert(correspondent, (keys, is_gated));
        Ok(())
    }

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
        if let Some(settings) = gated {
            self.not_gated_off(&settings, node_now, bot_id, callback, scene)?;
        }
        if !self.coming.remove(&(bot_id.clone(), callback.key())) {
            let keys = BTreeSet::from([callback.key()]);
            if !is_gated {
                self.alone(bot_id, &callback.correspondent_id, &keys, scene)?;
            }
            self.last_sent.insert(correspondent.clone(), (keys, is_gated));
        }
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

    /// What has ended is open no more, even where an operator has it owed anew; then it may come in any
    /// company.
    fn ended(&mut self, bot_id: &BotId, key: &CallbackKey, scene: &Scene<'_>) {
        let row = scene.store.archive_row(bot_id, &key.correspondent_id, key.message_id);
        if row.is_some_and(|row| row.callback == CallbackState::Owed) {
            return;
        }
        let correspondent = (bot_id.clone(), key.correspondent_id.clone());
        if let Some((open, _)) = self.last_sent.get_mut(&correspondent) {
            open.remove(key);
        }
        if let Some(together) = self.together.get_mut(&correspondent) {
            together.remove(key);
        }
    }

    /// Whether what came at once before has ended, but for what comes again.
    fn alone(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
        keys: &BTreeSet<CallbackKey>,
        scene: &Scene<'_>,
    ) -> Result<(), String> {
        let correspondent = (bot_id.clone(), correspondent_id.clone());
        // Settings that changed since bring another order; then the one before may come later.
        let Some((before, false)) = self.last_sent.get(&correspondent) else { return Ok(()) };
        let open = before.difference(keys).find(|key| {
            let row = scene.store.archive_row(bot_id, &key.correspondent_id, key.message_id);
            row.is_some_and(|row| {
                row.revision == key.revision && row.callback == CallbackState::Owed
            })
        });
        // What came together may come apart when its bot starts anew, and comes again in parts.
        let anew = !self.together.contains_key(&correspondent) && !before.is_disjoint(keys);
        match open.filter(|_| !anew) {
            Some(open) => Err(format!(
                "{bot_id}/{correspondent_id}: {keys:?} is called back while {} is open",
                open.message_id
            )),
            None => Ok(()),
        }
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
                self.together.retain(|(owned, _), _| owned != bot_id);
                Ok(())
            }
            Seen::Applied { request: StoreRequest::MarkCalledBack { fence, marks }, .. } => {
                for Mark { key, .. } in marks {
                    self.ended(&fence.bot_id, key, scene);
                }
                Ok(())
            }
            Seen::Together { node, bot_id, callbacks } => {
                self.comes_together(*node, bot_id, callbacks, scene)
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
    use std::num::NonZeroU32;

    use anteroom_core::id::Attempt;
    use anteroom_core::settings::Debounce;

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

    /// Goal: what was refused too often is open no more, and not again by being owed anew.
    #[test]
    fn what_is_owed_anew_was_not_open_before() {
        let mut stage = Stage::new();
        let [first, second] =
            ["m1", "m2"].map(|name| callback_of(&stage.archive_text(name, "hello")));
        let mut rule = Order::default();
        send(&mut rule, &stage, &second).expect("the second callback");
        let (request, result) = stage.given_up(&second.key());
        let (by, lost) = (None, false);
        let seen = Seen::Applied { by, request: &request, result: &result, lost };
        rule.see(&seen, &stage.scene()).expect("it ends");
        stage.owe_anew(&second.key());
        let again = Callback { attempt: Attempt(2), ..first };
        assert_eq!(send(&mut rule, &stage, &again), Ok(()));
        assert!(send(&mut rule, &stage, &second).is_err(), "the first is open");
    }

    fn send_together(
        rule: &mut Order,
        stage: &Stage,
        callbacks: &[&Callback],
    ) -> Result<(), String> {
        let bot_id = &stage.bot_id;
        let callbacks: Vec<_> = callbacks.iter().copied().cloned().collect();
        let together = Seen::Together { node: 0, bot_id, callbacks: &callbacks };
        rule.see(&together, &stage.scene())?;
        callbacks.iter().try_for_each(|callback| send(rule, stage, callback))
    }

    /// Goal: what comes together counts as one: nothing else comes while a part of it is open, a part
    /// of it may come again by itself, and with company it never did have it may not.
    #[test]
    fn what_came_together_gets_no_company() {
        let mut stage = Stage::new();
        stage.settings.bot_defaults.callbacks.debounce = Some(Debounce {
            window: Millis::from_secs(1),
            max_wait: Millis::from_secs(2),
            max_messages: NonZeroU32::MIN.saturating_add(1),
        });
        let [first, second, third] =
            ["m1", "m2", "m3"].map(|name| callback_of(&stage.archive_text(name, "hello")));
        let mut rule = Order::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        assert!(send_together(&mut rule, &stage, &[&first, &second, &third]).is_err());
        send_together(&mut rule, &stage, &[&first, &second]).expect("a burst");
        assert!(send_together(&mut rule, &stage, &[&third]).is_err());
        stage.end(&first.key());
        assert!(send_together(&mut rule, &stage, &[&third]).is_err());
        let again = Callback { attempt: Attempt(2), ..second.clone() };
        assert!(send_together(&mut rule, &stage, &[&again, &third]).is_err());
        assert_eq!(send_together(&mut rule, &stage, &[&again]), Ok(()));
        stage.end(&second.key());
        assert_eq!(send_together(&mut rule, &stage, &[&third]), Ok(()));
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
