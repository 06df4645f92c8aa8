//! New jobs, each on its own: inserted, known, or under a media id that another message has.
//!
//! Everything that can speak against a job of the batch is read beside the bot's fence, which is passed
//! before anything is decided: since the owner acquired the bot nobody else has written for it, and the
//! owner does nothing else for it meanwhile. Where that is not sure, it is read behind the fence. The batch
//! is then decided in memory, job by job, as if each had come alone. What is not new is rare, so the active
//! jobs are not asked at first: a unique key that is taken aborts the transaction, and the next try reads
//! them as well.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, CorrespondentId, MediaId, MessageId, ProviderMessageId};
use anteroom_core::job::{Command, FailedCopy, Job, Place, Status};
use anteroom_core::store::{Fence, InsertAnswer, NewJob};
use mongodb::bson::{Bson, Document, doc};

use super::archive_documents::{self, Row};
use super::collections::{ACTIVE, ARCHIVE, FAILED, HOLDING};
use super::connection::{Connection, Question};
use super::failure::{Answer, Failure};
use super::fence::{self, Passed};
use super::indexes::PROVIDER_MESSAGE_INDEX;
use super::job_changes::{self, Changes, any, marked, union};
use super::job_documents::Shelf;
use super::transaction::{Look, Transaction};
use super::values::{message_number, uuids};

/// How many looks into the index a filter for several correspondents may take.
const LOOKS_MAX: usize = 16;

/// What a provider's message is known by within its bot.
type ProviderKey = (CorrespondentId, ProviderMessageId);

/// Providers' messages, gathered by correspondent.
pub(super) type ProviderMessages<'i> = BTreeMap<&'i CorrespondentId, Vec<&'i str>>;

/// Inserts jobs, each on its own.
pub(super) async fn insert(
    store: &Connection,
    fence: &Fence,
    new_jobs: &[NewJob],
) -> Answer<Vec<InsertAnswer>> {
    let _turn = store.turns.take(&fence.bot_id).await;
    let mut transaction = Transaction::new(store).await?;
    let mut look = Look::AtConflicts;
    loop {
        transaction.begin().await?;
        let tried = try_insert(&mut transaction, fence, new_jobs, look).await;
        if tried.as_ref().is_err_and(Failure::is_out_of_date) {
            look = Look::First;
        }
        if let Some(answers) = transaction.end(tried).await? {
            return Ok(answers);
        }
    }
}

async fn try_insert(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    new_jobs: &[NewJob],
    look: Look,
) -> Answer<Vec<InsertAnswer>> {
    let store = transaction.store;
    let reading = Found::read(store, &fence.bot_id, new_jobs, look);
    let passing = fence::pass(transaction, fence, 0);
    let (passed, found) = fence::beside(store, &fence.bot_id, passing, reading).await;
    let passed = passed?;
    for new in new_jobs {
        check_new(fence, &new.job)?;
    }
    let mut desk = Desk { passed, look, found: found?, changes: Changes::default() };
    let answers = new_jobs.iter().map(|new| desk.insert_one(new)).collect::<Answer<_>>()?;
    desk.changes.write(transaction).await?;
    Ok(answers)
}

/// A new job is the bot's own, pending and active.
fn check_new(fence: &Fence, job: &Job) -> Answer<()> {
    let media_id = job.media_id;
    if job.bot_id != fence.bot_id {
        return Err(Failure::invalid(format!("the job {media_id} belongs to {}", job.bot_id)));
    }
    if job.status != Status::Pending || job.place != Place::Active || job.revision != 0 {
        return Err(Failure::invalid(format!("the job {media_id} is not a new one")));
    }
    message_number(job.placeholder_message.id).map(|_| ())
}

/// All that is known of the jobs of a batch.
struct Found {
    bot_id: BotId,
    archived: BTreeMap<ProviderKey, Row>,
    failed: BTreeMap<MediaId, FailedCopy>,
    jobs: BTreeMap<MediaId, Job>,
    /// The jobs that wait for a provider's message.
    waiting: BTreeMap<ProviderKey, (MessageId, MediaId)>,
}

impl Found {
    async fn read(
        store: &Connection,
        bot_id: &BotId,
        new_jobs: &[NewJob],
        look: Look,
    ) -> Answer<Self> {
        let mut found = Self {
            bot_id: bot_id.clone(),
            archived: BTreeMap::new(),
            failed: BTreeMap::new(),
            jobs: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        if new_jobs.is_empty() {
            return Ok(found);
        }
        let (bot_id, messages) = (bot_id.as_str(), messages_of(new_jobs));
        let questions = questions(bot_id, new_jobs, &messages, look);
        let mut known = store.ask_newest(questions).await?;
        if known.iter().any(|document| job_changes::part(document) == "holds") {
            let question = jobs_of_messages(bot_id, HOLDING, "holding", &messages);
            known.extend(store.ask_newest(vec![question]).await?);
        }
        for document in known {
            match job_changes::part(&document) {
                "holds" => {}
                "row" => {
                    let row = archive_documents::row_aside(store, &document).await?;
                    found.archived.extend(row.map(|row| {
                        let key = (row.correspondent_id.clone(), row.provider_message_id.clone());
                        (key, row)
                    }));
                }
                "failed" => {
                    if let Some(copy) = job_changes::copy_aside(store, &document).await? {
                        found.failed.insert(copy.job.media_id, copy);
                    }
                }
                part => {
                    let shelf = if part == "holding" { Shelf::Holding } else { Shelf::Active };
                    if let Some(job) = job_changes::job_aside(store, shelf, &document).await? {
                        found.remember(job);
                    }
                }
            }
        }
        Ok(found)
    }

    fn remember(&mut self, job: Job) {
        if job.bot_id == self.bot_id && job.revision == 0 {
            let value = (job.placeholder_message.id, job.media_id);
            self.waiting.insert(provider_key(&job), value);
        }
        self.jobs.insert(job.media_id, job);
    }
}

/// A batch under way: what is known of it, and what becomes of it.
struct Desk {
    passed: Passed,
    look: Look,
    found: Found,
    changes: Changes,
}

impl Desk {
    fn insert_one(&mut self, new: &NewJob) -> Answer<InsertAnswer> {
        let is_archived = self.found.archived.contains_key(&provider_key(&new.job));
        let is_failed = self.found.failed.contains_key(&new.job.media_id);
        if !is_archived
            && !is_failed
            && let Some(answer) = self.insert_new(new)?
        {
            return Ok(answer);
        }
        // What is said of a known one depends on the active jobs as well.
        if self.look == Look::AtConflicts {
            return Err(Failure::Changed("a job that was taken to be new"));
        }
        self.known(new)
    }

    /// Inserts a job, leased if that was asked for; none when its media or its message has a job.
    fn insert_new(&mut self, new: &NewJob) -> Answer<Option<InsertAnswer>> {
        let job = &new.job;
        if self.found.jobs.contains_key(&job.media_id)
            || self.found.waiting.contains_key(&provider_key(job))
        {
            return Ok(None);
        }
        let claimed = new.lease.and_then(|lease| {
            let applied = job.apply(&Command::Claim(lease), self.passed.now).ok()?;
            applied.job
        });
        let leased = claimed.is_some();
        let stored = claimed.unwrap_or_else(|| job.clone());
        self.changes.insert(&stored)?;
        self.found.remember(stored);
        Ok(Some(InsertAnswer::Inserted { leased }))
    }

    /// What is said of a job whose media or message is known.
    fn known(&mut self, new: &NewJob) -> Answer<InsertAnswer> {
        let job = &new.job;
        let message = &job.placeholder_message;
        let stored = self.found.jobs.get(&job.media_id);
        let failed = self.found.failed.get(&job.media_id);
        let owner = stored.or(failed.map(|copy| &copy.job));
        if owner.is_some_and(|owner| !same_provider_message(owner, job)) {
            return Ok(InsertAnswer::MediaIdInUse);
        }
        if let Some(row) = self.found.archived.get(&provider_key(job)) {
            // The call repeated after all of its job's life: what it asked for has happened.
            let repeated = row.id == message.id && row.media_id == Some(job.media_id);
            return Ok(if repeated {
                InsertAnswer::Inserted { leased: false }
            } else {
                InsertAnswer::DuplicateProviderMessage { message_id: row.id }
            });
        }
        match self.found.waiting.get(&provider_key(job)) {
            Some((message_id, media_id))
                if *message_id == message.id && *media_id == job.media_id =>
            {
                let asked = new.lease.map(|lease| lease.token);
                let held = stored.and_then(|stored| stored.lease()).map(|held| held.token);
                Ok(InsertAnswer::Inserted { leased: asked.is_some() && held == asked })
            }
            Some((message_id, _)) => {
                Ok(InsertAnswer::DuplicateProviderMessage { message_id: *message_id })
            }
            // A copy is left of the same message, whose row and job are gone: it begins anew.
            None => Ok(self.insert_new(new)?.unwrap_or(InsertAnswer::MediaIdInUse)),
        }
    }
}

fn provider_key(job: &Job) -> ProviderKey {
    (job.correspondent_id.clone(), job.placeholder_message.provider_message_id.clone())
}

fn same_provider_message(one: &Job, other: &Job) -> bool {
    one.bot_id == other.bot_id
        && one.correspondent_id == other.correspondent_id
        && one.placeholder_message.provider_message_id
            == other.placeholder_message.provider_message_id
}

/// The providers' messages of jobs.
fn messages_of(new_jobs: &[NewJob]) -> ProviderMessages<'_> {
    by_correspondent(new_jobs.iter().map(|new| {
        let message = &new.job.placeholder_message;
        (&new.job.correspondent_id, message.provider_message_id.as_str())
    }))
}

/// Asks for the rows, jobs and failed copies that have a provider's message or a media of the batch. Of
/// held jobs by provider's message it asks only whether the bot has any: while it runs, it has none.
fn questions(
    bot_id: &str,
    new_jobs: &[NewJob],
    messages: &ProviderMessages<'_>,
    look: Look,
) -> Vec<Question> {
    let ids = uuids(new_jobs.iter().map(|new| &new.job.media_id));
    let by_media = |part: &str| {
        marked(part, vec![doc! { "$match": { "_id": { "$in": ids.clone() } } }], Bson::Null)
    };
    let holds = marked("holds", any(doc! { "bot_id": bot_id }), Bson::Null);
    let mut of_media = by_media("holding");
    of_media.push(union(HOLDING, holds));
    of_media.push(union(FAILED, by_media("failed")));
    let rows = of_provider_messages(bot_id, messages);
    let rows = vec![doc! { "$match": { "$or": rows } }, archive_documents::row_projection()];
    let mut questions = vec![by_message(ARCHIVE, marked("row", rows, Bson::Null))];
    if look == Look::First {
        of_media.push(union(ACTIVE, by_media("active")));
        questions.push(jobs_of_messages(bot_id, ACTIVE, "active", messages));
    }
    questions.push(Question { collection: HOLDING, pipeline: of_media, index: None });
    questions
}

/// Asks for the jobs of a collection that wait for providers' messages.
fn jobs_of_messages(
    bot_id: &str,
    collection: &'static str,
    part: &str,
    messages: &ProviderMessages<'_>,
) -> Question {
    let waiting = vec![doc! { "$match": { "$or": waiting_for(bot_id, messages) } }];
    by_message(collection, marked(part, waiting, Bson::Null))
}

fn by_message(collection: &'static str, pipeline: Vec<Document>) -> Question {
    Question { collection, pipeline, index: Some(PROVIDER_MESSAGE_INDEX) }
}

/// Filters for the jobs that wait for providers' messages.
pub(super) fn waiting_for(bot_id: &str, messages: &ProviderMessages<'_>) -> Vec<Document> {
    let with = |mut filter: Document| {
        filter.insert("revision", 0);
        filter
    };
    of_provider_messages(bot_id, messages).into_iter().map(with).collect()
}

/// Filters for whatever has providers' messages, and now and then for one of a correspondent's that has
/// the id of another correspondent's. A filter costs the server as much as ten looks into the index, so
/// one is for several correspondents as long as they have few messages: each is looked for at all of
/// them.
pub(super) fn of_provider_messages(bot_id: &str, messages: &ProviderMessages<'_>) -> Vec<Document> {
    let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for (correspondent_id, ids) in messages {
        let has_room = |(correspondents, group): &&mut (Vec<&str>, Vec<&str>)| {
            (correspondents.len() + 1) * (group.len() + ids.len()) <= LOOKS_MAX
        };
        match groups.last_mut().filter(has_room) {
            Some((correspondents, group)) => {
                correspondents.push(correspondent_id.as_str());
                group.extend(ids);
            }
            None => groups.push((vec![correspondent_id.as_str()], ids.clone())),
        }
    }
    let filter = |(correspondents, ids): (Vec<&str>, Vec<&str>)| {
        doc! {
            "bot_id": bot_id,
            "correspondent_id": { "$in": correspondents },
            "provider_message_id": { "$in": ids },
        }
    };
    groups.into_iter().map(filter).collect()
}

/// Values, gathered by correspondent.
pub(super) fn by_correspondent<'i, T>(
    values: impl Iterator<Item = (&'i CorrespondentId, T)>,
) -> BTreeMap<&'i CorrespondentId, Vec<T>> {
    let mut gathered: BTreeMap<&CorrespondentId, Vec<T>> = BTreeMap::new();
    for (correspondent_id, value) in values {
        gathered.entry(correspondent_id).or_default().push(value);
    }
    gathered
}
