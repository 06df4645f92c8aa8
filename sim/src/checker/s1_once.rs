//! S1: one callback a message. It is judged where a node decides to send.
//!
//! A callback is sent for what is archived and owed, with the content that is archived and a number
//! that is durable and was never used. It is sent again only when the attempt before came to nothing:
//! its time was up, its line ended, the consumer said no, or the node was disturbed, died, or lost
//! the bot. Once its acknowledgement was confirmed it is never sent again. What was given up is owed anew
//! only for an operator who has seen its last attempt.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::bot::event::Callback;
use anteroom_core::id::{Attempt, BotId, CallbackKey, Epoch};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{Acquired, CallbackEnd, RedeliverAnswer, StoreReply, StoreRequest};
use anteroom_core::time::Timestamp;

use super::Judge;
use super::seen::{Scene, Seen};
use crate::store::CallbackState;

#[derive(Default)]
pub(super) struct Once {
    sends: BTreeMap<(BotId, CallbackKey), Sends>,
    settings: BTreeMap<usize, NodeSettings>,
    /// When a node was last disturbed, or died.
    disturbed: BTreeMap<usize, Timestamp>,
    /// When a bot's line to its consumer last changed, or the bot was lost.
    interrupted: BTreeMap<BotId, Timestamp>,
    /// What was given up, and its last attempt.
    given_up: BTreeMap<(BotId, CallbackKey), Attempt>,
    /// The last ownership of each bot, and whether it ended in order.
    epochs: BTreeMap<BotId, (Epoch, bool)>,
    sent: u64,
    again: u64,
}

/// How often a callback was sent.
struct Sends {
    numbers: BTreeSet<u32>,
    last_at: Timestamp,
    last_node: usize,
    refused: bool,
    confirmed: bool,
}

impl Once {
    /// Callbacks that were sent, and of them those that were sent again.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent, self.again)
    }

    fn sent(
        &mut self,
        node: usize,
        bot_id: &BotId,
        callback: &Callback,
        scene: &Scene<'_>,
    ) -> Result<(), String> {
        let key = callback.key();
        owed_as_sent(bot_id, callback, scene)?;
        self.sent += 1;
        let named = format!("callback {}/{}/{}", bot_id, key.correspondent_id, key.message_id);
        let number = callback.attempt.0;
        let cause = self.interrupted.get(bot_id).copied();
        let Some(sends) = self.sends.get_mut(&(bot_id.clone(), key.clone())) else {
            let numbers = BTreeSet::from([number]);
            let sends = Sends {
                numbers,
                last_at: scene.now,
                last_node: node,
                refused: false,
                confirmed: false,
            };
            self.sends.insert((bot_id.clone(), key), sends);
            return Ok(());
        };
        self.again += 1;
        if sends.confirmed {
            return Err(format!("{named} is sent after its acknowledgement was confirmed"));
        }
        if sends.numbers.last().is_some_and(|last| *last >= number) {
            return Err(format!("{named} is sent as attempt {number} after {:?}", sends.numbers));
        }
        let settings = self.settings.get(&sends.last_node);
        let ack_timeout = settings.map(|settings| {
            settings.bots.get(bot_id).unwrap_or(&settings.bot_defaults).callbacks.ack_timeout
        });
        let came_to_nothing = sends.refused
            || ack_timeout.is_none_or(|timeout| scene.now.since(sends.last_at) >= timeout)
            || cause.is_some_and(|at| at >= sends.last_at)
            || self.disturbed.get(&sends.last_node).is_some_and(|at| *at >= sends.last_at);
        if !came_to_nothing {
            return Err(format!(
                "{named} is sent again, {} after an attempt that nothing has ended",
                scene.now.since(sends.last_at)
            ));
        }
        sends.numbers.insert(number);
        (sends.last_at, sends.last_node, sends.refused) = (scene.now, node, false);
        Ok(())
    }

    fn ended(&mut self, bot_id: &BotId, key: &CallbackKey, scene: &Scene<'_>) {
        let row = scene.store.archive_row(bot_id, &key.correspondent_id, key.message_id);
        let end = row.map(|row| (row.callback, row.attempts));
        let named = (bot_id.clone(), key.clone());
        match end {
            Some((CallbackState::Ended { end: CallbackEnd::Undeliverable, .. }, attempts)) => {
                self.given_up.insert(named, attempts);
            }
            Some(_) | None => {
                self.given_up.remove(&named);
            }
        }
    }

    /// Whoever had it owed anew must have seen its last attempt.
    fn owed_anew(
        &mut self,
        bot_id: &BotId,
        key: &CallbackKey,
        seen: Attempt,
    ) -> Result<(), String> {
        match self.given_up.remove(&(bot_id.clone(), key.clone())) {
            Some(last) if last != seen => Err(format!(
                "callback {bot_id}/{}/{} is owed anew for one who saw {seen:?}, and the last was {last:?}",
                key.correspondent_id, key.message_id
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// A bot has an owner: when the one before did not end in order, the bot was lost in between.
    fn acquired(&mut self, bot_id: &BotId, epoch: Epoch, now: Timestamp) {
        let last = self.epochs.insert(bot_id.clone(), (epoch, false));
        if last.is_some_and(|(before, in_order)| before != epoch && !in_order) {
            self.interrupted.insert(bot_id.clone(), now);
        }
    }
}

/// Whether a callback is what the store owes.
fn owed_as_sent(bot_id: &BotId, callback: &Callback, scene: &Scene<'_>) -> Result<(), String> {
    let message = &callback.message;
    let named = format!("callback {bot_id}/{}/{}", callback.correspondent_id, message.id);
    let row = scene.store.archive_row(bot_id, &callback.correspondent_id, message.id);
    let row = row.ok_or_else(|| format!("{named} is sent, and no such message is archived"))?;
    if row.revision != callback.revision || row.message != *message {
        return Err(format!("{named} is sent, and the archived message is another"));
    }
    if row.callback != CallbackState::Owed {
        return Err(format!("{named} is sent, and not owed: {:?}", row.callback));
    }
    if callback.attempt.0 == 0 || callback.attempt > row.attempts {
        return Err(format!(
            "{named} is sent as {:?}, stored is {:?}",
            callback.attempt, row.attempts
        ));
    }
    Ok(())
}

impl Judge for Once {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Booted { node, settings, .. } => {
                self.settings.insert(*node, NodeSettings::clone(settings));
            }
            Seen::Died { node } | Seen::Disturbed { node } => {
                self.disturbed.insert(*node, scene.now);
            }
            Seen::LineChanged { bot_id, .. } => {
                self.interrupted.insert(BotId::clone(bot_id), scene.now);
            }
            Seen::ConsumerSaid { bot_id, key, acknowledged: false, .. } => {
                let key = (BotId::clone(bot_id), CallbackKey::clone(key));
                if let Some(sends) = self.sends.get_mut(&key) {
                    sends.refused = true;
                }
            }
            Seen::AckConfirmed { bot_id, key, .. } => {
                let key = (BotId::clone(bot_id), CallbackKey::clone(key));
                if let Some(sends) = self.sends.get_mut(&key) {
                    sends.confirmed = true;
                }
            }
            Seen::Applied { request, result: Ok(reply), .. } => match (request, reply) {
                (
                    StoreRequest::AcquireBot { bot_id, .. },
                    StoreReply::AcquireBot(Acquired::Acquired { epoch }),
                ) => self.acquired(bot_id, *epoch, scene.now),
                (StoreRequest::MarkCalledBack { fence, marks }, _) => {
                    for mark in marks {
                        self.ended(&fence.bot_id, &mark.key, scene);
                    }
                }
                (
                    StoreRequest::Redeliver { fence, key, attempts },
                    StoreReply::Redeliver(RedeliverAnswer::Owed { .. }),
                ) => return self.owed_anew(&fence.bot_id, key, *attempts),
                (StoreRequest::HoldBot(fence), _) => {
                    self.epochs.insert(fence.bot_id.clone(), (fence.epoch, true));
                }
                _ => {}
            },
            Seen::CallbackSent { node, bot_id, callback, .. } => {
                return self.sent(*node, bot_id, callback, scene);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anteroom_core::id::Attempt;
    use anteroom_core::time::Millis;

    use super::super::stage::{Stage, callback_of};
    use super::*;

    fn send(rule: &mut Once, stage: &Stage, callback: &Callback) -> Result<(), String> {
        let (node_now, bot_id) = (stage.now, &stage.bot_id);
        rule.see(&Seen::CallbackSent { node: 0, node_now, bot_id, callback }, &stage.scene())
    }

    fn again(callback: &Callback) -> Callback {
        Callback { attempt: Attempt(callback.attempt.0 + 1), ..callback.clone() }
    }

    /// Goal: the first attempt at an owed callback is fine, one at what nobody archived is not.
    #[test]
    fn only_what_is_archived_is_called_back() {
        let mut stage = Stage::new();
        let message = stage.archive_text("m1", "hello");
        let mut rule = Once::default();
        assert_eq!(send(&mut rule, &stage, &callback_of(&message)), Ok(()));
        let unknown = Stage::new().archive_text("m2", "never");
        let mut stranger = callback_of(&unknown);
        stranger.correspondent_id = "nobody".into();
        assert!(send(&mut rule, &stage, &stranger).is_err());
    }

    /// Goal: a changed content and a number that is not durable are found.
    #[test]
    fn content_and_number_are_those_of_the_store() {
        let mut stage = Stage::new();
        let message = stage.archive_text("m1", "hello");
        let mut changed = callback_of(&message);
        std::sync::Arc::make_mut(&mut changed.message).content.push('!');
        assert!(send(&mut Once::default(), &stage, &changed).is_err());
        assert!(send(&mut Once::default(), &stage, &again(&callback_of(&message))).is_err());
    }

    /// Goal: a callback is not sent again while nothing has ended its attempt, and is after that.
    #[test]
    fn again_only_after_an_attempt_that_came_to_nothing() {
        let mut stage = Stage::new();
        let message = stage.archive_text("m1", "hello");
        let first = callback_of(&message);
        let mut rule = Once::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        send(&mut rule, &stage, &first).expect("the first attempt");
        stage.raise(&first.key());
        assert!(send(&mut rule, &stage, &again(&first)).is_err());
        stage.now = stage.now + Millis::from_minutes(10);
        assert_eq!(send(&mut rule, &stage, &again(&first)), Ok(()));
        assert!(send(&mut rule, &stage, &again(&first)).is_err(), "a number is used once");
    }

    /// Goal: nothing is sent after its acknowledgement was confirmed, nor when it is not owed.
    #[test]
    fn never_after_a_confirmed_acknowledgement() {
        let mut stage = Stage::new();
        let message = stage.archive_text("m1", "hello");
        let first = callback_of(&message);
        let mut rule = Once::default();
        send(&mut rule, &stage, &first).expect("the first attempt");
        let (key, bot_id) = (first.key(), stage.bot_id.clone());
        rule.see(&Seen::AckConfirmed { node: 0, bot_id: &bot_id, key: &key }, &stage.scene())
            .expect("a confirmation breaks nothing");
        stage.raise(&key);
        stage.now = stage.now + Millis::from_minutes(10);
        assert!(send(&mut rule, &stage, &again(&first)).is_err());
        stage.end(&key);
        assert!(send(&mut Once::default(), &stage, &first).is_err());
    }

    /// Goal: what was given up is owed anew for one who has seen its last attempt, and for nobody else.
    #[test]
    fn owed_anew_only_for_one_who_has_seen_the_last_attempt() {
        let mut stage = Stage::new();
        let message = stage.archive_text("m1", "hello");
        let key = callback_of(&message).key();
        let mut rule = Once::default();
        let mut gives_up = |rule: &mut Once| {
            let (request, result) = stage.given_up(&key);
            let seen = Seen::Applied { by: None, request: &request, result: &result, lost: false };
            rule.see(&seen, &stage.scene()).expect("it is given up");
        };
        let owes_anew = |rule: &mut Once, seen| rule.owed_anew(&"bot".into(), &key, seen);
        gives_up(&mut rule);
        assert_eq!(owes_anew(&mut rule, Attempt(1)), Ok(()));
        gives_up(&mut rule);
        assert!(owes_anew(&mut rule, Attempt(7)).is_err());
    }
}
