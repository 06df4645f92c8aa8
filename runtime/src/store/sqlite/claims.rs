//! Claims: which pending jobs of a pool a worker gets.
//!
//! Round-robin over the bots that have claimable jobs, in the order of their ids, oldest first within
//! a bot (by media id where the ages are equal). Each job costs one or two steps in an index, however
//! many jobs wait in front of it: "the oldest job of the next bot" is the next entry.

use std::collections::{BTreeMap, VecDeque};

use anteroom_core::id::{BotId, LeaseToken, PoolName};
use anteroom_core::job::{Command, Job, LeaseRequest};
use anteroom_core::store::Claimed;
use anteroom_core::time::Millis;

use super::columns::{AsBlob, moment, timestamp};
use super::failure::Answer;
use super::job_rows;
use super::work::{Work, page_size};

/// The oldest claimable job of the first bot behind one.
pub(super) const NEXT: &str = "SELECT media_id, body FROM jobs
     WHERE pool = ?1 AND place = 'active' AND status = 'pending' AND not_before IS NULL
        AND bot_id > ?2
     ORDER BY bot_id, created_at, media_id LIMIT 1";

/// The oldest claimable job of the first bot.
pub(super) const FIRST: &str = "SELECT media_id, body FROM jobs
     WHERE pool = ?1 AND place = 'active' AND status = 'pending' AND not_before IS NULL
     ORDER BY bot_id, created_at, media_id LIMIT 1";

/// Jobs whose back-off has ended become claimable.
pub(super) const END_BACK_OFF: &str = "UPDATE jobs SET not_before = NULL
     WHERE pool = ?1 AND place = 'active' AND status = 'pending' AND not_before <= ?2";

/// When the next back-off ends.
pub(super) const NEXT_BACK_OFF: &str = "SELECT not_before FROM jobs
     WHERE pool = ?1 AND place = 'active' AND status = 'pending' AND not_before IS NOT NULL
     ORDER BY not_before LIMIT 1";

/// What is held under a token. There are as many leases as workers' slots (and results that wait under theirs
/// while a bot is restored), so an index of them all is looked through: most jobs never need an index of
/// their tokens.
pub(super) const HELD: &str = "SELECT media_id, body FROM jobs INDEXED BY jobs_leased
     WHERE lease_expires_at IS NOT NULL AND lease_token = ?1";

/// Leases up to `limit` jobs. A token that holds jobs already gets the same ones again.
pub(super) fn claim(
    work: &Work<'_>,
    pool: &PoolName,
    after_bot: Option<&BotId>,
    lease: LeaseRequest,
    limit: u32,
) -> Answer<Claimed> {
    let now = moment(work.now);
    work.run(END_BACK_OFF, (pool.as_str(), now))?;
    let mut jobs = held_under(work, pool, after_bot, lease.token)?;
    if jobs.is_empty() {
        jobs = rotate(work, pool, after_bot, lease, page_size(limit))?;
    }
    let more = work.exists(FIRST, [pool.as_str()])?;
    let next_in = if more { None } else { next_back_off(work, pool)? };
    Ok(Claimed { jobs, more, next_in })
}

fn rotate(
    work: &Work<'_>,
    pool: &PoolName,
    after_bot: Option<&BotId>,
    lease: LeaseRequest,
    size: usize,
) -> Answer<Vec<Job>> {
    let mut jobs = Vec::new();
    let mut behind = after_bot.cloned();
    while jobs.len() < size {
        let found = next(work, pool, behind.as_ref())?;
        if found.rows == 0 {
            break;
        }
        // An unreadable job has been set aside: whatever is next is looked at again.
        let Some(job) = found.jobs.into_iter().next() else { continue };
        behind = Some(job.bot_id.clone());
        match job_rows::apply(work, &job, &Command::Claim(lease))? {
            Ok(claimed) => jobs.extend(claimed),
            // The columns said that it is claimable and the body says that it is not. Columns in line
            // with the body are no longer among the claimable ones.
            Err(_) => job_rows::update(work, &job)?,
        }
    }
    Ok(jobs)
}

/// The oldest claimable job of the bot behind `behind`, beginning again after the last bot.
fn next(work: &Work<'_>, pool: &PoolName, behind: Option<&BotId>) -> Answer<job_rows::FoundJobs> {
    if let Some(bot_id) = behind {
        let found = job_rows::select(work, NEXT, (pool.as_str(), bot_id.as_str()))?;
        if found.rows > 0 {
            return Ok(found);
        }
    }
    job_rows::select(work, FIRST, [pool.as_str()])
}

/// The jobs held under a token, in the order in which a rotation behind `after_bot` took them.
fn held_under(
    work: &Work<'_>,
    pool: &PoolName,
    after_bot: Option<&BotId>,
    token: LeaseToken,
) -> Answer<Vec<Job>> {
    let mut held = job_rows::select(work, HELD, [token.blob()])?.jobs;
    held.retain(|job| job.pool == *pool);
    held.sort_by_key(|job| (job.created_at, job.media_id));
    let mut bots: BTreeMap<(bool, BotId), VecDeque<Job>> = BTreeMap::new();
    for job in held {
        let wrapped = after_bot.is_some_and(|after| job.bot_id <= *after);
        bots.entry((wrapped, job.bot_id.clone())).or_default().push_back(job);
    }
    let mut ordered = Vec::new();
    while !bots.is_empty() {
        ordered.extend(bots.values_mut().filter_map(VecDeque::pop_front));
        bots.retain(|_, jobs| !jobs.is_empty());
    }
    Ok(ordered)
}

fn next_back_off(work: &Work<'_>, pool: &PoolName) -> Answer<Option<Millis>> {
    let moment = work.first(NEXT_BACK_OFF, [pool.as_str()], |row| row.get::<_, i64>(0))?;
    Ok(moment.map(|moment| timestamp(moment).since(work.now)))
}
