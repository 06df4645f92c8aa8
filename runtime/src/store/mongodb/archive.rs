//! Archiving messages: each with its owed callback and the end of its job, or not at all.
//!
//! The batch is one transaction, which also deletes the finished jobs and writes their failed copies.
//! What is not new is rare, so nothing is asked of the archive at first: a unique key that is taken
//! aborts the transaction, and the next try reads what is known of the batch before it decides.

use std::collections::BTreeMap;

use anteroom_core::id::{
    BotId, CorrespondentId, MediaId, MessageId, ProviderMessageId, ProviderName,
};
use anteroom_core::job::{Applied, Command, Job};
use anteroom_core::store::{ArchiveAnswer, ArchiveItem, CallbackPlan, Fence, FinishedJob};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::archive_documents::{self, Row};
use super::archive_new;
use super::collections::{ACTIVE, ARCHIVE, HOLDING};
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::fence::{self, Passed};
use super::inserts::{by_correspondent, of_provider_messages, waiting_for};
use super::job_changes::{self, Changes, marked, union};
use super::job_documents::Shelf;
use super::retention;
use super::transaction::{Look, Transaction};
use super::values::{message_number, uuids};

/// Archives messages in their order.
pub(super) async fn archive(
    store: &Connection,
    fence: &Fence,
    items: &[ArchiveItem],
) -> Answer<Vec<ArchiveAnswer>> {
    let _turn = store.turns.take(&fence.bot_id).await;
    let mut transaction = Transaction::new(store).await?;
    let mut look = Look::AtConflicts;
    loop {
        transaction.begin().await?;
        let tried = try_archive(&mut transaction, fence, items, look).await;
        if tried.as_ref().is_err_and(Failure::is_out_of_date) {
            look = Look::First;
        }
        if let Some(answers) = transaction.end(tried).await? {
            return Ok(answers);
        }
    }
}

async fn try_archive(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    items: &[ArchiveItem],
    look: Look,
) -> Answer<Vec<ArchiveAnswer>> {
    if look == Look::First || !archive_new::applies(items) {
        let passed = fence::pass(transaction, fence, items.len()).await?;
        return archive_all(transaction, fence, items, look, passed).await;
    }
    let store = transaction.store;
    let archiving = async {
        let passed = fence::pass(transaction, fence, items.len()).await?;
        archive_new::archive(transaction, &fence.bot_id, &passed, items).await
    };
    let asking = archive_new::none_waits(store, &fence.bot_id, items);
    let (archived, none_waits) = fence::beside(store, &fence.bot_id, archiving, asking).await;
    let answers = archived?;
    none_waits.map(|()| answers)
}

/// Archives messages whatever they are.
async fn archive_all(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    items: &[ArchiveItem],
    look: Look,
    passed: Passed,
) -> Answer<Vec<ArchiveAnswer>> {
    let provider_name = passed.provider_name(&fence.bot_id)?;
    let mut batch = Batch::new(&fence.bot_id, provider_name, passed, look);
    batch.read(transaction.store, items).await?;
    let answers = items.iter().map(|item| batch.add(item)).collect::<Answer<Vec<_>>>()?;
    let places = i64::try_from(items.len() - batch.rows.len()).unwrap_or(i64::MAX);
    batch.write(transaction, items).await?;
    fence::give_back(transaction, &fence.bot_id, places).await?;
    Ok(answers)
}

/// What is to become of a message's job.
enum JobEnd {
    /// The message has none.
    None,
    /// It ends with the message.
    Ends { job: Box<Job>, applied: Box<Applied> },
    /// It is not held under the token, has no result, or is not there.
    Refused,
}

/// A batch under way: what is known of it, and what is to be written.
struct Batch<'b> {
    bot_id: &'b BotId,
    provider_name: ProviderName,
    passed: Passed,
    look: Look,
    by_id: BTreeMap<(CorrespondentId, MessageId), Row>,
    by_provider_message: BTreeMap<(CorrespondentId, ProviderMessageId), Row>,
    jobs: BTreeMap<MediaId, Job>,
    waiting: BTreeMap<(CorrespondentId, ProviderMessageId), MessageId>,
    rows: Vec<RawDocumentBuf>,
    /// Those of the rows whose callbacks are given out with them.
    given: Vec<Row>,
    changes: Changes,
}

impl<'b> Batch<'b> {
    fn new(bot_id: &'b BotId, provider_name: ProviderName, passed: Passed, look: Look) -> Self {
        Self {
            bot_id,
            provider_name,
            passed,
            look,
            by_id: BTreeMap::new(),
            by_provider_message: BTreeMap::new(),
            jobs: BTreeMap::new(),
            waiting: BTreeMap::new(),
            rows: Vec::new(),
            given: Vec::new(),
            changes: Changes::default(),
        }
    }

    /// Reads what can speak against the messages, in one question.
    async fn read(&mut self, store: &Connection, items: &[ArchiveItem]) -> Answer<()> {
        if items.is_empty() {
            return Ok(());
        }
        let question = self.question(items)?;
        for document in store.aggregate_newest(ACTIVE, question).await? {
            match job_changes::part(&document) {
                "row" => {
                    if let Some(row) = archive_documents::row_aside(store, &document).await? {
                        self.remember(row);
                    }
                }
                part => {
                    let shelf = if part == "holding" { Shelf::Holding } else { Shelf::Active };
                    let job = job_changes::job_aside(store, shelf, &document).await?;
                    if let Some(job) = job {
                        self.remember_job(job);
                    }
                }
            }
        }
        Ok(())
    }

    fn question(&self, items: &[ArchiveItem]) -> Answer<Vec<Document>> {
        let bot_id = self.bot_id.as_str();
        let provider_messages = archive_documents::provider_messages(items.iter());
        let mut jobs = waiting_for(bot_id, &provider_messages);
        let own: Vec<&MediaId> =
            items.iter().filter_map(|item| item.job.as_ref()).map(|job| &job.media_id).collect();
        if !own.is_empty() {
            jobs.push(doc! { "_id": { "$in": uuids(own) } });
        }
        let jobs = || vec![doc! { "$match": { "$or": jobs.clone() } }];
        let mut pipeline = marked("active", jobs(), Bson::Null);
        pipeline.push(union(HOLDING, marked("holding", jobs(), Bson::Null)));
        if self.look == Look::First {
            let mut rows = of_provider_messages(bot_id, &provider_messages);
            let numbers = items
                .iter()
                .map(|item| Ok((&item.correspondent_id, message_number(item.message.id)?)))
                .collect::<Answer<Vec<_>>>()?;
            let numbers = by_correspondent(numbers.into_iter());
            rows.extend(archive_documents::of_messages(bot_id, &self.provider_name, &numbers));
            let stages =
                vec![doc! { "$match": { "$or": rows } }, archive_documents::row_projection()];
            pipeline.push(union(ARCHIVE, marked("row", stages, Bson::Null)));
        }
        Ok(pipeline)
    }

    fn remember(&mut self, row: Row) {
        let correspondent_id = &row.correspondent_id;
        let by_provider_message = (correspondent_id.clone(), row.provider_message_id.clone());
        self.by_id.insert((correspondent_id.clone(), row.id), row.clone());
        self.by_provider_message.insert(by_provider_message, row);
    }

    fn remember_job(&mut self, job: Job) {
        if job.bot_id == *self.bot_id && job.revision == 0 {
            self.waiting.insert(provider_key(&job), job.placeholder_message.id);
        }
        self.jobs.insert(job.media_id, job);
    }

    fn add(&mut self, item: &ArchiveItem) -> Answer<ArchiveAnswer> {
        if item.message.is_placeholder() {
            return Err(self.invalid(item, "is a placeholder"));
        }
        let end = self.job_end(item)?;
        if self.may_be_new(item, &end)
            && let Some(row) = self.insert(item)?
        {
            self.end_job(end)?;
            return Ok(ArchiveAnswer::Stored { seq: row.seq });
        }
        if self.look == Look::AtConflicts {
            return Err(Failure::Changed("a message that was taken to be new"));
        }
        match self.known(item)? {
            Some(answer) => {
                self.end_job(end)?;
                Ok(answer)
            }
            None => Ok(ArchiveAnswer::StaleLease),
        }
    }

    /// Whether nothing outside the archive speaks against the message.
    fn may_be_new(&self, item: &ArchiveItem, end: &JobEnd) -> bool {
        let provider_message_id = &item.message.provider_message_id;
        match end {
            JobEnd::Refused => false,
            // There is one job for a provider's message, and it is the message's own.
            JobEnd::Ends { job, .. }
                if job.placeholder_message.provider_message_id == *provider_message_id =>
            {
                true
            }
            JobEnd::Ends { .. } | JobEnd::None => self.waiting_elsewhere(item).is_none(),
        }
    }

    /// The answer for a message that is known, in the archive or in a job.
    fn known(&self, item: &ArchiveItem) -> Answer<Option<ArchiveAnswer>> {
        let message = &item.message;
        let correspondent_id = || item.correspondent_id.clone();
        let key = (correspondent_id(), message.provider_message_id.clone());
        let archived = self.by_provider_message.get(&key).map(|row| row.id);
        let known_as = archived.or_else(|| self.waiting_elsewhere(item));
        if let Some(message_id) = known_as.filter(|id| *id != message.id) {
            return Ok(Some(ArchiveAnswer::DuplicateProviderMessage { message_id }));
        }
        let Some(row) = self.by_id.get(&(correspondent_id(), message.id)) else { return Ok(None) };
        if row.provider_message_id != message.provider_message_id {
            return Err(self.invalid(item, "has the id of another archived message"));
        }
        Ok(Some(ArchiveAnswer::AlreadyStored { seq: row.seq }))
    }

    /// The id under which the provider's message waits in a job, when it is not this one.
    fn waiting_elsewhere(&self, item: &ArchiveItem) -> Option<MessageId> {
        let key = (item.correspondent_id.clone(), item.message.provider_message_id.clone());
        self.waiting.get(&key).copied().filter(|id| *id != item.message.id)
    }

    /// What archiving makes of the message's job. Retries of an archived message are not the
    /// message's own job, and stay.
    fn job_end(&self, item: &ArchiveItem) -> Answer<JobEnd> {
        let Some(finished) = item.job else { return Ok(JobEnd::None) };
        let command = self.finish_command(item, finished)?;
        let Some(job) = self.jobs.get(&finished.media_id) else { return Ok(JobEnd::Refused) };
        let own = job.bot_id == *self.bot_id
            && job.correspondent_id == item.correspondent_id
            && job.placeholder_message.id == item.message.id
            && job.revision == 0;
        Ok(match job.apply(&command, self.passed.now) {
            Ok(applied) if own => {
                JobEnd::Ends { job: Box::new(job.clone()), applied: Box::new(applied) }
            }
            Ok(_) | Err(_) => JobEnd::Refused,
        })
    }

    fn finish_command(&self, item: &ArchiveItem, finished: FinishedJob) -> Answer<Command> {
        let Some(token) = finished.token else { return Ok(Command::Finish) };
        match item.message.media.as_ref().and_then(|media| media.outcome.as_ref()) {
            Some(outcome) => Ok(Command::FinishLeased { token, outcome: (**outcome).clone() }),
            None => Err(self.invalid(item, "ends a job but carries no media")),
        }
    }

    fn end_job(&mut self, end: JobEnd) -> Answer<()> {
        match end {
            JobEnd::Ends { job, applied } => {
                self.jobs.remove(&job.media_id);
                self.waiting.remove(&provider_key(&job));
                self.changes.finish(&job, &applied)
            }
            JobEnd::None | JobEnd::Refused => Ok(()),
        }
    }

    /// Adds the row, unless its id or its provider's message has one; none then.
    fn insert(&mut self, item: &ArchiveItem) -> Answer<Option<Row>> {
        let message = &item.message;
        let correspondent_id = || item.correspondent_id.clone();
        let provider_message = (correspondent_id(), message.provider_message_id.clone());
        if self.by_id.contains_key(&(correspondent_id(), message.id))
            || self.by_provider_message.contains_key(&provider_message)
        {
            return Ok(None);
        }
        let seq = self.passed.last_seq + 1;
        let (row, document) =
            archive_documents::write(self.bot_id, &self.provider_name, item, seq, &self.passed)?;
        self.passed.last_seq = seq;
        self.rows.push(document);
        let is_given = item.callback == CallbackPlan::OwedInWindow;
        self.given.extend(is_given.then(|| row.clone()));
        self.remember(row.clone());
        Ok(Some(row))
    }

    async fn write(self, transaction: &mut Transaction<'_>, items: &[ArchiveItem]) -> Answer<()> {
        transaction.insert(ARCHIVE, &self.rows).await?;
        if self.passed.retains {
            retention::surpass(transaction, self.bot_id, &self.provider_name, items).await?;
        }
        self.changes.write(transaction).await?;
        transaction.store.given.add(self.bot_id, self.passed.epoch, &self.given);
        Ok(())
    }

    fn invalid(&self, item: &ArchiveItem, what: &str) -> Failure {
        let (bot, correspondent, id) = (self.bot_id, &item.correspondent_id, item.message.id);
        Failure::invalid(format!("the message {bot}/{correspondent}/{id} {what}"))
    }
}

fn provider_key(job: &Job) -> (CorrespondentId, ProviderMessageId) {
    (job.correspondent_id.clone(), job.placeholder_message.provider_message_id.clone())
}
