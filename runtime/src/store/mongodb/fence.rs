//! The fence that every bot-side transaction passes.
//!
//! Reading an epoch inside a snapshot would not be enough: two transactions that only read it can both
//! commit. So each one *writes* the bot's fence, on the condition that it holds the epoch; taking a bot
//! over writes the same document. Of two owners, one aborts.
//!
//! The same write tells the time, gives out places in the archive, and says what the bot is.
//!
//! Marks alone need no such transaction: the rows that they change say under which epoch they were given
//! to an owner.

use anteroom_core::id::{BotId, Epoch, ProviderName};
use anteroom_core::store::{Fence, StoreError};
use anteroom_core::time::Timestamp;
use mongodb::bson::{DateTime, doc};
use serde::Deserialize;

use super::collections::FENCES;
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::transaction::Transaction;
use super::values::{saturating, timestamp, unsigned};

/// What a transaction learns as it passes.
pub(super) struct Passed {
    /// The store's time.
    pub(super) now: Timestamp,
    /// The epoch under which it passed.
    pub(super) epoch: Epoch,
    /// The last place given out before this transaction.
    pub(super) last_seq: i64,
    /// Whether retention has kept a row of the bot as its correspondent's highest.
    pub(super) retains: bool,
    /// The bot's provider; none when it was never registered.
    provider_name: Option<ProviderName>,
}

#[derive(Deserialize)]
struct FenceDocument {
    archive_seq: i64,
    #[serde(default)]
    retains: bool,
    provider_name: Option<String>,
    written_at: DateTime,
}

#[derive(Deserialize)]
struct EpochOnly {
    epoch: i64,
}

impl Passed {
    /// The bot's provider.
    pub(super) fn provider_name(&self, bot_id: &BotId) -> Answer<ProviderName> {
        let known = self.provider_name.clone();
        known.ok_or_else(|| Failure::invalid(format!("the bot {bot_id} is not registered")))
    }
}

/// Refuses a transaction under another epoch than the bot's, and reserves places in the archive.
pub(super) async fn pass(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    places: usize,
) -> Answer<Passed> {
    transaction.store.unsettled.begin(&fence.bot_id);
    let places = i64::try_from(places).unwrap_or(i64::MAX);
    let filter = doc! { "_id": fence.bot_id.as_str(), "epoch": saturating(fence.epoch.0) };
    let mut change = transaction.store.time.set("written_at", doc! {});
    change.insert("$inc", doc! { "writes": 1_i64, "archive_seq": places });
    let passed: Option<FenceDocument> = transaction.change(FENCES, filter, change).await?;
    let document = passed.ok_or(Failure::Refused(StoreError::Fenced))?;
    transaction.has_passed(&fence.bot_id);
    Ok(Passed {
        now: timestamp(document.written_at),
        epoch: fence.epoch,
        last_seq: document.archive_seq.saturating_sub(places),
        retains: document.retains,
        provider_name: document.provider_name.map(ProviderName::from),
    })
}

/// Asks a question beside what passes the fence of a bot; behind it, where a transaction of the bot may be
/// carried out yet that the question would miss.
pub(super) async fn beside<P, A>(
    store: &Connection,
    bot_id: &BotId,
    passing: impl Future<Output = P>,
    asking: impl Future<Output = A>,
) -> (P, A) {
    if store.unsettled.contains(bot_id) {
        return (passing.await, asking.await);
    }
    tokio::join!(passing, asking)
}

/// Gives places back that were reserved in this transaction and not needed.
pub(super) async fn give_back(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    places: i64,
) -> Answer<()> {
    if places == 0 {
        return Ok(());
    }
    let change = doc! { "$inc": { "archive_seq": -places } };
    transaction.update_all(FENCES, doc! { "_id": bot_id.as_str() }, change).await
}

/// Refuses a question under another epoch than the bot's. While an ownership has long to go the server is
/// not asked: nobody else can have acquired the bot.
pub(super) async fn check(store: &Connection, fence: &Fence) -> Answer<()> {
    if store.known_bots.holds(fence, store.here()) {
        return Ok(());
    }
    let found: Option<EpochOnly> = store.find(FENCES, fence.bot_id.as_str()).await?;
    let is_current = found.is_some_and(|found| unsigned(found.epoch) == fence.epoch.0);
    if is_current { Ok(()) } else { Err(StoreError::Fenced.into()) }
}
