//! What operators do with single jobs.

use anteroom_core::id::MediaId;
use anteroom_core::job::{Command, FailedCopy, Job, Rejection};
use anteroom_core::pool::routing::Routing;
use anteroom_core::store::OperatorAnswer;

use super::archive_rows::CallbackState;
use super::columns::to_body;
use super::failure::{Answer, Failure};
use super::work::Work;
use super::{archive_rows, failed_copies, job_rows};

/// Gives a job up.
pub(super) fn discard(work: &Work<'_>, media_id: MediaId) -> Answer<OperatorAnswer> {
    let Some(job) = job_rows::find(work, media_id)? else { return Ok(OperatorAnswer::NotFound) };
    Ok(match job_rows::apply(work, &job, &Command::Discard)? {
        Ok(_) => done(&job),
        Err(rejection) => OperatorAnswer::Rejected(rejection),
    })
}

/// Begins a failed job anew; the caller vouches that its file is kept.
pub(super) fn retry(
    work: &Work<'_>,
    media_id: MediaId,
    routing: Option<&Routing>,
) -> Answer<OperatorAnswer> {
    let Some(copy) = failed_copies::find(work, media_id)? else {
        return Ok(OperatorAnswer::NotFound);
    };
    if let Some(job) = job_rows::find(work, media_id)? {
        // Either this very retry is under way, or the failure itself is not archived yet.
        return Ok(if job.revision > copy.job.revision {
            done(&job)
        } else {
            OperatorAnswer::Rejected(Rejection::NotCalledBack)
        });
    }
    let file_kept = true;
    match copy.retry(file_kept, called_back(work, &copy)?, routing, work.now) {
        Ok(job) => {
            let mut insert = work.prepare(job_rows::INSERT)?;
            if job_rows::insert_by(work, &mut insert, &job, &to_body(&job)?)? {
                Ok(done(&job))
            } else {
                Err(Failure::invalid(format!("a job of {media_id} appeared while it was retried")))
            }
        }
        Err(rejection) => Ok(OperatorAnswer::Rejected(rejection)),
    }
}

/// Whether the failure that the copy tells of is archived and its callback has ended.
fn called_back(work: &Work<'_>, copy: &FailedCopy) -> Answer<bool> {
    let job = &copy.job;
    let message_id = job.placeholder_message.id;
    let row = archive_rows::find(work, &job.bot_id, &job.correspondent_id, message_id)?;
    Ok(row.is_some_and(|row| row.revision == job.revision && row.callback != CallbackState::Owed))
}

fn done(job: &Job) -> OperatorAnswer {
    OperatorAnswer::Done { bot_id: job.bot_id.clone(), pool: job.pool.clone() }
}
