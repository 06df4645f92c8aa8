//! Archiving messages that are new by all appearances: texts, and media whose jobs end with them on the
//! node that archives them. So nearly all messages come.
//!
//! Little is asked. The filter that deletes jobs is the guard of their transition, and the unique keys
//! tell whether a message is new; only whether a job waits for a text's message is asked, while the rows
//! are on their way. When one of them does not hold, nothing has happened, and the archive asks what is
//! known.

use anteroom_core::id::{BotId, LeaseToken, ProviderName};
use anteroom_core::store::{ArchiveAnswer, ArchiveItem};
use mongodb::bson::{Bson, Document, doc};

use super::archive_documents;
use super::collections::{ACTIVE, ARCHIVE, HOLDING};
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::fence::Passed;
use super::inserts::waiting_for;
use super::job_changes::{any, union};
use super::transaction::Transaction;
use super::values::{AsUuid, message_number};

/// How many jobs one statement ends: within a transaction a statement costs more than a document, and
/// each job is compared with all guards of its statement.
const ENDS_OF_STATEMENT_MAX: usize = 64;

/// Whether each of the messages has no job, or ends one under its lease and leaves no failed copy.
pub(super) fn applies(items: &[ArchiveItem]) -> bool {
    let is_new = |item: &ArchiveItem| match item.job {
        None => !item.message.is_placeholder(),
        Some(_) => token(item).is_some() && has_succeeded(item),
    };
    items.iter().all(is_new)
}

fn token(item: &ArchiveItem) -> Option<LeaseToken> {
    item.job.and_then(|job| job.token)
}

fn has_succeeded(item: &ArchiveItem) -> bool {
    let outcome = item.message.media.as_ref().and_then(|media| media.outcome.as_ref());
    outcome.is_some_and(|outcome| !outcome.is_failure())
}

/// Archives all of the messages with the ends of their jobs; or refuses them as they were not taken to
/// be.
pub(super) async fn archive(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    provider_name: &ProviderName,
    passed: &Passed,
    items: &[ArchiveItem],
) -> Answer<Vec<ArchiveAnswer>> {
    let mut rows = Vec::with_capacity(items.len());
    let mut ends = Vec::with_capacity(items.len());
    let mut answers = Vec::with_capacity(items.len());
    for (item, seq) in items.iter().zip(passed.last_seq + 1..) {
        let (row, document) =
            archive_documents::write(bot_id, provider_name, item, seq, passed.now)?;
        rows.push(document);
        ends.extend(held(item)?);
        answers.push(ArchiveAnswer::Stored { seq: row.seq });
    }
    let store = transaction.store;
    let inserting = transaction.insert(ARCHIVE, &rows);
    let (inserted, none_waits) = tokio::join!(inserting, none_waits(store, bot_id, items));
    inserted.and(none_waits)?;
    let filters = ends.chunks(ENDS_OF_STATEMENT_MAX).map(|ends| filter(bot_id, ends));
    if transaction.delete_all(ACTIVE, filters.collect()).await? == ends.len() as u64 {
        return Ok(answers);
    }
    Err(Failure::Changed("a job that was taken to be held under its lease"))
}

/// Refuses messages without a job for which one waits.
async fn none_waits(store: &Connection, bot_id: &BotId, items: &[ArchiveItem]) -> Answer<()> {
    let without_job = items.iter().filter(|item| item.job.is_none());
    let messages = archive_documents::provider_messages(without_job);
    if messages.is_empty() {
        return Ok(());
    }
    let waiting = any(doc! { "$or": waiting_for(bot_id.as_str(), &messages) });
    let mut question = waiting.clone();
    question.push(union(HOLDING, waiting));
    if store.aggregate_behind_fence(ACTIVE, question).await?.is_empty() {
        return Ok(());
    }
    Err(Failure::Changed("a message that was taken to have no job"))
}

/// A message's own job, and what tells that it is held under the token.
fn held(item: &ArchiveItem) -> Answer<Option<(Bson, Document)>> {
    let Some((job, token)) = item.job.and_then(|job| Some((job, job.token?))) else {
        return Ok(None);
    };
    let guard = doc! {
        "lease.token": token.stored(),
        "correspondent_id": item.correspondent_id.as_str(),
        "message_id": message_number(item.message.id)?,
        "provider_message_id": item.message.provider_message_id.as_str(),
    };
    Ok(Some((job.media_id.stored().into(), guard)))
}

/// The filter for several jobs. There is one job for a provider's message, so as many guards hold as
/// jobs are found.
fn filter(bot_id: &BotId, ends: &[(Bson, Document)]) -> Document {
    let (ids, guards): (Vec<Bson>, Vec<Document>) = ends.iter().cloned().unzip();
    doc! {
        "_id": { "$in": ids },
        "bot_id": bot_id.as_str(),
        "revision": 0,
        "status": "processing",
        "$or": guards,
    }
}
