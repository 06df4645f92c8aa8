//! Documents that cannot be read, set aside so that they are in nobody's way.
//!
//! Owns the `quarantine` collection. A document moves there in the transaction that met it, with a log
//! line that names it. Its message id stays taken and its file stays known, so that an operator can put
//! it right.

use mongodb::bson::{Bson, RawDocument, doc, serialize_to_raw_document_buf};

use super::collections::QUARANTINE;
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
    tracing::error!(collection, %id, reason, "a document cannot be read and is set aside");
    let media_id = match collection {
        super::collections::ACTIVE | super::collections::HOLDING | super::collections::FAILED => {
            id.clone()
        }
        _ => field("media_id"),
    };
    let message_id = match field("message_id") {
        Bson::Null => field("id"),
        message_id => message_id,
    };
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
    transaction.insert(QUARANTINE, &[record]).await?;
    transaction.delete(collection, doc! { "_id": id }).await
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
