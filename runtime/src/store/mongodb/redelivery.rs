//! Callbacks that an operator owes anew, after their consumer has refused them too often.

use std::cmp::Ordering;

use anteroom_core::id::{ArchiveSeq, Attempt, CallbackKey};
use anteroom_core::store::{Fence, RedeliverAnswer};
use mongodb::bson::doc;

use super::archive_documents::{self, CallbackState};
use super::collections::ARCHIVE;
use super::connection::Connection;
use super::failure::Answer;
use super::fence::{self, Passed};
use super::revision;
use super::statements::Statement;
use super::transaction::{Transaction, transact};
use super::values::unsigned;

/// Owes a callback anew, behind everything that an outbox may have passed.
pub(super) async fn redeliver(
    store: &Connection,
    fence: &Fence,
    key: &CallbackKey,
    attempts: Attempt,
) -> Answer<RedeliverAnswer> {
    let _turn = store.turns.take(&fence.bot_id).await;
    transact!(store, |transaction| try_redeliver(transaction, fence, key, attempts))
}

async fn try_redeliver(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    key: &CallbackKey,
    attempts: Attempt,
) -> Answer<RedeliverAnswer> {
    let passed = fence::pass(transaction, fence, 1).await?;
    let answer = decide(transaction, fence, key, attempts, &passed).await?;
    let is_done =
        matches!(answer, RedeliverAnswer::Owed { seq } if unsigned(passed.last_seq) < seq.0);
    if !is_done {
        fence::give_back(transaction, &fence.bot_id, 1).await?;
    }
    Ok(answer)
}

async fn decide(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    key: &CallbackKey,
    attempts: Attempt,
    passed: &Passed,
) -> Answer<RedeliverAnswer> {
    let Ok(provider_name) = passed.provider_name(&fence.bot_id) else {
        return Ok(RedeliverAnswer::NotFound);
    };
    let (whom, id) = (&key.correspondent_id, key.message_id);
    let found = revision::row(transaction, &fence.bot_id, &provider_name, whom, id).await?;
    let Some(row) = found else { return Ok(RedeliverAnswer::NotFound) };
    match key.revision.cmp(&row.revision) {
        Ordering::Less => return Ok(RedeliverAnswer::Settled),
        Ordering::Greater => return Ok(RedeliverAnswer::NotFound),
        Ordering::Equal => {}
    }
    match row.callback {
        CallbackState::Owed => Ok(RedeliverAnswer::Owed { seq: row.seq }),
        CallbackState::None | CallbackState::Acknowledged => Ok(RedeliverAnswer::Settled),
        CallbackState::Undeliverable if Attempt(row.attempts) != attempts => {
            Ok(RedeliverAnswer::Settled)
        }
        CallbackState::Undeliverable => {
            let seq = passed.last_seq + 1;
            let change = doc! {
                "$set": {
                    "archive_seq": seq,
                    "retention": archive_documents::RETENTION_DUE,
                    "callback.state": CallbackState::Owed.name(),
                    "callback.failures": 0_i64,
                },
                "$unset": { "ended_at": "", "callback.epoch": "" },
            };
            let statement = Statement::one(doc! { "_id": row.position }, change)?;
            transaction.update(ARCHIVE, vec![statement]).await?;
            Ok(RedeliverAnswer::Owed { seq: ArchiveSeq(unsigned(seq)) })
        }
    }
}
