//! What operators do with single jobs.

use anteroom_core::id::MediaId;
use anteroom_core::job::{Command, FailedCopy, Job, Rejection};
use anteroom_core::pool::routing::Routing;
use anteroom_core::store::OperatorAnswer;
use mongodb::bson::{DateTime, Document, deserialize_from_slice, doc};
use serde::Deserialize;

use super::archive_documents::CallbackState;
use super::collections::{BOTS, FAILED};
use super::connection::Connection;
use super::failure::Answer;
use super::job_changes::{self, Changes, marked};
use super::revision;
use super::transaction::{Transaction, transact};
use super::values::{AsUuid, timestamp};

/// Gives a job up.
pub(super) async fn discard(store: &Connection, media_id: MediaId) -> Answer<OperatorAnswer> {
    transact!(store, |transaction| try_discard(transaction, media_id))
}

async fn try_discard(
    transaction: &mut Transaction<'_>,
    media_id: MediaId,
) -> Answer<OperatorAnswer> {
    let (jobs, now) = job_changes::find_media(transaction, [&media_id]).await?;
    let (Some(job), Some(now)) = (jobs.get(&media_id), now) else {
        return Ok(OperatorAnswer::NotFound);
    };
    match job.apply(&Command::Discard, now) {
        Ok(applied) => {
            let mut changes = Changes::default();
            changes.add(job, &applied)?;
            changes.write(transaction).await?;
            Ok(done(job))
        }
        Err(rejection) => Ok(OperatorAnswer::Rejected(rejection)),
    }
}

/// Begins a failed job anew; the caller vouches that its file is kept.
pub(super) async fn retry(
    store: &Connection,
    media_id: MediaId,
    routing: Option<&Routing>,
) -> Answer<OperatorAnswer> {
    transact!(store, |transaction| try_retry(transaction, media_id, routing))
}

async fn try_retry(
    transaction: &mut Transaction<'_>,
    media_id: MediaId,
    routing: Option<&Routing>,
) -> Answer<OperatorAnswer> {
    let this = doc! { "$match": { "_id": media_id.stored() } };
    let stages = marked("failed", vec![this], transaction.store.time.now());
    let found = transaction.aggregate(FAILED, stages).await?;
    let Some(document) = found.first() else { return Ok(OperatorAnswer::NotFound) };
    let Some(copy) = job_changes::copy_in(transaction, document).await? else {
        return Ok(OperatorAnswer::NotFound);
    };
    let now = document.get_datetime("now").unwrap_or(DateTime::MIN);
    let (jobs, _) = job_changes::find_media(transaction, [&media_id]).await?;
    if let Some(job) = jobs.get(&media_id) {
        // Either this very retry is under way, or the failure itself is not archived yet.
        return Ok(if job.revision > copy.job.revision {
            done(job)
        } else {
            OperatorAnswer::Rejected(Rejection::NotCalledBack)
        });
    }
    let file_kept = true;
    let called_back = called_back(transaction, &copy).await?;
    match copy.retry(file_kept, called_back, routing, timestamp(now)) {
        Ok(job) => {
            let mut changes = Changes::default();
            changes.insert(&job)?;
            changes.write(transaction).await?;
            // A sweep that drops the copy at this moment writes the same document: one of the two
            // looks again, and no job is left without its file.
            let this = doc! { "_id": media_id.stored() };
            transaction.update_all(FAILED, this, doc! { "$inc": { "retries": 1_i64 } }).await?;
            Ok(done(&job))
        }
        Err(rejection) => Ok(OperatorAnswer::Rejected(rejection)),
    }
}

/// Whether the failure that the copy tells of is archived and its callback has ended.
async fn called_back(transaction: &mut Transaction<'_>, copy: &FailedCopy) -> Answer<bool> {
    #[derive(Deserialize)]
    struct Provider {
        provider_name: Option<String>,
    }
    let job = &copy.job;
    let this: Document = doc! { "$match": { "_id": job.bot_id.as_str() } };
    let found = transaction.aggregate(BOTS, vec![this]).await?;
    let provider =
        found.first().and_then(|bot| deserialize_from_slice::<Provider>(bot.as_bytes()).ok());
    let Some(provider_name) = provider.and_then(|provider| provider.provider_name) else {
        return Ok(false);
    };
    let (bot_id, correspondent_id) = (&job.bot_id, &job.correspondent_id);
    let message_id = job.placeholder_message.id;
    let provider_name = provider_name.into();
    let row =
        revision::row(transaction, bot_id, &provider_name, correspondent_id, message_id).await?;
    Ok(row.is_some_and(|row| row.revision == job.revision && row.callback != CallbackState::Owed))
}

fn done(job: &Job) -> OperatorAnswer {
    OperatorAnswer::Done { bot_id: job.bot_id.clone(), pool: job.pool.clone() }
}
