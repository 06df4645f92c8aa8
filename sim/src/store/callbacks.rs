//! The durable half of the outbox: owed callbacks, their attempts, and their end.
//!
//! **Invariant:** an attempt number is written before it is told, and never told twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use anteroom_core::id::{Attempt, BotId, CallbackId, CallbackKey};
use anteroom_core::store::{
    CallbackEnd, Fence, Mark, MarkAnswer, OwedCallback, OwedOf, OwedScope, RedeliverAnswer, Send,
    StoreReply,
};
use anteroom_core::time::Timestamp;

use super::StoreModel;
use super::archive::{Archive, ArchiveRow, CallbackState};

impl Archive {
    /// The next owed callbacks of a scope, each with an attempt number that is durable with the
    /// answer.
    pub(super) fn owed_callbacks(
        &mut self,
        fence: &Fence,
        scope: &OwedScope,
        limit: u32,
    ) -> StoreReply {
        let bot_id = &fence.bot_id;
        let of = |correspondent_id: &_| (bot_id.clone(), Clone::clone(correspondent_id));
        let (rows, more) = match scope {
            OwedScope::Bot { after, except } => {
                let except: BTreeSet<_> = except.iter().collect();
                let rows = self.owed_of_bot(bot_id, *after);
                first_of(rows.filter(|row| !except.contains(&row.correspondent_id)), limit)
            }
            OwedScope::Correspondents(asked) => {
                let mut rows = Vec::new();
                let mut more = false;
                for OwedOf { correspondent_id, after, limit } in asked {
                    let owed = self.owed_of_correspondent(of(correspondent_id), *after);
                    let (found, _) = first_of(owed, *limit);
                    more |= found.len() == *limit as usize;
                    rows.extend(found);
                }
                (rows, more)
            }
            OwedScope::CorrespondentById { correspondent_id, after } => {
                first_of(self.owed_by_id(of(correspondent_id), *after), limit)
            }
        };
        let callbacks = rows.iter().map(|row| OwedCallback {
            seq: row.seq,
            correspondent_id: row.correspondent_id.clone(),
            message: Arc::clone(&row.message),
            revision: row.revision,
            attempt: match row.is_first_attempt_under(fence.epoch) {
                true => row.attempts,
                false => self.raise(row, row.failures),
            },
            failures: row.failures,
        });
        StoreReply::OwedCallbacks { callbacks: callbacks.collect(), more }
    }

    /// Owes a callback anew that its consumer refused too often, behind everything that an outbox may
    /// have passed.
    pub(super) fn redeliver(
        &mut self,
        bot_id: &BotId,
        key: &CallbackKey,
        attempts: Attempt,
    ) -> RedeliverAnswer {
        let Some(row) = self.get(bot_id, &key.correspondent_id, key.message_id) else {
            return RedeliverAnswer::NotFound;
        };
        if row.revision != key.revision {
            let superseded = key.revision < row.revision;
            return if superseded { RedeliverAnswer::Settled } else { RedeliverAnswer::NotFound };
        }
        match row.callback {
            CallbackState::Owed => RedeliverAnswer::Owed { seq: row.seq },
            CallbackState::NotOwed { .. }
            | CallbackState::Ended { end: CallbackEnd::Acknowledged, .. } => {
                RedeliverAnswer::Settled
            }
            CallbackState::Ended { end: CallbackEnd::Undeliverable, .. }
                if row.attempts != attempts =>
            {
                RedeliverAnswer::Settled
            }
            CallbackState::Ended { end: CallbackEnd::Undeliverable, .. } => {
                let row = row.as_ref().clone();
                let seq = self.take_seq(bot_id);
                let callback = CallbackState::Owed;
                self.put(ArchiveRow { seq, callback, failures: 0, epoch: None, ..row });
                RedeliverAnswer::Owed { seq }
            }
        }
    }

    /// Raises attempt numbers and stores the refusals counted so far; none where nothing is owed.
    pub(super) fn raise_attempts(
        &mut self,
        bot_id: &BotId,
        callbacks: &[(CallbackKey, u32)],
    ) -> Vec<Option<Attempt>> {
        let raised = callbacks.iter().map(|(key, failures)| {
            let row = self.get(bot_id, &key.correspondent_id, key.message_id)?;
            let owed = row.revision == key.revision && row.callback == CallbackState::Owed;
            let row = owed.then(|| Arc::clone(row))?;
            Some(self.raise(&row, *failures))
        });
        raised.collect()
    }

    fn raise(&mut self, row: &ArchiveRow, failures: u32) -> Attempt {
        let attempts = Attempt(row.attempts.0.saturating_add(1));
        self.put(ArchiveRow { attempts, failures, ..row.clone() });
        attempts
    }
}

impl StoreModel {
    /// Ends an owed callback, and makes the consumer's reply durable with it.
    pub(super) fn mark_called_back(
        &mut self,
        fence: &Fence,
        mark: &Mark,
        now: Timestamp,
    ) -> MarkAnswer {
        let bot_id = &fence.bot_id;
        let Mark { key, end, reply, sent } = mark;
        let Some(row) = self.archive.get(bot_id, &key.correspondent_id, key.message_id).cloned()
        else {
            return MarkAnswer::Unknown;
        };
        if key.revision < row.revision {
            // A retry begins only when the callback before it has ended.
            return MarkAnswer::Ended;
        }
        if key.revision > row.revision {
            return MarkAnswer::Unknown;
        }
        // What was given up may be acknowledged yet: then no operator has it made again.
        match (row.callback, end) {
            (CallbackState::NotOwed { .. }, _) => MarkAnswer::Unknown,
            (CallbackState::Owed, _) if !sent && row.is_first_attempt_under(fence.epoch) => {
                MarkAnswer::Unknown
            }
            (CallbackState::Ended { end: CallbackEnd::Acknowledged, .. }, _)
            | (CallbackState::Ended { .. }, CallbackEnd::Undeliverable) => MarkAnswer::Ended,
            (CallbackState::Owed, _)
            | (
                CallbackState::Ended { end: CallbackEnd::Undeliverable, .. },
                CallbackEnd::Acknowledged,
            ) => {
                let callback = CallbackState::Ended { end: *end, at: now };
                self.archive.put(ArchiveRow { callback, ..ArchiveRow::clone(&row) });
                if let Some(reply) = reply {
                    self.enqueue_reply(bot_id, key, reply);
                }
                MarkAnswer::Ended
            }
        }
    }

    fn enqueue_reply(&mut self, bot_id: &BotId, key: &CallbackKey, reply: &str) {
        let callback_id = CallbackId { bot_id: bot_id.clone(), key: key.clone() };
        let send = Send {
            send_id: callback_id.to_string().into(),
            correspondent_id: key.correspondent_id.clone(),
            message: reply.to_owned(),
        };
        // The key belongs to this callback: what is stored under it already is its reply.
        let _answer = self.sends.enqueue(bot_id, &send);
    }
}

/// The first `limit` rows, and whether there are more.
fn first_of<'a>(
    mut rows: impl Iterator<Item = &'a Arc<ArchiveRow>>,
    limit: u32,
) -> (Vec<Arc<ArchiveRow>>, bool) {
    let page = rows.by_ref().take(limit as usize).cloned().collect();
    (page, rows.next().is_some())
}
