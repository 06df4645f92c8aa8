//! Outgoing messages, idempotent by their keys.
//!
//! Owns the `sends` collection. A confirmed send stays for as long as archived messages do, so that its
//! key is still known when it is enqueued again.

use anteroom_core::id::{BotId, ProviderMessageId, SendId};
use anteroom_core::store::{EnqueueAnswer, Fence, Send};
use anteroom_core::time::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, deserialize_from_slice, doc};
use serde::Deserialize;

use super::collections::SENDS;
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::fence;
use super::pages::{documents, page_size};
use super::statements::Statement;
use super::transaction::{Transaction, transact};
use super::values::date;

/// The state of a send that the provider has not confirmed.
const OWED: &str = "owed";

#[derive(Deserialize)]
struct SendDocument {
    send_id: String,
    correspondent_id: String,
    message: String,
}

/// Makes an outgoing message durable.
pub(super) async fn enqueue(
    store: &Connection,
    bot_id: &BotId,
    send: &Send,
) -> Answer<EnqueueAnswer> {
    let new = ObjectId::new();
    let stored: Option<StoredSend> = match put(store, bot_id, send, new).await {
        // Two enqueued a new key at once: by then it is there.
        Err(failure) if failure.is_out_of_date() => put(store, bot_id, send, new).await?,
        put => put?,
    };
    let stored = stored.ok_or_else(|| Failure::unavailable("a send was made and is not there"))?;
    let same =
        stored.correspondent_id == send.correspondent_id.as_str() && stored.message == send.message;
    Ok(if stored.position == new {
        EnqueueAnswer::Enqueued
    } else if same {
        EnqueueAnswer::AlreadyPresent
    } else {
        EnqueueAnswer::Conflict
    })
}

#[derive(Deserialize)]
struct StoredSend {
    #[serde(rename = "_id")]
    position: ObjectId,
    correspondent_id: String,
    message: String,
}

/// Makes a send unless its key is known, and returns what is stored under the key.
async fn put(
    store: &Connection,
    bot_id: &BotId,
    send: &Send,
    position: ObjectId,
) -> Answer<Option<StoredSend>> {
    // A field that is there stays as it is.
    let kept = |name: &str, value: &str| {
        doc! { "$ifNull": [format!("${name}"), { "$literal": value }] }
    };
    let fields = doc! { "$set": {
        "_id": { "$ifNull": ["$_id", position] },
        "correspondent_id": kept("correspondent_id", send.correspondent_id.as_str()),
        "message": kept("message", &send.message),
        "enqueued_at": { "$ifNull": ["$enqueued_at", store.time.now()] },
        "state": { "$ifNull": ["$state", OWED] },
    } };
    let collection = store.database.collection::<StoredSend>(SENDS);
    let filter = doc! { "bot_id": bot_id.as_str(), "send_id": send.send_id.as_str() };
    let putting = collection.find_one_and_update(filter, vec![fields]).upsert(true);
    Ok(putting.return_document(mongodb::options::ReturnDocument::After).await?)
}

/// Makes replies durable, in their order. A key belongs to its callback: whatever is stored under it
/// was its reply before.
pub(super) async fn enqueue_replies(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    replies: &[Send],
    now: Timestamp,
) -> Answer<()> {
    let statements = replies.iter().map(|reply| {
        let filter = doc! { "bot_id": bot_id.as_str(), "send_id": reply.send_id.as_str() };
        let new = doc! { "$setOnInsert": {
            "_id": ObjectId::new(),
            "correspondent_id": reply.correspondent_id.as_str(),
            "message": reply.message.as_str(),
            "enqueued_at": date(now),
            "state": OWED,
        } };
        Statement::make(filter, new)
    });
    let statements = statements.collect::<Answer<Vec<_>>>()?;
    transaction.update(SENDS, statements).await?;
    Ok(())
}

/// The stages that find a bot's sends that were not confirmed, oldest first.
pub(super) fn owed_stages(bot_id: &BotId, limit: i64) -> Vec<Document> {
    vec![
        doc! { "$match": { "bot_id": bot_id.as_str(), "state": OWED } },
        doc! { "$sort": { "enqueued_at": 1, "_id": 1 } },
        doc! { "$limit": limit },
    ]
}

/// The sends that were not confirmed, oldest first.
pub(super) async fn owed(store: &Connection, fence: &Fence, limit: u32) -> Answer<Vec<Send>> {
    fence::check(store, fence).await?;
    if limit == 0 {
        return Ok(Vec::new());
    }
    let stages = owed_stages(&fence.bot_id, documents(page_size(limit)));
    let found = store.aggregate(SENDS, stages).await?;
    let mut sends = Vec::with_capacity(found.len());
    for document in &found {
        match deserialize_from_slice::<SendDocument>(document.as_bytes()) {
            Ok(send) => sends.push(Send {
                send_id: send.send_id.into(),
                correspondent_id: send.correspondent_id.into(),
                message: send.message,
            }),
            Err(error) => {
                let reason = error.to_string();
                super::quarantine::set_aside_alone(store, SENDS, document, &reason).await?;
            }
        }
    }
    Ok(sends)
}

/// Confirms sends. One that is unknown or was confirmed before stays as it is.
pub(super) async fn mark_sent(
    store: &Connection,
    fence: &Fence,
    sent: &[(SendId, ProviderMessageId)],
) -> Answer<()> {
    let _turn = store.turns.take(&fence.bot_id).await;
    transact!(store, |transaction| try_mark_sent(transaction, fence, sent))
}

async fn try_mark_sent(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    sent: &[(SendId, ProviderMessageId)],
) -> Answer<()> {
    let passed = fence::pass(transaction, fence, 0).await?;
    let statements = sent.iter().map(|(send_id, provider_message_id)| {
        let filter = doc! {
            "bot_id": fence.bot_id.as_str(),
            "send_id": send_id.as_str(),
            "state": OWED,
        };
        let provider_message_id = provider_message_id.as_str();
        let change = doc! { "$set": {
            "state": "sent",
            "sent_at": date(passed.now),
            "provider_message_id": provider_message_id,
        } };
        Statement::one(filter, change)
    });
    let statements = statements.collect::<Answer<Vec<_>>>()?;
    transaction.update(SENDS, statements).await?;
    Ok(())
}
