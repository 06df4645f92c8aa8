//! What a lease's holder may do: prolong it, give the job back, store the result.
//!
//! The usual case is one command guarded by the lease's token, for many jobs at once. Whoever it did
//! not match is judged in a transaction that sees both collections in one snapshot, so a job that is
//! being moved is never missed, and what is stale is so for certain.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{LeaseToken, MediaId};
use anteroom_core::job::{Command, Job};
use anteroom_core::store::{Completion, Release, TokenAnswer};
use anteroom_core::time::{Millis, Timestamp};
use mongodb::bson::{doc, serialize_to_bson};

use super::collections::ACTIVE;
use super::connection::Connection;
use super::failure::Answer;
use super::job_changes::{self, Changes};
use super::statements::Statement;
use super::transaction::{Transaction, transact};
use super::values::{AsUuid, uuids};

/// How many leases one command prolongs, and one transaction judges.
const RENEWED_AT_ONCE: usize = 500;

/// Prolongs leases, and returns the media whose leases are lost.
pub(super) async fn renew(
    store: &Connection,
    leases: &[(MediaId, LeaseToken)],
    ttl: Millis,
) -> Answer<Vec<MediaId>> {
    let mut by_token: Vec<_> = leases.iter().map(|&(media_id, token)| (token, media_id)).collect();
    by_token.sort_unstable();
    by_token.dedup();
    let mut lost = BTreeSet::new();
    for leases in by_token.chunks(RENEWED_AT_ONCE) {
        lost.extend(renew_some(store, leases, ttl).await?);
    }
    let is_lost = |&&(media_id, token): &&(MediaId, LeaseToken)| lost.contains(&(token, media_id));
    Ok(leases.iter().filter(is_lost).map(|(media_id, _)| *media_id).collect())
}

/// Prolongs leases that differ and are in the order of their tokens, and returns those that are lost.
async fn renew_some(
    store: &Connection,
    leases: &[(LeaseToken, MediaId)],
    ttl: Millis,
) -> Answer<Vec<(LeaseToken, MediaId)>> {
    let end = doc! { "$max": ["$lease.expires_at", store.time.ahead(ttl)] };
    let by_token = leases.chunk_by(|(one, _), (next, _)| one == next);
    let statements = by_token.filter_map(|of_token| {
        let (token, _) = of_token.first()?;
        let held = doc! {
            "_id": { "$in": uuids(of_token.iter().map(|(_, media_id)| media_id)) },
            "status": "processing",
            "lease.token": token.stored(),
        };
        Some(Statement::all(held, vec![doc! { "$set": { "lease.expires_at": end.clone() } }]))
    });
    let statements = statements.collect::<Answer<Vec<_>>>()?;
    if store.update(ACTIVE, statements).await? == leases.len() as u64 {
        return Ok(Vec::new());
    }
    let commands: Vec<(MediaId, Command)> =
        leases.iter().map(|&(token, media_id)| (media_id, Command::Renew { token, ttl })).collect();
    Ok(stale(leases.iter().copied(), judge(store, &commands).await?))
}

/// Gives jobs back, and returns those that were not held under their tokens.
pub(super) async fn release(store: &Connection, releases: &[Release]) -> Answer<Vec<MediaId>> {
    let commands: Vec<(MediaId, Command)> = releases
        .iter()
        .map(|&Release { media_id, token, delay, reason }| {
            (media_id, Command::Release { token, delay, reason })
        })
        .collect();
    let asked = commands.iter().map(|(media_id, _)| *media_id);
    Ok(stale(asked, judge(store, &commands).await?))
}

/// Stores results in their jobs, with failed copies where they are failures.
pub(super) async fn complete(
    store: &Connection,
    completions: Vec<Completion>,
) -> Answer<Vec<TokenAnswer>> {
    let has_failures = completions.iter().any(|completion| completion.outcome.is_failure());
    if !has_failures && complete_all(store, &completions).await? {
        return Ok(vec![TokenAnswer::Ok; completions.len()]);
    }
    let commands: Vec<(MediaId, Command)> = completions
        .into_iter()
        .map(|Completion { media_id, token, outcome }| {
            (media_id, Command::Complete { token, outcome })
        })
        .collect();
    judge(store, &commands).await
}

/// Stores results that leave no copy, in one command; says whether every job took its own.
async fn complete_all(store: &Connection, completions: &[Completion]) -> Answer<bool> {
    let statements = completions.iter().map(|completion| {
        let token = completion.token.stored();
        let held = doc! {
            "_id": completion.media_id.stored(),
            "status": "processing",
            "lease.token": token,
        };
        let outcome = serialize_to_bson(&completion.outcome)?;
        let done = doc! {
            "status": "completed",
            "outcome": { "$literal": outcome },
            "completed_token": token,
            "worked": {
                "worker_id": "$lease.worker_id",
                "claimed_at": "$lease.claimed_at",
                "ended_at": store.time.now(),
            },
        };
        Statement::all(held, vec![doc! { "$set": done }, doc! { "$unset": "lease" }])
    });
    let statements = statements.collect::<Answer<Vec<_>>>()?;
    Ok(store.update(ACTIVE, statements).await? == completions.len() as u64)
}

/// Those of what was asked for whose tokens hold nothing.
fn stale<T>(asked: impl Iterator<Item = T>, answers: Vec<TokenAnswer>) -> Vec<T> {
    let answered = asked.zip(answers);
    let stale = answered.filter(|(_, answer)| *answer == TokenAnswer::Stale);
    stale.map(|(asked, _)| asked).collect()
}

/// Gives each job its command, wherever it is.
async fn judge(store: &Connection, commands: &[(MediaId, Command)]) -> Answer<Vec<TokenAnswer>> {
    transact!(store, |transaction| try_judge(transaction, commands))
}

async fn try_judge(
    transaction: &mut Transaction<'_>,
    commands: &[(MediaId, Command)],
) -> Answer<Vec<TokenAnswer>> {
    let ids: BTreeSet<&MediaId> = commands.iter().map(|(media_id, _)| media_id).collect();
    let (stored, now) = job_changes::find_media(transaction, ids).await?;
    let Some(now) = now else { return Ok(vec![TokenAnswer::Stale; commands.len()]) };
    let mut bench = Bench { stored: &stored, changed: BTreeMap::new(), now };
    let mut changes = Changes::default();
    let mut answers = Vec::with_capacity(commands.len());
    for (media_id, command) in commands {
        answers.push(bench.give(*media_id, command, &mut changes)?);
    }
    bench.write(changes, transaction).await?;
    Ok(answers)
}

/// Jobs under several commands: what was stored, and what they have become.
struct Bench<'b> {
    stored: &'b BTreeMap<MediaId, Job>,
    changed: BTreeMap<MediaId, Job>,
    now: Timestamp,
}

impl Bench<'_> {
    fn give(
        &mut self,
        media_id: MediaId,
        command: &Command,
        changes: &mut Changes,
    ) -> Answer<TokenAnswer> {
        let current = self.changed.get(&media_id).or_else(|| self.stored.get(&media_id));
        let Some(job) = current else { return Ok(TokenAnswer::Stale) };
        let Ok(applied) = job.apply(command, self.now) else { return Ok(TokenAnswer::Stale) };
        if let Some(copy) = &applied.failed_copy {
            changes.keep_copy(copy)?;
        }
        if let Some(after) = applied.job {
            self.changed.insert(media_id, after);
        }
        Ok(TokenAnswer::Ok)
    }

    async fn write(self, mut changes: Changes, transaction: &mut Transaction<'_>) -> Answer<()> {
        for (media_id, after) in &self.changed {
            if let Some(before) = self.stored.get(media_id) {
                changes.replace(before, after)?;
            }
        }
        changes.write(transaction).await
    }
}
