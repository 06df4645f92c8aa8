//! How a bot starts and stops: `Stopped → Starting → Running → Stopping → Stopped`, and fenced from
//! anywhere.
//!
//! Starting: ownership, then *all* jobs are restored, page by page, then it runs. Stopping: intake
//! closes, what is ready is archived, open callbacks may finish, jobs are held, ownership is given up.
//! Fenced: nothing more is done but closing what is open.

use serde::{Deserialize, Serialize};

use super::Bot;
use super::archive::Archiving;
use super::restore::Restore;
use crate::context::Context;
use crate::id::{Epoch, ProviderInstance, SessionId};
use crate::message::Message;
use crate::notice::Notice;
use crate::receipt::{Origin, Receipt, RejectReason};
use crate::settings::Run;
use crate::signal::{OwnershipSignal, PoolSignal, SessionSignal};
use crate::store::{
    BotRecord, FinishedJob, JobCursor, JobPage, StoreError, StoreReply, StoreRequest, StoreResult,
};
use crate::time::{Millis, Timestamp};

/// How long a stopped bot waits for its jobs to be held, before it leaves that to its next owner.
const HOLD_TIMEOUT: Millis = Millis::from_secs(5);

/// Where a bot stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Phase {
    /// It does nothing and owns nothing.
    Stopped,
    /// It is being made known to the store.
    Registering,
    /// It waits for its ownership.
    Acquiring,
    /// Its jobs are being restored.
    Restoring {
        /// How many so far.
        restored: usize,
    },
    /// It works.
    Running,
    /// It takes nothing in any more and brings to an end what it has.
    Draining {
        /// How long at the most.
        until: Timestamp,
    },
    /// Its jobs are being held.
    Holding {
        /// How long at the most.
        until: Timestamp,
    },
}

/// The store operations of starting and stopping.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Start {
    Register(BotRecord),
    Restore(Restore),
    Hold,
}

/// A provider connection that carries the bot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Attachment {
    pub session_id: SessionId,
    instance: Option<ProviderInstance>,
}

impl Phase {
    /// Whether the bot is owned here and may make things durable.
    pub fn keeps_promises(&self) -> bool {
        match self {
            Self::Running | Self::Draining { .. } => true,
            Self::Stopped
            | Self::Registering
            | Self::Acquiring
            | Self::Restoring { .. }
            | Self::Holding { .. } => false,
        }
    }

    pub fn drain_until(&self) -> Option<Timestamp> {
        match self {
            Self::Draining { until } | Self::Holding { until } => Some(*until),
            Self::Stopped
            | Self::Registering
            | Self::Acquiring
            | Self::Restoring { .. }
            | Self::Running => None,
        }
    }
}

impl Bot {
    /// Makes a new bot known; it starts once it is.
    pub fn register(&mut self, cx: &mut Context<'_>, record: BotRecord) {
        if self.record.is_none() && matches!(self.phase, Phase::Stopped) {
            self.phase = Phase::Registering;
            self.ask_lifecycle(cx, Start::Register(record));
        }
    }

    /// Whether the bot is being made known, so that its provider may still change.
    pub fn is_registering(&self) -> Option<&BotRecord> {
        match self.lifecycle.payload() {
            Some(Start::Register(record)) => Some(record),
            Some(Start::Restore(_) | Start::Hold) | None => None,
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        let run = self.record.as_ref().map_or(self.settings.run, |record| record.run);
        let connected = !self.attachments.is_empty() || self.grace_until.is_some();
        !self.barred && (run == Run::Always || connected)
    }

    pub fn start_if_wanted(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Stopped) && self.record.is_some() && self.is_wanted() {
            self.phase = Phase::Acquiring;
            cx.tell_ownership(OwnershipSignal::Acquire { bot_id: self.id.clone() });
        }
    }

    pub(super) fn attached(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        instance: Option<ProviderInstance>,
    ) {
        let replaced = self
            .attachments
            .iter()
            .position(|other| instance.is_some() && other.instance == instance);
        if let Some(index) = replaced {
            let other = self.attachments.remove(index);
            let bot_id = self.id.clone();
            cx.tell_session(other.session_id, SessionSignal::Replaced { bot_id });
        }
        self.attachments.push(Attachment { session_id, instance });
        self.grace_until = None;
        if matches!(self.phase, Phase::Running) {
            self.greet(cx, session_id);
            self.resend(cx);
        }
        self.start_if_wanted(cx);
    }

    pub(super) fn detached(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        resume_after_seq: Option<u64>,
    ) {
        let Some(index) = self.attachments.iter().position(|it| it.session_id == session_id) else {
            return;
        };
        let Attachment { instance, .. } = self.attachments.remove(index);
        if let (Some(instance), Some(seq)) = (instance, resume_after_seq) {
            self.resume = Some((instance, seq));
        }
        self.maybe_disconnected(cx);
    }

    /// A bot that runs while it is connected goes on for a while without a connection.
    fn maybe_disconnected(&mut self, cx: &Context<'_>) {
        let run = self.record.as_ref().map_or(self.settings.run, |record| record.run);
        if self.attachments.is_empty() && run == Run::WhileConnected {
            self.grace_until = Some(cx.now + self.settings.disconnect_grace);
        }
    }

    /// Another node owns the bot. One that renews its ownership lives, and the providers that came
    /// here have to go there; otherwise they wait with us for its end.
    pub(super) fn held_elsewhere(&mut self, cx: &mut Context<'_>, renewed: bool) {
        cx.notice(Notice::BotHeldElsewhere { bot_id: self.id.clone() });
        if renewed && !self.attachments.is_empty() {
            self.send_away(cx);
            self.maybe_disconnected(cx);
        }
    }

    /// Tells all connections that another node owns the bot.
    fn send_away(&mut self, cx: &mut Context<'_>) {
        for attachment in std::mem::take(&mut self.attachments) {
            let bot_id = self.id.clone();
            cx.tell_session(attachment.session_id, SessionSignal::Fenced { bot_id });
        }
    }

    fn greet(&mut self, cx: &mut Context<'_>, session_id: SessionId) {
        let Some(attachment) = self.attachments.iter().find(|it| it.session_id == session_id)
        else {
            return;
        };
        let resume_after_seq = match (&self.resume, &attachment.instance) {
            (Some((known, seq)), Some(instance)) if known == instance => Some(*seq),
            (Some(_), _) | (None, _) => None,
        };
        let bot_id = self.id.clone();
        cx.tell_session(session_id, SessionSignal::Ready { bot_id, resume_after_seq });
    }

    pub(super) fn owned(&mut self, cx: &mut Context<'_>, epoch: Epoch, valid_until: Timestamp) {
        match self.phase {
            Phase::Acquiring => {
                self.epoch = epoch;
                self.valid_until = valid_until;
                self.phase = Phase::Restoring { restored: 0 };
                self.restore(cx, None);
            }
            Phase::Restoring { .. }
            | Phase::Running
            | Phase::Draining { .. }
            | Phase::Holding { .. } => {
                if epoch == self.epoch {
                    self.valid_until = valid_until;
                }
            }
            Phase::Stopped | Phase::Registering => {
                cx.tell_ownership(OwnershipSignal::Release { bot_id: self.id.clone() });
            }
        }
    }

    pub(super) fn tick_lifecycle(&mut self, cx: &mut Context<'_>) {
        if let Some(start) = self.lifecycle.take_due(cx.now) {
            self.ask_lifecycle(cx, start);
        }
        match self.phase {
            Phase::Draining { until } if until <= cx.now => self.hold(cx),
            Phase::Holding { until } if until <= cx.now => self.stopped(cx),
            Phase::Draining { .. }
            | Phase::Holding { .. }
            | Phase::Stopped
            | Phase::Registering
            | Phase::Acquiring
            | Phase::Restoring { .. }
            | Phase::Running => {}
        }
    }

    pub(super) fn ask_lifecycle(&mut self, cx: &mut Context<'_>, mut start: Start) {
        let request = match &mut start {
            Start::Register(record) => StoreRequest::RegisterBot(record.clone()),
            Start::Restore(restore) => {
                restore.offer(cx);
                self.restore_request(cx, restore)
            }
            Start::Hold => StoreRequest::HoldBot(self.fence()),
        };
        let op = self.ask_store(cx, request);
        self.lifecycle.begin(op, start);
    }

    pub(super) fn on_lifecycle(&mut self, cx: &mut Context<'_>, start: Start, result: StoreResult) {
        let reply = match result {
            Ok(reply) => reply,
            Err(error) => return self.lifecycle_failed(cx, start, error),
        };
        self.lifecycle.settle();
        match (start, &reply) {
            (Start::Register(_), StoreReply::RegisterBot(record)) => {
                self.record = Some(record.clone());
                self.phase = Phase::Stopped;
                self.start_if_wanted(cx);
            }
            (Start::Restore(restore), StoreReply::RestoreBot(page)) => {
                let behind = restore.behind(page);
                self.take_page(cx, restore, &reply, page);
                self.restored(cx, page, behind);
            }
            (Start::Hold, StoreReply::HoldBot(_)) => self.stopped(cx),
            (mut start @ (Start::Register(_) | Start::Restore(_) | Start::Hold), _) => {
                cx.unexpected(format!("bot {}: no answer to {}", self.id, start.name()));
                start.withdraw(cx);
                self.lifecycle_refused(cx);
            }
        }
    }

    fn lifecycle_failed(&mut self, cx: &mut Context<'_>, mut start: Start, error: StoreError) {
        start.withdraw(cx);
        let operation = start.name();
        match error {
            StoreError::Unavailable { detail } => {
                self.lifecycle.retry_later(cx, start, operation, detail);
            }
            StoreError::Fenced => self.fenced_by_store(cx),
            StoreError::Invalid { detail } => {
                cx.notice(Notice::StoreRefused { operation: operation.to_owned(), detail });
                self.lifecycle_refused(cx);
            }
        }
    }

    /// The store refused. What was restored until then is restored again by the next owner.
    fn lifecycle_refused(&mut self, cx: &mut Context<'_>) {
        self.barred = true;
        if matches!(self.phase, Phase::Restoring { .. }) {
            self.let_go(cx);
        }
        self.stopped(cx);
    }

    /// A page was taken in; the next one is `behind` it.
    fn restored(&mut self, cx: &mut Context<'_>, page: &JobPage, behind: Option<JobCursor>) {
        let Phase::Restoring { restored } = &mut self.phase else { return };
        *restored += page.jobs.len();
        let restored = *restored;
        if page.more {
            return self.restore(cx, behind);
        }
        self.phase = Phase::Running;
        self.running_since = cx.now;
        cx.notice(Notice::BotStarted { bot_id: self.id.clone(), epoch: self.epoch, restored });
        self.outbox.start();
        self.give_turn_to_outbox();
        self.sends_may_wait();
        let sessions: Vec<_> = self.attachments.iter().map(|it| it.session_id).collect();
        for session_id in sessions {
            self.greet(cx, session_id);
        }
    }

    /// Brings the bot to its end, in order.
    pub(super) fn stop(&mut self, cx: &mut Context<'_>) {
        match self.phase {
            Phase::Stopped | Phase::Draining { .. } | Phase::Holding { .. } => {}
            Phase::Registering => {
                self.drop_lifecycle(cx);
                self.phase = Phase::Stopped;
            }
            Phase::Acquiring => self.stopped(cx),
            Phase::Restoring { .. } => self.hold(cx),
            Phase::Running => {
                let until = cx.now + self.settings.callbacks.drain_timeout();
                self.refuse_all_waiting(cx);
                self.phase = Phase::Draining { until };
            }
        }
    }

    /// A draining bot is done when nothing is under way.
    pub(super) fn advance_stop(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Draining { .. })
            && self.inserts.is_quiet()
            && self.archive.is_quiet()
            && self.outbox.is_quiet()
            && self.results.is_quiet()
            && !self.redeliveries.is_underway()
            && self.sends.is_quiet()
        {
            self.hold(cx);
        }
    }

    /// What waits for its correspondent's first id goes back to its provider.
    fn refuse_all_waiting(&mut self, cx: &mut Context<'_>) {
        let mut origins = self.echo_origins();
        self.refuse_redeliveries(cx);
        for entry in self.correspondents.values_mut() {
            origins.extend(entry.take_waiting().map(|waiting| waiting.origin));
        }
        self.id_reads.clear();
        for origin in origins {
            self.answer(cx, origin, Receipt::rejected(RejectReason::BotNotRunning));
        }
    }

    /// Empties the memory; then the jobs are held.
    fn hold(&mut self, cx: &mut Context<'_>) {
        self.let_go(cx);
        self.phase = Phase::Holding { until: cx.now + HOLD_TIMEOUT };
        self.ask_lifecycle(cx, Start::Hold);
    }

    /// Empties the memory: what the store did not take goes back to its provider, results that could
    /// not be archived go to their jobs.
    fn let_go(&mut self, cx: &mut Context<'_>) {
        for origin in self.clear(cx) {
            self.answer(cx, origin, Receipt::rejected(RejectReason::RetryLater));
        }
    }

    /// Waits no longer for the store operation that is under way.
    fn drop_lifecycle(&mut self, cx: &mut Context<'_>) {
        if let Some(mut start) = self.lifecycle.take_any() {
            start.withdraw(cx);
        }
    }

    fn stopped(&mut self, cx: &mut Context<'_>) {
        self.drop_lifecycle(cx);
        self.phase = Phase::Stopped;
        cx.tell_ownership(OwnershipSignal::Release { bot_id: self.id.clone() });
        cx.notice(Notice::BotStopped { bot_id: self.id.clone() });
        self.start_if_wanted(cx);
    }

    /// The store says that the bot has a newer owner.
    pub(super) fn fenced_by_store(&mut self, cx: &mut Context<'_>) {
        cx.tell_ownership(OwnershipSignal::Release { bot_id: self.id.clone() });
        self.fenced(cx);
    }

    /// Ownership is lost: nothing more is done for this bot but closing what is open.
    pub(super) fn fenced(&mut self, cx: &mut Context<'_>) {
        match self.phase {
            Phase::Stopped | Phase::Registering | Phase::Acquiring => return,
            Phase::Restoring { .. }
            | Phase::Running
            | Phase::Draining { .. }
            | Phase::Holding { .. } => {}
        }
        let refused = self.clear(cx);
        self.phase = Phase::Stopped;
        cx.notice(Notice::BotFenced { bot_id: self.id.clone() });
        self.send_away(cx);
        // A connection that ends needs no receipts; a request would wait for ever.
        for origin in refused {
            match origin {
                Origin::Session { .. } => {}
                Origin::Request { .. } => {
                    self.answer(cx, origin, Receipt::rejected(RejectReason::RetryLater));
                }
            }
        }
        self.start_if_wanted(cx);
    }

    /// Empties the memory. Returns the origins of all messages that have no receipt.
    fn clear(&mut self, cx: &mut Context<'_>) -> Vec<Origin> {
        self.give_up_in_flight();
        self.drop_lifecycle(cx);
        let mut origins = self.echo_origins();
        for archiving in self.archive.clear() {
            origins.extend(archiving.origin);
            self.hand_back(cx, archiving);
        }
        for new in self.inserts.clear() {
            if new.lease.is_some() {
                cx.unreserve(&new.job.pool, 1);
            }
        }
        for (_, mut entry) in std::mem::take(&mut self.correspondents) {
            origins.extend(entry.take_waiting().map(|waiting| waiting.origin));
            let given_up = entry.queue.abandon_unacknowledged();
            origins.extend(given_up.into_iter().filter_map(|(_, origin)| origin));
            while let Some(popped) = entry.queue.pop_ready_message() {
                if let Some(job) = popped.job {
                    give_to_job(cx, job, &popped.message);
                }
            }
        }
        let joined = std::mem::take(&mut self.joined).into_values().flatten();
        origins.extend(joined.map(|resend| resend.origin));
        self.media.clear();
        self.id_reads.clear();
        self.silent.clear();
        self.results.clear();
        self.clear_redeliveries(cx);
        self.with_outbox(cx, super::Outbox::stop);
        self.clear_sends(cx);
        origins
    }

    /// A message that was not archived for certain: a result made here goes to its job, unless the
    /// archive has ended it.
    pub(super) fn hand_back(&self, cx: &mut Context<'_>, archiving: Archiving) {
        if let Some(job) = archiving.job {
            give_to_job(cx, job, &archiving.message);
        }
    }
}

fn give_to_job(cx: &mut Context<'_>, job: FinishedJob, message: &Message) {
    let outcome = message.media.as_ref().and_then(|media| media.outcome.clone());
    if let (Some(token), Some(outcome)) = (job.token, outcome) {
        cx.tell_pools(PoolSignal::Undelivered { media_id: job.media_id, token, outcome: *outcome });
    }
}

impl Start {
    /// It was not answered, or refused, or its answer will not be taken.
    fn withdraw(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Restore(restore) => restore.withdraw(cx),
            Self::Register(_) | Self::Hold => {}
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Register(_) => "register_bot",
            Self::Restore(_) => "restore_bot",
            Self::Hold => "hold_bot",
        }
    }
}
