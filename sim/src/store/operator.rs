//! What operators do with single jobs.

use std::sync::Arc;

use anteroom_core::id::MediaId;
use anteroom_core::job::{Command, FailedCopy, Job, Rejection};
use anteroom_core::pool::routing::Routing;
use anteroom_core::store::OperatorAnswer;
use anteroom_core::time::Timestamp;

use super::StoreModel;
use super::archive::CallbackState;

impl StoreModel {
    /// Gives a job up.
    pub(super) fn discard_job(&mut self, media_id: MediaId, now: Timestamp) -> OperatorAnswer {
        let Some(job) = self.jobs.get(media_id).cloned() else { return OperatorAnswer::NotFound };
        match self.jobs.apply(&job, &Command::Discard, now) {
            Ok(_) => done(&job),
            Err(rejection) => OperatorAnswer::Rejected(rejection),
        }
    }

    /// Begins a failed job anew; the caller vouches that its file is kept.
    pub(super) fn retry_job(
        &mut self,
        media_id: MediaId,
        routing: Option<&Routing>,
        now: Timestamp,
    ) -> OperatorAnswer {
        let Some(copy) = self.jobs.failed.get(media_id).cloned() else {
            return OperatorAnswer::NotFound;
        };
        if let Some(job) = self.jobs.get(media_id) {
            // Either this very retry is under way, or the failure itself is not archived yet.
            return if job.revision > copy.job.revision {
                done(job)
            } else {
                OperatorAnswer::Rejected(Rejection::NotCalledBack)
            };
        }
        let file_kept = true;
        match copy.retry(file_kept, self.is_called_back(&copy), routing, now) {
            Ok(job) => {
                let answer = done(&job);
                self.jobs.put(Arc::new(job));
                answer
            }
            Err(rejection) => OperatorAnswer::Rejected(rejection),
        }
    }

    /// Whether the failure that the copy tells of is archived and owes no callback.
    fn is_called_back(&self, copy: &FailedCopy) -> bool {
        let Job { bot_id, correspondent_id, placeholder_message, .. } = &copy.job;
        let row = self.archive.get(bot_id, correspondent_id, placeholder_message.id);
        row.is_some_and(|row| match row.callback {
            CallbackState::NotOwed { .. } | CallbackState::Ended { .. } => true,
            CallbackState::Owed => false,
        })
    }
}

fn done(job: &Job) -> OperatorAnswer {
    OperatorAnswer::Done { bot_id: job.bot_id.clone(), pool: job.pool.clone() }
}
