//! One bot: its queues, its intake, its archive and its outbox.
//!
//! Owns everything of one bot that is in memory, and the order in which it starts and stops. The rooms
//! inside: [`intake`] lets messages in, [`inserts`] makes media jobs durable, [`results`] applies what
//! became of them, [`archive`] makes ready messages durable, [`outbox`] calls back, [`redeliveries`]
//! owe anew what was given up, [`sends`] carries messages the other way, [`lifecycle`] starts and stops
//! it all, [`restore`] gets its jobs back, [`given_up`] knows what a stop leaves in flight, [`view`] shows
//! it to operators.
//!
//! Invariants: no outward effect without ownership; a receipt of `accepted` or `duplicate` and a
//! callback only with the store's word; of each kind of store operation one at a time.

mod archive;
mod correspondent;
pub mod event;
mod given_up;
mod inserts;
mod intake;
mod invariants;
mod lifecycle;
pub(crate) mod outbox;
mod redeliveries;
mod restore;
mod results;
mod sends;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::archive::Archive;
use self::correspondent::{Correspondent, IdReads, SilentList};
use self::event::{BotEffect, BotEvent};
use self::given_up::GivenUp;
use self::inserts::Inserts;
use self::intake::Resend;
use self::lifecycle::{Attachment, Phase, Start};
use self::outbox::Outbox;
use self::redeliveries::Redeliveries;
use self::results::Results;
use self::sends::Sends;
use crate::context::Context;
use crate::deadline::{Deadline, Earliest};
use crate::effect::Effect;
use crate::id::{BotId, CorrespondentId, Epoch, MediaId, MessageId, OpId, ProviderInstance};
use crate::lane::Lane;
use crate::lookup::{Lookup, OrderedLookup};
use crate::receipt::{Origin, Receipt};
use crate::settings::BotSettings;
use crate::signal::{BotSignal, SessionSignal};
use crate::store::{BotRecord, Fence, StoreRequest, StoreResult};
use crate::time::Timestamp;

/// One bot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bot {
    id: BotId,
    /// What is durable of it; none as long as only a consumer has asked for it.
    record: Option<BotRecord>,
    settings: Arc<BotSettings>,
    phase: Phase,
    /// An operator stopped it, or the node shuts down.
    barred: bool,
    epoch: Epoch,
    /// Until when outward effects are valid.
    valid_until: Timestamp,
    running_since: Timestamp,
    attachments: Vec<Attachment>,
    resume: Option<(ProviderInstance, u64)>,
    /// When a bot without a connection stops.
    grace_until: Option<Timestamp>,
    lifecycle: Lane<Start>,
    correspondents: OrderedLookup<CorrespondentId, Correspondent>,
    id_reads: IdReads,
    silent: SilentList,
    /// Which correspondent a medium in a queue belongs to.
    #[serde(with = "crate::lookup::sorted")]
    media: Lookup<MediaId, CorrespondentId>,
    /// Resends that wait for the fate of a message in memory.
    #[serde(with = "crate::lookup::pairs")]
    joined: BTreeMap<(CorrespondentId, MessageId), Vec<Resend>>,
    inserts: Inserts,
    results: Results,
    redeliveries: Redeliveries,
    archive: Archive,
    outbox: Outbox,
    sends: Sends,
    /// The operation in flight that was given up.
    given_up: Option<GivenUp>,
}

impl Bot {
    pub fn new(id: BotId, record: Option<BotRecord>, settings: Arc<BotSettings>) -> Self {
        Self {
            id,
            record,
            outbox: Outbox::new(&settings),
            settings,
            phase: Phase::Stopped,
            barred: false,
            epoch: Epoch(0),
            valid_until: Timestamp::ZERO,
            running_since: Timestamp::ZERO,
            attachments: Vec::new(),
            resume: None,
            grace_until: None,
            lifecycle: Lane::default(),
            correspondents: OrderedLookup::default(),
            id_reads: IdReads::default(),
            silent: SilentList::default(),
            media: Lookup::default(),
            joined: BTreeMap::new(),
            inserts: Inserts::default(),
            results: Results::default(),
            redeliveries: Redeliveries::default(),
            archive: Archive::default(),
            sends: Sends::default(),
            given_up: None,
        }
    }

    pub fn record(&self) -> Option<&BotRecord> {
        self.record.as_ref()
    }

    /// The epoch, while the bot is running here.
    pub fn running_epoch(&self) -> Option<Epoch> {
        matches!(self.phase, Phase::Running).then_some(self.epoch)
    }

    /// Whether a result made here can be applied here. While the bot is being restored it waits in its
    /// queue: what has to go into the job is written twice.
    pub fn accepts_results(&self) -> bool {
        matches!(self.phase, Phase::Restoring { .. } | Phase::Running)
    }

    /// Whether nothing of the bot needs to be remembered.
    pub fn is_forgettable(&self) -> bool {
        self.record.is_none()
            && self.attachments.is_empty()
            && matches!(self.phase, Phase::Stopped)
            && !self.outbox.has_consumer()
    }

    pub fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    pub fn on_event(&mut self, cx: &mut Context<'_>, event: BotEvent) {
        match event {
            BotEvent::Start => {
                self.barred = false;
                self.start_if_wanted(cx);
            }
            BotEvent::Stop => {
                self.barred = true;
                // What is being made known stays known: it may be started again.
                if !matches!(self.phase, Phase::Registering) {
                    self.stop(cx);
                }
            }
            BotEvent::Post { request_id, draft } => {
                self.intake(cx, Origin::Request { request_id }, draft);
            }
            BotEvent::Store { op, result } => self.on_store(cx, op, result),
            BotEvent::ConsumerAttached { stream_id } => {
                self.with_outbox(cx, |outbox, cx| outbox.attach(cx, stream_id));
            }
            BotEvent::ConsumerDetached { stream_id } => {
                self.with_outbox(cx, |outbox, cx| outbox.detach(cx, stream_id));
            }
            BotEvent::Acknowledge { request_id, keys } => {
                let open = self.phase.keeps_promises();
                self.with_outbox(cx, |outbox, cx| outbox.acknowledge(cx, request_id, keys, open));
            }
            BotEvent::Answered { key, attempt, answer } => {
                self.with_outbox(cx, |outbox, cx| outbox.answered(cx, key, attempt, answer));
            }
            BotEvent::AnsweredTogether { callbacks, answer } => {
                self.with_outbox(cx, |outbox, cx| outbox.answered_together(cx, callbacks, answer));
            }
            BotEvent::Enqueue { request_id, send } => self.enqueue_send(cx, request_id, send),
            BotEvent::ResultsWaiting => self.results_waiting(),
            BotEvent::Register { record } => {
                self.register(cx, BotRecord { bot_id: self.id.clone(), ..record });
            }
            BotEvent::Redeliver { request_id, key, attempts } => {
                self.redeliver(cx, request_id, key, attempts);
            }
        }
        self.pump(cx);
    }

    pub fn on_signal(&mut self, cx: &mut Context<'_>, signal: BotSignal) {
        match signal {
            BotSignal::Attached { session_id, instance } => self.attached(cx, session_id, instance),
            BotSignal::Detached { session_id, resume_after_seq } => {
                self.detached(cx, session_id, resume_after_seq);
            }
            BotSignal::Intake { origin, draft } => self.intake(cx, origin, draft),
            BotSignal::Sent { send_id, provider_message_id } => {
                self.sent(cx, send_id, provider_message_id);
            }
            BotSignal::Owned { epoch, valid_until } => self.owned(cx, epoch, valid_until),
            BotSignal::HeldElsewhere { renewed } => self.held_elsewhere(cx, renewed),
            BotSignal::OwnershipLost => self.fenced(cx),
            BotSignal::MediaDone { media_id, token, worked, outcome } => {
                self.media_done(cx, media_id, token, worked, outcome);
            }
            BotSignal::ResultsWaiting => self.results_waiting(),
            BotSignal::Stop => {
                self.barred = true;
                self.stop(cx);
            }
        }
        self.pump(cx);
    }

    pub fn tick(&mut self, cx: &mut Context<'_>) {
        if self.grace_until.is_some_and(|until| until <= cx.now) {
            self.grace_until = None;
            if !self.is_wanted() {
                self.stop(cx);
            }
        }
        self.tick_lifecycle(cx);
        self.retry_id_reads(cx);
        self.retry_inserts(cx);
        self.tick_results(cx);
        self.tick_redeliveries(cx);
        self.retry_archive(cx);
        self.tick_sends(cx);
        self.with_outbox(cx, Outbox::tick);
        self.release_silent(cx.now);
        self.pump(cx);
    }

    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        Earliest::default()
            .of(self.lifecycle.retry_at(), Deadline::StoreRetry)
            .of(self.id_reads.retry_at(), Deadline::StoreRetry)
            .of(self.inserts.lane.retry_at(), Deadline::StoreRetry)
            .of(self.results.retry_at(), Deadline::StoreRetry)
            .of(self.redeliveries.retry_at(), Deadline::StoreRetry)
            .of(self.archive.lane.retry_at(), Deadline::StoreRetry)
            .of(self.sends.retry_at(), Deadline::StoreRetry)
            .of(self.grace_until, Deadline::DisconnectGrace)
            .of(self.phase.drain_until(), Deadline::DrainTimeout)
            .of(self.silent.due_at(), Deadline::SilentCorrespondents)
            .of(self.results.look_at(), Deadline::ResultsPoll)
            .of(self.sends.look_at(), Deadline::SendsPoll)
            .of(self.sends.echo_due_at(), Deadline::EchoWait)
            .and(self.outbox.next_deadline())
            .get()
    }

    /// Starts whatever can be started: the store is asked for what waits, callbacks go out.
    fn pump(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Running | Phase::Draining { .. }) {
            self.pump_inserts(cx);
            self.pump_archive(cx);
        }
        if matches!(self.phase, Phase::Running) {
            self.pump_results(cx);
            self.pump_redeliveries(cx);
            self.pump_sends(cx);
        }
        if matches!(self.phase, Phase::Running | Phase::Draining { .. }) {
            self.pump_sent(cx);
        }
        self.pump_outbox(cx);
        self.advance_stop(cx);
    }

    fn on_store(&mut self, cx: &mut Context<'_>, op: OpId, result: StoreResult) {
        if let Some(batch) = self.archive.lane.take(op) {
            self.on_archived(cx, batch, result);
        } else if let Some(batch) = self.inserts.lane.take(op) {
            self.on_inserted(cx, batch, result);
        } else if let Some(start) = self.lifecycle.take(op) {
            self.on_lifecycle(cx, start, result);
        } else if let Some(correspondent_id) = self.id_reads.take(op) {
            self.on_next_id(cx, correspondent_id, result);
        } else if self.outbox.awaits(op) {
            let fenced = self.with_outbox(cx, |outbox, cx| outbox.on_store(cx, op, result));
            if fenced {
                self.fenced_by_store(cx);
            } else if self.outbox.take_replied() {
                self.sends_may_wait();
            }
        } else if self.results.awaits(op) {
            self.on_results(cx, op, result);
        } else if self.redeliveries.awaits(op) {
            self.on_redelivered(cx, op, result);
        } else if self.sends.awaits(op) {
            self.on_sends(cx, op, result);
        } else {
            self.on_given_up(cx, op, &result);
        }
    }

    /// The outbox with what it needs to know of the bot, and the leave to send, or not.
    fn with_outbox<R>(
        &mut self,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut Outbox, &mut outbox::OutboxContext<'_, '_>) -> R,
    ) -> R {
        let mut cx = outbox::OutboxContext {
            cx,
            bot_id: &self.id,
            epoch: self.epoch,
            valid_until: self.valid_until,
            settings: &self.settings,
            running_since: self.running_since,
            correspondents: &self.correspondents,
            may_page: self.archive.lane.is_idle()
                && !self.results.is_revising()
                && !self.redeliveries.is_underway()
                && matches!(self.phase, Phase::Running),
            may_send: matches!(self.phase, Phase::Running),
            may_store: self.phase.keeps_promises(),
        };
        work(&mut self.outbox, &mut cx)
    }

    fn pump_outbox(&mut self, cx: &mut Context<'_>) {
        self.with_outbox(cx, Outbox::pump);
        if self.outbox.is_paging() {
            self.page_had_its_turn();
        }
    }

    fn fence(&self) -> Fence {
        Fence { bot_id: self.id.clone(), epoch: self.epoch }
    }

    fn ask_store(&self, cx: &mut Context<'_>, request: StoreRequest) -> OpId {
        let op = cx.source.op();
        cx.effect(Effect::Bot(self.id.clone(), BotEffect::Store { op, request }));
        op
    }

    /// Answers wherever the message came from. A message has at most one place to answer to a time.
    fn answer(&self, cx: &mut Context<'_>, origin: Origin, receipt: Receipt) {
        let valid_until = self.receipts_valid_until();
        match origin {
            Origin::Session { session_id, seq } => {
                let bot_id = self.id.clone();
                cx.tell_session(
                    session_id,
                    SessionSignal::Receipt { bot_id, seq, receipt, valid_until },
                );
            }
            Origin::Request { request_id } => {
                let effect = BotEffect::PostReceipt { request_id, receipt, valid_until };
                cx.effect(Effect::Bot(self.id.clone(), effect));
            }
        }
    }

    /// Answers a message and all its resends that waited with it.
    fn answer_all(
        &mut self,
        cx: &mut Context<'_>,
        correspondent_id: &CorrespondentId,
        message_id: MessageId,
        origin: Option<Origin>,
        receipt: &Receipt,
    ) {
        if let Some(origin) = origin {
            self.answer(cx, origin, receipt.clone());
        }
        if self.joined.is_empty() {
            return;
        }
        let waiting = self.joined.remove(&(correspondent_id.clone(), message_id));
        for Resend { origin, media_id } in waiting.into_iter().flatten() {
            self.answer(cx, origin, receipt.clone());
            // What is refused is sent again, with its file.
            if let Some(media_id) = media_id.filter(|_| receipt.is_durable()) {
                self.drop_file(cx, media_id);
            }
        }
    }

    /// A refusal of a bot that is not owned here is valid for ever; everything else as long as the
    /// ownership.
    fn receipts_valid_until(&self) -> Timestamp {
        if self.phase.keeps_promises() { self.valid_until } else { Timestamp::MAX }
    }
}
