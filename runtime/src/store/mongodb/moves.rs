//! A bot's jobs between active and holding, and the pages in which they are read.
//!
//! A move deletes a job from one collection and inserts it into the other in one fenced transaction, so
//! it is in exactly one of them at every moment, with its status, its lease and its result.

use anteroom_core::id::BotId;
use anteroom_core::job::offer::{self, LeaseOffer};
use anteroom_core::job::{Command, Job};
use anteroom_core::pool::routing::Routing;
use anteroom_core::store::{Fence, JobCursor, JobPage};
use mongodb::bson::{Document, doc};

use super::collections::{ACTIVE, HOLDING};
use super::connection::Connection;
use super::failure::Answer;
use super::fence;
use super::indexes::BOT_PAGE_INDEX;
use super::job_changes::{self, Changes, Found};
use super::job_documents::{self, Shelf};
use super::pages::{documents_to_read, page_size};
use super::transaction::{Transaction, transact};
use super::values::{AsUuid, date, uuids};

/// How many jobs one transaction moves to holding at first; each conflict with a worker halves it.
const HOLD_CHUNK_JOBS: usize = 500;

/// The statuses of an active job: a page of all of them merges a range of the index each.
const STATUSES: [&str; 4] = ["pending", "backing_off", "processing", "completed"];

/// Leaves out the jobs up to the one that the page before ended with.
fn behind(after: Option<JobCursor>, filter: &mut Document) {
    let Some(JobCursor { created_at, media_id }) = after else { return };
    let at = date(created_at);
    // The first condition bounds the index, the second is for those of the same moment.
    filter.insert("created_at", doc! { "$gte": at });
    let up_to = doc! { "created_at": at, "_id": { "$lte": media_id.stored() } };
    filter.insert("$nor", vec![up_to]);
}

/// The stages that find a page of a bot's jobs, in the order of pages.
fn page_stages(mut filter: Document, after: Option<JobCursor>, limit: i64) -> Vec<Document> {
    behind(after, &mut filter);
    let order = doc! { "created_at": 1, "_id": 1 };
    vec![doc! { "$match": filter }, doc! { "$sort": order }, doc! { "$limit": limit }]
}

/// A page of a bot's jobs on a shelf.
async fn find_page(
    transaction: &mut Transaction<'_>,
    shelf: Shelf,
    bot_id: &BotId,
    after: Option<JobCursor>,
    limit: i64,
) -> Answer<Found> {
    let mut filter = doc! { "bot_id": bot_id.as_str() };
    if shelf == Shelf::Active {
        filter.insert("status", doc! { "$in": STATUSES.to_vec() });
    }
    let stages = page_stages(filter, after, limit);
    let mut found = Found::default();
    job_changes::find_by(transaction, shelf, stages, Some(BOT_PAGE_INDEX), &mut found).await?;
    Ok(found)
}

/// A page of a bot's jobs, wherever they are.
async fn find_jobs(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    after: Option<JobCursor>,
    size: usize,
) -> Answer<JobPage> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut documents = 0;
    let mut ends: Vec<JobCursor> = Vec::new();
    for shelf in [Shelf::Active, Shelf::Holding] {
        let found = find_page(transaction, shelf, bot_id, after, documents_to_read(size)).await?;
        documents += found.documents;
        if found.documents > size {
            // The page ends where this shelf may have more: the next one begins behind it.
            let Some(last) = found.jobs.last().map(JobCursor::of) else {
                return Ok(JobPage { jobs: Vec::new(), more: true });
            };
            ends.push(last);
        }
        jobs.extend(found.jobs);
    }
    jobs.retain(|job| ends.iter().all(|end| JobCursor::of(job) <= *end));
    jobs.sort_by_key(JobCursor::of);
    jobs.truncate(size);
    Ok(JobPage { jobs, more: documents > size })
}

/// Activates a page of a bot's jobs, leases those that get an offered place, and returns them.
pub(super) async fn restore(
    store: &Connection,
    fence: &Fence,
    after: Option<JobCursor>,
    limit: u32,
    offers: &[LeaseOffer],
    routing: Option<&Routing>,
) -> Answer<JobPage> {
    let _turn = store.turns.take(&fence.bot_id).await;
    let size = page_size(limit);
    transact!(store, |transaction| try_restore(transaction, fence, after, size, offers, routing))
}

async fn try_restore(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    after: Option<JobCursor>,
    size: usize,
    offers: &[LeaseOffer],
    routing: Option<&Routing>,
) -> Answer<JobPage> {
    let passed = fence::pass(transaction, fence, 0).await?;
    let JobPage { jobs, more } = find_jobs(transaction, &fence.bot_id, after, size).await?;
    let restored = offer::restored(&jobs, offers, routing, passed.now);
    let mut adopted = Vec::new();
    let mut changes = Changes::default();
    for (job, restored) in jobs.iter().zip(&restored) {
        let stays = restored.status == job.status && restored.pool == job.pool;
        if Shelf::of(job) == Shelf::Active && stays {
            adopted.push(&job.media_id);
        } else {
            changes.replace(job, restored)?;
        }
    }
    changes.write(transaction).await?;
    if !adopted.is_empty() {
        let change = doc! { "$set": { "active_since": date(passed.now) } };
        transaction.update_all(ACTIVE, doc! { "_id": { "$in": uuids(adopted) } }, change).await?;
    }
    Ok(JobPage { jobs: restored, more })
}

/// A page of a bot's results.
pub(super) async fn completed(
    store: &Connection,
    fence: &Fence,
    after: Option<JobCursor>,
    limit: u32,
) -> Answer<JobPage> {
    fence::check(store, fence).await?;
    let size = page_size(limit);
    let filter = doc! { "bot_id": fence.bot_id.as_str(), "status": "completed" };
    let stages = page_stages(filter, after, documents_to_read(size));
    let found = store.aggregate_by(ACTIVE, stages, BOT_PAGE_INDEX).await?;
    let mut jobs = Vec::with_capacity(found.len().min(size));
    for document in found.iter().take(size) {
        match job_documents::read(Shelf::Active, document) {
            Ok(job) => jobs.push(job),
            Err(reason) => {
                super::quarantine::set_aside_alone(store, ACTIVE, document, &reason).await?;
            }
        }
    }
    Ok(JobPage { jobs, more: found.len() > size })
}

/// How many jobs of a bot are held.
pub(super) async fn held(store: &Connection, bot_id: &BotId) -> Answer<u32> {
    let held = store.database.collection::<Document>(HOLDING);
    let held = held.count_documents(doc! { "bot_id": bot_id.as_str() }).await?;
    Ok(u32::try_from(held).unwrap_or(u32::MAX))
}

/// Moves some of a bot's active jobs to holding, and tells whether there may be more.
pub(super) async fn hold_some(store: &Connection, fence: &Fence) -> Answer<bool> {
    let _turn = store.turns.take(&fence.bot_id).await;
    let mut transaction = Transaction::new(store).await?;
    let mut chunk = HOLD_CHUNK_JOBS;
    loop {
        transaction.begin().await?;
        let tried = try_hold(&mut transaction, fence, chunk).await;
        match transaction.end(tried).await? {
            Some(moved) => return Ok(moved >= chunk),
            None => chunk = (chunk / 2).max(1),
        }
    }
}

/// Moves up to `chunk` jobs, and tells how many there were.
async fn try_hold(transaction: &mut Transaction<'_>, fence: &Fence, chunk: usize) -> Answer<usize> {
    let passed = fence::pass(transaction, fence, 0).await?;
    let limit = i64::try_from(chunk).unwrap_or(i64::MAX);
    let bot_id = &fence.bot_id;
    let found = find_page(transaction, Shelf::Active, bot_id, None, limit).await?;
    let mut changes = Changes::default();
    for job in &found.jobs {
        // Holding has no guard: there is no rejection to tell.
        if let Ok(applied) = job.apply(&Command::Hold, passed.now) {
            changes.add(job, &applied)?;
        }
    }
    changes.write(transaction).await?;
    Ok(found.documents)
}
