//! What operators look at.
//!
//! Owns the lists and the look-ups that no node's work needs. Every list names the index that it goes by.
//! A document that cannot be read is left out: the request that works with it sets it aside.

use anteroom_core::id::{ArchiveSeq, BotId, CorrespondentId, Epoch, MediaId, MessageId, WorkerId};
use anteroom_core::job::{FailedCopy, Job, Worked};
use anteroom_core::message::Message;
use anteroom_core::time::Millis;
use mongodb::bson::{Bson, DateTime, Document, RawDocument, Uuid, deserialize_from_slice, doc};
use serde::Deserialize;

use super::archive_documents::{self, CallbackState};
use super::collections::{ACTIVE, ARCHIVE, BOTS, FAILED, HOLDING};
use super::connection::Connection;
use super::failed_copies;
use super::failure::Answer;
use super::job_documents::{self, Shelf, WorkedDocument};
use super::pages::{documents_to_read, page_size};
use super::presence;
use super::values::{AsUuid, date, id_of, message_number, saturating, timestamp, unsigned};
use crate::store::views::{
    Archived, CallbackFilter, CallbackProgress, CallbackQuery, JobFilter, JobQuery, JobState, Kept,
    ListedJob, Owner, Question, StatusName, View,
};

/// Answers one question.
pub(super) async fn look(store: &Connection, question: Question) -> Answer<View> {
    Ok(match question {
        Question::Jobs(query) => {
            let (jobs, more) = jobs(store, &query).await?;
            View::Jobs(jobs, more)
        }
        Question::Count(filter) => View::Count(count(store, &filter).await?),
        Question::Medium(media_id) => View::Medium(medium(store, media_id).await?),
        Question::Message(bot_id, correspondent_id, message_id) => {
            View::Message(message(store, &bot_id, &correspondent_id, message_id).await?)
        }
        Question::Callbacks(query) => {
            let (callbacks, more) = callbacks(store, &query).await?;
            View::Callbacks(callbacks, more)
        }
        Question::Owners => View::Owners(owners(store).await?),
        Question::Leases => View::Leases(leases(store).await?),
        Question::Nodes => View::Nodes(presence::list(store).await?),
    })
}

/// The index by which operators' lists of a collection go.
pub(super) const JOBS_INDEX: &str = "created_at_listed";
/// The index of leases by their ends.
pub(super) const LEASE_INDEX: &str = "lease_expires_at";
/// The index of operators' lists of failed jobs.
pub(super) const FAILED_INDEX: &str = "failed_at_listed";
/// The same of one bot's failed jobs.
pub(super) const FAILED_OF_BOT_INDEX: &str = "bot_id_failed_at_listed";
/// The index of owed callbacks.
const OWED_INDEX: &str = "bot_id_callback_state_archive_seq";
/// The index of callbacks that were given up.
pub(super) const UNDELIVERABLE_INDEX: &str = "bot_id_undeliverable";
/// The index of the messages of media.
pub(super) const MEDIA_INDEX: &str = "media_id";

/// Where jobs of a state are.
fn shelf(state: JobState) -> Option<Shelf> {
    match state {
        JobState::Active => Some(Shelf::Active),
        JobState::Holding => Some(Shelf::Holding),
        JobState::Failed => None,
    }
}

/// Jobs that are looked for in one question.
struct Asked {
    collection: &'static str,
    filter: Document,
    index: &'static str,
    /// Whether the index has them in the order of lists. Those of which it has not are few.
    in_order: bool,
}

/// What to ask for the jobs that a filter finds; nothing when it cannot find anything.
fn asked(filter: &JobFilter) -> Vec<Asked> {
    let Some(found) = filtered(filter) else { return Vec::new() };
    let by = |collection, index| Asked { collection, filter: found.clone(), index, in_order: true };
    match (filter.state, &filter.bot_id) {
        (JobState::Active, _) => {
            // Active jobs that are worked on are not in the index of lists.
            let both = |condition| doc! { "$and": [found.clone(), condition] };
            let unleased = both(job_documents::unleased());
            let unleased = Asked { filter: unleased, ..by(ACTIVE, JOBS_INDEX) };
            let leased = both(job_documents::leased());
            let leased = Asked { filter: leased, in_order: false, ..by(ACTIVE, LEASE_INDEX) };
            match filter.status {
                None => vec![unleased, leased],
                Some(StatusName::Processing) => vec![leased],
                Some(StatusName::Pending | StatusName::Completed) => vec![unleased],
            }
        }
        (JobState::Holding, _) => vec![by(HOLDING, JOBS_INDEX)],
        (JobState::Failed, Some(_)) => vec![by(FAILED, FAILED_OF_BOT_INDEX)],
        (JobState::Failed, None) => vec![by(FAILED, FAILED_INDEX)],
    }
}

/// The conditions of a filter. None when it cannot find anything.
fn filtered(filter: &JobFilter) -> Option<Document> {
    let JobFilter { state, bot_id, pool, status, reason, before } = filter;
    let mut found = doc! {};
    if let Some(bot_id) = bot_id {
        found.insert("bot_id", bot_id.as_str());
    }
    let is_failed = *state == JobState::Failed;
    if let Some(pool) = pool {
        found.insert(if is_failed { "job.pool" } else { "pool" }, pool.as_str());
    }
    match (is_failed, status) {
        (_, None) | (true, Some(StatusName::Completed)) => {}
        (true, Some(StatusName::Pending | StatusName::Processing)) => return None,
        (false, Some(StatusName::Pending)) => {
            found.insert("status", doc! { "$in": job_documents::WAITING.to_vec() });
        }
        (false, Some(StatusName::Processing)) => {
            found.insert("status", "processing");
        }
        (false, Some(StatusName::Completed)) => {
            found.insert("status", "completed");
        }
    }
    match (is_failed, reason) {
        (_, None) => {}
        (true, Some(reason)) => {
            found.insert("error.kind", reason.as_str());
        }
        (false, Some(_)) => return None,
    }
    if let Some(before) = before {
        found.insert(time_field(*state), doc! { "$lt": date(*before) });
    }
    Some(found)
}

fn time_field(state: JobState) -> &'static str {
    match state {
        JobState::Active | JobState::Holding => "created_at",
        JobState::Failed => "failed_at",
    }
}

async fn jobs(store: &Connection, query: &JobQuery) -> Answer<(Vec<ListedJob>, bool)> {
    let JobQuery { filter, newest_first, after, limit } = query;
    let time = time_field(filter.state);
    let (order, than) = if *newest_first { (-1, "$lt") } else { (1, "$gt") };
    let size = page_size(*limit);
    let mut found = Vec::new();
    for Asked { collection, filter, index, in_order } in asked(filter) {
        let mut all_of = vec![filter];
        if let Some((at, media_id)) = after {
            // The first condition bounds the index, the second tells those of the same moment apart.
            let (at, id) = (date(*at), media_id.stored());
            all_of.push(doc! { time: { format!("{than}e"): at } });
            all_of.push(doc! { "$or": [{ time: { than: at } }, { "_id": { than: id } }] });
        }
        let mut stages = vec![doc! { "$match": { "$and": all_of } }];
        if in_order {
            stages.push(doc! { "$sort": { time: order, "_id": order } });
            stages.push(doc! { "$limit": documents_to_read(size) });
        }
        found.extend(store.aggregate_by(collection, stages, index).await?);
    }
    found.sort_by_cached_key(|document| {
        let id = document.get_binary("_id").ok().map(|id| id.bytes.to_vec());
        (document.get_datetime(time).ok(), id)
    });
    if *newest_first {
        found.reverse();
    }
    let listed = found.iter().take(size).filter_map(|document| match shelf(filter.state) {
        Some(shelf) => {
            let job = job_documents::read(shelf, document).ok()?;
            Some(ListedJob { job, failed_at: None })
        }
        None => {
            let FailedCopy { job, failed_at } = failed_copies::read(document).ok()?;
            Some(ListedJob { job, failed_at: Some(failed_at) })
        }
    });
    Ok((listed.collect(), found.len() > size))
}

async fn count(store: &Connection, filter: &JobFilter) -> Answer<u64> {
    #[derive(Deserialize)]
    struct Counted {
        count: i64,
    }
    let mut sum = 0;
    for Asked { collection, filter, index, .. } in asked(filter) {
        let counting = doc! { "$group": { "_id": Bson::Null, "count": { "$sum": 1_i64 } } };
        let stages = vec![doc! { "$match": filter }, counting];
        let documents = store.aggregate_by(collection, stages, index).await?;
        let counted = documents.first().map(|it| deserialize_from_slice::<Counted>(it.as_bytes()));
        sum += counted.transpose()?.map_or(0, |counted| unsigned(counted.count));
    }
    Ok(sum)
}

#[derive(Deserialize)]
struct ArchivedDocument {
    bot_id: BotId,
    correspondent_id: CorrespondentId,
    archive_seq: i64,
    callback: CallbackDocument,
    archived_at: DateTime,
    ended_at: Option<DateTime>,
    worked: Option<WorkedDocument>,
    message: Message,
}

#[derive(Deserialize)]
struct CallbackDocument {
    state: CallbackState,
    attempts: u32,
    failures: u32,
    revision: u32,
}

fn archived(document: &RawDocument) -> Option<Archived> {
    let row: ArchivedDocument = deserialize_from_slice(document.as_bytes()).ok()?;
    Some(Archived {
        bot_id: row.bot_id,
        correspondent_id: row.correspondent_id,
        message: row.message,
        seq: ArchiveSeq(unsigned(row.archive_seq)),
        revision: row.callback.revision,
        callback: match row.callback.state {
            CallbackState::None => CallbackProgress::None,
            CallbackState::Owed => CallbackProgress::Owed,
            CallbackState::Acknowledged => CallbackProgress::Acknowledged,
            CallbackState::Undeliverable => CallbackProgress::Undeliverable,
        },
        attempts: row.callback.attempts,
        failures: row.callback.failures,
        archived_at: timestamp(row.archived_at),
        ended_at: row.ended_at.map(timestamp),
        worked: row.worked.map(Worked::from),
    })
}

async fn medium(store: &Connection, media_id: MediaId) -> Answer<Kept> {
    let (open, failed) = copies(store, media_id).await?;
    let stages = vec![doc! { "$match": { "media_id": media_id.stored() } }, doc! { "$limit": 1 }];
    let rows = store.aggregate_by(ARCHIVE, stages, MEDIA_INDEX).await?;
    Ok(Kept { open, failed, archived: rows.first().and_then(|row| archived(row)) })
}

async fn copies(
    store: &Connection,
    media_id: MediaId,
) -> Answer<(Option<Job>, Option<FailedCopy>)> {
    let this = || vec![doc! { "$match": { "_id": media_id.stored() } }];
    let mut open = None;
    for shelf in [Shelf::Active, Shelf::Holding] {
        let found = store.aggregate(shelf.collection(), this()).await?;
        let job = found.first().and_then(|job| job_documents::read(shelf, job).ok());
        open = open.or(job);
    }
    let failed = store.aggregate(FAILED, this()).await?;
    Ok((open, failed.first().and_then(|copy| failed_copies::read(copy).ok())))
}

async fn message(
    store: &Connection,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
    message_id: MessageId,
) -> Answer<Kept> {
    #[derive(Deserialize)]
    struct Provider {
        provider_name: Option<String>,
    }
    let number = message_number(message_id)?;
    let provider: Option<Provider> = store.find(BOTS, bot_id.as_str()).await?;
    let mut row = None;
    if let Some(provider_name) = provider.and_then(|provider| provider.provider_name) {
        let chat = [(correspondent_id, vec![number])].into();
        let filters = archive_documents::of_messages(bot_id.as_str(), &provider_name.into(), &chat);
        let stages = filters.into_iter().map(|filter| doc! { "$match": filter }).collect();
        let rows = store.aggregate(ARCHIVE, stages).await?;
        row = rows.first().and_then(|row| archived(row));
    }
    let media_id = match row.as_ref().map(|row| row.message.media_id()) {
        Some(media_id) => media_id,
        None => waiting(store, bot_id, correspondent_id, number).await?,
    };
    let (open, failed) = match media_id {
        Some(media_id) => copies(store, media_id).await?,
        None => (None, None),
    };
    Ok(Kept { open, failed, archived: row })
}

/// The media of the message that waits under an id.
async fn waiting(
    store: &Connection,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
    number: i64,
) -> Answer<Option<MediaId>> {
    #[derive(Deserialize)]
    struct Waiting {
        #[serde(rename = "_id")]
        media_id: Uuid,
    }
    for collection in [ACTIVE, HOLDING] {
        let filter = doc! {
            "bot_id": bot_id.as_str(),
            "correspondent_id": correspondent_id.as_str(),
            "revision": 0,
            "message_id": number,
        };
        let stages = vec![doc! { "$match": filter }, doc! { "$project": { "_id": 1 } }];
        let index = super::indexes::PROVIDER_MESSAGE_INDEX;
        let found = store.aggregate_by(collection, stages, index).await?;
        if let Some(found) = found.first() {
            let waiting: Waiting = deserialize_from_slice(found.as_bytes())?;
            return Ok(Some(id_of(waiting.media_id)));
        }
    }
    Ok(None)
}

async fn callbacks(store: &Connection, query: &CallbackQuery) -> Answer<(Vec<Archived>, bool)> {
    let CallbackQuery { state, bot_id, after, limit } = query;
    let (state, index) = match state {
        CallbackFilter::Owed => ("owed", OWED_INDEX),
        CallbackFilter::Undeliverable => ("undeliverable", UNDELIVERABLE_INDEX),
    };
    let mut all_of = vec![doc! { "callback.state": state }];
    if let Some(bot_id) = bot_id {
        all_of.push(doc! { "bot_id": bot_id.as_str() });
    }
    if let Some((bot_id, seq)) = after {
        let (bot_id, seq) = (bot_id.as_str(), saturating(seq.0));
        all_of.push(doc! { "bot_id": { "$gte": bot_id } });
        let behind = doc! { "archive_seq": { "$gt": seq } };
        all_of.push(doc! { "$or": [{ "bot_id": { "$gt": bot_id } }, behind] });
    }
    let size = page_size(*limit);
    let stages = vec![
        doc! { "$match": { "$and": all_of } },
        doc! { "$sort": { "bot_id": 1, "callback.state": 1, "archive_seq": 1 } },
        doc! { "$limit": documents_to_read(size) },
    ];
    let documents = store.aggregate_by(ARCHIVE, stages, index).await?;
    let found = documents.iter().take(size).filter_map(|document| archived(document));
    Ok((found.collect(), documents.len() > size))
}

async fn owners(store: &Connection) -> Answer<Vec<Owner>> {
    #[derive(Deserialize)]
    struct Owned {
        #[serde(rename = "_id")]
        bot_id: BotId,
        node_id: Uuid,
        epoch: i64,
        remaining: i64,
    }
    let stages = vec![
        doc! { "$match": { "owner.node_id": { "$exists": true } } },
        doc! { "$sort": { "_id": 1 } },
        doc! { "$project": {
            "node_id": "$owner.node_id",
            "epoch": "$owner.epoch",
            "remaining": { "$subtract": ["$owner.expires_at", store.time.now()] },
        } },
    ];
    let found = store.aggregate(BOTS, stages).await?;
    let read = found.iter().filter_map(|found| deserialize_from_slice(found.as_bytes()).ok());
    let owners = read.map(|owned: Owned| Owner {
        bot_id: owned.bot_id,
        node_id: id_of(owned.node_id),
        epoch: Epoch(unsigned(owned.epoch)),
        remaining: Millis::from_ms(unsigned(owned.remaining)),
    });
    Ok(owners.collect())
}

async fn leases(store: &Connection) -> Answer<Vec<(WorkerId, u64)>> {
    #[derive(Deserialize)]
    struct Counted {
        #[serde(rename = "_id")]
        worker_id: Uuid,
        jobs: i64,
    }
    let mut counted = std::collections::BTreeMap::new();
    for collection in [ACTIVE, HOLDING] {
        let stages = vec![
            doc! { "$match": { "status": "processing" } },
            doc! { "$group": { "_id": "$lease.worker_id", "jobs": { "$sum": 1_i64 } } },
        ];
        for found in store.aggregate_by(collection, stages, LEASE_INDEX).await? {
            let found: Counted = deserialize_from_slice(found.as_bytes())?;
            *counted.entry(id_of::<WorkerId>(found.worker_id)).or_insert(0) += unsigned(found.jobs);
        }
    }
    Ok(counted.into_iter().collect())
}
