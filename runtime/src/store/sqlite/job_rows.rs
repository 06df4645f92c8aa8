//! Media jobs as rows.
//!
//! Owns the `jobs` table, and the one way in which a job changes: [`apply`] runs the core's transition
//! and writes what it made of the job, its failed copy included.

use anteroom_core::id::{BotId, CorrespondentId, MediaId, MessageId, ProviderMessageId};
use anteroom_core::job::{Applied, Command, Job, Place, Rejection, Status};
use rusqlite::{CachedStatement, Params, Row, params};

use super::columns::{AsBlob, StoredMessageId, id_at, message_number, moment, read_body, to_body};
use super::failure::Answer;
use super::work::Work;
use super::{correspondents, failed_copies, quarantine};

/// The job that waits for a provider's message.
pub(super) const BY_PROVIDER_MESSAGE: &str = "SELECT message_id, media_id FROM jobs
     WHERE correspondent = ?1 AND provider_message_id = ?2 AND revision = 0";

/// What a query for jobs found.
pub(super) struct FoundJobs {
    /// The jobs that could be read, in the query's order.
    pub(super) jobs: Vec<Job>,
    /// How many rows there were, unreadable ones included.
    pub(super) rows: usize,
}

/// The job of a media.
pub(super) fn find(work: &Work<'_>, media_id: MediaId) -> Answer<Option<Job>> {
    let sql = "SELECT media_id, body FROM jobs WHERE media_id = ?1";
    Ok(select(work, sql, [media_id.blob()])?.jobs.pop())
}

/// The jobs that a query finds; it selects `media_id, body` and bounds its rows. Unreadable ones are
/// set aside.
pub(super) fn select(work: &Work<'_>, sql: &str, params: impl Params) -> Answer<FoundJobs> {
    select_by(work, sql, params, read_job)
}

/// The same for one that selects `media_id, body, created_at` and goes by the last of them.
pub(super) fn select_page(work: &Work<'_>, sql: &str, params: impl Params) -> Answer<FoundJobs> {
    select_by(work, sql, params, |row| {
        let job = read_job(row)?;
        // The next page begins behind what the body says.
        match row.get::<_, i64>(2) {
            Ok(created_at) if moment(job.created_at) == created_at => Ok(job),
            _ => Err(format!("its body was created at {}, its row was not", job.created_at)),
        }
    })
}

fn select_by(
    work: &Work<'_>,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<Job, String>,
) -> Answer<FoundJobs> {
    let read = work.all(sql, params, |row| Ok((id_at::<MediaId>(row, 0)?, read(row))))?;
    let mut found = FoundJobs { jobs: Vec::with_capacity(read.len()), rows: read.len() };
    for (media_id, job) in read {
        match job {
            Ok(job) if job.media_id == media_id => found.jobs.push(job),
            Ok(job) => {
                let reason = format!("its body is that of {}", job.media_id);
                quarantine::job(work, media_id, &reason)?;
            }
            Err(reason) => quarantine::job(work, media_id, &reason)?,
        }
    }
    Ok(found)
}

fn read_job(row: &Row<'_>) -> Result<Job, String> {
    read_body(row, 1)
}

/// Under which message and media a provider's message waits, in active or holding.
pub(super) fn find_by_provider_message(
    work: &Work<'_>,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
    provider_message_id: &ProviderMessageId,
) -> Answer<Option<(MessageId, MediaId)>> {
    let correspondent = correspondents::number(work, bot_id, correspondent_id)?;
    work.first(BY_PROVIDER_MESSAGE, (correspondent, provider_message_id.as_str()), |row| {
        let StoredMessageId(message_id) = row.get(0)?;
        Ok((message_id, id_at(row, 1)?))
    })
}

/// Writes a job unless its media or its provider's message already has a job, its media a failed copy, or
/// its message a place in the archive. It is one row: there is nothing to undo when a check fails, and with
/// `OR FAIL` SQLite does not copy every page in order to be able to.
pub(super) const INSERT_UNKNOWN: &str = "INSERT OR FAIL INTO jobs (media_id, bot_id,
        correspondent_id, message_id, provider_message_id, revision, pool, created_at, place,
        status, active_since, held_at, not_before, lease_token, lease_expires_at, body,
        correspondent)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17
     WHERE NOT EXISTS (SELECT 1 FROM archive
            WHERE correspondent = ?17 AND provider_message_id = ?5)
        AND NOT EXISTS (SELECT 1 FROM failed WHERE media_id = ?1)
     ON CONFLICT DO NOTHING";

/// Writes a job unless its media or its provider's message already has one.
pub(super) const INSERT: &str = "INSERT INTO jobs (media_id, bot_id, correspondent_id, message_id,
        provider_message_id, revision, pool, created_at, place, status, active_since, held_at,
        not_before, lease_token, lease_expires_at, body, correspondent)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
     ON CONFLICT DO NOTHING";

/// Writes a new job by one of the two statements; says whether it did.
pub(super) fn insert_by(
    work: &Work<'_>,
    insert: &mut CachedStatement<'_>,
    job: &Job,
    body: &str,
) -> Answer<bool> {
    let columns = Columns::of(job);
    let correspondent =
        correspondents::number_for_writing(work, &job.bot_id, &job.correspondent_id)?;
    let inserted = insert.execute(params![
        job.media_id.blob(),
        job.bot_id.as_str(),
        job.correspondent_id.as_str(),
        message_number(job.placeholder_message.id)?,
        job.placeholder_message.provider_message_id.as_str(),
        job.revision,
        job.pool.as_str(),
        moment(job.created_at),
        columns.place,
        columns.status,
        columns.active_since,
        columns.held_at,
        columns.not_before,
        columns.lease_token,
        columns.lease_expires_at,
        body,
        correspondent,
    ])?;
    Ok(inserted > 0)
}

/// Writes what changes with a job.
pub(super) const UPDATE: &str = "UPDATE jobs SET place = ?2, status = ?3, active_since = ?4,
        held_at = ?5, not_before = ?6, lease_token = ?7, lease_expires_at = ?8, body = ?9, pool = ?10
     WHERE media_id = ?1";

/// Writes a job that has changed; also brings its columns in line with its body.
pub(super) fn update(work: &Work<'_>, job: &Job) -> Answer<()> {
    let columns = Columns::of(job);
    work.run(
        UPDATE,
        (
            job.media_id.blob(),
            columns.place,
            columns.status,
            columns.active_since,
            columns.held_at,
            columns.not_before,
            columns.lease_token,
            columns.lease_expires_at,
            to_body(job)?,
            job.pool.as_str(),
        ),
    )?;
    Ok(())
}

/// Applies a command to a stored job and writes the result: the job as it is afterwards, none when it
/// is gone, or why nothing was changed.
pub(super) fn apply(
    work: &Work<'_>,
    job: &Job,
    command: &Command,
) -> Answer<Result<Option<Job>, Rejection>> {
    match job.apply(command, work.now) {
        Ok(applied) => {
            write(work, job, &applied)?;
            Ok(Ok(applied.job))
        }
        Err(rejection) => Ok(Err(rejection)),
    }
}

/// Writes what a command made of a stored job.
pub(super) fn write(work: &Work<'_>, job: &Job, applied: &Applied) -> Answer<()> {
    if let Some(copy) = &applied.failed_copy {
        failed_copies::put(work, copy)?;
    }
    match &applied.job {
        Some(changed) => replace(work, job, changed),
        None => {
            work.run("DELETE FROM jobs WHERE media_id = ?1", [job.media_id.blob()])?;
            Ok(())
        }
    }
}

/// Writes a stored job as it is afterwards.
pub(super) fn replace(work: &Work<'_>, before: &Job, after: &Job) -> Answer<()> {
    if after == before { Ok(()) } else { update(work, after) }
}

/// The columns that change with a job.
struct Columns {
    place: &'static str,
    status: &'static str,
    active_since: i64,
    held_at: Option<i64>,
    not_before: Option<i64>,
    lease_token: Option<[u8; 16]>,
    lease_expires_at: Option<i64>,
}

impl Columns {
    fn of(job: &Job) -> Self {
        let (place, held_at) = match job.place {
            Place::Active => ("active", None),
            Place::Holding { held_at } => ("holding", Some(moment(held_at))),
        };
        let (status, not_before) = match job.status {
            Status::Pending => ("pending", job.not_before.map(moment)),
            Status::Processing { .. } => ("processing", None),
            Status::Completed { .. } => ("completed", None),
        };
        let lease = job.lease();
        Self {
            place,
            status,
            active_since: moment(job.active_since),
            held_at,
            not_before,
            lease_token: lease.map(|lease| lease.token.blob()),
            lease_expires_at: lease.map(|lease| moment(lease.expires_at)),
        }
    }
}
