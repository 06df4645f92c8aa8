//! Archiving messages that are new by all appearances: texts, and media whose jobs end with them on the
//! node that archives them. So nearly all messages come.
//!
//! Little is asked. The filter that deletes jobs is the guard of their transition, and the unique keys
//! tell whether a message is new; only whether a job waits for a text's message is asked, beside the
//! transaction. When one of them does not hold, nothing has happened, and the archive asks what is
//! known.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, LeaseToken, MediaId};
use anteroom_core::store::{ArchiveAnswer, ArchiveItem, CallbackPlan};
use mongodb::bson::{Bson, Document, doc};

use super::archive_documents;
use super::collections::{ACTIVE, ARCHIVE, HOLDING};
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::fence::Passed;
use super::inserts::waiting_for;
use super::job_changes::{any, union};
use super::retention;
use super::transaction::Transaction;
use super::values::{AsUuid, message_number};

/// Whether each of the messages has no job, or ends one under its lease and leaves no failed copy.
pub(super) fn applies(items: &[ArchiveItem]) -> bool {
    let is_new = |item: &ArchiveItem| match item.job {
        None => !item.message.is_placeholder(),
        Some(job) => {
            let is_of_message = item.message.media_id() == Some(job.media_id);
            is_of_message && job.token.is_some() && has_succeeded(item)
        }
    };
    items.iter().all(is_new)
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
    passed: &Passed,
    items: &[ArchiveItem],
) -> Answer<Vec<ArchiveAnswer>> {
    let provider_name = passed.provider_name(bot_id)?;
    let mut rows = Vec::with_capacity(items.len());
    let mut ends: BTreeMap<LeaseToken, Ends> = BTreeMap::new();
    let mut answers = Vec::with_capacity(items.len());
    let mut given = Vec::with_capacity(items.len());
    for (item, seq) in items.iter().zip(passed.last_seq + 1..) {
        let (row, document) = archive_documents::write(bot_id, &provider_name, item, seq, passed)?;
        answers.push(ArchiveAnswer::Stored { seq: row.seq });
        given.extend((item.callback == CallbackPlan::OwedInWindow).then_some(row));
        rows.push(document);
        if let Some((media_id, token)) = item.job.and_then(|job| Some((job.media_id, job.token?))) {
            ends.entry(token).or_default().add(item, media_id)?;
        }
    }
    transaction.insert(ARCHIVE, &rows).await?;
    if passed.retains {
        retention::surpass(transaction, bot_id, &provider_name, items).await?;
    }
    let asked: usize = ends.values().map(|ends| ends.media_ids.len()).sum();
    let filters = ends.into_iter().map(|(token, ends)| ends.filter(bot_id, token));
    if transaction.delete_all(ACTIVE, filters.collect()).await? == asked as u64 {
        transaction.store.given.add(bot_id, passed.epoch, &given);
        return Ok(answers);
    }
    Err(Failure::Changed("a job that was taken to be held under its lease"))
}

/// Refuses messages without a job for which one waits. Of a bot that is settled it may be asked before the
/// fence is passed, if it is passed in the end: since the owner acquired the bot nobody else has inserted a
/// job of it, and the owner does nothing else for it meanwhile.
pub(super) async fn none_waits(
    store: &Connection,
    bot_id: &BotId,
    items: &[ArchiveItem],
) -> Answer<()> {
    let without_job = items.iter().filter(|item| item.job.is_none());
    let messages = archive_documents::provider_messages(without_job);
    if messages.is_empty() {
        return Ok(());
    }
    let waiting = any(doc! { "$or": waiting_for(bot_id.as_str(), &messages) });
    let mut question = waiting.clone();
    question.push(union(HOLDING, waiting));
    if store.aggregate_newest(ACTIVE, question).await?.is_empty() {
        return Ok(());
    }
    Err(Failure::Changed("a message that was taken to have no job"))
}

/// The jobs that end with their messages under one lease.
#[derive(Default)]
struct Ends {
    media_ids: Vec<Bson>,
    correspondent_ids: Vec<Bson>,
    message_ids: Vec<Bson>,
    provider_message_ids: Vec<Bson>,
}

impl Ends {
    fn add(&mut self, item: &ArchiveItem, media_id: MediaId) -> Answer<()> {
        self.media_ids.push(media_id.stored().into());
        self.correspondent_ids.push(item.correspondent_id.as_str().into());
        self.message_ids.push(message_number(item.message.id)?.into());
        self.provider_message_ids.push(item.message.provider_message_id.as_str().into());
        Ok(())
    }

    /// The filter for all of them. That a job is its message's own is asked of all of them together: a
    /// filter for each would cost the server more than their deletion.
    fn filter(self, bot_id: &BotId, token: LeaseToken) -> Document {
        doc! {
            "_id": { "$in": self.media_ids },
            "bot_id": bot_id.as_str(),
            "revision": 0,
            "status": "processing",
            "lease.token": token.stored(),
            "correspondent_id": { "$in": self.correspondent_ids },
            "message_id": { "$in": self.message_ids },
            "provider_message_id": { "$in": self.provider_message_ids },
        }
    }
}
