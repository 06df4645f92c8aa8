//! What waits, counted from indexes.

use std::collections::BTreeMap;

use anteroom_core::id::PoolName;
use rusqlite::Row;

use super::columns::{timestamp, unsigned};
use super::failure::Answer;
use super::work::Work;
use crate::store::{Backlog, Waiting};

/// Counts what waits.
pub(super) fn count(work: &Work<'_>) -> Answer<Backlog> {
    let claimable = work.all(
        "SELECT pool, count(*), min(created_at) FROM jobs
         WHERE place = 'active' AND status = 'pending' AND not_before IS NULL GROUP BY pool",
        [],
        of_pool,
    )?;
    let backing_off = work.all(
        "SELECT pool, count(*), min(created_at) FROM jobs
         WHERE place = 'active' AND status = 'pending' AND not_before IS NOT NULL GROUP BY pool",
        [],
        of_pool,
    )?;
    let mut jobs: BTreeMap<PoolName, Waiting> = BTreeMap::new();
    for (pool, waiting) in claimable.into_iter().chain(backing_off) {
        let sum = jobs.entry(pool).or_default();
        *sum = sum.and(waiting);
    }
    // A bot's oldest row is its first in archive order, so no more rows are read than there are bots.
    let owed = work.all(
        "SELECT owed.count, (SELECT archived_at FROM archive
             WHERE bot_id = owed.bot_id AND seq = owed.first AND callback = 'owed')
         FROM (SELECT bot_id, count(*) AS count, min(seq) AS first FROM archive
             WHERE callback = 'owed' GROUP BY bot_id) AS owed",
        [],
        |row| waiting(row, 0),
    )?;
    let callbacks = owed.into_iter().fold(Waiting::default(), Waiting::and);
    Ok(Backlog { jobs, callbacks })
}

fn of_pool(row: &Row<'_>) -> rusqlite::Result<(PoolName, Waiting)> {
    let pool: String = row.get(0)?;
    Ok((PoolName::from(pool), waiting(row, 1)?))
}

/// A count, and behind it the moment of the oldest.
fn waiting(row: &Row<'_>, at: usize) -> rusqlite::Result<Waiting> {
    let oldest: Option<i64> = row.get(at + 1)?;
    Ok(Waiting { count: unsigned(row.get(at)?), oldest: oldest.map(timestamp) })
}
