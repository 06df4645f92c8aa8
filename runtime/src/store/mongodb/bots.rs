//! Bots, who owns them, and names that one node has for a while.
//!
//! An ownership stands until it is released or another node takes it after its end; its end alone
//! takes nothing away. The owner lives in `bots`, so that renewing it meets no transaction; the epoch
//! lives in `fences` and is never reset.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{BotId, Epoch, NodeId, ProviderName};
use anteroom_core::settings::Run;
use anteroom_core::store::{Acquired, BotRecord, Fence};
use anteroom_core::time::{Millis, Timestamp};
use futures_util::TryStreamExt;
use mongodb::bson::{DateTime, Document, Uuid, deserialize_from_slice, doc, serialize_to_bson};
use serde::Deserialize;

use super::collections::{BOTS, FENCES, SINGLETONS};
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::fence;
use super::known_bots::Hold;
use super::statements::Statement;
use super::transaction::{Transaction, transact};
use super::values::{AsUuid, date, id_of, saturating, timestamp, unsigned};

#[derive(Deserialize)]
struct BotDocument {
    #[serde(rename = "_id")]
    bot_id: BotId,
    provider_name: Option<String>,
    run: Option<Run>,
}

#[derive(Deserialize)]
struct OwnedDocument {
    provider_name: Option<String>,
    owner: Option<OwnerDocument>,
    epoch: Option<i64>,
    now: DateTime,
}

#[derive(Deserialize)]
struct OwnerDocument {
    node_id: Uuid,
    expires_at: DateTime,
}

impl BotDocument {
    fn record(self) -> Option<BotRecord> {
        let provider_name = self.provider_name?.into();
        Some(BotRecord { bot_id: self.bot_id, provider_name, run: self.run? })
    }
}

/// Makes a bot known, and returns the record that stands.
pub(super) async fn register(store: &Connection, record: BotRecord) -> Answer<BotRecord> {
    let _turn = store.turns.take(&record.bot_id).await;
    store.known_bots.forget_provider(&record.bot_id);
    transact!(store, |transaction| try_register(transaction, &record))
}

async fn try_register(transaction: &mut Transaction<'_>, record: &BotRecord) -> Answer<BotRecord> {
    let bot_id = record.bot_id.as_str();
    let found = transaction.aggregate(BOTS, vec![doc! { "$match": { "_id": bot_id } }]).await?;
    let mut known = Document::new();
    if let Some(document) = found.first() {
        match deserialize_from_slice::<BotDocument>(document.as_bytes()) {
            Ok(found) => {
                if let Some(stored) = found.record() {
                    return Ok(stored);
                }
            }
            Err(error) => {
                tracing::error!(bot_id, %error, "a bot's record is replaced: it cannot be read")
            }
        }
        if let Ok(owner) = document.get_document("owner") {
            known.insert("owner", Document::try_from(owner)?);
        }
    }
    let provider_name = record.provider_name.as_str();
    let mut change =
        doc! { "provider_name": provider_name, "run": serialize_to_bson(&record.run)? };
    change.extend(known);
    let change = Statement::put(
        doc! { "_id": bot_id },
        mongodb::bson::serialize_to_raw_document_buf(&change)?,
    )?;
    transaction.update(BOTS, vec![change]).await?;
    let of_fence = doc! { "$set": { "provider_name": provider_name } };
    transaction.update_all(FENCES, doc! { "_id": bot_id }, of_fence).await?;
    Ok(record.clone())
}

/// Every registered bot. One whose record cannot be read is left out, until it is registered anew.
pub(super) async fn list(store: &Connection) -> Answer<Vec<BotRecord>> {
    let collection = store.database.collection::<mongodb::bson::RawDocumentBuf>(BOTS);
    let found = collection.find(doc! {}).sort(doc! { "_id": 1 }).await?;
    let found: Vec<_> = found.try_collect().await?;
    let readable = found.iter().filter_map(|document| {
        match deserialize_from_slice::<BotDocument>(document.as_bytes()) {
            Ok(found) => found.record(),
            Err(error) => {
                tracing::error!(%error, "a bot's record cannot be read");
                None
            }
        }
    });
    Ok(readable.collect())
}

/// Takes a bot for a node, if it is free.
pub(super) async fn acquire(
    store: &Connection,
    bot_id: &BotId,
    node_id: NodeId,
    ttl: Millis,
) -> Answer<Acquired> {
    let _turn = store.turns.take(bot_id).await;
    let asked_at = store.here();
    let acquired: Answer<(Acquired, Option<ProviderName>)> =
        transact!(store, |transaction| try_acquire(transaction, bot_id, node_id, ttl));
    let (acquired, provider_name) = acquired?;
    if let Acquired::Acquired { epoch } = acquired {
        store.known_bots.add(bot_id, provider_name, Hold::new(epoch, asked_at, ttl));
    }
    Ok(acquired)
}

async fn try_acquire(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    node_id: NodeId,
    ttl: Millis,
) -> Answer<(Acquired, Option<ProviderName>)> {
    let found = owned(transaction, bot_id).await?;
    let now = found.as_ref().map(|found| timestamp(found.now));
    let stored =
        found.as_ref().and_then(|found| found.epoch).map_or(Epoch(0), |e| Epoch(unsigned(e)));
    let owner = found.as_ref().and_then(|found| found.owner.as_ref());
    let provider_name = found.as_ref().and_then(|found| found.provider_name.clone());
    let provider_name = provider_name.map(ProviderName::from);
    let mut at_least = Timestamp::ZERO;
    let epoch = match (owner, now) {
        (Some(owner), Some(_)) if id_of::<NodeId>(owner.node_id) == node_id => {
            at_least = timestamp(owner.expires_at);
            stored
        }
        (Some(owner), Some(now)) if now < timestamp(owner.expires_at) => {
            let remaining = timestamp(owner.expires_at).since(now);
            let node_id = id_of(owner.node_id);
            return Ok((Acquired::HeldBy { node_id, remaining }, provider_name));
        }
        _ => Epoch(stored.0.saturating_add(1)),
    };
    if epoch != stored {
        raise_fence(transaction, bot_id, epoch, provider_name.as_ref()).await?;
    }
    let end = doc! { "$max": [date(at_least), transaction.store.time.ahead(ttl)] };
    let owner = doc! { "$set": { "owner": {
        "node_id": node_id.stored(),
        "epoch": saturating(epoch.0),
        "expires_at": end,
    } } };
    let statement = Statement::upsert(doc! { "_id": bot_id.as_str() }, vec![owner])?;
    transaction.update(BOTS, vec![statement]).await?;
    Ok((Acquired::Acquired { epoch }, provider_name))
}

/// The bot with its owner and its epoch; none when it was never registered nor owned.
async fn owned(transaction: &mut Transaction<'_>, bot_id: &BotId) -> Answer<Option<OwnedDocument>> {
    let pipeline = vec![
        doc! { "$match": { "_id": bot_id.as_str() } },
        doc! { "$lookup": {
            "from": FENCES, "localField": "_id", "foreignField": "_id", "as": "fence",
        } },
        doc! { "$project": {
            "provider_name": 1,
            "owner": 1,
            "epoch": { "$first": "$fence.epoch" },
            "now": transaction.store.time.now(),
        } },
    ];
    let found = transaction.aggregate(BOTS, pipeline).await?;
    let read = found.first().map(|document| deserialize_from_slice(document.as_bytes()));
    read.transpose().map_err(|error| {
        Failure::unavailable(format!("the owner of the bot {bot_id} cannot be read: {error}"))
    })
}

async fn raise_fence(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    epoch: Epoch,
    provider_name: Option<&ProviderName>,
) -> Answer<()> {
    let mut set = doc! {
        "epoch": saturating(epoch.0),
        "writes": { "$add": [{ "$ifNull": ["$writes", 0_i64] }, 1_i64] },
        "archive_seq": { "$ifNull": ["$archive_seq", 0_i64] },
    };
    if let Some(provider_name) = provider_name {
        set.insert("provider_name", doc! { "$literal": provider_name.as_str() });
    }
    let statement = Statement::upsert(doc! { "_id": bot_id.as_str() }, vec![doc! { "$set": set }])?;
    transaction.update(FENCES, vec![statement]).await?;
    Ok(())
}

/// Prolongs a node's bots, and returns those that are not its own under the given epochs.
pub(super) async fn renew(
    store: &Connection,
    node_id: NodeId,
    bots: Vec<(BotId, Epoch)>,
    ttl: Millis,
) -> Answer<Vec<BotId>> {
    let mut by_epoch: BTreeMap<Epoch, BTreeSet<&BotId>> = BTreeMap::new();
    for (bot_id, epoch) in &bots {
        by_epoch.entry(*epoch).or_default().insert(bot_id);
    }
    let asked: u64 = by_epoch.values().map(|bots| bots.len() as u64).sum();
    let end = doc! { "$max": ["$owner.expires_at", store.time.ahead(ttl)] };
    let statements = by_epoch.iter().map(|(epoch, bots)| {
        let ids: Vec<&str> = bots.iter().map(|bot_id| bot_id.as_str()).collect();
        let filter = doc! {
            "_id": { "$in": ids },
            "owner.node_id": node_id.stored(),
            "owner.epoch": saturating(epoch.0),
        };
        Statement::all(filter, vec![doc! { "$set": { "owner.expires_at": end.clone() } }])
    });
    let statements = statements.collect::<Answer<Vec<_>>>()?;
    let asked_at = store.here();
    let all_kept = store.update(BOTS, statements).await? == asked;
    let kept = if all_kept { None } else { Some(kept(store, node_id, &bots).await?) };
    let mut lost = Vec::new();
    for bot in bots {
        let (bot_id, epoch) = &bot;
        if kept.as_ref().is_none_or(|kept| kept.contains(&bot)) {
            store.known_bots.prolong(bot_id, Hold::new(*epoch, asked_at, ttl));
        } else {
            store.give_up(bot_id);
            lost.push(bot.0);
        }
    }
    Ok(lost)
}

/// Those of the bots that the node owns, under which epochs.
async fn kept(
    store: &Connection,
    node_id: NodeId,
    bots: &[(BotId, Epoch)],
) -> Answer<BTreeSet<(BotId, Epoch)>> {
    #[derive(Deserialize)]
    struct Kept {
        #[serde(rename = "_id")]
        bot_id: BotId,
        epoch: i64,
    }
    let ids: Vec<&str> = bots.iter().map(|(bot_id, _)| bot_id.as_str()).collect();
    let pipeline = vec![
        doc! { "$match": { "_id": { "$in": ids }, "owner.node_id": node_id.stored() } },
        doc! { "$project": { "epoch": "$owner.epoch" } },
    ];
    let found = store.aggregate(BOTS, pipeline).await?;
    let read = found.iter().filter_map(|found| deserialize_from_slice(found.as_bytes()).ok());
    Ok(read.map(|Kept { bot_id, epoch }| (bot_id, Epoch(unsigned(epoch)))).collect())
}

/// Gives a bot up; its epoch stays.
pub(super) async fn release(store: &Connection, fence: &Fence) -> Answer<()> {
    let _turn = store.turns.take(&fence.bot_id).await;
    store.give_up(&fence.bot_id);
    transact!(store, |transaction| try_release(transaction, fence))
}

async fn try_release(transaction: &mut Transaction<'_>, fence: &Fence) -> Answer<()> {
    fence::pass(transaction, fence, 0).await?;
    let filter = doc! { "_id": fence.bot_id.as_str(), "owner.epoch": saturating(fence.epoch.0) };
    transaction.update_all(BOTS, filter, doc! { "$unset": { "owner": "" } }).await
}

/// Takes a name for a node, if it is free, expired or the node's own.
pub(super) async fn acquire_singleton(
    store: &Connection,
    name: &str,
    node_id: NodeId,
    ttl: Millis,
) -> Answer<bool> {
    #[derive(Deserialize)]
    struct Taken {
        node_id: Uuid,
    }
    let ours = node_id.stored();
    let free = doc! { "$or": [
        { "$eq": [{ "$ifNull": ["$node_id", ours] }, ours] },
        { "$lte": ["$expires_at", store.time.now()] },
    ] };
    let take = doc! { "$set": {
        "node_id": { "$cond": [free.clone(), ours, "$node_id"] },
        "expires_at": { "$cond": [free, store.time.ahead(ttl), "$expires_at"] },
    } };
    let mut taken = store.put::<Taken>(SINGLETONS, name, vec![take.clone()]).await;
    if taken.as_ref().is_err_and(Failure::is_out_of_date) {
        // Two nodes took a new name at once: by then it is there.
        taken = store.put(SINGLETONS, name, vec![take]).await;
    }
    Ok(taken?.is_some_and(|taken| taken.node_id == ours))
}
