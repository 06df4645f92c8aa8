//! Documents that cannot be read, set aside so that they are in nobody's way.
//!
//! Owns the `quarantine` collection. A document moves there in the transaction that met it, with a log
//! line that names it. Its message id stays taken and its file stays known, so that an operator can put
//! it right.

use mongodb::bson::{Bson, RawDocument, Uuid, doc, serialize_to_raw_document_buf};

use super::collections::{ACTIVE, ARCHIVE, FAILED, HOLDING, QUARANTINE};
use super::connection::Connection;
use super::failure::Answer;
use super::transaction::{Transaction, transact};

/// Sets a document of a collection aside.
pub(super) async fn set_aside(
    transaction: &mut Transaction<'_>,
    collection: &'static str,
    document: &RawDocument,
    reason: &str,
) -> Answer<()> {
    let field = |name: &str| -> Bson {
        let value = document.get(name).ok().flatten();
        value.and_then(|value| Bson::try_from(value).ok()).unwrap_or(Bson::Null)
    };
    let id = field("_id");
    if transaction.delete_each(collection, vec![doc! { "_id": id.clone() }]).await? == 0 {
        // Another node was faster.
        return Ok(());
    }
    tracing::error!(collection, %id, reason, "a document cannot be read and is set aside");
    let media_id = match collection {
        ACTIVE | HOLDING | FAILED => match (&id, field("guid")) {
            // The shape of the earlier backend.
            (Bson::ObjectId(_), Bson::String(guid)) => {
                Uuid::parse_str(guid).map_or(Bson::Null, Bson::from)
            }
            _ => id.clone(),
        },
        _ => field("media_id"),
    };
    let message_id = whole(&field("message_id")).or_else(|| whole(&field("id")));
    let record = doc! {
        "source": collection,
        "bot_id": field("bot_id"),
        "correspondent_id": field("correspondent_id"),
        "message_id": message_id,
        "media_id": media_id,
        "reason": reason,
        "set_aside_at": mongodb::bson::DateTime::now(),
    };
    let mut record = serialize_to_raw_document_buf(&record)?;
    record.append(mongodb::bson::raw::cstr!("body"), document.to_owned());
    transaction.insert(QUARANTINE, &[record]).await
}

/// Sets an archived message aside of which only a part was read.
pub(super) async fn row(
    transaction: &mut Transaction<'_>,
    part: &RawDocument,
    reason: &str,
) -> Answer<()> {
    of_part(transaction, ARCHIVE, part, reason).await
}

/// Sets a document aside of which only a part was read, its id within.
pub(super) async fn of_part(
    transaction: &mut Transaction<'_>,
    collection: &'static str,
    part: &RawDocument,
    reason: &str,
) -> Answer<()> {
    let id = part.get("_id").ok().flatten();
    let Some(id) = id.and_then(|id| Bson::try_from(id).ok()) else { return Ok(()) };
    by_id(transaction, collection, &id, reason).await
}

/// Sets the document with an id aside.
async fn by_id(
    transaction: &mut Transaction<'_>,
    collection: &'static str,
    id: &Bson,
    reason: &str,
) -> Answer<()> {
    let whole =
        transaction.aggregate(collection, vec![doc! { "$match": { "_id": id.clone() } }]).await?;
    for document in &whole {
        set_aside(transaction, collection, document, reason).await?;
    }
    Ok(())
}

/// The same in a transaction of its own.
pub(super) async fn by_id_alone(
    store: &Connection,
    collection: &'static str,
    id: &Bson,
    reason: &str,
) -> Answer<()> {
    transact!(store, |transaction| by_id(transaction, collection, id, reason))
}

/// A number, however it was written.
fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        _ => None,
    }
}

/// The same in a transaction of its own.
pub(super) async fn set_aside_alone(
    store: &Connection,
    collection: &'static str,
    document: &RawDocument,
    reason: &str,
) -> Answer<()> {
    transact!(store, |transaction| set_aside(transaction, collection, document, reason))
}
