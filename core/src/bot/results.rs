//! What became of media jobs: results made here, and results that wait in the store.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Bot;
use super::correspondent::Correspondent;
use crate::content;
use crate::context::Context;
use crate::durable::Durable;
use crate::id::{CorrespondentId, LeaseToken, MediaId, OpId};
use crate::job::{Job, Status, Worked};
use crate::lane::Lane;
use crate::message::{Message, Outcome};
use crate::notice::Notice;
use crate::queue::{Completion, Injection};
use crate::signal::PoolSignal;
use crate::store::{
    CallbackPlan, FinishedJob, JobCursor, ReviseAnswer, StoreError, StoreReply, StoreRequest,
    StoreResult,
};
use crate::time::{Millis, Timestamp};

/// How many stored results are read at a time.
const RESULTS_PAGE: u32 = 200;

/// How often a bot that waits for no media looks for results: those of retried jobs.
const LOOK_AT_LEAST_EVERY: Millis = Millis::from_secs(60);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Results {
    /// Results may wait in the store.
    waiting: bool,
    /// When to look for results that nobody told of: another node may have made them.
    look_at: Option<Timestamp>,
    /// The page being read, with where it begins.
    page: Lane<Option<JobCursor>>,
    /// Where the next page begins, while there are more.
    next_page: Option<JobCursor>,
    /// The jobs that ended while a page is under way: it may still have found them.
    ended: BTreeSet<MediaId>,
    /// Retried jobs whose messages are to be revised.
    revisions: VecDeque<Job>,
    revise: Lane<Job>,
}

impl Results {
    pub fn awaits(&self, op: OpId) -> bool {
        self.page.awaits(op) || self.revise.awaits(op)
    }

    pub fn retry_at(&self) -> Option<Timestamp> {
        self.page.retry_at().into_iter().chain(self.revise.retry_at()).min()
    }

    /// A job has ended with its archived message.
    pub fn ended(&mut self, media_id: MediaId) {
        if !self.page.is_idle() {
            self.ended.insert(media_id);
        }
    }

    /// When to look for results that nobody told of.
    pub fn look_at(&self) -> Option<Timestamp> {
        self.look_at
    }

    pub fn is_quiet(&self) -> bool {
        self.page.is_idle() && self.revise.is_idle()
    }

    /// Whether a revision waits for its turn.
    pub fn wants_to_revise(&self) -> bool {
        !self.revisions.is_empty()
    }

    /// Whether a revision is being made durable.
    pub fn is_revising(&self) -> bool {
        !self.revise.is_idle()
    }

    /// The revision in flight: its operation, and the medium whose job it ends.
    pub fn in_flight(&self) -> Option<(OpId, Vec<MediaId>)> {
        self.revise.in_flight().map(|(op, job)| (op, vec![job.media_id]))
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Bot {
    pub(super) fn results_waiting(&mut self) {
        self.results.waiting = true;
    }

    /// A worker here has a result, under a lease it still holds: the message is ready. If it cannot
    /// be applied, the worker stores it in the job.
    pub(super) fn media_done(
        &mut self,
        cx: &mut Context<'_>,
        media_id: MediaId,
        token: LeaseToken,
        worked: Worked,
        outcome: Outcome,
    ) {
        let job = FinishedJob { media_id, token: Some(token), worked: Some(worked) };
        if !self.accepts_results() || !self.apply(cx, job, outcome.clone()) {
            cx.tell_pools(PoolSignal::Undelivered { media_id, token, outcome });
        }
    }

    /// Gives a placeholder its outcome. False when none waits for it.
    pub(super) fn apply(
        &mut self,
        cx: &mut Context<'_>,
        job: FinishedJob,
        outcome: Outcome,
    ) -> bool {
        let Some(correspondent_id) = self.media.get(&job.media_id).cloned() else { return false };
        let limits = self.settings.limits;
        let Some(entry) = self.correspondents.get_mut(&correspondent_id) else { return false };
        match entry.queue.update_message_by_media_id(job, outcome.clone(), &limits) {
            Completion::NotFound => false,
            Completion::Updated { evicted, .. } => {
                let media_id = job.media_id;
                cx.notice(Notice::MediaEnded { bot_id: self.id.clone(), media_id, outcome });
                self.archive.list(&correspondent_id, entry);
                self.tell_evicted(cx, &correspondent_id, evicted);
                true
            }
        }
    }

    /// Puts a placeholder back in its queue.
    pub(super) fn inject(
        &mut self,
        now: Timestamp,
        correspondent_id: &CorrespondentId,
        placeholder: Durable<Message>,
    ) {
        let limits = self.settings.limits;
        let media_id = placeholder.get().media_id();
        let entry: &mut Correspondent = self.correspondent(correspondent_id, now);
        match (entry.queue.inject_placeholder(placeholder, &limits), media_id) {
            (Injection::Injected, Some(media_id)) => {
                self.media.insert(media_id, correspondent_id.clone());
            }
            (Injection::Injected, None) | (Injection::AlreadyPresent, _) => {}
        }
    }

    /// Takes in a job of the bot that the store holds: its placeholder, and its result if it has one.
    pub(super) fn take_job(&mut self, cx: &mut Context<'_>, reply: &StoreReply, job: &Job) {
        if job.revision > 0 {
            if job.outcome().is_some() && !self.results.revises(job.media_id) {
                self.results.revisions.push_back(job.clone());
            }
            return;
        }
        if !self.is_archiving(job) {
            let placeholder = job.placeholder_message.clone().into_placeholder();
            self.inject(cx.now, &job.correspondent_id, Durable::by(reply, placeholder));
        }
        match &job.status {
            Status::Pending => cx.hint_work(&job.pool),
            Status::Processing { .. } => {}
            Status::Completed { outcome, worked, .. } => {
                let media_id = job.media_id;
                let finished = FinishedJob { media_id, token: None, worked: *worked };
                self.apply(cx, finished, outcome.clone());
            }
        }
    }

    /// Whether the job's message is in the archive batch in flight already.
    fn is_archiving(&self, job: &Job) -> bool {
        self.correspondents
            .get(&job.correspondent_id)
            .is_some_and(|entry| entry.archiving_media.contains_key(&job.placeholder_message.id))
    }

    pub(super) fn pump_results(&mut self, cx: &mut Context<'_>) {
        let poll_every = cx.settings.lease.poll_every;
        if !self.media.is_empty() && self.results.look_at.is_none_or(|at| at > cx.now + poll_every)
        {
            self.results.look_at = Some(cx.now + cx.source.jittered(poll_every));
        }
        if self.results.look_at.is_none() {
            self.results.look_at = Some(cx.now + poll_every.max(LOOK_AT_LEAST_EVERY));
        }
        if self.results.page.is_idle() && (self.results.waiting || self.results.next_page.is_some())
        {
            let after = self.results.next_page.take();
            if after.is_none() {
                self.results.waiting = false;
            }
            self.ask_results(cx, after);
        }
        if self.may_change_archived()
            && let Some(job) = self.results.revisions.pop_front()
        {
            self.ask_revise(cx, job);
            self.change_had_its_turn();
        }
    }

    pub(super) fn tick_results(&mut self, cx: &mut Context<'_>) {
        if self.results.look_at.is_some_and(|at| at <= cx.now) {
            self.results.look_at = None;
            self.results.waiting = true;
        }
        if let Some(after) = self.results.page.take_due(cx.now) {
            self.ask_results(cx, after);
        }
        if let Some(job) = self.results.revise.take_due(cx.now) {
            self.ask_revise(cx, job);
        }
    }

    fn ask_results(&mut self, cx: &mut Context<'_>, after: Option<JobCursor>) {
        let fence = self.fence();
        let request = StoreRequest::CompletedJobs { fence, after, limit: RESULTS_PAGE };
        let op = self.ask_store(cx, request);
        self.results.page.begin(op, after);
    }

    fn ask_revise(&mut self, cx: &mut Context<'_>, job: Job) {
        let mut message = job.placeholder_message.clone();
        let limit = self.settings.limits.max_characters_media_text;
        if let Some(outcome) = job.outcome() {
            content::complete(&mut message, outcome.clone(), limit);
        }
        // A retry that came to nothing says nothing new: whoever answers it would answer twice.
        let is_news = |it: &Outcome| !it.is_failure() && *it != Outcome::Discarded;
        let owes = self.settings.callbacks.sources.contains(&message.source)
            && job.outcome().is_some_and(is_news);
        let request = StoreRequest::Revise {
            fence: self.fence(),
            media_id: job.media_id,
            revision: job.revision,
            message: message.into(),
            correspondent_id: job.correspondent_id.clone(),
            callback: if owes { CallbackPlan::Owed } else { CallbackPlan::None },
        };
        let op = self.ask_store(cx, request);
        self.results.revise.begin(op, job);
    }

    pub(super) fn on_results(&mut self, cx: &mut Context<'_>, op: OpId, result: StoreResult) {
        if let Some(after) = self.results.page.take(op) {
            self.on_results_page(cx, after, result);
        } else if let Some(job) = self.results.revise.take(op) {
            self.on_revised(cx, job, result);
        }
    }

    fn on_results_page(
        &mut self,
        cx: &mut Context<'_>,
        after: Option<JobCursor>,
        result: StoreResult,
    ) {
        match result {
            Ok(reply) => {
                self.results.page.settle();
                let StoreReply::CompletedJobs(page) = &reply else {
                    return cx.unexpected(format!("bot {}: no answer to completed_jobs", self.id));
                };
                // A result that arrives after the drain began stays in the store.
                if !self.accepts_results() {
                    return;
                }
                let ended = std::mem::take(&mut self.results.ended);
                for job in page.jobs.iter().filter(|job| !ended.contains(&job.media_id)) {
                    self.take_job(cx, &reply, job);
                }
                if page.more {
                    // Where nothing of the first page could be read, from the beginning again.
                    self.results.next_page = page.behind(after);
                    self.results.waiting |= self.results.next_page.is_none();
                }
            }
            Err(StoreError::Unavailable { detail }) => {
                self.results.page.retry_later(cx, after, "completed_jobs", detail);
            }
            Err(StoreError::Fenced) => self.fenced_by_store(cx),
            Err(StoreError::Invalid { detail }) => {
                cx.notice(Notice::StoreRefused { operation: "completed_jobs".to_owned(), detail });
            }
        }
    }

    fn on_revised(&mut self, cx: &mut Context<'_>, job: Job, result: StoreResult) {
        match result {
            Ok(reply) => {
                self.results.revise.settle();
                let StoreReply::Revise(answer) = &reply else {
                    return cx.unexpected(format!("bot {}: no answer to revise", self.id));
                };
                match answer {
                    ReviseAnswer::Revised { seq } => {
                        self.outbox.left_in_store(&job.correspondent_id, *seq);
                        self.delete_unless_failed(cx, &reply, job.media_id, job.outcome());
                    }
                    ReviseAnswer::Rejected(_) | ReviseAnswer::NotFound => {
                        cx.notice(Notice::StaleResult { media_id: job.media_id });
                    }
                }
            }
            Err(StoreError::Unavailable { detail }) => {
                self.results.revise.retry_later(cx, job, "revise", detail);
            }
            Err(StoreError::Fenced) => self.fenced_by_store(cx),
            Err(StoreError::Invalid { detail }) => {
                cx.notice(Notice::StoreRefused { operation: "revise".to_owned(), detail });
            }
        }
    }
}

impl Results {
    fn revises(&self, media_id: MediaId) -> bool {
        self.revisions.iter().any(|job| job.media_id == media_id)
            || self.revise.payload().is_some_and(|job| job.media_id == media_id)
    }
}
