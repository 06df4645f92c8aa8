//! Claims: which pending jobs of a pool a worker gets.
//!
//! Round-robin over the bots that have claimable jobs, in the order of their ids, oldest first within
//! a bot (by media id where the ages are equal). One question finds what the token holds already, and
//! what waits, if that is no more than is wanted; of more, the candidates are asked for in turns. They are
//! read from the index alone; one update leases those of them that are still free; the first question,
//! asked again, fetches what it got. Each step costs the same whatever waits in front.
//!
//! It needs no transaction: each job is leased by itself, and only where it is pending. A claim that
//! was cut off half way gets, repeated under its token, what it had leased.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, PoolName};
use anteroom_core::job::{Job, LeaseRequest};
use anteroom_core::store::Claimed;
use anteroom_core::time::Millis;
use mongodb::bson::{Bson, DateTime, Document, RawDocument, Uuid, deserialize_from_slice, doc};
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

/// What a claim looks at, in one snapshot.
#[derive(Default)]
struct Found {
    /// The jobs of the pool that are held under its token, wherever they are.
    held: Vec<Job>,
    /// The first of the jobs that may be claimed.
    waiting: Vec<Candidate>,
    /// In how long the next back-off ends.
    next_back_off: Option<Millis>,
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
    let size = page_size(limit);
    let mut found = claiming.look(size + 1).await?;
    if found.held.is_empty() && found.next_back_off == Some(Millis::ZERO) {
        claiming.end_back_offs().await?;
        found = claiming.look(size + 1).await?;
    }
    if found.held.is_empty() && !found.waiting.is_empty() {
        if found.waiting.len() > size {
            claiming.rotate(size).await?;
        } else {
            claiming.lease(&found.waiting).await?;
        }
        found = claiming.look(1).await?;
    }
    let more = !found.waiting.is_empty();
    let next_in = if more { None } else { found.next_back_off };
    Ok(Claimed { jobs: in_turns(found.held, after_bot.as_ref()), more, next_in })
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

/// The stages that find the first claimable jobs, of whatever bots.
fn first(pool: &PoolName, now: Bson, limit: i64) -> Vec<Document> {
    let mut stages = vec![doc! { "$match": claimable(pool) }, doc! { "$sort": claim_order() }];
    stages.extend(candidates(now, limit));
    stages
}

/// The stages that make candidates of so many jobs.
fn candidates(now: Bson, limit: i64) -> [Document; 2] {
    let candidate = doc! { "_id": 0, "bot_id": 1, "media_id": "$_id", "now": now };
    [doc! { "$limit": limit }, doc! { "$project": candidate }]
}

/// The stages that find a bot's oldest claimable jobs.
fn oldest(pool: &PoolName, bot_id: &BotId, now: Bson, limit: i64) -> Vec<Document> {
    let mut filter = claimable(pool);
    filter.insert("bot_id", bot_id.as_str());
    let mut stages = vec![doc! { "$match": filter }, doc! { "$sort": claim_order() }];
    stages.extend(candidates(now, limit));
    stages
}

impl Claiming<'_> {
    /// What is held under the token, up to `size` of the jobs that wait, and the next end of a back-off.
    async fn look(&self, size: usize) -> Answer<Found> {
        loop {
            if let Some(found) = self.try_look(size).await? {
                return Ok(found);
            }
        }
    }

    /// The same; none when a job was set aside, for there may be others behind it.
    async fn try_look(&self, size: usize) -> Answer<Option<Found>> {
        let mut held = job_documents::leased();
        held.insert("lease.token", self.lease.token.stored());
        held.insert("pool", self.pool.as_str());
        let held = vec![doc! { "$match": held }];
        let now = || self.store.time.now();
        let waiting = first(self.pool, now(), documents(size));
        let back_off = next_back_off(self.pool, now());
        let mut pipeline = marked("active", held.clone(), Bson::Null);
        pipeline.push(union(HOLDING, marked("holding", held, Bson::Null)));
        pipeline.push(union(ACTIVE, marked("waiting", waiting, Bson::Null)));
        pipeline.push(union(ACTIVE, marked("back_off", back_off, Bson::Null)));
        let mut found = Found::default();
        let mut spoilt = false;
        for document in self.store.aggregate_snapshot(ACTIVE, pipeline).await? {
            let shelf = match job_changes::part(&document) {
                "active" => Shelf::Active,
                "holding" => Shelf::Holding,
                "waiting" => {
                    match self.candidate(job_changes::inner(&document)?).await? {
                        Some(candidate) => found.waiting.push(candidate),
                        None => spoilt = true,
                    }
                    continue;
                }
                _ => {
                    let wait_ms = job_changes::inner(&document)?.get_i64("wait_ms").ok();
                    found.next_back_off = wait_ms.map(|wait_ms| Millis::from_ms(unsigned(wait_ms)));
                    continue;
                }
            };
            found.held.extend(job_changes::job_aside(self.store, shelf, &document).await?);
        }
        Ok((!spoilt).then_some(found))
    }

    /// Jobs whose back-off has ended become claimable.
    async fn end_back_offs(&self) -> Answer<()> {
        let filter = doc! {
            "pool": self.pool.as_str(),
            "status": "backing_off",
            "$expr": { "$lte": ["$not_before", self.store.time.now()] },
        };
        let jobs = self.store.database.collection::<Document>(ACTIVE);
        let change = vec![doc! { "$set": { "status": "pending" } }];
        jobs.update_many(filter, change).hint(Hint::Name(BACK_OFF_INDEX.to_owned())).await?;
        Ok(())
    }

    /// Leases up to `size` jobs in turns, as long as there are any.
    async fn rotate(&self, size: usize) -> Answer<()> {
        let mut left = size;
        while left > 0 {
            let candidates = self.candidates(left).await?;
            let leased = self.lease(&candidates).await?;
            if candidates.len() < left {
                break;
            }
            // Other claimers may have taken some of them; who is left is asked for again.
            left = left.saturating_sub(leased);
        }
        Ok(())
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
        loop {
            let found = self.store.aggregate(ACTIVE, pipeline.clone()).await?;
            let mut candidates = Vec::with_capacity(found.len());
            for document in &found {
                candidates.extend(self.candidate(document).await?);
            }
            if candidates.len() == found.len() {
                return Ok(candidates);
            }
        }
    }

    /// The candidate in a document; none when it is none, and its job is set aside.
    async fn candidate(&self, document: &RawDocument) -> Answer<Option<Candidate>> {
        let error = match deserialize_from_slice(document.as_bytes()) {
            Ok(candidate) => return Ok(Some(candidate)),
            Err(error) => error.to_string(),
        };
        let id = document.get("media_id").ok().flatten();
        let id = id.and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null);
        quarantine::by_id_alone(self.store, ACTIVE, &id, &error).await?;
        Ok(None)
    }

    /// Leases those of the candidates that are still free, and tells how many they were. A lease counts
    /// from the moment at which they were read, which is after the claim was asked for. (Were it an
    /// expression, the change would cost the server twice as much.)
    async fn lease(&self, candidates: &[Candidate]) -> Answer<usize> {
        let Some(Candidate { now, .. }) = candidates.first() else { return Ok(0) };
        let ids = candidates.iter().map(|candidate| candidate.media_id);
        let mut filter = claimable(self.pool);
        filter.insert("_id", doc! { "$in": ids.collect::<Vec<_>>() });
        let leased = doc! {
            "$set": {
                "status": "processing",
                "lease": {
                    "worker_id": self.lease.worker_id.stored(),
                    "token": self.lease.token.stored(),
                    "claimed_at": *now,
                    "expires_at": later(*now, self.lease.ttl),
                },
            },
            "$inc": { "claims": 1 },
            "$unset": { "not_before": "" },
        };
        match self.store.update_all(ACTIVE, filter, leased).await {
            Ok(leased) => Ok(usize::try_from(leased).unwrap_or(usize::MAX)),
            Err(failure) => Err(self.uncountable(candidates, failure).await?),
        }
    }

    /// Sets aside those of the candidates whose claims are no number, for which the server refuses the change, and
    /// asks for the claim to be repeated: it may have leased others before.
    async fn uncountable(&self, candidates: &[Candidate], failure: Failure) -> Answer<Failure> {
        let ids: Vec<Uuid> = candidates.iter().map(|candidate| candidate.media_id).collect();
        let no_number = doc! { "$exists": true, "$not": { "$type": "number" } };
        let stages = vec![
            doc! { "$match": { "_id": { "$in": ids }, "claims": no_number } },
            doc! { "$project": { "_id": 1 } },
        ];
        let found = self.store.aggregate(ACTIVE, stages).await?;
        for job in &found {
            let id = job.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
            let id = id.unwrap_or(Bson::Null);
            quarantine::by_id_alone(self.store, ACTIVE, &id, "its claims are no number").await?;
        }
        if found.is_empty() {
            return Ok(failure);
        }
        Ok(Failure::unavailable("jobs that cannot be counted were in the way, and are set aside"))
    }
}

/// The stages that tell when the next back-off of a pool ends. One without an end has ended, as for the
/// update that ends them.
fn next_back_off(pool: &PoolName, now: Bson) -> Vec<Document> {
    let has_ended = doc! { "$lte": ["$not_before", now.clone()] };
    let left = doc! { "$subtract": ["$not_before", now] };
    vec![
        doc! { "$match": { "pool": pool.as_str(), "status": "backing_off" } },
        doc! { "$sort": { "not_before": 1 } },
        doc! { "$limit": 1 },
        doc! { "$project": { "wait_ms": { "$cond": [has_ended, 0_i64, left] } } },
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
