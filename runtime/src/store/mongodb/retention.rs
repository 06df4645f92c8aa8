//! What is dropped once it was kept long enough: failed copies, archived messages, confirmed sends.

use std::collections::BTreeSet;

use anteroom_core::id::MediaId;
use anteroom_core::time::Millis;
use mongodb::bson::{Bson, Document, Uuid, deserialize_from_slice, doc};
use serde::Deserialize;

use super::archive_documents::{RETENTION_DUE, RETENTION_HIGHEST};
use super::collections::{ACTIVE, ARCHIVE, FAILED, FENCES, HOLDING, SENDS};
use super::connection::Connection;
use super::failure::Answer;
use super::pages::{documents, page_size};
use super::quarantine;
use super::transaction::{Transaction, transact};
use super::values::{id_of, uuids};

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
/// correspondent's highest.
pub(super) fn kept_archived(before: Bson, limit: i64) -> Vec<Document> {
    let same = |field: &str| doc! { "$eq": [format!("${field}"), format!("$${field}")] };
    vec![
        doc! { "$match": {
            "retention": RETENTION_DUE,
            "$expr": { "$and": [
                // No callback ends before its message is archived.
                { "$lt": ["$archived_at", before.clone()] },
                { "$lt": ["$ended_at", before] },
            ] },
            "ended_at": { "$exists": true },
        } },
        doc! { "$sort": { "archived_at": 1 } },
        doc! { "$limit": limit },
        doc! { "$project": { "bot_id": 1, "provider_name": 1, "correspondent_id": 1, "id": 1 } },
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
        doc! { "$project": { "bot_id": 1, "highest": { "$eq": [{ "$size": "$higher" }, 0] } } },
    ]
}

/// What one transaction of the sweep did.
#[derive(Default)]
struct Pass {
    forgotten: usize,
    passed_over: usize,
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
    let mut all = Pass::default();
    let mut transaction = Transaction::new(store).await?;
    while all.forgotten < limit && all.passed_over < PASSED_OVER_MAX {
        let size = CHUNK_ROWS.min(limit - all.forgotten);
        transaction.begin().await?;
        let tried = try_forget_archived(&mut transaction, retention, size).await;
        let Some(pass) = transaction.end(tried).await? else { continue };
        if pass.forgotten + pass.passed_over == 0 {
            break;
        }
        all.forgotten += pass.forgotten;
        all.passed_over += pass.passed_over;
    }
    forget_sends(store, retention).await?;
    Ok(u32::try_from(all.forgotten).unwrap_or(u32::MAX))
}

async fn try_forget_archived(
    transaction: &mut Transaction<'_>,
    retention: Millis,
    size: usize,
) -> Answer<Pass> {
    #[derive(Deserialize)]
    struct Ended {
        #[serde(rename = "_id")]
        position: Bson,
        bot_id: String,
        highest: bool,
    }
    let before = transaction.store.time.ago(retention);
    let found = transaction.aggregate(ARCHIVE, kept_archived(before, documents(size))).await?;
    let mut rows = Vec::with_capacity(found.len());
    for row in &found {
        match deserialize_from_slice::<Ended>(row.as_bytes()) {
            Ok(row) => rows.push(row),
            Err(error) => quarantine::row(transaction, row, &error.to_string()).await?,
        }
    }
    let (kept, dropped): (Vec<Ended>, Vec<Ended>) = rows.into_iter().partition(|row| row.highest);
    // What is set aside is out of the way as well.
    let pass = Pass { forgotten: dropped.len(), passed_over: found.len() - dropped.len() };
    let positions =
        |rows: &[Ended]| -> Vec<Bson> { rows.iter().map(|row| row.position.clone()).collect() };
    if !dropped.is_empty() {
        transaction.delete(ARCHIVE, doc! { "_id": { "$in": positions(&dropped) } }).await?;
    }
    if !kept.is_empty() {
        let change = doc! { "$set": { "retention": RETENTION_HIGHEST } };
        let these = doc! { "_id": { "$in": positions(&kept) } };
        transaction.update_all(ARCHIVE, these, change).await?;
        // Whoever archives for these bots looks from then on for rows that are not the highest any
        // longer; whoever did so just now writes the same fence, and one of the two begins anew.
        let bots: BTreeSet<&str> = kept.iter().map(|row| row.bot_id.as_str()).collect();
        let bots: Vec<&str> = bots.into_iter().collect();
        let retains = doc! { "$set": { "retains": true }, "$inc": { "writes": 1_i64 } };
        transaction.update_all(FENCES, doc! { "_id": { "$in": bots } }, retains).await?;
    }
    Ok(pass)
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
