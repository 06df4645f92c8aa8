//! Revisions: the result of a retried job becomes the content of its archived message.

use anteroom_core::id::{ArchiveSeq, CorrespondentId, MediaId};
use anteroom_core::job::{Command, Job, Rejection};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{CallbackPlan, Fence, ReviseAnswer};

use super::archive_rows::{ArchiveRow, CallbackState};
use super::columns::{saturating, to_body, unsigned};
use super::failure::{Answer, Failure};
use super::work::Work;
use super::{archive_rows, bots, failed_copies, job_rows};

/// What a revision consists of.
pub(super) struct Revision<'r> {
    pub(super) media_id: MediaId,
    pub(super) revision: u32,
    pub(super) message: &'r Message,
    pub(super) correspondent_id: &'r CorrespondentId,
    pub(super) callback: CallbackPlan,
}

/// Gives the row its new content and ends the job, in one step. The row takes a new place in the
/// archive, behind everything that an outbox may have passed.
pub(super) fn revise(
    work: &Work<'_>,
    fence: &Fence,
    revision: &Revision<'_>,
) -> Answer<ReviseAnswer> {
    bots::pass_fence(work, fence)?;
    let message = revision.message;
    if message.is_placeholder() {
        let detail = format!("revision {} of {} is a placeholder", revision.revision, message.id);
        return Err(Failure::invalid(detail));
    }
    let row = archive_rows::find(work, &fence.bot_id, revision.correspondent_id, message.id)?;
    let Some(row) = row.filter(|row| row.media_id == Some(revision.media_id)) else {
        return Ok(ReviseAnswer::NotFound);
    };
    if row.provider_message_id != message.provider_message_id {
        let detail = format!("revision {} of {} is another message", revision.revision, message.id);
        return Err(Failure::invalid(detail));
    }
    let job = job_rows::find(work, revision.media_id)?.filter(|job| job.bot_id == fence.bot_id);
    let due = job.filter(|job| job.revision == revision.revision);
    match due {
        Some(job) => apply(work, fence, revision, &row, &job),
        None if row.revision == revision.revision && revision.revision > 0 => {
            Ok(ReviseAnswer::Revised { seq: ArchiveSeq(unsigned(row.seq)) })
        }
        None if row.revision >= revision.revision => {
            Ok(ReviseAnswer::Rejected(Rejection::WrongRevision))
        }
        None => Ok(ReviseAnswer::NotFound),
    }
}

fn apply(
    work: &Work<'_>,
    fence: &Fence,
    revision: &Revision<'_>,
    row: &ArchiveRow,
    job: &Job,
) -> Answer<ReviseAnswer> {
    let command = Command::Revise { row_revision: row.revision };
    if let Err(rejection) = job_rows::apply(work, job, &command)? {
        return Ok(ReviseAnswer::Rejected(rejection));
    }
    if !job.outcome().is_some_and(Outcome::is_failure) {
        failed_copies::delete(work, job.media_id)?;
    }
    let seq = bots::last_seq(work, &fence.bot_id)? + 1;
    bots::put_last_seq(work, &fence.bot_id, seq)?;
    let (worker_id, claimed_at, work_ended_at) = archive_rows::worked(job.worked());
    work.run(
        "UPDATE archive SET revision = ?2, seq = ?3, retained = 0, body = ?4, worker_id = ?5, claimed_at = ?6,
            work_ended_at = ?7
         WHERE position = ?1",
        (
            row.position,
            revision.revision,
            seq,
            to_body(revision.message)?,
            worker_id,
            claimed_at,
            work_ended_at,
        ),
    )?;
    let (callback, attempts) = CallbackState::planned(revision.callback);
    if callback == CallbackState::Owed {
        work.run(
            "UPDATE archive SET callback = ?2, attempts = ?3, failures = 0, ended_at = NULL, epoch = ?4
             WHERE position = ?1",
            (row.position, callback, attempts, saturating(fence.epoch.0)),
        )?;
    }
    Ok(ReviseAnswer::Revised { seq: ArchiveSeq(unsigned(seq)) })
}
