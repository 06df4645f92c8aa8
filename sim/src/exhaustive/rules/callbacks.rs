//! What the consumer is told, and what it told: S1, S6, S7.

use anteroom_core::bot::event::{AckAnswer, Callback};
use anteroom_core::id::{BotId, CallbackKey, NodeId, RequestId};
use anteroom_core::store::{CallbackEnd, Mark};
use anteroom_core::time::Timestamp;

use super::Rules;
use crate::store::{CallbackState, StoreModel};

impl Rules {
    /// S1, S6: a callback goes out.
    pub fn called_back(
        &mut self,
        now: Timestamp,
        node: usize,
        node_id: NodeId,
        bot_id: &BotId,
        callback: &Callback,
        store: &StoreModel,
    ) {
        let key = (bot_id.clone(), callback.key());
        let row = store.archive_row(bot_id, &callback.correspondent_id, callback.message.id);
        match row {
            None => self.break_rule("S1", format!("{key:?} is called back and not archived")),
            Some(row) if row.revision == callback.revision => {
                if *row.message != *callback.message {
                    self.break_rule("S1", format!("{key:?} has another content than its row"));
                }
                if row.attempts < callback.attempt {
                    let attempt = callback.attempt;
                    self.break_rule("S1", format!("{key:?}: {attempt:?} is not durable"));
                }
            }
            Some(_) => {}
        }
        if self.confirmed.contains(&key) {
            self.break_rule("S1", format!("{key:?} comes after its acknowledgement"));
        }
        let last = self.attempts.insert(key.clone(), callback.attempt);
        if last.is_some_and(|last| last >= callback.attempt) {
            let attempt = callback.attempt;
            self.break_rule("S1", format!("{key:?}: {attempt:?} after {last:?}"));
        }
        let mut owners = store.ownerships().filter(|(owned, _)| *owned == bot_id);
        let owner = owners.next().and_then(|(_, ownership)| ownership.owner);
        if !owner.is_some_and(|owner| owner.node_id == node_id && now < owner.expires_at) {
            self.break_rule("S6", format!("{key:?} comes from a node that does not own its bot"));
        }
        if self.stopped.contains(&(node, bot_id.clone())) || self.shutting_down.contains(&node) {
            self.break_rule("S6", format!("{key:?} comes after its bot was told to stop"));
        }
        self.in_order(bot_id, callback, store);
        self.gating(now, bot_id, callback, store);
    }

    pub fn acknowledging(&mut self, request_id: RequestId, bot_id: &BotId, key: &CallbackKey) {
        self.acknowledged.insert((bot_id.clone(), key.clone()));
        self.asked.insert(request_id, (bot_id.clone(), key.clone()));
    }

    pub fn acknowledgement_answered(&mut self, request_id: RequestId, answer: Option<&AckAnswer>) {
        match (self.asked.remove(&request_id), answer) {
            (None, _) => self.break_rule("S8", format!("{request_id} is answered twice")),
            (Some(asked), Some(answer)) if answer.acknowledged == 1 => {
                self.confirmed.insert(asked);
            }
            (Some(asked), Some(_)) => {
                self.break_rule("S1", format!("the acknowledgement of {asked:?} is unknown"));
            }
            (Some(_), None) => {}
        }
    }

    /// S1: only what the consumer has acknowledged is marked so.
    pub(super) fn marked(&mut self, bot_id: &BotId, marks: &[Mark]) {
        for mark in marks {
            let key = (bot_id.clone(), mark.key.clone());
            if mark.end == CallbackEnd::Acknowledged && !self.acknowledged.contains(&key) {
                self.break_rule("S1", format!("nobody has acknowledged {key:?}"));
            }
        }
    }

    /// S7: of one correspondent, callbacks come in the order of the archive, one after the other.
    fn in_order(&mut self, bot_id: &BotId, callback: &Callback, store: &StoreModel) {
        if self.gated.is_some() {
            return;
        }
        let row = store.archive_row(bot_id, &callback.correspondent_id, callback.message.id);
        let seq = row.map(|row| row.seq);
        let overtaken = store.archive_rows().find(|row| {
            row.bot_id == *bot_id
                && row.correspondent_id == callback.correspondent_id
                && row.callback == CallbackState::Owed
                && row.message.id != callback.message.id
                && Some(row.seq) < seq
        });
        if let Some(row) = overtaken {
            let (key, id) = (callback.key(), row.message.id);
            self.break_rule("S7", format!("{key:?} overtakes {id}, whose callback has not ended"));
        }
    }

    /// S7: a gated callback does not pass an open medium in front of it; in a tiny world no gate's
    /// time is over unless time passed.
    fn gating(&mut self, now: Timestamp, bot_id: &BotId, callback: &Callback, store: &StoreModel) {
        let Some(max_wait) = self.gated else { return };
        let passed = store.jobs().find(|job| {
            let placeholder = &job.placeholder_message;
            job.bot_id == *bot_id
                && job.correspondent_id == callback.correspondent_id
                && job.revision == 0
                && placeholder.id < callback.message.id
                && now < placeholder.accepted_time + max_wait
        });
        if let Some(job) = passed {
            let (key, media_id) = (callback.key(), job.media_id);
            self.break_rule("S7", format!("{key:?} passes {media_id}"));
        }
    }
}
