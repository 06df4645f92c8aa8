//! The durable half of the outbox: owed callbacks, their attempts, and their end.
//!
//! **Invariant:** an attempt number is written before it is told, and never told twice.

use std::cmp::Ordering;
use std::sync::Arc;

use anteroom_core::id::{
    ArchiveSeq, Attempt, BotId, CallbackId, CallbackKey, CorrespondentId, Epoch, ProviderName,
};
use anteroom_core::message::Message;
use anteroom_core::store::{
    Fence, Mark, MarkAnswer, OwedCallback, OwedOf, OwedScope, RedeliverAnswer, Send, StoreReply,
};
use rusqlite::{CachedStatement, Params, Row};

use super::archive_rows::{ArchiveRow, CallbackState};
use super::columns::{message_number, moment, read_body, saturating, to_body, unsigned};
use super::failure::Answer;
use super::work::{Work, page_size, rows_to_read};
use super::{archive_rows, bots, correspondents, quarantine, sends};

/// A page of a bot, less some correspondents (a JSON array of their numbers).
pub(super) const OWED_BOT: &str =
    "SELECT position, seq, correspondent_id, revision, attempts, failures, epoch, body
     FROM archive INDEXED BY archive_owed_bot
     WHERE bot_id = ?1 AND callback = 'owed' AND seq > ?2
        AND correspondent NOT IN (SELECT value FROM json_each(?3))
     ORDER BY seq LIMIT ?4";

/// A page of a correspondent, in archive order.
pub(super) const OWED_CORRESPONDENT: &str =
    "SELECT position, seq, correspondent_id, revision, attempts, failures, epoch, body
     FROM archive INDEXED BY archive_owed_correspondent
     WHERE correspondent = ?1 AND callback = 'owed' AND seq > ?2
     ORDER BY seq LIMIT ?3";

/// A page of a correspondent, in the order of message ids. Sorted are entries of the index, not bodies.
pub(super) const OWED_MESSAGE: &str =
    "SELECT position, seq, correspondent_id, revision, attempts, failures, epoch, body
     FROM archive WHERE position IN (
         SELECT position FROM archive INDEXED BY archive_owed_correspondent
         WHERE correspondent = ?1 AND callback = 'owed' AND id > ?2
         ORDER BY id LIMIT ?3)
     ORDER BY id";

/// An owed callback as it is stored.
struct OwedRow {
    position: i64,
    seq: i64,
    correspondent_id: CorrespondentId,
    revision: u32,
    attempts: u32,
    failures: u32,
    epoch: Option<i64>,
    message: Result<Message, String>,
}

impl OwedRow {
    /// Whether nobody but the owner under this epoch can have sent it, and that one with the first number
    /// alone.
    fn is_first_attempt_under(&self, epoch: Epoch) -> bool {
        self.attempts == 1 && self.epoch == Some(saturating(epoch.0))
    }
}

/// The next owed callbacks of a scope, each with an attempt number that is durable with the answer.
pub(super) fn owed(
    work: &Work<'_>,
    fence: &Fence,
    scope: &OwedScope,
    limit: u32,
) -> Answer<StoreReply> {
    bots::pass_fence(work, fence)?;
    let bot_id = &fence.bot_id;
    let size = page_size(limit);
    let limit = rows_to_read(size);
    let mut rows = match scope {
        OwedScope::Bot { after, except } => {
            let number = |of| correspondents::number(work, bot_id, of).transpose();
            let except: Vec<i64> = except.iter().filter_map(number).collect::<Answer<_>>()?;
            let except = to_body(&except)?;
            rows(work, OWED_BOT, (bot_id.as_str(), saturating(after.0), except, limit))?
        }
        OwedScope::Correspondents(of) => return owed_of_several(work, fence, of),
        OwedScope::CorrespondentById { correspondent_id, after } => {
            let after = saturating(after.map_or(0, |id| id.get()));
            let correspondent = correspondents::number(work, bot_id, correspondent_id)?;
            rows(work, OWED_MESSAGE, (correspondent, after, limit))?
        }
    };
    let more = rows.len() > size;
    rows.truncate(size);
    let mut callbacks = Vec::with_capacity(rows.len());
    take(work, fence.epoch, rows, &mut callbacks)?;
    Ok(StoreReply::OwedCallbacks { callbacks, more })
}

fn owed_of_several(work: &Work<'_>, fence: &Fence, of: &[OwedOf]) -> Answer<StoreReply> {
    let mut callbacks = Vec::new();
    let mut more = false;
    for OwedOf { correspondent_id, after, limit } in of {
        let mut size = page_size(*limit);
        let mut after = saturating(after.0);
        let correspondent = correspondents::number(work, &fence.bot_id, correspondent_id)?;
        // In the place of those that cannot be read come the next ones: fewer would mean that there are
        // no more.
        loop {
            let key = (correspondent, after, rows_to_read(size) - 1);
            let rows = rows(work, OWED_CORRESPONDENT, key)?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            let full = rows.len() == size;
            let before = callbacks.len();
            take(work, fence.epoch, rows, &mut callbacks)?;
            size -= callbacks.len() - before;
            if !full || size == 0 {
                break;
            }
        }
        more |= size == 0;
    }
    Ok(StoreReply::OwedCallbacks { callbacks, more })
}

/// Takes owed callbacks, each with the number of its next attempt; what cannot be read is set aside.
fn take(
    work: &Work<'_>,
    epoch: Epoch,
    rows: Vec<OwedRow>,
    callbacks: &mut Vec<OwedCallback>,
) -> Answer<()> {
    for row in rows {
        let is_first = row.is_first_attempt_under(epoch);
        match row.message {
            Err(reason) => quarantine::archived(work, row.position, &reason)?,
            Ok(message) => callbacks.push(OwedCallback {
                seq: ArchiveSeq(unsigned(row.seq)),
                correspondent_id: row.correspondent_id,
                message: Arc::new(message),
                revision: row.revision,
                attempt: match is_first {
                    true => Attempt(row.attempts),
                    false => raise_one(work, row.position, row.attempts, row.failures)?,
                },
                failures: row.failures,
            }),
        }
    }
    Ok(())
}

fn rows(work: &Work<'_>, sql: &str, params: impl Params) -> Answer<Vec<OwedRow>> {
    work.all(sql, params, |row: &Row<'_>| {
        Ok(OwedRow {
            position: row.get(0)?,
            seq: row.get(1)?,
            correspondent_id: row.get::<_, String>(2)?.into(),
            revision: row.get(3)?,
            attempts: row.get(4)?,
            failures: row.get(5)?,
            epoch: row.get(6)?,
            message: read_body(row, 7),
        })
    })
}

/// Owes a callback anew that its consumer refused too often, behind everything that an outbox may have
/// passed.
pub(super) fn redeliver(
    work: &Work<'_>,
    fence: &Fence,
    key: &CallbackKey,
    attempts: Attempt,
) -> Answer<RedeliverAnswer> {
    bots::pass_fence(work, fence)?;
    let Some(row) = find(work, &fence.bot_id, key)? else { return Ok(RedeliverAnswer::NotFound) };
    match key.revision.cmp(&row.revision) {
        Ordering::Less => return Ok(RedeliverAnswer::Settled),
        Ordering::Greater => return Ok(RedeliverAnswer::NotFound),
        Ordering::Equal => {}
    }
    match row.callback {
        CallbackState::Owed => Ok(RedeliverAnswer::Owed { seq: ArchiveSeq(unsigned(row.seq)) }),
        CallbackState::None | CallbackState::Acknowledged => Ok(RedeliverAnswer::Settled),
        CallbackState::Undeliverable if Attempt(row.attempts) != attempts => {
            Ok(RedeliverAnswer::Settled)
        }
        CallbackState::Undeliverable => {
            let seq = bots::last_seq(work, &fence.bot_id)? + 1;
            bots::put_last_seq(work, &fence.bot_id, seq)?;
            work.run(
                "UPDATE archive SET seq = ?2, callback = ?3, failures = 0, ended_at = NULL,
                    retained = 0, epoch = NULL
                 WHERE position = ?1",
                (row.position, seq, CallbackState::Owed),
            )?;
            Ok(RedeliverAnswer::Owed { seq: ArchiveSeq(unsigned(seq)) })
        }
    }
}

/// Raises attempt numbers and stores the refusals counted so far.
pub(super) fn raise(
    work: &Work<'_>,
    fence: &Fence,
    callbacks: &[(CallbackKey, u32)],
) -> Answer<Vec<Option<Attempt>>> {
    bots::pass_fence(work, fence)?;
    callbacks
        .iter()
        .map(|(key, failures)| {
            let owed = find(work, &fence.bot_id, key)?
                .filter(|row| row.callback == CallbackState::Owed && row.revision == key.revision);
            owed.map(|row| raise_one(work, row.position, row.attempts, *failures)).transpose()
        })
        .collect()
}

fn raise_one(work: &Work<'_>, position: i64, attempts: u32, failures: u32) -> Answer<Attempt> {
    let raised = attempts.saturating_add(1);
    work.run(
        "UPDATE archive SET attempts = ?2, failures = ?3 WHERE position = ?1",
        (position, raised, failures),
    )?;
    Ok(Attempt(raised))
}

/// Ends a callback that is owed and was sent, as far as is known: of a first attempt under the epoch in which
/// it came to be owed only its owner knows. (What an earlier version never sent has no attempts at all.)
pub(super) const END: &str = "UPDATE archive SET callback = ?5, ended_at = ?6
     WHERE correspondent = ?1 AND id = ?2 AND provider_name = ?3
        AND revision = ?4 AND attempts > 0 AND (?7 OR attempts > 1 OR epoch IS NOT ?8)
        AND (callback = 'owed' OR callback = 'undeliverable' AND ?5 = 'acknowledged')";

/// Ends owed callbacks, and makes the consumers' replies durable. What was given up may be acknowledged yet.
pub(super) fn mark(work: &Work<'_>, fence: &Fence, marks: &[Mark]) -> Answer<Vec<MarkAnswer>> {
    bots::pass_fence(work, fence)?;
    let provider_name = bots::provider_name(work, &fence.bot_id)?;
    let mut end = work.prepare(END)?;
    marks.iter().map(|mark| mark_one(work, &mut end, fence, &provider_name, mark)).collect()
}

fn mark_one(
    work: &Work<'_>,
    end: &mut CachedStatement<'_>,
    fence: &Fence,
    provider_name: &ProviderName,
    mark: &Mark,
) -> Answer<MarkAnswer> {
    let (bot_id, key) = (&fence.bot_id, &mark.key);
    let ended = end.execute((
        correspondents::number(work, bot_id, &key.correspondent_id)?,
        message_number(key.message_id)?,
        provider_name.as_str(),
        key.revision,
        CallbackState::ended(mark.end),
        moment(work.now),
        mark.sent,
        saturating(fence.epoch.0),
    ))?;
    if ended == 0 {
        return not_ended(work, bot_id, key);
    }
    if let Some(reply) = &mark.reply {
        enqueue_reply(work, bot_id, key, reply)?;
    }
    Ok(MarkAnswer::Ended)
}

/// What is said of a callback that was not owed, or never sent.
fn not_ended(work: &Work<'_>, bot_id: &BotId, key: &CallbackKey) -> Answer<MarkAnswer> {
    let Some(row) = find(work, bot_id, key)? else { return Ok(MarkAnswer::Unknown) };
    Ok(match (key.revision.cmp(&row.revision), row.callback) {
        // A revision is made only after the callback before it has ended.
        (Ordering::Less, _) => MarkAnswer::Ended,
        (Ordering::Greater, _) => MarkAnswer::Unknown,
        (Ordering::Equal, CallbackState::Acknowledged | CallbackState::Undeliverable) => {
            MarkAnswer::Ended
        }
        (Ordering::Equal, CallbackState::None | CallbackState::Owed) => MarkAnswer::Unknown,
    })
}

fn enqueue_reply(work: &Work<'_>, bot_id: &BotId, key: &CallbackKey, reply: &str) -> Answer<()> {
    let callback_id = CallbackId { bot_id: bot_id.clone(), key: key.clone() };
    let send = Send {
        send_id: callback_id.to_string().into(),
        correspondent_id: key.correspondent_id.clone(),
        message: reply.to_owned(),
    };
    // The key belongs to this callback: whatever is stored under it was its reply before.
    sends::enqueue(work, bot_id, &send)?;
    Ok(())
}

fn find(work: &Work<'_>, bot_id: &BotId, key: &CallbackKey) -> Answer<Option<ArchiveRow>> {
    archive_rows::find(work, bot_id, &key.correspondent_id, key.message_id)
}
