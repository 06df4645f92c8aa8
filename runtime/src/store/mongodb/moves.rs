//! A bot's jobs between active and holding, and the pages in which they are read.
//!
//! A move deletes a job from one collection and inserts it into the other in one fenced transaction, so
//! it is in exactly one of them at every moment, with its status, its lease and its result.

use anteroom_core::id::{BotId, MediaId};
use anteroom_core::job::Command;
use anteroom_core::job::offer::{self, LeaseOffer};
use anteroom_core::store::{Fence, JobPage};
use mongodb::bson::{Document, doc};

use super::collections::{ACTIVE, HOLDING};
use super::connection::Connection;
use super::failure::Answer;
use super::fence;
use super::job_changes::{self, Changes, Found};
use super::job_documents::{self, Shelf, UNLEASED};
use super::pages::{documents_to_read, page_size};
use super::transaction::{Transaction, transact};
use super::values::{AsUuid, date, uuids};
use super::views::LEASE_INDEX;

/// How many jobs one transaction moves to holding at first; each conflict with a worker halves it.
const HOLD_CHUNK_JOBS: usize = 500;

/// The statuses of a job: a page of all of them goes through the index in the order of media ids.
const STATUSES: [&str; 4] = ["pending", "backing_off", "processing", "completed"];

/// The stages that find a page of a bot's jobs in some statuses, in the order of media ids.
fn page_stages(
    bot_id: &BotId,
    statuses: &[&str],
    after: Option<MediaId>,
    limit: i64,
) -> Vec<Document> {
    let mut filter = doc! { "bot_id": bot_id.as_str(), "status": { "$in": statuses } };
    if let Some(after) = after {
        filter.insert("_id", doc! { "$gt": after.stored() });
    }
    vec![doc! { "$match": filter }, doc! { "$sort": { "_id": 1 } }, doc! { "$limit": limit }]
}

/// Adds a page of a bot's active jobs to what was found: `limit` of those that nobody works on, in the
/// order of media ids, and behind them all that are worked on.
async fn find_active(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    after: Option<MediaId>,
    limit: i64,
    found: &mut Found,
) -> Answer<()> {
    let unleased = page_stages(bot_id, &UNLEASED, after, limit);
    job_changes::find_on(transaction, Shelf::Active, unleased, found).await?;
    let mut leased = job_documents::leased();
    leased.insert("bot_id", bot_id.as_str());
    if let Some(after) = after {
        leased.insert("_id", doc! { "$gt": after.stored() });
    }
    let stages = vec![doc! { "$match": leased }];
    // The index of ids would find the bot's among everybody's.
    job_changes::find_by(transaction, Shelf::Active, stages, Some(LEASE_INDEX), found).await
}

/// Activates a page of a bot's jobs, leases those that get an offered place, and returns them.
pub(super) async fn restore(
    store: &Connection,
    fence: &Fence,
    after: Option<MediaId>,
    limit: u32,
    offers: &[LeaseOffer],
) -> Answer<JobPage> {
    let _turn = store.turns.take(&fence.bot_id).await;
    transact!(store, |transaction| try_restore(transaction, fence, after, page_size(limit), offers))
}

async fn try_restore(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    after: Option<MediaId>,
    size: usize,
    offers: &[LeaseOffer],
) -> Answer<JobPage> {
    let passed = fence::pass(transaction, fence, 0).await?;
    let limit = documents_to_read(size);
    let mut found = Found::default();
    find_active(transaction, &fence.bot_id, after, limit, &mut found).await?;
    let held = page_stages(&fence.bot_id, &STATUSES, after, limit);
    job_changes::find_on(transaction, Shelf::Holding, held, &mut found).await?;
    let Found { mut jobs, documents, .. } = found;
    jobs.sort_by_key(|job| job.media_id);
    jobs.truncate(size);
    let restored = offer::restored(&jobs, offers, passed.now);
    let mut adopted = Vec::new();
    let mut changes = Changes::default();
    for (job, restored) in jobs.iter().zip(&restored) {
        if Shelf::of(job) == Shelf::Active && restored.status == job.status {
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
    Ok(JobPage { jobs: restored, more: documents > size })
}

/// A page of a bot's results.
pub(super) async fn completed(
    store: &Connection,
    fence: &Fence,
    after: Option<MediaId>,
    limit: u32,
) -> Answer<JobPage> {
    fence::check(store, fence).await?;
    let size = page_size(limit);
    let stages = page_stages(&fence.bot_id, &["completed"], after, documents_to_read(size));
    let found = store.aggregate(ACTIVE, stages).await?;
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
    let mut found = Found::default();
    find_active(transaction, &fence.bot_id, None, limit, &mut found).await?;
    found.jobs.truncate(chunk);
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
