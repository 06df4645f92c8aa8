//! The writes by `rusqlite`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::time::{Duration, Instant};

use anteroom_core::id::{CorrespondentId, MessageId};
use anteroom_core::job::Job;
use anyhow::Result;
use rusqlite::{Connection, params};

use super::{Archived, Batch, Claim, Writes};
use crate::frames;

/// Makes the writes in an empty database.
///
/// # Errors
/// When one cannot be made.
pub(super) fn make(writes: &Writes, file: &Path) -> Result<Duration> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(16);
    let mut prepared = Vec::new();
    let mut given = Given::default();
    for (bot_id, pages) in &writes.restored {
        for page in pages {
            hold(&connection, bot_id, page, &mut given)?;
            prepared.push((bot_id.as_str(), Prepared::Restore(bodies(page)?)));
        }
    }
    for claim in &writes.claimed {
        prepared.push(("", Prepared::Claim(claim, bodies(&claim.jobs)?)));
    }
    for (bot_id, batches) in &writes.bots {
        for batch in batches {
            prepared.push((bot_id, Prepared::of(batch)?));
        }
    }
    let begun = Instant::now();
    for (bot_id, batch) in &prepared {
        let transaction = connection.unchecked_transaction()?;
        batch.write(&connection, bot_id, &mut given)?;
        transaction.commit()?;
    }
    Ok(begun.elapsed())
}

/// Stores jobs that a batch is going to restore.
fn hold<'w>(
    connection: &Connection,
    bot_id: &'w str,
    jobs: &'w [Job],
    given: &mut Given<'w>,
) -> Result<()> {
    let transaction = connection.unchecked_transaction()?;
    Prepared::Insert(bodies(jobs)?).write(connection, bot_id, given)?;
    connection.execute(
        "UPDATE jobs SET place = 'holding', status = 'pending', held_at = created_at,
            lease_token = NULL, lease_expires_at = NULL
         WHERE bot_id = ?1 AND lease_expires_at IS NOT NULL",
        [bot_id],
    )?;
    Ok(transaction.commit()?)
}

/// Jobs and their bodies.
type Bodies<'w> = Vec<(&'w Job, String)>;

fn bodies(jobs: &[Job]) -> serde_json::Result<Bodies<'_>> {
    jobs.iter().map(|job| Ok((job, serde_json::to_string(job)?))).collect()
}

/// What was given out so far.
#[derive(Default)]
struct Given<'w> {
    /// The last place in the archive.
    seq: i64,
    /// The numbers of the bots' correspondents.
    correspondents: HashMap<(&'w str, &'w str), i64>,
}

impl<'w> Given<'w> {
    /// The number of a correspondent; a new one gets one.
    fn number(
        &mut self,
        connection: &Connection,
        bot_id: &'w str,
        correspondent_id: &'w CorrespondentId,
    ) -> rusqlite::Result<i64> {
        match self.correspondents.entry((bot_id, correspondent_id.as_str())) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(new) => {
                let mut insert = connection.prepare_cached(
                    "INSERT INTO correspondents (bot_id, correspondent_id) VALUES (?1, ?2)",
                )?;
                Ok(*new.insert(insert.insert((bot_id, correspondent_id.as_str()))?))
            }
        }
    }
}

/// A batch with its bodies written.
enum Prepared<'w> {
    Restore(Bodies<'w>),
    Claim(&'w Claim, Bodies<'w>),
    Insert(Bodies<'w>),
    Archive(Vec<(&'w Archived, String)>),
    Mark(Vec<(&'w CorrespondentId, MessageId)>),
}

impl<'w> Prepared<'w> {
    fn of(batch: &'w Batch) -> serde_json::Result<Self> {
        Ok(match batch {
            Batch::Insert(jobs) => Self::Insert(bodies(jobs)?),
            Batch::Archive(items) => {
                let written =
                    |item: &'w Archived| Ok((item, serde_json::to_string(&*item.message)?));
                Self::Archive(items.iter().map(written).collect::<serde_json::Result<_>>()?)
            }
            Batch::Mark(keys) => Self::Mark(keys.iter().map(|(of, id)| (of, *id)).collect()),
        })
    }

    fn write(
        &self,
        connection: &Connection,
        bot_id: &'w str,
        given: &mut Given<'w>,
    ) -> rusqlite::Result<()> {
        match self {
            Self::Restore(jobs) => {
                let mut restore = connection.prepare_cached(
                    "UPDATE jobs SET place = 'active', active_since = ?2, held_at = NULL, body = ?3,
                        status = iif(?4 IS NULL, 'pending', 'processing'), lease_token = ?4,
                        lease_expires_at = iif(?4 IS NULL, NULL, ?2)
                     WHERE media_id = ?1",
                )?;
                for (job, body) in jobs {
                    let since = job.active_since.as_ms().cast_signed();
                    let token = job.lease().map(|lease| lease.token.as_uuid());
                    let token = token.as_ref().map(|token| token.as_bytes());
                    let media_id = job.media_id.as_uuid();
                    restore.execute(params![media_id.as_bytes(), since, body, token])?;
                }
            }
            Self::Claim(Claim { token, .. }, jobs) => {
                let mut claim = connection.prepare_cached(
                    "UPDATE jobs SET status = 'processing', lease_token = ?2,
                        lease_expires_at = active_since, body = ?3 WHERE media_id = ?1",
                )?;
                let token = token.as_uuid();
                for (job, body) in jobs {
                    let media_id = job.media_id.as_uuid();
                    claim.execute(params![media_id.as_bytes(), token.as_bytes(), body])?;
                }
            }
            Self::Insert(jobs) => {
                let mut insert = connection.prepare_cached(
                    "INSERT INTO jobs (media_id, bot_id, correspondent_id, message_id,
                        provider_message_id, revision, pool, created_at, place, status,
                        active_since, lease_token, lease_expires_at, body, correspondent)
                     VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, 'active', 'processing', ?7, ?1, ?7, ?8, ?9)",
                )?;
                for (job, body) in jobs {
                    let message = &job.placeholder_message;
                    insert.execute(params![
                        job.media_id.as_uuid().as_bytes(),
                        bot_id,
                        job.correspondent_id.as_str(),
                        message.id.get().cast_signed(),
                        message.provider_message_id.as_str(),
                        job.pool.as_str(),
                        job.created_at.as_ms().cast_signed(),
                        body,
                        given.number(connection, bot_id, &job.correspondent_id)?
                    ])?;
                }
            }
            Self::Archive(items) => {
                let mut insert = connection.prepare_cached(
                    "INSERT INTO archive (bot_id, provider_name, correspondent_id, id,
                        provider_message_id, media_id, seq, callback, attempts, archived_at, body,
                        worker_id, claimed_at, work_ended_at, correspondent, epoch)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'owed', 1, ?8, ?9, ?6, ?8, ?8, ?10, 1)",
                )?;
                let mut delete =
                    connection.prepare_cached("DELETE FROM jobs WHERE media_id = ?1")?;
                for (item, body) in items {
                    given.seq += 1;
                    let seq = given.seq;
                    insert.execute(params![
                        bot_id,
                        frames::PROVIDER_NAME,
                        item.correspondent_id.as_str(),
                        item.message.id.get().cast_signed(),
                        item.message.provider_message_id.as_str(),
                        item.job.map(|id| id.as_uuid().into_bytes()),
                        seq,
                        item.message.accepted_time.as_ms().cast_signed(),
                        body,
                        given.number(connection, bot_id, &item.correspondent_id)?
                    ])?;
                    if let Some(media_id) = item.job {
                        delete.execute([media_id.as_uuid().as_bytes()])?;
                    }
                }
            }
            Self::Mark(keys) => {
                let mut end = connection.prepare_cached(
                    "UPDATE archive SET callback = 'acknowledged', ended_at = archived_at
                     WHERE correspondent = ?1 AND id = ?2 AND provider_name = ?3",
                )?;
                for (correspondent_id, id) in keys {
                    end.execute(params![
                        given.number(connection, bot_id, correspondent_id)?,
                        id.get().cast_signed(),
                        frames::PROVIDER_NAME
                    ])?;
                }
            }
        }
        Ok(())
    }
}
