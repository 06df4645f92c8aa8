//! What waits, counted from indexes.

use std::collections::BTreeMap;

use anteroom_core::id::PoolName;
use mongodb::bson::{DateTime, deserialize_from_slice, doc};
use serde::Deserialize;

use super::collections::{ACTIVE, ARCHIVE};
use super::connection::Connection;
use super::failure::Answer;
use super::indexes::OWED_INDEX;
use super::job_documents::WAITING;
use super::values::{timestamp, unsigned};
use crate::store::{Backlog, Waiting};

/// The bots whose oldest owed callbacks are looked at; of more, the first are.
const BOTS_MAX: usize = 1_000;

#[derive(Deserialize)]
struct OfPool {
    #[serde(rename = "_id")]
    pool: PoolName,
    count: i64,
    oldest: DateTime,
}

#[derive(Deserialize)]
struct OfBot {
    #[serde(rename = "_id")]
    bot_id: String,
    count: i64,
    first: i64,
}

#[derive(Deserialize)]
struct Oldest {
    archived_at: DateTime,
}

/// Counts what waits.
pub(super) async fn count(store: &Connection) -> Answer<Backlog> {
    Ok(Backlog { jobs: jobs(store).await?, callbacks: callbacks(store).await? })
}

async fn jobs(store: &Connection) -> Answer<BTreeMap<PoolName, Waiting>> {
    let pipeline = vec![
        doc! { "$match": { "pool": { "$exists": true }, "status": { "$in": WAITING.to_vec() } } },
        doc! { "$group": {
            "_id": "$pool",
            "count": { "$sum": 1_i64 },
            "oldest": { "$min": "$created_at" },
        } },
    ];
    let found = store.aggregate(ACTIVE, pipeline).await?;
    let waiting = found.iter().filter_map(|document| {
        let OfPool { pool, count, oldest } = deserialize_from_slice(document.as_bytes()).ok()?;
        let (count, oldest) = (unsigned(count), Some(timestamp(oldest)));
        Some((pool, Waiting { count, oldest }))
    });
    Ok(waiting.collect())
}

async fn callbacks(store: &Connection) -> Answer<Waiting> {
    let pipeline = vec![
        // Every bot: without its first field no index is used.
        doc! { "$match": { "bot_id": { "$gte": "" }, "callback.state": "owed" } },
        doc! { "$group": {
            "_id": "$bot_id",
            "count": { "$sum": 1_i64 },
            "first": { "$min": "$archive_seq" },
        } },
    ];
    let found = store.aggregate_by(ARCHIVE, pipeline, OWED_INDEX).await?;
    let bots: Vec<OfBot> =
        found.iter().filter_map(|it| deserialize_from_slice(it.as_bytes()).ok()).collect();
    let count = bots.iter().map(|bot| unsigned(bot.count)).sum();
    // A bot's oldest row is its first in archive order.
    let firsts = bots.iter().take(BOTS_MAX).map(|OfBot { bot_id, first, .. }| {
        doc! { "bot_id": bot_id, "callback.state": "owed", "archive_seq": first }
    });
    let firsts: Vec<_> = firsts.collect();
    if firsts.is_empty() {
        return Ok(Waiting::default());
    }
    let pipeline = vec![
        doc! { "$match": { "$or": firsts } },
        doc! { "$project": { "_id": 0, "archived_at": 1 } },
    ];
    let found = store.aggregate(ARCHIVE, pipeline).await?;
    let oldest = found.iter().filter_map(|document| {
        let Oldest { archived_at } = deserialize_from_slice(document.as_bytes()).ok()?;
        Some(timestamp(archived_at))
    });
    Ok(Waiting { count, oldest: oldest.min() })
}
