//! Archived messages of the earlier backend.
//!
//! Its rows were the messages themselves. They owe nothing: whoever was to hear of them has. Each gets a
//! place in its bot's archive, in the order in which it was written.

use std::collections::BTreeMap;

use anteroom_core::message::Message;
use anteroom_core::time::Timestamp;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, serialize_to_raw_document_buf};
use serde::Deserialize;

use super::super::archive_documents::RETENTION_DUE;
use super::super::collections::{ARCHIVE, FENCES};
use super::super::connection::Connection;
use super::super::failure::{Answer, Failure};
use super::super::quarantine;
use super::super::statements::Statement;
use super::super::transaction::Transaction;
use super::super::values::{date, message_number};
use super::earlier;

/// How many documents one transaction changes.
const CHUNK_DOCUMENTS: i64 = 200;

/// A message of the earlier backend.
struct Earlier {
    position: Bson,
    bot_id: String,
    provider_name: String,
    correspondent_id: String,
    message: Message,
}

/// Gives all rows the present shape, and tells how many had another.
pub(super) async fn migrate(store: &Connection) -> Answer<u64> {
    let mut changed = 0;
    let mut after = None;
    let mut transaction = Transaction::new(store).await?;
    loop {
        transaction.begin().await?;
        let tried = chunk(&mut transaction, after.as_ref()).await;
        match transaction.end(tried).await? {
            Some(Chunk { rows, last: Some(last) }) => {
                changed += rows;
                after = Some(last);
            }
            // Rows with another type of `_id` are not behind the last one.
            Some(Chunk { last: None, .. }) if after.is_some() => after = None,
            Some(Chunk { last: None, .. }) => return Ok(changed),
            None => {}
        }
    }
}

/// What one transaction changed.
struct Chunk {
    rows: u64,
    /// The `_id` of the last row; none when there was no row.
    last: Option<Bson>,
}

/// Changes some rows. Those in front are passed over by the index and not looked at again: a large
/// archive would take time by the square of its size.
async fn chunk(transaction: &mut Transaction<'_>, after: Option<&Bson>) -> Answer<Chunk> {
    let mut filter = doc! { "message": { "$exists": false } };
    if let Some(after) = after {
        filter.insert("_id", doc! { "$gt": after.clone() });
    }
    let earlier = vec![
        doc! { "$match": filter },
        doc! { "$sort": { "_id": 1 } },
        doc! { "$limit": CHUNK_DOCUMENTS },
    ];
    let found = transaction.aggregate(ARCHIVE, earlier).await?;
    let last = found.last().and_then(|row| row.get("_id").ok().flatten());
    let last = last.and_then(|id| Bson::try_from(id).ok());
    let mut by_bot: BTreeMap<String, Vec<Earlier>> = BTreeMap::new();
    for document in &found {
        match read(document) {
            Ok(row) => by_bot.entry(row.bot_id.clone()).or_default().push(row),
            Err(reason) => {
                quarantine::set_aside(transaction, ARCHIVE, document, &reason).await?;
            }
        }
    }
    if by_bot.is_empty() {
        return Ok(Chunk { rows: found.len() as u64, last });
    }
    let now = earlier::now(transaction, ARCHIVE).await?;
    let mut statements = Vec::new();
    for (bot_id, rows) in by_bot {
        let last = reserve(transaction, &bot_id, rows.len()).await?;
        let first = last - i64::try_from(rows.len()).unwrap_or(i64::MAX) + 1;
        for (seq, row) in (first..).zip(rows) {
            let position = doc! { "_id": row.position.clone() };
            statements.push(Statement::replace(position, present(&row, seq, now)?)?);
        }
    }
    transaction.update(ARCHIVE, statements).await?;
    Ok(Chunk { rows: found.len() as u64, last })
}

fn read(document: &RawDocumentBuf) -> Result<Earlier, String> {
    let document = Document::try_from(document).map_err(|error| error.to_string())?;
    let message = earlier::message(&document)?;
    let provider_name = earlier::optional_text(&document, "provider_name");
    Ok(Earlier {
        position: document.get("_id").cloned().unwrap_or(Bson::Null),
        bot_id: earlier::text(&document, "bot_id")?,
        provider_name: provider_name.unwrap_or_else(|| earlier::PROVIDER.to_owned()),
        correspondent_id: earlier::text(&document, "correspondent_id")?,
        message,
    })
}

/// Reserves places in a bot's archive, and returns the last of them. The bot may have had no owner yet.
async fn reserve(transaction: &mut Transaction<'_>, bot_id: &str, places: usize) -> Answer<i64> {
    #[derive(Deserialize)]
    struct Reserved {
        archive_seq: i64,
    }
    let places = i64::try_from(places).unwrap_or(i64::MAX);
    let change = doc! { "$set": {
        "epoch": { "$ifNull": ["$epoch", 0_i64] },
        "writes": { "$add": [{ "$ifNull": ["$writes", 0_i64] }, 1_i64] },
        "archive_seq": { "$add": [{ "$ifNull": ["$archive_seq", 0_i64] }, places] },
    } };
    let this = doc! { "_id": bot_id };
    transaction.update(FENCES, vec![Statement::upsert(this.clone(), vec![change])?]).await?;
    let found = transaction.aggregate(FENCES, vec![doc! { "$match": this }]).await?;
    let reserved = found
        .first()
        .and_then(|fence| mongodb::bson::deserialize_from_slice::<Reserved>(fence.as_bytes()).ok());
    let missing = || Failure::unavailable(format!("the fence of {bot_id} is not there"));
    Ok(reserved.ok_or_else(missing)?.archive_seq)
}

/// The row in its present shape. It is kept as long as one that is archived now: however old it is, no sweep is to
/// drop it for having been migrated.
fn present(row: &Earlier, seq: i64, now: Timestamp) -> Answer<RawDocumentBuf> {
    let mut document = doc! {
        "_id": row.position.clone(),
        "bot_id": row.bot_id.as_str(),
        "provider_name": row.provider_name.as_str(),
        "correspondent_id": row.correspondent_id.as_str(),
        "id": message_number(row.message.id)?,
        "archive_seq": seq,
        "callback": {
            "state": "acknowledged",
            "attempts": 1_i64,
            "failures": 0_i64,
            "revision": 0_i64,
        },
        "archived_at": date(now),
        "ended_at": date(now),
        "retention": RETENTION_DUE,
        "message": Document::try_from(serialize_to_raw_document_buf(&row.message)?)?,
    };
    let provider_message_id = row.message.provider_message_id.as_str();
    if !provider_message_id.is_empty() {
        document.insert("provider_message_id", provider_message_id);
    }
    Ok(serialize_to_raw_document_buf(&document)?)
}

/// Where several rows have the identity of one message, all but the first are set aside; where several
/// have the provider's id of one, all but the first lose it. The unique indexes are made after this.
pub(super) async fn set_duplicates_aside(store: &Connection) -> Answer<u64> {
    let identity = doc! {
        "bot_id": "$bot_id",
        "provider_name": "$provider_name",
        "correspondent_id": "$correspondent_id",
        "id": "$id",
    };
    let provider_message = doc! {
        "bot_id": "$bot_id",
        "correspondent_id": "$correspondent_id",
        "provider_message_id": "$provider_message_id",
    };
    let mut changed = 0;
    let everything = doc! { "message": { "$exists": true } };
    for position in duplicates(store, everything, identity).await? {
        let this = vec![doc! { "$match": { "_id": position } }];
        for document in store.aggregate_newest(ARCHIVE, this).await? {
            let reason = "another message has its id";
            quarantine::set_aside_alone(store, ARCHIVE, &document, reason).await?;
            changed += 1;
        }
    }
    let named = doc! { "provider_message_id": { "$exists": true } };
    for position in duplicates(store, named, provider_message).await? {
        let this = doc! { "_id": position };
        let nameless = vec![doc! { "$unset": "provider_message_id" }];
        changed += store.update_all(ARCHIVE, this, nameless).await?;
    }
    Ok(changed)
}

/// All but the first of the rows that agree in some fields.
async fn duplicates(store: &Connection, rows: Document, fields: Document) -> Answer<Vec<Bson>> {
    #[derive(Deserialize)]
    struct Agreeing {
        positions: Vec<Bson>,
    }
    let stages = vec![
        doc! { "$match": rows },
        doc! { "$sort": { "_id": 1 } },
        doc! { "$group": { "_id": fields, "positions": { "$push": "$_id" } } },
        doc! { "$match": { "positions.1": { "$exists": true } } },
    ];
    let archive = store.database.collection::<Document>(ARCHIVE);
    let mut cursor = archive.aggregate(stages).allow_disk_use(true).with_type::<Agreeing>().await?;
    let mut duplicates = Vec::new();
    while cursor.advance().await? {
        duplicates.extend(cursor.deserialize_current()?.positions.into_iter().skip(1));
    }
    Ok(duplicates)
}
