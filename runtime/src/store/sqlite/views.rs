//! What operators look at.
//!
//! Owns the lists and the look-ups that no node's work needs. Their statements are put together of what
//! is filtered by; each names the index that it goes by. A body that cannot be read is left out: the
//! request that works with it sets it aside.

use anteroom_core::id::{ArchiveSeq, BotId, CorrespondentId, Epoch, MediaId, MessageId};
use anteroom_core::job::{FailedCopy, Job, Worked};
use anteroom_core::message::Message;
use anteroom_core::time::Timestamp;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, params_from_iter};

use super::archive_rows::CallbackState;
use super::columns::{
    AsBlob, id_at, message_number, moment, read_body, saturating, timestamp, unsigned,
};
use super::correspondents;
use super::failure::Answer;
use super::work::{Work, page_size, rows_to_read};
use crate::store::views::{
    Archived, CallbackFilter, CallbackProgress, CallbackQuery, JobFilter, JobQuery, JobState, Kept,
    ListedJob, Owner, Question, StatusName, View,
};

/// Answers one question.
pub(super) fn look(work: &Work<'_>, question: &Question) -> Answer<View> {
    Ok(match question {
        Question::Jobs(query) => {
            let (jobs, more) = jobs(work, query)?;
            View::Jobs(jobs, more)
        }
        Question::Count(filter) => View::Count(count(work, filter)?),
        Question::Medium(media_id) => View::Medium(medium(work, *media_id)?),
        Question::Message(bot_id, correspondent_id, message_id) => {
            View::Message(message(work, bot_id, correspondent_id, *message_id)?)
        }
        Question::Callbacks(query) => {
            let (callbacks, more) = callbacks(work, query)?;
            View::Callbacks(callbacks, more)
        }
        Question::Owners => View::Owners(owners(work)?),
        Question::Leases => View::Leases(leases(work)?),
        Question::Nodes => View::Nodes(Vec::new()),
    })
}

/// A statement, and what stands for its question marks.
pub(super) struct Asked {
    pub(super) sql: String,
    values: Vec<Value>,
    /// Whether its index has what it finds in the order of lists. What is not in order is little.
    in_order: bool,
}

impl Asked {
    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.extend(values);
    }

    /// The statements of `select` over the jobs that a filter finds: of those that nobody works on, and of
    /// the leased ones, which are few but while a bot with many is restored.
    pub(super) fn jobs(select: &str, filter: &JobFilter) -> Vec<Self> {
        let from: &[&str] = match (filter.state, &filter.bot_id, filter.status) {
            (JobState::Active | JobState::Holding, _, None) => &[WAITING_JOBS, LEASED_JOBS],
            (JobState::Active | JobState::Holding, _, Some(StatusName::Processing)) => {
                &[LEASED_JOBS]
            }
            (JobState::Active | JobState::Holding, _, Some(_)) => &[WAITING_JOBS],
            (JobState::Failed, Some(_), _) => &["failed INDEXED BY failed_listed_bot WHERE 1"],
            (JobState::Failed, None, _) => &["failed INDEXED BY failed_listed WHERE 1"],
        };
        let asked = |from: &&str| Self {
            in_order: *from != LEASED_JOBS,
            ..Self::filtered(format!("SELECT {select} FROM {from}"), filter)
        };
        from.iter().map(asked).collect()
    }

    fn new(sql: String) -> Self {
        Self { sql, values: Vec::new(), in_order: true }
    }

    fn filtered(sql: String, filter: &JobFilter) -> Self {
        let JobFilter { state, bot_id, pool, status, reason, before } = filter;
        let mut asked = Self::new(sql);
        let place = match state {
            JobState::Active => Some("active"),
            JobState::Holding => Some("holding"),
            JobState::Failed => None,
        };
        if let Some(place) = place {
            asked.and("place = ?", [place.to_owned().into()]);
        }
        if let Some(bot_id) = bot_id {
            asked.and("bot_id = ?", [bot_id.as_str().to_owned().into()]);
        }
        if let Some(pool) = pool {
            asked.and("pool = ?", [pool.as_str().to_owned().into()]);
        }
        match (place, status) {
            (Some(_), Some(status)) => {
                asked.and("status = ?", [status_name(*status).to_owned().into()]);
            }
            (None, Some(StatusName::Pending | StatusName::Processing)) => asked.and("0", []),
            (None, Some(StatusName::Completed)) | (_, None) => {}
        }
        match (place, reason) {
            (None, Some(reason)) => asked.and("reason = ?", [reason.clone().into()]),
            (Some(_), Some(_)) => asked.and("0", []),
            (_, None) => {}
        }
        if let Some(before) = before {
            asked.and(&format!("{} < ?", time_column(*state)), [moment(*before).into()]);
        }
        asked
    }

    /// The statements of a page of jobs; they select `media_id`, the time and the body. The leased jobs are
    /// found in no order, and all of them.
    pub(super) fn page_of_jobs(query: &JobQuery) -> Vec<Self> {
        let time = time_column(query.filter.state);
        let (than, order) = if query.newest_first { ("<", "DESC") } else { (">", "ASC") };
        let limit = rows_to_read(page_size(query.limit));
        let mut statements = Self::jobs(&format!("media_id, {time}, body"), &query.filter);
        for asked in &mut statements {
            if let Some((at, media_id)) = &query.after {
                let values = [moment(*at).into(), media_id.blob().to_vec().into()];
                asked.and(&format!("({time}, media_id) {than} (?, ?)"), values);
            }
            if asked.in_order {
                let end = format!(" ORDER BY {time} {order}, media_id {order} LIMIT {limit}");
                asked.sql.push_str(&end);
            }
        }
        statements
    }

    /// The statement of a page of callbacks.
    pub(super) fn page_of_callbacks(query: &CallbackQuery) -> Self {
        let (state, index) = match query.state {
            CallbackFilter::Owed => ("owed", "archive_owed_bot"),
            CallbackFilter::Undeliverable => ("undeliverable", "archive_undeliverable"),
        };
        let from = format!("FROM archive INDEXED BY {index} WHERE callback = '{state}'");
        let mut asked = Self::new(format!("SELECT {ARCHIVED_COLUMNS} {from}"));
        if let Some(bot_id) = &query.bot_id {
            asked.and("bot_id = ?", [bot_id.as_str().to_owned().into()]);
        }
        match (&query.after, &query.bot_id) {
            (Some((_, seq)), Some(_)) => asked.and("seq > ?", [saturating(seq.0).into()]),
            (Some((bot_id, seq)), None) => {
                let values = [bot_id.as_str().to_owned().into(), saturating(seq.0).into()];
                asked.and("(bot_id, seq) > (?, ?)", values);
            }
            (None, _) => {}
        }
        let limit = rows_to_read(page_size(query.limit));
        asked.sql.push_str(&format!(" ORDER BY bot_id, seq LIMIT {limit}"));
        asked
    }
}

fn time_column(state: JobState) -> &'static str {
    match state {
        JobState::Active | JobState::Holding => "created_at",
        JobState::Failed => "failed_at",
    }
}

fn status_name(status: StatusName) -> &'static str {
    match status {
        StatusName::Pending => "pending",
        StatusName::Processing => "processing",
        StatusName::Completed => "completed",
    }
}

fn jobs(work: &Work<'_>, query: &JobQuery) -> Answer<(Vec<ListedJob>, bool)> {
    let is_failed = query.filter.state == JobState::Failed;
    let mut rows = Vec::new();
    for Asked { sql, values, .. } in Asked::page_of_jobs(query) {
        rows.extend(work.all(&sql, params_from_iter(values), |row| {
            let listed = if is_failed {
                let copy = read_body::<FailedCopy>(row, 2);
                copy.map(|copy| ListedJob { job: copy.job, failed_at: Some(copy.failed_at) })
            } else {
                read_body::<Job>(row, 2).map(|job| ListedJob { job, failed_at: None })
            };
            Ok(((row.get::<_, i64>(1)?, id_at::<MediaId>(row, 0)?), listed))
        })?);
    }
    rows.sort_by_key(|(place, _)| *place);
    if query.newest_first {
        rows.reverse();
    }
    let size = page_size(query.limit);
    let more = rows.len() > size;
    rows.truncate(size);
    Ok((rows.into_iter().filter_map(|(_, listed)| listed.ok()).collect(), more))
}

fn count(work: &Work<'_>, filter: &JobFilter) -> Answer<u64> {
    let mut sum = 0;
    for Asked { sql, values, .. } in Asked::jobs("count(*)", filter) {
        let count = work.first(&sql, params_from_iter(values), |row| row.get::<_, i64>(0))?;
        sum += count.map_or(0, unsigned);
    }
    Ok(sum)
}

/// Jobs that nobody works on, by their age.
const WAITING_JOBS: &str = "jobs INDEXED BY jobs_listed WHERE lease_expires_at IS NULL";

/// Jobs that are worked on.
const LEASED_JOBS: &str = "jobs INDEXED BY jobs_leased WHERE lease_expires_at IS NOT NULL";

pub(super) const ARCHIVED_COLUMNS: &str = "bot_id, correspondent_id, seq, revision, callback, \
     attempts, failures, archived_at, ended_at, body, worker_id, claimed_at, work_ended_at";

/// How many neighbouring rows of the archive have their media in one block of the index.
const MEDIA_BLOCK_ROWS: i64 = 4_096;

/// The archived message of a medium, if it is in a block.
pub(super) const BY_MEDIA: &str =
    "SELECT bot_id, correspondent_id, seq, revision, callback, attempts,
        failures, archived_at, ended_at, body, worker_id, claimed_at, work_ended_at
     FROM archive INDEXED BY archive_media WHERE position / 4096 = ?1 AND media_id = ?2 LIMIT 1";

/// The last row before a position.
pub(super) const LAST_BEFORE: &str =
    "SELECT position FROM archive WHERE position < ?1 ORDER BY position DESC LIMIT 1";

/// The archived message with an id.
pub(super) const BY_MESSAGE: &str =
    "SELECT bot_id, correspondent_id, seq, revision, callback, attempts,
        failures, archived_at, ended_at, body, worker_id, claimed_at, work_ended_at
     FROM archive
     WHERE correspondent = ?2 AND id = ?3
        AND provider_name = (SELECT provider_name FROM bots WHERE bot_id = ?1)";

/// The media of the message that waits under an id. Of a correspondent there are at most as many jobs
/// as placeholders may wait.
pub(super) const WAITING_MESSAGE: &str =
    "SELECT media_id FROM jobs INDEXED BY jobs_provider_message
     WHERE correspondent = ?1 AND revision = 0 AND message_id = ?2";

fn archived(row: &Row<'_>) -> rusqlite::Result<Option<Archived>> {
    let Ok(message) = read_body::<Message>(row, 9) else { return Ok(None) };
    Ok(Some(Archived {
        bot_id: row.get::<_, String>(0)?.into(),
        correspondent_id: row.get::<_, String>(1)?.into(),
        message,
        seq: ArchiveSeq(unsigned(row.get(2)?)),
        revision: row.get(3)?,
        callback: match row.get(4)? {
            CallbackState::None => CallbackProgress::None,
            CallbackState::Owed => CallbackProgress::Owed,
            CallbackState::Acknowledged => CallbackProgress::Acknowledged,
            CallbackState::Undeliverable => CallbackProgress::Undeliverable,
        },
        attempts: row.get(5)?,
        failures: row.get(6)?,
        archived_at: timestamp(row.get(7)?),
        ended_at: row.get::<_, Option<i64>>(8)?.map(timestamp),
        worked: worked(row)?,
    }))
}

fn worked(row: &Row<'_>) -> rusqlite::Result<Option<Worked>> {
    if row.get_ref(10)? == ValueRef::Null {
        return Ok(None);
    }
    let (claimed_at, ended_at) = (timestamp(row.get(11)?), timestamp(row.get(12)?));
    Ok(Some(Worked { worker_id: id_at(row, 10)?, claimed_at, ended_at }))
}

fn medium(work: &Work<'_>, media_id: MediaId) -> Answer<Kept> {
    let (open, failed) = copies(work, media_id)?;
    let archived = archived_medium(work, media_id)?;
    Ok(Kept { open, failed, archived })
}

/// Looks through the blocks that have rows, from the newest to the oldest.
fn archived_medium(work: &Work<'_>, media_id: MediaId) -> Answer<Option<Archived>> {
    let mut before = i64::MAX;
    while let Some(last) = work.first(LAST_BEFORE, [before], |row| row.get::<_, i64>(0))? {
        let block = last / MEDIA_BLOCK_ROWS;
        if let Some(found) = work.first(BY_MEDIA, (block, media_id.blob()), archived)? {
            return Ok(found);
        }
        before = block * MEDIA_BLOCK_ROWS;
    }
    Ok(None)
}

fn copies(work: &Work<'_>, media_id: MediaId) -> Answer<(Option<Job>, Option<FailedCopy>)> {
    let open =
        work.first("SELECT body FROM jobs WHERE media_id = ?1", [media_id.blob()], |row| {
            Ok(read_body::<Job>(row, 0).ok())
        })?;
    let failed =
        work.first("SELECT body FROM failed WHERE media_id = ?1", [media_id.blob()], |row| {
            Ok(read_body::<FailedCopy>(row, 0).ok())
        })?;
    Ok((open.flatten(), failed.flatten()))
}

fn message(
    work: &Work<'_>,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
    message_id: MessageId,
) -> Answer<Kept> {
    let correspondent = correspondents::number(work, bot_id, correspondent_id)?;
    let number = message_number(message_id)?;
    let key = (bot_id.as_str(), correspondent, number);
    let archived = work.first(BY_MESSAGE, key, archived)?.flatten();
    let media_id = match archived.as_ref().map(|row| row.message.media_id()) {
        Some(media_id) => media_id,
        None => {
            work.first(WAITING_MESSAGE, (correspondent, number), |row| id_at::<MediaId>(row, 0))?
        }
    };
    let (open, failed) = match media_id {
        Some(media_id) => copies(work, media_id)?,
        None => (None, None),
    };
    Ok(Kept { open, failed, archived })
}

fn callbacks(work: &Work<'_>, query: &CallbackQuery) -> Answer<(Vec<Archived>, bool)> {
    let Asked { sql, values, .. } = Asked::page_of_callbacks(query);
    let mut rows = work.all(&sql, params_from_iter(values), archived)?;
    let size = page_size(query.limit);
    let more = rows.len() > size;
    rows.truncate(size);
    Ok((rows.into_iter().flatten().collect(), more))
}

fn owners(work: &Work<'_>) -> Answer<Vec<Owner>> {
    let now: Timestamp = work.now;
    work.all(
        "SELECT bot_id, node_id, epoch, expires_at FROM ownership
         WHERE node_id IS NOT NULL ORDER BY bot_id",
        [],
        |row| {
            Ok(Owner {
                bot_id: row.get::<_, String>(0)?.into(),
                node_id: id_at(row, 1)?,
                epoch: Epoch(unsigned(row.get(2)?)),
                remaining: timestamp(row.get(3)?).since(now),
            })
        },
    )
}

/// The bodies of leased jobs: of those that are worked on, and of results that wait under their leases while a
/// bot is restored.
pub(super) const LEASED: &str = "SELECT body FROM jobs INDEXED BY jobs_leased
     WHERE lease_expires_at IS NOT NULL";

fn leases(work: &Work<'_>) -> Answer<Vec<(anteroom_core::id::WorkerId, u64)>> {
    let jobs = work.all(LEASED, [], |row| Ok(read_body::<Job>(row, 0).ok()))?;
    let mut counted = std::collections::BTreeMap::new();
    for job in jobs.into_iter().flatten() {
        if let Some(lease) = job.lease() {
            *counted.entry(lease.worker_id).or_insert(0) += 1;
        }
    }
    Ok(counted.into_iter().collect())
}
