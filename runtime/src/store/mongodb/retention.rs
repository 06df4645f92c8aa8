//! What is dropped once it was kept long enough: failed copies, archived messages, confirmed sends.

use std::collections::BTreeMap;
use std::time::Instant;

use anteroom_core::id::{BotId, CorrespondentId, MediaId, MessageId, ProviderName};
use anteroom_core::store::ArchiveItem;
use anteroom_core::time::Millis;
use mongodb::bson::{Bson, Document, Uuid, deserialize_from_slice, doc};
use serde::Deserialize;

use super::archive_documents::{RETENTION_DUE, RETENTION_HIGHEST};
use super::collections::{ACTIVE, ARCHIVE, FAILED, FENCES, HOLDING, SENDS};
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::pages::{documents, page_size};
use super::quarantine;
use super::transaction::{Transaction, transact};
use super::values::{id_of, message_number, uuids};

/// How many rows that stay one sweep of the archive may meet before it leaves the rest to the next.
const PASSED_OVER_MAX: usize = 10_000;

/// How many sends one sweep drops. Nobody asks again for their sake, and a bot may send more than it is sent.
const SENDS_MAX: usize = 10_000;

/// How many archived messages one transaction handles.
const CHUNK_ROWS: usize = 500;

/// The stages that find failed copies from before a moment whose files no open job needs.
pub(super) fn kept_failed(before: Bson, limit: i64) -> Vec<Document> {
    let open = |collection: &str| {
        doc! { "$lookup": {
            "from": collection,
            "localField": "_id",
            "foreignField": "_id",
            "pipeline": [
                { "$match": { "status": { "$ne": "completed" } } },
                { "$project": { "_id": 1 } },
            ],
            "as": collection,
        } }
    };
    vec![
        doc! { "$match": { "$expr": { "$lt": ["$failed_at", before] } } },
        doc! { "$sort": { "failed_at": 1, "_id": 1 } },
        doc! { "$project": { "_id": 1 } },
        open(ACTIVE),
        open(HOLDING),
        doc! { "$match": { ACTIVE: { "$size": 0 }, HOLDING: { "$size": 0 } } },
        doc! { "$limit": limit },
        doc! { "$project": { "_id": 1 } },
    ]
}

/// Drops failed copies, and returns the media whose files nothing needs any more.
pub(super) async fn forget_failed(
    store: &Connection,
    retention: Millis,
    limit: u32,
) -> Answer<Vec<MediaId>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    transact!(store, |transaction| try_forget_failed(transaction, retention, limit))
}

async fn try_forget_failed(
    transaction: &mut Transaction<'_>,
    retention: Millis,
    limit: u32,
) -> Answer<Vec<MediaId>> {
    #[derive(Deserialize)]
    struct Forgotten {
        #[serde(rename = "_id")]
        media_id: Uuid,
    }
    let before = transaction.store.time.ago(retention);
    let stages = kept_failed(before, documents(page_size(limit)));
    let found = transaction.aggregate(FAILED, stages).await?;
    let mut forgotten = Vec::with_capacity(found.len());
    for copy in &found {
        match deserialize_from_slice::<Forgotten>(copy.as_bytes()) {
            Ok(copy) => forgotten.push(id_of(copy.media_id)),
            Err(error) => {
                quarantine::of_part(transaction, FAILED, copy, &error.to_string()).await?;
            }
        }
    }
    if !forgotten.is_empty() {
        let these = doc! { "_id": { "$in": uuids(&forgotten) } };
        transaction.delete(FAILED, these).await?;
    }
    Ok(forgotten)
}

/// The stages that find archived messages that ended before a moment, and whether each is its
/// correspondent's highest; none archived before `from`.
pub(super) fn kept_archived(from: &Bson, before: Bson, limit: i64) -> Vec<Document> {
    let mut stages = vec![
        doc! { "$match": {
            "retention": RETENTION_DUE,
            "$expr": { "$and": [
                { "$gte": ["$archived_at", from] },
                // No callback ends before its message is archived.
                { "$lt": ["$archived_at", before.clone()] },
                { "$lt": ["$ended_at", before] },
            ] },
            "ended_at": { "$exists": true },
        } },
        doc! { "$sort": { "archived_at": 1 } },
        doc! { "$limit": limit },
    ];
    stages.extend(whether_highest());
    stages
}

/// The stages that tell of archived messages whether each is its correspondent's highest.
fn whether_highest() -> [Document; 3] {
    let same = |field: &str| doc! { "$eq": [format!("${field}"), format!("$${field}")] };
    [
        doc! { "$project": {
            "bot_id": 1, "provider_name": 1, "correspondent_id": 1, "id": 1, "archived_at": 1,
        } },
        doc! { "$lookup": {
            "from": ARCHIVE,
            "let": {
                "bot_id": "$bot_id",
                "provider_name": "$provider_name",
                "correspondent_id": "$correspondent_id",
                "id": "$id",
            },
            "pipeline": [
                { "$match": { "$expr": { "$and": [
                    same("bot_id"),
                    same("provider_name"),
                    same("correspondent_id"),
                    { "$gt": ["$id", "$$id"] },
                ] } } },
                { "$limit": 1 },
                { "$project": { "_id": 1 } },
            ],
            "as": "higher",
        } },
        doc! { "$project": {
            "bot_id": 1, "archived_at": 1, "highest": { "$eq": [{ "$size": "$higher" }, 0] },
        } },
    ]
}

/// What one transaction of the sweep did, and what is left to do.
struct Pass {
    found: usize,
    forgotten: usize,
    /// Rows that were the highest of their correspondents, by their bots.
    highest: BTreeMap<BotId, Vec<Bson>>,
    /// When the last of the rows was archived.
    last: Option<Bson>,
}

/// Drops archived messages, and with them the keys of sends that were confirmed as long ago; returns
/// how many messages.
///
/// A correspondent's highest row is passed over once and then out of the sweep's way, until a higher
/// one is archived: what is kept for ever is not looked at for ever.
pub(super) async fn forget_archived(
    store: &Connection,
    retention: Millis,
    limit: u32,
) -> Answer<u32> {
    let limit = page_size(limit);
    let (mut forgotten, mut passed_over) = (0, 0);
    // What is older and still there is owed, and was looked at.
    let mut from = Bson::MinKey;
    let until = Instant::now() + store.call_timeout / 2;
    while forgotten < limit && passed_over < PASSED_OVER_MAX && Instant::now() < until {
        let size = CHUNK_ROWS.min(limit - forgotten);
        let pass = drop_some(store, retention, &from, size).await?;
        for (bot_id, rows) in pass.highest {
            match pass_over(store, &bot_id, &rows).await {
                // The next sweep finds them again; the other bots' rows are not to wait for them.
                Err(Failure::Contended { last, .. }) => {
                    tracing::debug!(%bot_id, %last, "a bot's rows could not be passed over");
                }
                ended => ended?,
            }
        }
        forgotten += pass.forgotten;
        passed_over += pass.found - pass.forgotten;
        if pass.found < size {
            break;
        }
        from = pass.last.unwrap_or(from);
    }
    forget_sends(store, retention).await?;
    Ok(u32::try_from(forgotten).unwrap_or(u32::MAX))
}

#[derive(Deserialize)]
struct Ended {
    #[serde(rename = "_id")]
    position: Bson,
    bot_id: String,
    archived_at: Option<Bson>,
    highest: bool,
}

async fn read_ended(
    transaction: &mut Transaction<'_>,
    stages: Vec<Document>,
) -> Answer<(usize, Vec<Ended>)> {
    let found = transaction.aggregate(ARCHIVE, stages).await?;
    let mut rows = Vec::with_capacity(found.len());
    for row in &found {
        match deserialize_from_slice::<Ended>(row.as_bytes()) {
            Ok(row) => rows.push(row),
            Err(error) => quarantine::row(transaction, row, &error.to_string()).await?,
        }
    }
    Ok((found.len(), rows))
}

/// Drops rows that are not the highest of their correspondents. No fence is passed: such a row does not
/// become the highest again, and whoever changes it meanwhile is in conflict with this.
async fn drop_some(
    store: &Connection,
    retention: Millis,
    from: &Bson,
    size: usize,
) -> Answer<Pass> {
    transact!(store, |transaction| try_drop_some(transaction, retention, from, size))
}

async fn try_drop_some(
    transaction: &mut Transaction<'_>,
    retention: Millis,
    from: &Bson,
    size: usize,
) -> Answer<Pass> {
    let before = transaction.store.time.ago(retention);
    let stages = kept_archived(from, before, documents(size));
    let (found, rows) = read_ended(transaction, stages).await?;
    let last = rows.last().and_then(|row| row.archived_at.clone());
    let mut highest: BTreeMap<BotId, Vec<Bson>> = BTreeMap::new();
    let mut dropped = Vec::new();
    for row in rows {
        if row.highest {
            highest.entry(row.bot_id.into()).or_default().push(row.position);
        } else {
            dropped.push(row.position);
        }
    }
    let forgotten = dropped.len();
    if forgotten > 0 {
        transaction.delete(ARCHIVE, doc! { "_id": { "$in": dropped } }).await?;
    }
    Ok(Pass { found, forgotten, highest, last })
}

/// Takes a bot's rows that are still the highest of their correspondents out of the sweep's way.
async fn pass_over(store: &Connection, bot_id: &BotId, rows: &[Bson]) -> Answer<()> {
    let _turn = store.turns.take(bot_id).await;
    transact!(store, |transaction| try_pass_over(transaction, bot_id, rows))
}

/// The bot's fence comes first, so that nothing is lost to whoever archives for the bot at the time. Whoever
/// archives for it from then on puts rows back into the sweep's way that are not the highest any longer.
async fn try_pass_over(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    rows: &[Bson],
) -> Answer<()> {
    let retains = doc! { "$set": { "retains": true }, "$inc": { "writes": 1_i64 } };
    transaction.update_all(FENCES, doc! { "_id": bot_id.as_str() }, retains).await?;
    let mut stages = vec![doc! { "$match": { "_id": { "$in": rows } } }];
    stages.extend(whether_highest());
    let (_, rows) = read_ended(transaction, stages).await?;
    let highest: Vec<Bson> =
        rows.into_iter().filter(|row| row.highest).map(|row| row.position).collect();
    let change = doc! { "$set": { "retention": RETENTION_HIGHEST } };
    transaction.update_all(ARCHIVE, doc! { "_id": { "$in": highest } }, change).await
}

/// Puts rows back into the sweep's way that were kept as the highest of their correspondents, and are below
/// these.
pub(super) async fn surpass(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    provider_name: &ProviderName,
    items: &[ArchiveItem],
) -> Answer<()> {
    let mut highest: BTreeMap<&CorrespondentId, MessageId> = BTreeMap::new();
    for ArchiveItem { correspondent_id, message, .. } in items {
        let known = highest.entry(correspondent_id).or_insert(message.id);
        *known = message.id.max(*known);
    }
    let below = highest
        .iter()
        .map(|(correspondent_id, id)| {
            let below = doc! { "$lt": message_number(*id)? };
            Ok(doc! { "correspondent_id": correspondent_id.as_str(), "id": below })
        })
        .collect::<Answer<Vec<_>>>()?;
    let correspondent_ids: Vec<&str> = highest.keys().map(|id| id.as_str()).collect();
    let these = doc! {
        "bot_id": bot_id.as_str(),
        "provider_name": provider_name.as_str(),
        "correspondent_id": { "$in": correspondent_ids },
        "retention": RETENTION_HIGHEST,
        "$or": below,
    };
    let change = doc! { "$set": { "retention": RETENTION_DUE } };
    transaction.update_all(ARCHIVE, these, change).await
}

/// The stages that find sends that were confirmed before a moment.
pub(super) fn kept_sends(before: Bson, limit: i64) -> Vec<Document> {
    vec![
        doc! { "$match": { "state": "sent", "$expr": { "$lt": ["$sent_at", before] } } },
        doc! { "$sort": { "sent_at": 1 } },
        doc! { "$limit": limit },
        doc! { "$project": { "_id": 1 } },
    ]
}

/// Drops the keys of sends that were confirmed long ago.
async fn forget_sends(store: &Connection, retention: Millis) -> Answer<()> {
    for _ in 0..SENDS_MAX / CHUNK_ROWS {
        let stages = kept_sends(store.time.ago(retention), documents(CHUNK_ROWS));
        let found = store.aggregate(SENDS, stages).await?;
        let ids: Vec<Bson> = found
            .iter()
            .filter_map(|send| send.get("_id").ok().flatten())
            .filter_map(|id| Bson::try_from(id).ok())
            .collect();
        let dropped = ids.len();
        if dropped > 0 {
            let sends = store.database.collection::<Document>(SENDS);
            sends.delete_many(doc! { "_id": { "$in": ids } }).await?;
        }
        if dropped < CHUNK_ROWS {
            break;
        }
    }
    Ok(())
}
