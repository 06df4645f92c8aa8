//! What is left in MongoDB.

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::{Archived, LeftJob, Remains};

/// Reads a database whose node has ended.
///
/// # Errors
/// When it cannot be read.
pub async fn read(database: &Database) -> Result<Remains> {
    let mut remains = Remains::default();
    for document in all(database, "queues").await? {
        remains.archive.push(archived(&document).with_context(|| format!("{document}"))?);
    }
    for collection in ["media_processing_jobs", "media_processing_jobs_holding"] {
        for document in all(database, collection).await? {
            remains.jobs.push(LeftJob {
                media_id: uuid(&document, "_id")?,
                provider_message_id: text(&document, "provider_message_id")?,
                state: format!("{collection}, {}", text(&document, "status")?),
            });
        }
    }
    for document in all(database, "media_processing_jobs_failed").await? {
        remains.failed.push(uuid(&document, "_id")?);
    }
    for document in all(database, "quarantine").await? {
        remains.unreadable.push(document.to_string());
    }
    Ok(remains)
}

async fn all(database: &Database, collection: &str) -> Result<Vec<Document>> {
    let found = database.collection::<Document>(collection).find(doc! {}).await;
    let documents = found.with_context(|| format!("cannot read {collection}"))?;
    documents.try_collect().await.with_context(|| format!("cannot read {collection}"))
}

fn archived(document: &Document) -> Result<Archived> {
    let callback = document.get_document("callback")?;
    let media_id = match document.contains_key("media_id") {
        true => Some(uuid(document, "media_id")?),
        false => None,
    };
    Ok(Archived {
        bot_id: text(document, "bot_id")?,
        provider_name: text(document, "provider_name")?,
        correspondent_id: text(document, "correspondent_id")?,
        id: number(document, "id")?,
        provider_message_id: text(document, "provider_message_id")?,
        media_id,
        seq: number(document, "archive_seq")?,
        callback: text(callback, "state")?,
        attempts: number(callback, "attempts")?,
        archived_at_ms: document.get_datetime("archived_at")?.timestamp_millis().cast_unsigned(),
        content: text(document.get_document("message")?, "content")?,
    })
}

fn text(document: &Document, field: &str) -> Result<String> {
    Ok(document.get_str(field).with_context(|| format!("the field {field}"))?.to_owned())
}

fn number(document: &Document, field: &str) -> Result<u64> {
    match document.get(field) {
        Some(Bson::Int32(number)) => Ok(u64::try_from(*number)?),
        Some(Bson::Int64(number)) => Ok(u64::try_from(*number)?),
        other => anyhow::bail!("the field {field} is no number: {other:?}"),
    }
}

fn uuid(document: &Document, field: &str) -> Result<Uuid> {
    match document.get(field) {
        Some(Bson::Binary(binary)) => Ok(Uuid::from_slice(&binary.bytes)?),
        other => anyhow::bail!("the field {field} is no UUID: {other:?}"),
    }
}
