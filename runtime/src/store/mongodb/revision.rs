//! Revisions: the result of a retried job becomes the content of its archived message.

use std::collections::BTreeMap;

use anteroom_core::id::{ArchiveSeq, BotId, CorrespondentId, MediaId, MessageId, ProviderName};
use anteroom_core::job::{Command, Job, Rejection};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{CallbackPlan, Fence, ReviseAnswer};
use mongodb::bson::{doc, serialize_to_bson, serialize_to_raw_document_buf};

use super::archive_documents::{self, Callback, CallbackState, Row};
use super::collections::ARCHIVE;
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::fence::{self, Passed};
use super::job_changes::{self, Changes};
use super::job_documents::WorkedDocument;
use super::statements::Statement;
use super::transaction::{Transaction, transact};
use super::values::{message_number, unsigned};

/// What a revision consists of.
pub(super) struct Revision<'r> {
    pub(super) media_id: MediaId,
    pub(super) revision: u32,
    pub(super) message: &'r Message,
    pub(super) correspondent_id: &'r CorrespondentId,
    pub(super) callback: CallbackPlan,
}

/// Gives the row its new content and ends the job, in one step. The row takes a new place in the
/// archive, behind everything that an outbox may have passed.
pub(super) async fn revise(
    store: &Connection,
    fence: &Fence,
    revision: &Revision<'_>,
) -> Answer<ReviseAnswer> {
    let _turn = store.turns.take(&fence.bot_id).await;
    transact!(store, |transaction| try_revise(transaction, fence, revision))
}

async fn try_revise(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    revision: &Revision<'_>,
) -> Answer<ReviseAnswer> {
    let passed = fence::pass(transaction, fence, 1).await?;
    let message = revision.message;
    if message.is_placeholder() {
        let detail = format!("revision {} of {} is a placeholder", revision.revision, message.id);
        return Err(Failure::invalid(detail));
    }
    let answer = decide(transaction, fence, revision, &passed).await?;
    let is_done =
        matches!(&answer, ReviseAnswer::Revised { seq } if unsigned(passed.last_seq) < seq.0);
    if !is_done {
        fence::give_back(transaction, &fence.bot_id, 1).await?;
    }
    Ok(answer)
}

async fn decide(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    revision: &Revision<'_>,
    passed: &Passed,
) -> Answer<ReviseAnswer> {
    let correspondent_id = revision.correspondent_id;
    let Ok(provider_name) = passed.provider_name(&fence.bot_id) else {
        return Ok(ReviseAnswer::NotFound);
    };
    let message_id = revision.message.id;
    let found =
        row(transaction, &fence.bot_id, &provider_name, correspondent_id, message_id).await?;
    let Some(row) = found.filter(|row| row.media_id == Some(revision.media_id)) else {
        return Ok(ReviseAnswer::NotFound);
    };
    if row.provider_message_id != revision.message.provider_message_id {
        let detail = format!("revision {} of {message_id} is another message", revision.revision);
        return Err(Failure::invalid(detail));
    }
    let (jobs, _) = job_changes::find_media(transaction, [&revision.media_id]).await?;
    let job = jobs.get(&revision.media_id).filter(|job| job.bot_id == fence.bot_id);
    match job.filter(|job| job.revision == revision.revision) {
        Some(job) => apply(transaction, revision, passed, &row, job).await,
        None if row.revision == revision.revision && revision.revision > 0 => {
            Ok(ReviseAnswer::Revised { seq: row.seq })
        }
        None if row.revision >= revision.revision => {
            Ok(ReviseAnswer::Rejected(Rejection::WrongRevision))
        }
        None => Ok(ReviseAnswer::NotFound),
    }
}

async fn apply(
    transaction: &mut Transaction<'_>,
    revision: &Revision<'_>,
    passed: &Passed,
    row: &Row,
    job: &Job,
) -> Answer<ReviseAnswer> {
    let command = Command::Revise { row_revision: row.revision };
    let applied = match job.apply(&command, passed.now) {
        Ok(applied) => applied,
        Err(rejection) => return Ok(ReviseAnswer::Rejected(rejection)),
    };
    let mut changes = Changes::default();
    changes.add(job, &applied)?;
    if !job.outcome().is_some_and(Outcome::is_failure) {
        changes.forget_copy(job.media_id);
    }
    changes.write(transaction).await?;
    let seq = passed.last_seq + 1;
    let callback = Callback::new(passed.epoch, revision.revision, revision.callback);
    let mut set = doc! {
        "archive_seq": seq,
        "retention": archive_documents::RETENTION_DUE,
    };
    let mut unset = doc! {};
    if callback.state == CallbackState::Owed {
        set.insert("callback", serialize_to_bson(&callback)?);
        unset.insert("ended_at", "");
    } else {
        set.insert("callback.revision", i64::from(revision.revision));
    }
    if let Some(worked) = job.worked() {
        set.insert("worked", serialize_to_bson(&WorkedDocument::from(&worked))?);
    } else {
        unset.insert("worked", "");
    }
    let message = serialize_to_raw_document_buf(revision.message)?;
    set.insert("message", mongodb::bson::Document::try_from(message)?);
    let mut change = doc! { "$set": set };
    if !unset.is_empty() {
        change.insert("$unset", unset);
    }
    let statement = Statement::one(doc! { "_id": row.position }, change)?;
    transaction.update(ARCHIVE, vec![statement]).await?;
    Ok(ReviseAnswer::Revised { seq: ArchiveSeq(unsigned(seq)) })
}

/// The archived message with an id.
pub(super) async fn row(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    provider_name: &ProviderName,
    correspondent_id: &CorrespondentId,
    message_id: MessageId,
) -> Answer<Option<Row>> {
    let numbers = BTreeMap::from([(correspondent_id, vec![message_number(message_id)?])]);
    let filter = archive_documents::of_messages(bot_id.as_str(), provider_name, &numbers);
    let stages = filter.into_iter().map(|filter| doc! { "$match": filter });
    let found = transaction.aggregate(ARCHIVE, stages.collect()).await?;
    match found.first() {
        Some(document) => archive_documents::row_in(transaction, document).await,
        None => Ok(None),
    }
}
