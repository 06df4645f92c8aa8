//! Media jobs on their way to being durable. A placeholder is acknowledged when its job is.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Bot;
use super::correspondent::Correspondent;
use crate::context::Context;
use crate::durable::Durable;
use crate::id::{CorrespondentId, MediaId, MessageId};
use crate::job::{Job, LeaseRequest, Place, Status};
use crate::lane::Lane;
use crate::message::Message;
use crate::notice::Notice;
use crate::queue::Removed;
use crate::receipt::{Receipt, RejectReason};
use crate::signal::PoolSignal;
use crate::store::{InsertAnswer, NewJob, StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::Timestamp;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Inserts {
    pending: VecDeque<(CorrespondentId, MediaId)>,
    pub lane: Lane<InsertBatch>,
    /// How many of the next inserts go alone, after a batch with an invalid one among them.
    singly: usize,
}

/// The jobs of one insert, and when their leases were first asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InsertBatch {
    jobs: Vec<NewJob>,
    asked_at: Timestamp,
}

impl Inserts {
    pub fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.lane.is_idle()
    }

    /// Gives everything up; returns the jobs that were asked for, which may or may not be durable.
    pub fn clear(&mut self) -> Vec<NewJob> {
        self.pending.clear();
        self.singly = 0;
        self.lane.take_any().map(|batch| batch.jobs).unwrap_or_default()
    }
}

impl Bot {
    /// A placeholder has entered its queue: its job is to be made durable.
    pub(super) fn insert_job(&mut self, correspondent_id: CorrespondentId, media_id: MediaId) {
        self.media.insert(media_id, correspondent_id.clone());
        self.inserts.pending.push_back((correspondent_id, media_id));
    }

    pub(super) fn pump_inserts(&mut self, cx: &mut Context<'_>) {
        if !self.inserts.lane.is_idle() || self.inserts.pending.is_empty() {
            return;
        }
        let most = match self.inserts.singly {
            0 => self.settings.limits.insert_batch_jobs,
            _ => 1,
        };
        self.inserts.singly = self.inserts.singly.saturating_sub(1);
        // One lease for all of them, as for the jobs of a claim: stores then find them together.
        let lease = cx.lease_request();
        let mut jobs = Vec::new();
        while jobs.len() < most
            && let Some((correspondent_id, media_id)) = self.inserts.pending.pop_front()
        {
            jobs.extend(self.new_job(cx, &correspondent_id, media_id, lease));
        }
        if !jobs.is_empty() {
            self.ask_insert(cx, InsertBatch { jobs, asked_at: cx.now });
        }
    }

    pub(super) fn retry_inserts(&mut self, cx: &mut Context<'_>) {
        let Some(mut batch) = self.inserts.lane.take_due(cx.now) else { return };
        // A lease counts from when it was first asked for; one that would begin half spent is given
        // up for the next claim.
        if cx.is_half_spent(batch.asked_at) {
            for new in &mut batch.jobs {
                if new.lease.take().is_some() {
                    cx.unreserve(&new.job.pool, 1);
                }
            }
        }
        self.ask_insert(cx, batch);
    }

    fn ask_insert(&mut self, cx: &mut Context<'_>, batch: InsertBatch) {
        let request = StoreRequest::InsertJobs { fence: self.fence(), jobs: batch.jobs.clone() };
        let op = self.ask_store(cx, request);
        self.inserts.lane.begin(op, batch);
    }

    fn new_job(
        &self,
        cx: &mut Context<'_>,
        correspondent_id: &CorrespondentId,
        media_id: MediaId,
        lease: LeaseRequest,
    ) -> Option<NewJob> {
        let queue = &self.correspondents.get(correspondent_id)?.queue;
        let (message, excuse) = queue.unconfirmed(media_id)?;
        let media = message.media.as_ref()?;
        let pool = cx.board.route(&media.mime_type).clone();
        let lease = cx.board.reserve(&pool).then_some(lease);
        let job = Job {
            media_id,
            bot_id: self.id.clone(),
            correspondent_id: correspondent_id.clone(),
            provider_name: self.record.as_ref()?.provider_name.clone(),
            placeholder_message: Message::clone(message),
            mime_type: media.mime_type.clone(),
            kind: media.kind,
            pool,
            original_filename: media.original_filename.clone(),
            quota_exceeded: excuse.quota_exceeded,
            detail: excuse.detail.as_deref().map(str::to_owned),
            place: Place::Active,
            status: Status::Pending,
            created_at: cx.now,
            active_since: cx.now,
            claims: 0,
            lost: 0,
            transient: 0,
            not_before: None,
            revision: 0,
        };
        Some(NewJob { job, lease })
    }

    pub(super) fn on_inserted(
        &mut self,
        cx: &mut Context<'_>,
        batch: InsertBatch,
        result: StoreResult,
    ) {
        match result {
            Ok(reply) => {
                self.inserts.lane.settle();
                let StoreReply::InsertJobs(answers) = &reply else {
                    return cx.unexpected(format!("bot {}: no answer to insert_jobs", self.id));
                };
                for (new, answer) in batch.jobs.into_iter().zip(answers) {
                    self.inserted(cx, &reply, new, batch.asked_at, answer);
                }
            }
            Err(StoreError::Unavailable { detail }) => {
                self.inserts.lane.retry_later(cx, batch, "insert_jobs", detail);
            }
            Err(StoreError::Fenced) => {
                for new in batch.jobs {
                    unreserve(cx, &new);
                }
                self.fenced_by_store(cx);
            }
            Err(StoreError::Invalid { detail }) => self.insert_refused(cx, batch, detail),
        }
    }

    fn inserted(
        &mut self,
        cx: &mut Context<'_>,
        reply: &StoreReply,
        new: NewJob,
        asked_at: Timestamp,
        answer: &InsertAnswer,
    ) {
        match answer {
            InsertAnswer::Inserted { leased } => {
                self.confirm_insert(cx, reply, &new);
                match new.lease.filter(|_| *leased) {
                    Some(lease) => {
                        let job = Box::new(new.job);
                        cx.tell_pools(PoolSignal::Leased { job, lease, asked_at });
                    }
                    None => {
                        unreserve(cx, &new);
                        cx.hint_work(&new.job.pool);
                    }
                }
            }
            InsertAnswer::DuplicateProviderMessage { message_id } => {
                unreserve(cx, &new);
                let original = Durable::by(reply, *message_id);
                self.insert_was_duplicate(cx, &new.job, original);
            }
            InsertAnswer::MediaIdInUse => {
                unreserve(cx, &new);
                let receipt = Receipt::rejected(RejectReason::Invalid);
                self.drop_placeholder(cx, &new.job, &receipt);
            }
        }
    }

    /// The correspondent with whom a job's placeholder is. A job whose insert is answered late may have been done
    /// and archived meanwhile; its message, sent again since, is there under another id, and has an insert of its own.
    fn with_placeholder(&mut self, job: &Job) -> Option<&mut Correspondent> {
        let entry = self.correspondents.get_mut(&job.correspondent_id)?;
        entry.queue.has_media(job.media_id, job.placeholder_message.id).then_some(entry)
    }

    fn confirm_insert(&mut self, cx: &mut Context<'_>, reply: &StoreReply, new: &NewJob) {
        let correspondent_id = &new.job.correspondent_id;
        let Some(entry) = self.with_placeholder(&new.job) else { return };
        let media_id = Durable::by(reply, new.job.media_id);
        if let Some((message_id, origin)) = entry.queue.confirm_placeholder(media_id) {
            let receipt = Receipt::Accepted { message_id };
            self.answer_all(cx, correspondent_id, *message_id.get(), origin, &receipt);
        }
    }

    fn insert_was_duplicate(
        &mut self,
        cx: &mut Context<'_>,
        job: &Job,
        original: Durable<MessageId>,
    ) {
        let (correspondent_id, media_id) = (&job.correspondent_id, job.media_id);
        let limits = self.settings.limits;
        let Some(entry) = self.with_placeholder(job) else { return };
        // The same insert, asked again after its message had been archived, is no duplicate.
        let Some(Removed { message, origin }) = entry.queue.remove_placeholder(media_id) else {
            return;
        };
        entry.queue.confirm(&message.provider_message_id, original, &limits);
        self.media.remove(&media_id);
        self.outbox.media_settled(correspondent_id);
        self.notice_duplicate(cx, correspondent_id, *original.get());
        let receipt = Receipt::Duplicate { message_id: original };
        self.answer_all(cx, correspondent_id, message.id, origin, &receipt);
        self.drop_file(cx, media_id);
    }

    /// Takes a placeholder whose job was refused out of its queue, and answers it.
    fn drop_placeholder(&mut self, cx: &mut Context<'_>, job: &Job, receipt: &Receipt) {
        let (correspondent_id, media_id) = (&job.correspondent_id, job.media_id);
        let Some(entry) = self.with_placeholder(job) else { return };
        if let Some(Removed { message, origin }) = entry.queue.remove_placeholder(media_id) {
            self.media.remove(&media_id);
            self.outbox.media_settled(correspondent_id);
            self.answer_all(cx, correspondent_id, message.id, origin, receipt);
        }
    }

    /// The store calls the batch invalid: its jobs go again one by one, so that one bad job never
    /// takes its neighbours along; one that is refused alone is given up.
    fn insert_refused(&mut self, cx: &mut Context<'_>, batch: InsertBatch, detail: String) {
        self.inserts.lane.settle();
        let alone = batch.jobs.len() == 1;
        for new in batch.jobs.into_iter().rev() {
            unreserve(cx, &new);
            if alone {
                cx.notice(Notice::StoreRefused {
                    operation: "insert_jobs".to_owned(),
                    detail: detail.clone(),
                });
                let receipt = Receipt::rejected(RejectReason::Invalid);
                self.drop_placeholder(cx, &new.job, &receipt);
            } else if self.with_placeholder(&new.job).is_some() {
                self.inserts.singly += 1;
                self.inserts.pending.push_front((new.job.correspondent_id, new.job.media_id));
            }
        }
    }
}

fn unreserve(cx: &mut Context<'_>, new: &NewJob) {
    if new.lease.is_some() {
        cx.unreserve(&new.job.pool, 1);
    }
}
