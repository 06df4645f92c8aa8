//! The janitor's sweeps over jobs: lost workers, and jobs that waited too long.
//!
//! Each handles at most as many jobs as asked for and is safe to repeat, also by two nodes at once: a
//! job that another writer changed meanwhile makes the sweep look again. One that cannot be read is set
//! aside and the sweep goes on.

use anteroom_core::id::{BotId, Epoch, MediaId, WorkerId};
use anteroom_core::job::{Command, Job, Status};
use anteroom_core::store::Swept;
use anteroom_core::time::{Millis, Timestamp};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::collections::{ACTIVE, FAILED, FENCES, HOLDING, QUARANTINE};
use super::connection::Connection;
use super::failure::Answer;
use super::job_changes::{self, Changes, Found};
use super::job_documents::{Shelf, WAITING};
use super::pages::{documents, page_size};
use super::transaction::{Transaction, transact};
use super::values::{id_of, saturating, uuids};

/// How long jobs may wait.
#[derive(Clone, Copy)]
pub(super) struct TimesToLive {
    pub(super) active: Millis,
    pub(super) holding: Millis,
}

/// The stages that find leases that have ended, the longest ended first.
pub(super) fn lease_ended(now: Bson, limit: i64) -> Vec<Document> {
    vec![
        doc! { "$match": {
            "status": "processing",
            "$expr": { "$lte": ["$lease.expires_at", now] },
        } },
        doc! { "$sort": { "lease.expires_at": 1, "_id": 1 } },
        doc! { "$limit": limit },
    ]
}

/// The stages that find active jobs of a bot that wait since before a moment.
pub(super) fn waiting_active(bot_id: &BotId, since: Bson, limit: i64) -> Vec<Document> {
    vec![
        doc! { "$match": {
            "bot_id": bot_id.as_str(),
            "status": { "$in": WAITING.to_vec() },
            "$expr": { "$lt": ["$active_since", since] },
        } },
        doc! { "$sort": { "active_since": 1, "_id": 1 } },
        doc! { "$limit": limit },
    ]
}

/// The stages that find holding jobs that wait since before a moment.
pub(super) fn waiting_holding(since: Bson, limit: i64) -> Vec<Document> {
    vec![
        doc! { "$match": {
            "status": { "$in": WAITING.to_vec() },
            "$expr": { "$lt": ["$held_at", since] },
        } },
        doc! { "$sort": { "held_at": 1, "_id": 1 } },
        doc! { "$limit": limit },
    ]
}

/// Takes ended leases away.
pub(super) async fn reclaim_leases(store: &Connection, limit: u32) -> Answer<Vec<Swept>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    transact!(store, |transaction| try_reclaim(transaction, page_size(limit)))
}

async fn try_reclaim(transaction: &mut Transaction<'_>, size: usize) -> Answer<Vec<Swept>> {
    let ended = lease_ended(transaction.store.time.now(), documents(size));
    let mut found = job_changes::find(transaction, ended.clone(), ended).await?;
    found.jobs.sort_by_key(|job| (job.lease().map(|lease| lease.expires_at), job.media_id));
    found.jobs.truncate(size);
    apply(transaction, found, &Command::Reclaim).await
}

/// Ends jobs that waited too long: active ones of the running bots, holding ones of any bot.
pub(super) async fn expire_jobs(
    store: &Connection,
    running: &[(BotId, Epoch)],
    ttls: TimesToLive,
    limit: u32,
) -> Answer<Vec<Swept>> {
    let size = page_size(limit);
    let mut swept = Vec::new();
    let mut transaction = Transaction::new(store).await?;
    for (bot_id, epoch) in waiting_too_long(store, running, ttls.active).await? {
        if swept.len() < size {
            let active = Overdue::Active { bot_id, epoch };
            swept.extend(expire(&mut transaction, &active, ttls, size - swept.len()).await?);
        }
    }
    if swept.len() < size {
        let holding = Overdue::Holding;
        swept.extend(expire(&mut transaction, &holding, ttls, size - swept.len()).await?);
    }
    Ok(swept)
}

/// Those of the bots that have a job which waits too long; mostly none.
async fn waiting_too_long<'b>(
    store: &Connection,
    running: &'b [(BotId, Epoch)],
    ttl: Millis,
) -> Answer<Vec<(&'b BotId, Epoch)>> {
    if running.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = running.iter().map(|(bot_id, _)| bot_id.as_str()).collect();
    let filter = doc! {
        "bot_id": { "$in": ids },
        "status": { "$in": WAITING.to_vec() },
        "$expr": { "$lt": ["$active_since", store.time.ago(ttl)] },
    };
    let stages = vec![doc! { "$match": filter }, doc! { "$group": { "_id": "$bot_id" } }];
    let found = store.aggregate(ACTIVE, stages).await?;
    let found: Vec<&str> = found.iter().filter_map(|bot| bot.get_str("_id").ok()).collect();
    let waiting = running.iter().filter(|(bot_id, _)| found.contains(&bot_id.as_str()));
    Ok(waiting.map(|(bot_id, epoch)| (bot_id, *epoch)).collect())
}

/// Which jobs are ended for having waited.
enum Overdue<'b> {
    /// Those of a bot that runs under an epoch.
    Active { bot_id: &'b BotId, epoch: Epoch },
    /// Those of any bot that is stopped.
    Holding,
}

async fn expire(
    transaction: &mut Transaction<'_>,
    overdue: &Overdue<'_>,
    ttls: TimesToLive,
    size: usize,
) -> Answer<Vec<Swept>> {
    loop {
        transaction.begin().await?;
        let tried = try_expire(transaction, overdue, ttls, size).await;
        if let Some(swept) = transaction.end(tried).await? {
            return Ok(swept);
        }
    }
}

async fn try_expire(
    transaction: &mut Transaction<'_>,
    overdue: &Overdue<'_>,
    ttls: TimesToLive,
    size: usize,
) -> Answer<Vec<Swept>> {
    let time = &transaction.store.time;
    let limit = documents(size);
    let mut found = Found::default();
    match overdue {
        Overdue::Active { bot_id, epoch } => {
            let stages = waiting_active(bot_id, time.ago(ttls.active), limit);
            if !owns(transaction, bot_id, *epoch).await? {
                return Ok(Vec::new());
            }
            job_changes::find_on(transaction, Shelf::Active, stages, &mut found).await?;
        }
        Overdue::Holding => {
            let stages = waiting_holding(time.ago(ttls.holding), limit);
            job_changes::find_on(transaction, Shelf::Holding, stages, &mut found).await?;
        }
    }
    let command = Command::Expire { active_ttl: ttls.active, holding_ttl: ttls.holding };
    apply(transaction, found, &command).await
}

/// Whether the epoch is the bot's current one.
async fn owns(transaction: &mut Transaction<'_>, bot_id: &BotId, epoch: Epoch) -> Answer<bool> {
    let current = doc! { "_id": bot_id.as_str(), "epoch": saturating(epoch.0) };
    let found = transaction.aggregate(FENCES, vec![doc! { "$match": current }]).await?;
    Ok(!found.is_empty())
}

/// Applies a sweep's command to the jobs found.
async fn apply(
    transaction: &mut Transaction<'_>,
    found: Found,
    command: &Command,
) -> Answer<Vec<Swept>> {
    let now: Timestamp = found.now.unwrap_or_default();
    let mut changes = Changes::default();
    let mut swept = Vec::with_capacity(found.jobs.len());
    for job in &found.jobs {
        let Ok(applied) = job.apply(command, now) else { continue };
        changes.add(job, &applied)?;
        swept.extend(applied.job.map(|after| report(job, &after)));
    }
    changes.write(transaction).await?;
    Ok(swept)
}

fn report(before: &Job, after: &Job) -> Swept {
    let worker_id: Option<WorkerId> = before.lease().map(|lease| lease.worker_id);
    Swept {
        bot_id: after.bot_id.clone(),
        media_id: after.media_id,
        pool: after.pool.clone(),
        worker_id,
        completed: matches!(after.status, Status::Completed { .. }),
    }
}

/// Those of the media that a job, a failed copy or a document set aside knows, in one snapshot.
pub(super) async fn known_media(
    store: &Connection,
    media_ids: Vec<MediaId>,
) -> Answer<Vec<MediaId>> {
    if media_ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = uuids(&media_ids);
    let by_id = || {
        vec![
            doc! { "$match": { "_id": { "$in": ids.clone() } } },
            doc! { "$project": { "_id": 1 } },
        ]
    };
    let set_aside = vec![
        doc! { "$match": { "media_id": { "$in": ids.clone() } } },
        doc! { "$project": { "_id": "$media_id" } },
    ];
    let mut pipeline = by_id();
    pipeline.push(job_changes::union(HOLDING, by_id()));
    pipeline.push(job_changes::union(FAILED, by_id()));
    pipeline.push(job_changes::union(QUARANTINE, set_aside));
    let found = store.aggregate_snapshot(ACTIVE, pipeline).await?;
    let known: std::collections::BTreeSet<MediaId> = found.iter().filter_map(media_id_of).collect();
    Ok(media_ids.into_iter().filter(|media_id| known.contains(media_id)).collect())
}

fn media_id_of(document: &RawDocumentBuf) -> Option<MediaId> {
    let id = document.get_binary("_id").ok()?;
    let bytes: [u8; 16] = id.bytes.try_into().ok()?;
    Some(id_of(mongodb::bson::Uuid::from_bytes(bytes)))
}
