//! A bot's jobs: inserting them, and moving them between active and holding.

use anteroom_core::id::{BotId, CorrespondentId, MessageId};
use anteroom_core::job::offer::{self, LeaseOffer};
use anteroom_core::job::{Command, FailedCopy, Job, Place, Status};
use anteroom_core::pool::routing::Routing;
use anteroom_core::store::{Fence, InsertAnswer, JobCursor, JobPage, NewJob, StoreReply};
use rusqlite::CachedStatement;

use super::archive_rows::ArchiveRow;
use super::columns::{AsBlob, StoredMessageId, moment};
use super::dispatch::Step;
use super::failure::{Answer, Failure};
use super::job_rows::FoundJobs;
use super::prepared::NewRow;
use super::work::{Work, page_size, rows_to_read};
use super::{archive_rows, bots, correspondents, failed_copies, job_rows};

/// How many jobs are moved to holding in one transaction.
const HOLD_PIECE_JOBS: usize = 250;

/// A page of all jobs of a bot.
pub(super) const RESTORE: &str = "SELECT media_id, body, created_at FROM jobs INDEXED BY jobs_bot
     WHERE bot_id = ?1 AND (created_at, media_id) > (?2, ?3)
     ORDER BY created_at, media_id LIMIT ?4";

/// A page of the active jobs of a bot.
pub(super) const HOLD: &str = "SELECT media_id, body, created_at FROM jobs INDEXED BY jobs_bot
     WHERE bot_id = ?1 AND (created_at, media_id) > (?2, ?3) AND place = 'active'
     ORDER BY created_at, media_id LIMIT ?4";

/// How many jobs of a bot are held.
pub(super) const HELD: &str = "SELECT count(*) FROM jobs INDEXED BY jobs_bot
     WHERE bot_id = ?1 AND place = 'holding'";

/// A page of the results of a bot.
pub(super) const COMPLETED: &str = "SELECT media_id, body, created_at FROM jobs
     WHERE bot_id = ?1 AND (created_at, media_id) > (?2, ?3)
         AND place = 'active' AND status = 'completed'
     ORDER BY created_at, media_id LIMIT ?4";

/// The highest message id of a correspondent, in archive, jobs and what was set aside. A correspondent
/// has few jobs, so all of them are looked at; a retried one's message is in the archive.
pub(super) const HIGHEST_ID: &str = "SELECT max(
     coalesce((SELECT id FROM archive
         WHERE correspondent = ?3
             AND provider_name = (SELECT provider_name FROM bots WHERE bot_id = ?1)
         ORDER BY id DESC LIMIT 1), 0),
     coalesce((SELECT max(message_id) FROM jobs
         WHERE correspondent = ?3 AND revision = 0), 0),
     coalesce((SELECT message_id FROM quarantine WHERE bot_id = ?1 AND correspondent_id = ?2
         ORDER BY message_id DESC LIMIT 1), 0))";

/// Inserts jobs, each on its own; `rows` are what they will be.
pub(super) fn insert(
    work: &Work<'_>,
    fence: &Fence,
    new_jobs: &[NewJob],
    rows: &[NewRow],
) -> Answer<Vec<InsertAnswer>> {
    debug_assert_eq!(new_jobs.len(), rows.len(), "each job has its row");
    bots::pass_fence(work, fence)?;
    let mut insert = work.prepare(job_rows::INSERT_UNKNOWN)?;
    new_jobs
        .iter()
        .zip(rows)
        .map(|(new, row)| {
            check_new(fence, &new.job)?;
            insert_one(work, &mut insert, new, row)
        })
        .collect()
}

/// A new job is the bot's own, pending and active.
fn check_new(fence: &Fence, job: &Job) -> Answer<()> {
    let media_id = job.media_id;
    if job.bot_id != fence.bot_id {
        return Err(Failure::invalid(format!("the job {media_id} belongs to {}", job.bot_id)));
    }
    if job.status != Status::Pending || job.place != Place::Active || job.revision != 0 {
        return Err(Failure::invalid(format!("the job {media_id} is not a new one")));
    }
    Ok(())
}

fn insert_one(
    work: &Work<'_>,
    insert: &mut CachedStatement<'_>,
    new: &NewJob,
    row: &NewRow,
) -> Answer<InsertAnswer> {
    // What is not new is rare, and told apart only when the statement has found something.
    if let Some(answer) = insert_by(work, insert, new, row)? {
        return Ok(answer);
    }
    let archived = find_archived(work, &new.job)?;
    let failed = failed_copies::find(work, new.job.media_id)?;
    known(work, new, row, archived, failed)
}

/// Inserts a job, leased if that was asked for; none when something else has what is its own.
fn insert_by(
    work: &Work<'_>,
    insert: &mut CachedStatement<'_>,
    new: &NewJob,
    row: &NewRow,
) -> Answer<Option<InsertAnswer>> {
    let claimed = row.claimed.as_ref();
    let inserted = job_rows::insert_by(work, insert, claimed.unwrap_or(&new.job), &row.body)?;
    Ok(inserted.then_some(InsertAnswer::Inserted { leased: claimed.is_some() }))
}

fn find_archived(work: &Work<'_>, job: &Job) -> Answer<Option<ArchiveRow>> {
    let provider_message_id = &job.placeholder_message.provider_message_id;
    archive_rows::find_by_provider_message(
        work,
        &job.bot_id,
        &job.correspondent_id,
        provider_message_id,
    )
}

/// What is said of a job whose media or message is known.
fn known(
    work: &Work<'_>,
    new: &NewJob,
    row: &NewRow,
    archived: Option<ArchiveRow>,
    failed: Option<FailedCopy>,
) -> Answer<InsertAnswer> {
    let job = &new.job;
    let message = &job.placeholder_message;
    let stored = job_rows::find(work, job.media_id)?;
    let owner = stored.as_ref().or(failed.as_ref().map(|copy| &copy.job));
    if owner.is_some_and(|owner| !same_provider_message(owner, job)) {
        return Ok(InsertAnswer::MediaIdInUse);
    }
    if let Some(archived) = archived {
        // The call repeated after all of its job's life: what it asked for has happened.
        let repeated = archived.id == message.id && archived.media_id == Some(job.media_id);
        return Ok(if repeated {
            InsertAnswer::Inserted { leased: false }
        } else {
            InsertAnswer::DuplicateProviderMessage { message_id: archived.id }
        });
    }
    let waiting = job_rows::find_by_provider_message(
        work,
        &job.bot_id,
        &job.correspondent_id,
        &message.provider_message_id,
    )?;
    match waiting {
        Some((message_id, media_id)) if message_id == message.id && media_id == job.media_id => {
            let asked = new.lease.map(|lease| lease.token);
            let held = stored.as_ref().and_then(|stored| stored.lease()).map(|held| held.token);
            Ok(InsertAnswer::Inserted { leased: asked.is_some() && held == asked })
        }
        Some((message_id, _)) => Ok(InsertAnswer::DuplicateProviderMessage { message_id }),
        // A copy is left of the same message, whose row and job are gone: it begins anew.
        None => {
            let mut insert = work.prepare(job_rows::INSERT)?;
            let inserted = insert_by(work, &mut insert, new, row)?;
            Ok(inserted.unwrap_or(InsertAnswer::MediaIdInUse))
        }
    }
}

fn same_provider_message(one: &Job, other: &Job) -> bool {
    one.bot_id == other.bot_id
        && one.correspondent_id == other.correspondent_id
        && one.placeholder_message.provider_message_id
            == other.placeholder_message.provider_message_id
}

/// Activates a page of a bot's jobs, leases those that get an offered place, and returns them.
pub(super) fn restore(
    work: &Work<'_>,
    fence: &Fence,
    after: Option<JobCursor>,
    limit: u32,
    offers: &[LeaseOffer],
    routing: Option<&Routing>,
) -> Answer<JobPage> {
    bots::pass_fence(work, fence)?;
    let (bot_id, size) = (&fence.bot_id, page_size(limit));
    let JobPage { jobs, more } = page(work, RESTORE, bot_id, after, size)?;
    let restored = offer::restored(&jobs, offers, routing, work.now);
    for (job, restored) in jobs.iter().zip(&restored) {
        job_rows::replace(work, job, restored)?;
    }
    Ok(JobPage { jobs: restored, more })
}

/// A page of a bot's results.
pub(super) fn completed(
    work: &Work<'_>,
    fence: &Fence,
    after: Option<JobCursor>,
    limit: u32,
) -> Answer<JobPage> {
    bots::pass_fence(work, fence)?;
    page(work, COMPLETED, &fence.bot_id, after, page_size(limit))
}

/// Moves some of a bot's active jobs to holding, those behind `after`; once there are no more, says how many are
/// held.
pub(super) fn hold(work: &Work<'_>, fence: &Fence, after: Option<JobCursor>) -> Answer<Step> {
    bots::pass_fence(work, fence)?;
    let bot_id = &fence.bot_id;
    let page = page(work, HOLD, bot_id, after, HOLD_PIECE_JOBS)?;
    for job in &page.jobs {
        // Holding has no guard: there is no rejection to tell.
        let _held = job_rows::apply(work, job, &Command::Hold)?;
    }
    if page.more {
        return Ok(Step::Piece(page.behind(after)));
    }
    let held = work.first(HELD, [bot_id.as_str()], |row| row.get(0))?;
    Ok(Step::Done(StoreReply::HoldBot(held.unwrap_or_default())))
}

/// One page of a query over a bot's jobs. Unreadable ones are set aside, so a page that lost some still makes
/// progress.
fn page(
    work: &Work<'_>,
    sql: &str,
    bot_id: &BotId,
    after: Option<JobCursor>,
    size: usize,
) -> Answer<JobPage> {
    let (at, media_id) = match after {
        Some(after) => (moment(after.created_at), after.media_id.blob().to_vec()),
        None => (i64::MIN, Vec::new()),
    };
    let bot_id = bot_id.as_str();
    let found = job_rows::select_page(work, sql, (bot_id, at, &media_id, rows_to_read(size)))?;
    let FoundJobs { mut jobs, rows } = found;
    jobs.truncate(size);
    Ok(JobPage { jobs, more: rows > size })
}

/// The first free message id of a correspondent.
pub(super) fn next_id(
    work: &Work<'_>,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
) -> Answer<MessageId> {
    let correspondent = correspondents::number(work, bot_id, correspondent_id)?;
    let names = (bot_id.as_str(), correspondent_id.as_str(), correspondent);
    let highest = work.first(HIGHEST_ID, names, |row| match row.get::<_, i64>(0)? {
        0 => Ok(None),
        _ => row.get(0).map(|StoredMessageId(id)| Some(id)),
    })?;
    Ok(highest.flatten().map_or(MessageId::FIRST, MessageId::next))
}
