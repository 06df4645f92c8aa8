//! Revisions: the result of a retried job becomes the content of its archived message.

use std::sync::Arc;

use anteroom_core::id::{CorrespondentId, Epoch, MediaId};
use anteroom_core::job::{Command, Job, Rejection};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{CallbackPlan, Fence, ReviseAnswer, StoreError};
use anteroom_core::time::Timestamp;

use super::archive::{ArchiveRow, CallbackState};
use super::{StoreModel, invalid};

/// What a revision consists of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Revision<'r> {
    /// The media whose job was retried.
    pub(super) media_id: MediaId,
    /// Which retry.
    pub(super) number: u32,
    /// The message with its new content.
    pub(super) message: &'r Arc<Message>,
    /// Whose message.
    pub(super) correspondent_id: &'r CorrespondentId,
    /// Whether a callback is owed.
    pub(super) callback: CallbackPlan,
}

impl StoreModel {
    /// Gives a row its new content and ends the job, in one step. The row takes a new place, behind
    /// everything that an outbox may have passed.
    pub(super) fn revise(
        &mut self,
        fence: &Fence,
        revision: Revision<'_>,
        now: Timestamp,
    ) -> Result<ReviseAnswer, StoreError> {
        let bot_id = &fence.bot_id;
        let message = revision.message;
        let named = format!("revision {} of {}", revision.number, revision.media_id);
        if message.is_placeholder() {
            return Err(invalid(format!("{named} is a placeholder")));
        }
        let row = self.archive.get(bot_id, revision.correspondent_id, message.id);
        let row = row.filter(|row| row.message.media_id() == Some(revision.media_id));
        let Some(row) = row.cloned() else { return Ok(ReviseAnswer::NotFound) };
        if row.message.provider_message_id != message.provider_message_id
            || row.message.media_id() != message.media_id()
        {
            return Err(invalid(format!("{named} is another message")));
        }
        let job = self.jobs.get(revision.media_id).filter(|job| job.bot_id == *bot_id);
        let due = job.filter(|job| job.revision == revision.number).cloned();
        Ok(match due {
            Some(job) => self.apply_revision(fence.epoch, &row, &job, revision, now),
            None if revision.number == 0 || revision.number < row.revision => {
                ReviseAnswer::Rejected(Rejection::WrongRevision)
            }
            None if revision.number == row.revision => ReviseAnswer::Revised { seq: row.seq },
            None => ReviseAnswer::NotFound,
        })
    }

    fn apply_revision(
        &mut self,
        epoch: Epoch,
        row: &ArchiveRow,
        job: &Job,
        revision: Revision<'_>,
        now: Timestamp,
    ) -> ReviseAnswer {
        let command = Command::Revise { row_revision: row.revision };
        if let Err(rejection) = self.jobs.apply(job, &command, now) {
            return ReviseAnswer::Rejected(rejection);
        }
        // Only a retry that failed leaves something to be retried.
        if !job.outcome().is_some_and(Outcome::is_failure) {
            self.jobs.failed.remove(job.media_id);
        }
        let seq = self.archive.take_seq(&row.bot_id);
        let kept = ArchiveRow {
            message: Arc::clone(revision.message),
            revision: revision.number,
            seq,
            ..row.clone()
        };
        self.archive.put(match revision.callback {
            CallbackPlan::None => kept,
            CallbackPlan::Owed | CallbackPlan::OwedInWindow => {
                let (callback, attempts) = CallbackState::planned(revision.callback, now);
                ArchiveRow { callback, attempts, failures: 0, epoch: Some(epoch), ..kept }
            }
        });
        ReviseAnswer::Revised { seq }
    }
}
