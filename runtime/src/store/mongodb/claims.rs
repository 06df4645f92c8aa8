//! Claims: which pending jobs of a pool a worker gets.
//!
//! Round-robin over the bots that have claimable jobs, in the order of their ids, oldest first within
//! a bot (by media id where the ages are equal). The candidates are read from the index alone; one
//! update leases those of them that are still free; one more question fetches what it got. Each step
//! costs the same whatever waits in front.
//!
//! It needs no transaction: each job is leased by itself, and only where it is pending. A claim that
//! was cut off half way gets, repeated under its token, what it had leased.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, PoolName};
use anteroom_core::job::{Job, LeaseRequest};
use anteroom_core::store::Claimed;
use anteroom_core::time::Millis;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, Uuid, deserialize_from_slice, doc};
use mongodb::options::Hint;
use serde::Deserialize;

use super::collections::{ACTIVE, HOLDING};
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::job_changes::{self, marked, union};
use super::job_documents::{self, Shelf};
use super::pages::{documents, page_size};
use super::quarantine;
use super::store_time::later;
use super::values::{AsUuid, unsigned};

/// The index that has the jobs in back-off in the order in which they end.
const BACK_OFF_INDEX: &str = "pool_not_before";

/// A job that may be claimed, as the index knows it.
#[derive(Debug, Clone, Deserialize)]
struct Candidate {
    bot_id: BotId,
    media_id: Uuid,
    /// The store's time when that was so.
    now: DateTime,
}

/// A claim under way.
struct Claiming<'c> {
    store: &'c Connection,
    pool: &'c PoolName,
    after_bot: Option<&'c BotId>,
    lease: LeaseRequest,
}

/// Leases up to `limit` jobs. A token that holds jobs already gets the same ones again.
pub(super) async fn claim(
    store: &Connection,
    pool: &PoolName,
    after_bot: Option<BotId>,
    lease: LeaseRequest,
    limit: u32,
) -> Answer<Claimed> {
    let claiming = Claiming { store, pool, after_bot: after_bot.as_ref(), lease };
    let (held, _) = futures_util::try_join!(claiming.held(), claiming.end_back_offs())?;
    let jobs = if held.is_empty() { claiming.rotate(page_size(limit)).await? } else { held };
    let (more, next_back_off) =
        futures_util::try_join!(claiming.any_claimable(), claiming.next_back_off())?;
    let next_in = if more { None } else { next_back_off };
    Ok(Claimed { jobs: in_turns(jobs, after_bot.as_ref()), more, next_in })
}

/// The filter for the jobs of a pool that may be claimed.
pub(super) fn claimable(pool: &PoolName) -> Document {
    doc! { "pool": pool.as_str(), "status": "pending" }
}

/// The order in which jobs are claimed, as the index has it.
pub(super) fn claim_order() -> Document {
    doc! { "pool": 1, "status": 1, "bot_id": 1, "created_at": 1, "_id": 1 }
}

/// The stages that find the oldest claimable job of each bot, in the order of the bots.
fn heads(pool: &PoolName, bots: Option<Document>, now: Bson, limit: i64) -> Vec<Document> {
    let mut filter = claimable(pool);
    if let Some(bots) = bots {
        filter.insert("bot_id", bots);
    }
    vec![
        doc! { "$match": filter },
        doc! { "$sort": claim_order() },
        // The server steps from bot to bot in the index, and stops at the limit.
        doc! { "$group": { "_id": "$bot_id", "media_id": { "$first": "$_id" } } },
        doc! { "$limit": limit },
        doc! { "$project": { "_id": 0, "bot_id": "$_id", "media_id": 1, "now": now } },
    ]
}

/// The stages that find a bot's oldest claimable jobs.
fn oldest(pool: &PoolName, bot_id: &BotId, now: Bson, limit: i64) -> Vec<Document> {
    let mut filter = claimable(pool);
    filter.insert("bot_id", bot_id.as_str());
    vec![
        doc! { "$match": filter },
        doc! { "$sort": claim_order() },
        doc! { "$limit": limit },
        doc! { "$project": { "_id": 0, "bot_id": 1, "media_id": "$_id", "now": now } },
    ]
}

impl Claiming<'_> {
    /// The jobs of the pool that are held under the token, wherever they are.
    async fn held(&self) -> Answer<Vec<Job>> {
        let mut filter = job_documents::leased();
        filter.insert("lease.token", self.lease.token.stored());
        filter.insert("pool", self.pool.as_str());
        let stages = vec![doc! { "$match": filter }];
        let mut pipeline = marked("active", stages.clone(), Bson::Null);
        pipeline.push(union(HOLDING, marked("holding", stages, Bson::Null)));
        let found = self.store.aggregate_snapshot(ACTIVE, pipeline).await?;
        let mut held = Vec::with_capacity(found.len());
        for document in &found {
            let is_holding = job_changes::part(document) == "holding";
            let shelf = if is_holding { Shelf::Holding } else { Shelf::Active };
            let job = job_documents::read(shelf, job_changes::inner(document)?);
            held.extend(job.ok());
        }
        Ok(held)
    }

    /// Jobs whose back-off has ended become claimable.
    async fn end_back_offs(&self) -> Answer<()> {
        let filter = doc! {
            "pool": self.pool.as_str(),
            "status": "backing_off",
            "$expr": { "$lte": ["$not_before", self.store.time.now()] },
        };
        let jobs = self.store.database.collection::<Document>(ACTIVE);
        let hint = Hint::Name(BACK_OFF_INDEX.to_owned());
        let due = jobs.find_one(filter.clone()).hint(hint.clone()).projection(doc! { "_id": 1 });
        if due.await?.is_some() {
            let change = vec![doc! { "$set": { "status": "pending" } }];
            jobs.update_many(filter, change).hint(hint).await?;
        }
        Ok(())
    }

    /// Leases up to `size` jobs, as long as there are any.
    async fn rotate(&self, size: usize) -> Answer<Vec<Job>> {
        let mut jobs: Vec<Job> = Vec::new();
        while jobs.len() < size {
            let wanted = size - jobs.len();
            let candidates = self.candidates(wanted).await?;
            if let Some(Candidate { now, .. }) = candidates.first() {
                jobs.extend(self.lease_of(&candidates, *now).await?);
            }
            if candidates.len() < wanted {
                break;
            }
            // Other claimers may have taken some of them; who is left is asked for again.
        }
        Ok(jobs)
    }

    /// The next claimable jobs in the order of turns, at most `size`.
    async fn candidates(&self, size: usize) -> Answer<Vec<Candidate>> {
        let mut heads = Vec::new();
        if let Some(after) = self.after_bot {
            let behind = doc! { "$gt": after.as_str() };
            heads = self.heads(Some(behind), size).await?;
        }
        if heads.len() < size {
            let wrapped = self.after_bot.map(|after| doc! { "$lte": after.as_str() });
            let left = size - heads.len();
            heads.extend(self.heads(wrapped, left).await?);
        }
        if heads.is_empty() || heads.len() == size {
            return Ok(heads);
        }
        self.deeper(heads, size).await
    }

    /// The oldest claimable job of each of the first bots.
    async fn heads(&self, bots: Option<Document>, size: usize) -> Answer<Vec<Candidate>> {
        let now = || self.store.time.now();
        let found = self.read(heads(self.pool, bots.clone(), now(), documents(size))).await?;
        if found.is_sorted_by(|one, next| one.bot_id < next.bot_id) {
            return Ok(found);
        }
        // A server that groups in another way gives another order, and its first are not the first.
        let mut all = self.read(heads(self.pool, bots, now(), i64::MAX)).await?;
        all.sort_by(|one, other| one.bot_id.cmp(&other.bot_id));
        all.truncate(size);
        Ok(all)
    }

    /// More than one job a bot, for fewer bots than jobs are wanted.
    async fn deeper(&self, heads: Vec<Candidate>, size: usize) -> Answer<Vec<Candidate>> {
        let bots: Vec<BotId> = heads.into_iter().map(|head| head.bot_id).collect();
        let mut depth = size.div_ceil(bots.len());
        loop {
            let oldest = |bot| oldest(self.pool, bot, self.store.time.now(), documents(depth));
            let mut pipelines = bots.iter().map(oldest);
            let mut pipeline = pipelines.next().unwrap_or_default();
            pipeline.extend(pipelines.map(|stages| union(ACTIVE, stages)));
            let mut turns: Vec<(usize, usize, Candidate)> = Vec::new();
            let mut taken: BTreeMap<BotId, usize> = BTreeMap::new();
            for candidate in self.read(pipeline).await? {
                let turn = taken.entry(candidate.bot_id.clone()).or_default();
                let place = bots.iter().position(|bot| *bot == candidate.bot_id);
                turns.push((*turn, place.unwrap_or_default(), candidate));
                *turn += 1;
            }
            let may_be_more = taken.values().any(|taken| *taken == depth);
            if turns.len() < size && may_be_more && depth < size {
                depth = size.min(depth * 4);
                continue;
            }
            turns.sort_by_key(|(turn, place, _)| (*turn, *place));
            turns.truncate(size);
            return Ok(turns.into_iter().map(|(.., candidate)| candidate).collect());
        }
    }

    async fn read(&self, pipeline: Vec<Document>) -> Answer<Vec<Candidate>> {
        let found = self.store.aggregate(ACTIVE, pipeline).await?;
        let read = |document: &RawDocumentBuf| deserialize_from_slice(document.as_bytes());
        let candidates = found.iter().map(read).collect::<Result<_, _>>();
        candidates.map_err(|error| Failure::unavailable(format!("claimable jobs: {error}")))
    }

    /// Leases those of the candidates that are still free, and returns them. A lease counts from the moment
    /// `now` at which they were read, which is after the claim was asked for. (Were it an expression,
    /// the change would cost the server twice as much.)
    async fn lease_of(&self, candidates: &[Candidate], now: DateTime) -> Answer<Vec<Job>> {
        let ids = candidates.iter().map(|candidate| candidate.media_id);
        let ids = doc! { "$in": ids.collect::<Vec<_>>() };
        let mut filter = claimable(self.pool);
        filter.insert("_id", ids.clone());
        let leased = doc! {
            "$set": {
                "status": "processing",
                "lease": {
                    "worker_id": self.lease.worker_id.stored(),
                    "token": self.lease.token.stored(),
                    "claimed_at": now,
                    "expires_at": later(now, self.lease.ttl),
                },
            },
            "$inc": { "claims": 1 },
            "$unset": { "not_before": "" },
        };
        self.store.update_all(ACTIVE, filter, leased).await?;
        let ours = doc! { "_id": ids, "lease.token": self.lease.token.stored() };
        let found = self.store.aggregate(ACTIVE, vec![doc! { "$match": ours }]).await?;
        let mut jobs = Vec::with_capacity(found.len());
        for document in &found {
            match job_documents::read(Shelf::Active, document) {
                Ok(job) => jobs.push(job),
                Err(reason) => {
                    quarantine::set_aside_alone(self.store, ACTIVE, document, &reason).await?;
                }
            }
        }
        Ok(jobs)
    }

    async fn any_claimable(&self) -> Answer<bool> {
        let jobs = self.store.database.collection::<Document>(ACTIVE);
        let any = jobs.find_one(claimable(self.pool)).projection(doc! { "_id": 1 }).await?;
        Ok(any.is_some())
    }

    /// In how long the next back-off ends.
    async fn next_back_off(&self) -> Answer<Option<Millis>> {
        let next = next_back_off(self.pool, self.store.time.now());
        let found = self.store.aggregate(ACTIVE, next).await?;
        let wait = found.first().and_then(|document| document.get_i64("wait_ms").ok());
        Ok(wait.map(|wait_ms| Millis::from_ms(unsigned(wait_ms))))
    }
}

/// The stages that tell when the next back-off of a pool ends.
pub(super) fn next_back_off(pool: &PoolName, now: Bson) -> Vec<Document> {
    vec![
        doc! { "$match": { "pool": pool.as_str(), "status": "backing_off" } },
        doc! { "$sort": { "not_before": 1 } },
        doc! { "$limit": 1 },
        doc! { "$project": { "wait_ms": { "$subtract": ["$not_before", now] } } },
    ]
}

/// The jobs in the order in which a rotation behind `after_bot` takes them.
fn in_turns(mut jobs: Vec<Job>, after_bot: Option<&BotId>) -> Vec<Job> {
    jobs.sort_by_key(|job| (job.created_at, job.media_id));
    let mut turns: BTreeMap<BotId, u32> = BTreeMap::new();
    let mut in_order = BTreeMap::new();
    for job in jobs {
        let turn = turns.entry(job.bot_id.clone()).or_default();
        let wrapped = after_bot.is_some_and(|after| job.bot_id <= *after);
        in_order.insert((*turn, wrapped, job.bot_id.clone()), job);
        *turn += 1;
    }
    in_order.into_values().collect()
}
