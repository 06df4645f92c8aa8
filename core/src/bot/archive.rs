//! Ready messages on their way to being durable: one batch at a time, correspondents in turn.
//!
//! Only an archived message is acknowledged (text) and owed a callback. A message whose job was done
//! here is archived under the job's lease: that is at once the durable result of the job.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Bot;
use super::correspondent::Correspondent;
use super::event::{BotEffect, Callback};
use super::lifecycle::Phase;
use crate::context::Context;
use crate::durable::Durable;
use crate::effect::Effect;
use crate::id::{ArchiveSeq, Attempt, CorrespondentId, MediaId, MessageId, OpId};
use crate::lane::Lane;
use crate::message::{Message, Outcome};
use crate::notice::Notice;
use crate::queue::{CorrespondentQueue, Popped};
use crate::receipt::{Origin, Receipt, RejectReason};
use crate::signal::PoolSignal;
use crate::store::{
    ArchiveAnswer, ArchiveItem, CallbackPlan, FinishedJob, StoreError, StoreReply, StoreRequest,
    StoreResult,
};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Archive {
    /// The correspondents with ready messages, in turn.
    ready: VecDeque<CorrespondentId>,
    pub lane: Lane<Batch>,
    /// The messages of a batch that the store called invalid: each goes alone.
    alone: VecDeque<Archiving>,
    /// The last turn was a batch's, and not one of the others'.
    just_archived: bool,
    /// The last of the others' turns was a page's, and not one of a revision or a redelivery.
    just_paged: bool,
}

/// The archive batch in flight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Batch {
    messages: Vec<Archiving>,
}

/// A message in the archive batch in flight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Archiving {
    pub correspondent_id: CorrespondentId,
    pub message: Arc<Message>,
    pub origin: Option<Origin>,
    pub job: Option<FinishedJob>,
    pub plan: CallbackPlan,
}

impl Archive {
    pub fn is_quiet(&self) -> bool {
        self.ready.is_empty() && self.alone.is_empty() && self.lane.is_idle()
    }

    /// A correspondent may have a ready message that is not listed.
    pub fn list(&mut self, correspondent_id: &CorrespondentId, entry: &mut Correspondent) {
        if !entry.listed_ready && entry.queue.has_ready() {
            entry.listed_ready = true;
            self.ready.push_back(correspondent_id.clone());
        }
    }

    /// The batch in flight: its operation, and the media whose jobs it ends.
    pub fn in_flight(&self) -> Option<(OpId, Vec<MediaId>)> {
        let (op, batch) = self.lane.in_flight()?;
        let jobs = batch.messages.iter().filter_map(|archiving| archiving.job);
        Some((op, jobs.map(|job| job.media_id).collect()))
    }

    /// Gives everything up; returns the messages that were asked for, which may or may not be durable.
    pub fn clear(&mut self) -> Vec<Archiving> {
        self.ready.clear();
        let mut messages = self.lane.take_any().map(|batch| batch.messages).unwrap_or_default();
        messages.extend(self.alone.drain(..));
        messages
    }
}

impl Bot {
    /// The bot begins: what is owed from before is read first. Messages that are archived before it is known
    /// that nothing is are read as well, a page of them at a time.
    pub(super) fn give_turn_to_outbox(&mut self) {
        self.archive.just_archived = true;
    }

    /// The outbox has begun to read a page: the next turn is the archive's.
    pub(super) fn page_had_its_turn(&mut self) {
        (self.archive.just_archived, self.archive.just_paged) = (false, true);
    }

    /// A revision or a redelivery is being made durable: the next turn is the archive's, then a page's.
    pub(super) fn change_had_its_turn(&mut self) {
        (self.archive.just_archived, self.archive.just_paged) = (false, false);
    }

    /// Whether a revision or a redelivery may begin: a page that was read before would not hold its callback, and
    /// a batch would be called back before it although it was archived later.
    pub(super) fn may_change_archived(&self) -> bool {
        let pages_turn = self.outbox.wants_page() && !self.archive.just_paged;
        self.archive.lane.is_idle()
            && !self.results.is_revising()
            && !self.redeliveries.is_underway()
            && !self.outbox.is_paging()
            && !pages_turn
    }

    pub(super) fn pump_archive(&mut self, cx: &mut Context<'_>) {
        // A page of owed callbacks, a revision (or redelivery) and an archive batch never overlap: what is read is
        // what is there, and what was archived first is called back first. They take turns, so that neither a
        // flood of messages nor a backlog, nor many revisions, starve the others.
        let others_turn = matches!(self.phase, Phase::Running)
            && self.archive.just_archived
            && (self.outbox.wants_page()
                || self.results.wants_to_revise()
                || self.wants_to_redeliver());
        let others_at_work = self.outbox.is_paging()
            || self.results.is_revising()
            || self.redeliveries.is_underway();
        if !self.archive.lane.is_idle() || others_at_work || others_turn {
            return;
        }
        if let Some(archiving) = self.archive.alone.pop_front() {
            return self.ask_archive(cx, Batch { messages: vec![archiving] });
        }
        let limits = self.settings.limits;
        let mut messages =
            Vec::with_capacity(self.archive.ready.len().min(limits.archive_batch_messages));
        let mut bytes = 0;
        while messages.len() < limits.archive_batch_messages
            && bytes < limits.archive_batch_bytes
            && let Some(correspondent_id) = self.archive.ready.pop_front()
        {
            let Some(archiving) = self.pop_ready(correspondent_id) else { continue };
            bytes += archiving.message.content.len();
            messages.push(archiving);
        }
        if !messages.is_empty() {
            self.ask_archive(cx, Batch { messages });
        }
    }

    /// Takes one message of a correspondent, and lists it again if it has more.
    fn pop_ready(&mut self, correspondent_id: CorrespondentId) -> Option<Archiving> {
        let entry = self.correspondents.get_mut(&correspondent_id)?;
        entry.listed_ready = false;
        let Popped { message, origin, job } = entry.queue.pop_ready_message()?;
        entry.archiving += 1;
        if let Some(job) = &job {
            entry.archiving_media.insert(message.id, message.accepted_time);
            self.media.remove(&job.media_id);
        }
        self.archive.list(&correspondent_id, entry);
        let plan = if self.settings.callbacks.sources.contains(&message.source) {
            let gated_media = job.is_some() && self.settings.is_gated(&correspondent_id);
            self.outbox.reserve(&self.settings, &correspondent_id, gated_media)
        } else {
            CallbackPlan::None
        };
        Some(Archiving { correspondent_id, message, origin, job, plan })
    }

    pub(super) fn retry_archive(&mut self, cx: &mut Context<'_>) {
        if let Some(batch) = self.archive.lane.take_due(cx.now) {
            self.ask_archive(cx, batch);
        }
    }

    fn ask_archive(&mut self, cx: &mut Context<'_>, batch: Batch) {
        let items = batch
            .messages
            .iter()
            .map(|archiving| ArchiveItem {
                correspondent_id: archiving.correspondent_id.clone(),
                message: archiving.message.clone(),
                callback: archiving.plan,
                job: archiving.job,
            })
            .collect();
        let op = self.ask_store(cx, StoreRequest::Archive { fence: self.fence(), items });
        self.archive.lane.begin(op, batch);
        self.archive.just_archived = true;
    }

    pub(super) fn on_archived(&mut self, cx: &mut Context<'_>, batch: Batch, result: StoreResult) {
        match result {
            Ok(reply) => {
                self.archive.lane.settle();
                let StoreReply::Archive(answers) = &reply else {
                    return cx.unexpected(format!("bot {}: no answer to archive", self.id));
                };
                for (archiving, answer) in batch.messages.into_iter().zip(answers) {
                    self.archived(cx, &reply, archiving, answer);
                }
            }
            Err(StoreError::Unavailable { detail }) => {
                cx.notice(Notice::ArchiveRetried {
                    bot_id: self.id.clone(),
                    messages: batch.messages.len(),
                });
                self.archive.lane.retry_later(cx, batch, "archive", detail);
            }
            Err(StoreError::Fenced) => {
                // They end with the bot, which answers whoever has to be answered.
                self.archive.alone.extend(batch.messages);
                self.fenced_by_store(cx);
            }
            Err(StoreError::Invalid { detail }) => self.archive_refused(cx, batch, &detail),
        }
    }

    fn archived(
        &mut self,
        cx: &mut Context<'_>,
        reply: &StoreReply,
        archiving: Archiving,
        answer: &ArchiveAnswer,
    ) {
        match answer {
            ArchiveAnswer::Stored { seq } | ArchiveAnswer::AlreadyStored { seq } => {
                self.stored(cx, reply, archiving, *seq);
            }
            ArchiveAnswer::DuplicateProviderMessage { message_id } => {
                self.was_duplicate(cx, reply, archiving, *message_id);
            }
            ArchiveAnswer::StaleLease => self.lease_was_stale(cx, reply, archiving),
        }
    }

    /// A message is not in the archive batch in flight any more. Returns the queue it came from.
    fn leave_archive(&mut self, archiving: &Archiving) -> Option<&mut CorrespondentQueue> {
        let entry = self.correspondents.get_mut(&archiving.correspondent_id)?;
        entry.archiving = entry.archiving.saturating_sub(1);
        if archiving.job.is_some() {
            entry.archiving_media.remove(&archiving.message.id);
            self.outbox.media_settled(&archiving.correspondent_id);
        }
        Some(&mut entry.queue)
    }

    /// The provider's message is durable under `message_id`.
    fn confirm(&mut self, archiving: &Archiving, message_id: Durable<MessageId>) {
        let limits = self.settings.limits;
        if let Some(queue) = self.leave_archive(archiving) {
            queue.confirm(&archiving.message.provider_message_id, message_id, &limits);
        }
    }

    fn stored(
        &mut self,
        cx: &mut Context<'_>,
        reply: &StoreReply,
        archiving: Archiving,
        seq: ArchiveSeq,
    ) {
        let message_id = Durable::by(reply, archiving.message.id);
        self.confirm(&archiving, message_id);
        let Archiving { correspondent_id, message, origin, job, plan } = archiving;
        let receipt = Receipt::Accepted { message_id };
        self.answer_all(cx, &correspondent_id, message.id, origin, &receipt);
        if let Some(job) = job {
            self.job_ended(cx, reply, job, &message);
        }
        match plan {
            CallbackPlan::None => {}
            CallbackPlan::Owed => self.outbox.left_in_store(&correspondent_id, seq),
            CallbackPlan::OwedInWindow => {
                let callback =
                    Callback { correspondent_id, attempt: Attempt(1), revision: 0, message };
                self.outbox.enter(cx.now, &self.settings, seq, Durable::by(reply, callback));
            }
        }
    }

    /// The job has ended with its message: its lease is over, its file is not needed, unless an
    /// operator may want to retry it.
    fn job_ended(
        &mut self,
        cx: &mut Context<'_>,
        reply: &StoreReply,
        job: FinishedJob,
        message: &Message,
    ) {
        self.results.ended(job.media_id);
        if job.token.is_some() {
            cx.tell_pools(PoolSignal::Settled { media_id: job.media_id });
        }
        let outcome = message.media.as_ref().and_then(|media| media.outcome.as_deref());
        self.delete_unless_failed(cx, reply, job.media_id, outcome);
    }

    /// Deletes the file of a job that has ended, unless an operator may want to retry it.
    pub(super) fn delete_unless_failed(
        &self,
        cx: &mut Context<'_>,
        reply: &StoreReply,
        media_id: MediaId,
        outcome: Option<&Outcome>,
    ) {
        if !outcome.is_some_and(Outcome::is_failure) {
            let media_id = Durable::by(reply, media_id);
            cx.effect(Effect::Bot(self.id.clone(), BotEffect::DeleteMedia { media_id }));
        }
    }

    fn was_duplicate(
        &mut self,
        cx: &mut Context<'_>,
        reply: &StoreReply,
        archiving: Archiving,
        original: MessageId,
    ) {
        let message_id = Durable::by(reply, original);
        self.confirm(&archiving, message_id);
        let Archiving { correspondent_id, message, origin, job, plan } = archiving;
        self.outbox.unreserve(&correspondent_id, plan);
        self.notice_duplicate(cx, &correspondent_id, original);
        let receipt = Receipt::Duplicate { message_id };
        self.answer_all(cx, &correspondent_id, message.id, origin, &receipt);
        if let Some(job) = job {
            self.job_ended(cx, reply, job, &message);
        }
    }

    /// Somebody else has the job, or has ended it: the message waits for that result again.
    fn lease_was_stale(&mut self, cx: &mut Context<'_>, reply: &StoreReply, archiving: Archiving) {
        self.leave_archive(&archiving);
        let Archiving { correspondent_id, message, origin, job, plan } = archiving;
        self.outbox.unreserve(&correspondent_id, plan);
        let Some(job) = job else {
            return cx.unexpected(format!("bot {}: a stale lease of a text", self.id));
        };
        // Its job is durable, whether its insert has been answered or not.
        let receipt = Receipt::Accepted { message_id: Durable::by(reply, message.id) };
        self.answer_all(cx, &correspondent_id, message.id, origin, &receipt);
        cx.notice(Notice::StaleResult { media_id: job.media_id });
        if job.token.is_some() {
            cx.tell_pools(PoolSignal::LeaseLost { media_id: job.media_id });
            let placeholder = Message::clone(&message).into_placeholder();
            self.inject(cx.now, &correspondent_id, Durable::by(reply, placeholder));
        }
        self.results_waiting();
    }

    /// The store calls the batch invalid: its messages go again one by one, so that one bad message
    /// never takes its neighbours along; one that is refused alone is given up, and a result that was
    /// made here for it goes into its job.
    fn archive_refused(&mut self, cx: &mut Context<'_>, batch: Batch, detail: &str) {
        self.archive.lane.settle();
        if batch.messages.len() > 1 {
            self.archive.alone.extend(batch.messages);
            return;
        }
        for archiving in batch.messages {
            if let Some(queue) = self.leave_archive(&archiving) {
                queue.abandon(&archiving.message.provider_message_id);
            }
            cx.notice(Notice::StoreRefused {
                operation: "archive".to_owned(),
                detail: detail.to_owned(),
            });
            let Archiving { correspondent_id, message, origin, plan, .. } = &archiving;
            self.outbox.unreserve(correspondent_id, *plan);
            let receipt = Receipt::rejected(RejectReason::Invalid);
            self.answer_all(cx, correspondent_id, message.id, *origin, &receipt);
            self.hand_back(cx, archiving);
        }
    }
}
