//! The outbox: one callback is owed for each archived message of a user.
//!
//! Owns the owed callbacks in memory (a window; the rest stay in the store), one open callback per
//! correspondent, the attempt numbers, and what the consumer made of them. An attempt number is
//! durable before it is used, and used once. The next callback of a correspondent waits until the end
//! of the one before is durable, so that a crash repeats at most the last.
//!
//! Here: how callbacks come in and go out. [`answers`]: what the consumer says. [`paging`]: what is
//! read from the store. [`marks`]: what is made durable. [`circuit`]: whether the consumer is there.
//! [`together`]: what comes in a burst goes out together, where a bot debounces.

mod answers;
mod circuit;
mod lane;
mod marks;
mod paging;
mod together;
mod view;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::circuit::{Circuit, Consumer};
use self::lane::{Entry, EntryState, OutboxLane};
use self::marks::Marks;
use self::paging::Paging;
use super::correspondent::Correspondent;
use super::event::{BotEffect, Callback};
use crate::ascending::Ascending;
use crate::context::Context;
use crate::deadline::{Deadline, Earliest};
use crate::durable::Durable;
use crate::effect::Effect;
use crate::id::{
    ArchiveSeq, BotId, CallbackKey, CorrespondentId, Epoch, MessageId, OpId, StreamId,
};
use crate::lane::Lane;
use crate::lookup::{Lookup, OrderedLookup};
use crate::notice::Notice;
use crate::settings::BotSettings;
use crate::store::{CallbackPlan, Fence, StoreRequest, StoreResult};
use crate::time::Timestamp;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outbox {
    #[serde(with = "crate::lookup::sorted")]
    lanes: Lookup<CorrespondentId, OutboxLane>,
    /// The lanes that may have something to do, in turn.
    sendable: VecDeque<CorrespondentId>,
    /// The callbacks that are with the consumer, in the order in which they were sent.
    open: Ascending<Open>,
    next_order: u64,
    /// Entries in memory, and places kept for the archive batch in flight.
    in_window: usize,
    consumer: Consumer,
    circuit: Circuit,
    paging: Paging,
    to_raise: VecDeque<CallbackKey>,
    raises: Lane<Vec<(CallbackKey, u32)>>,
    marks: Marks,
    /// Lanes that wait for a moment: a refused message, or the end of a gate.
    waits: BTreeSet<(Timestamp, Deadline, CorrespondentId)>,
    /// Entries in memory at most, of the bot and of one correspondent.
    window: usize,
    lane_max: usize,
}

/// A callback that is with the consumer.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open {
    key: CallbackKey,
    deadline: Timestamp,
}

/// What the outbox may use and needs to know of its bot.
pub(crate) struct OutboxContext<'a, 'b> {
    pub cx: &'a mut Context<'b>,
    pub bot_id: &'a BotId,
    pub epoch: Epoch,
    pub valid_until: Timestamp,
    pub settings: &'a Arc<BotSettings>,
    pub running_since: Timestamp,
    pub correspondents: &'a OrderedLookup<CorrespondentId, Correspondent>,
    /// No archive batch and no revision is in flight: a page may be read.
    pub may_page: bool,
    /// The bot is running: callbacks may be made.
    pub may_send: bool,
    /// The bot is owned here: ends of callbacks may be made durable.
    pub may_store: bool,
}

impl OutboxContext<'_, '_> {
    fn effect(&mut self, effect: BotEffect) {
        self.cx.effect(Effect::Bot(self.bot_id.clone(), effect));
    }

    fn ask_store(&mut self, request: impl FnOnce(Fence) -> StoreRequest) -> OpId {
        let op = self.cx.source.op();
        let request = request(Fence { bot_id: self.bot_id.clone(), epoch: self.epoch });
        self.effect(BotEffect::Store { op, request });
        op
    }
}

impl Outbox {
    pub fn new(settings: &BotSettings) -> Self {
        Self {
            lanes: Lookup::default(),
            sendable: VecDeque::new(),
            open: Ascending::default(),
            next_order: 0,
            in_window: 0,
            consumer: Consumer::Absent,
            circuit: Circuit::Closed,
            paging: Paging::default(),
            to_raise: VecDeque::new(),
            raises: Lane::default(),
            marks: Marks::default(),
            waits: BTreeSet::new(),
            window: settings.callbacks.outbox_window,
            lane_max: settings.callbacks.correspondent_window,
        }
    }

    /// The bot runs: what the store owes is read from the beginning.
    pub fn start(&mut self) {
        self.paging = Paging::from_the_beginning();
        self.circuit = Circuit::Closed;
    }

    /// The bot has stopped: nothing of it stays in memory but its consumer.
    pub fn stop(&mut self, cx: &mut OutboxContext<'_, '_>) {
        for (_, open) in std::mem::take(&mut self.open) {
            self.abort(cx, &open.key);
        }
        self.marks.refuse_requests(cx);
        let consumer = self.consumer;
        *self = Self { consumer, ..Self::new(cx.settings) };
    }

    pub fn has_consumer(&self) -> bool {
        self.consumer != Consumer::Absent
    }

    /// Forgets a correspondent that is let go. False when something of it is in memory.
    pub fn let_go(&mut self, correspondent_id: &CorrespondentId) -> bool {
        let empty = self.lanes.get(correspondent_id).is_none_or(OutboxLane::is_forgettable);
        if empty {
            self.lanes.remove(correspondent_id);
        }
        empty
    }

    /// Whether nothing is open and nothing is to be made durable.
    pub fn is_quiet(&self) -> bool {
        self.open.is_empty()
            && self.marks.is_quiet()
            && self.raises.is_idle()
            && !self.paging.is_underway()
    }

    /// Whether a consumer's reply has become a durable send since this was asked last.
    pub fn take_replied(&mut self) -> bool {
        self.marks.take_replied()
    }

    pub fn is_paging(&self) -> bool {
        self.paging.is_underway()
    }

    /// Whether the end of a callback is on its way to being durable.
    pub fn is_ending(&self, key: &CallbackKey) -> bool {
        self.marks.includes(key)
    }

    pub fn awaits(&self, op: OpId) -> bool {
        self.raises.awaits(op) || self.marks.awaits(op) || self.paging.awaits(op)
    }

    /// Keeps a place for the callback of a message that is about to be archived. `media` of a gated
    /// correspondent always finds one in its lane: it may come before what is there.
    pub fn reserve(
        &mut self,
        settings: &BotSettings,
        correspondent_id: &CorrespondentId,
        gated_media: bool,
    ) -> CallbackPlan {
        let max = settings.callbacks.correspondent_window;
        if !self.paging.is_caught_up() || (self.is_full() && !gated_media) {
            self.spill(correspondent_id, settings.is_gated(correspondent_id));
            return CallbackPlan::Owed;
        }
        let lane = match self.lanes.get_mut(correspondent_id) {
            Some(lane) => lane,
            None => self.lanes.entry(correspondent_id.clone()).or_default(),
        };
        lane.stays = true;
        let has_enough = lane.entries.len() + lane.reserved >= max || lane.is_refused();
        if lane.spilled || (has_enough && !gated_media) {
            self.spill(correspondent_id, settings.is_gated(correspondent_id));
            return CallbackPlan::Owed;
        }
        lane.reserved += 1;
        self.in_window += 1;
        CallbackPlan::OwedInWindow
    }

    /// A place that was kept is not needed.
    pub fn unreserve(&mut self, correspondent_id: &CorrespondentId, plan: CallbackPlan) {
        match plan {
            CallbackPlan::None => {}
            // The lane may have spilled for this message alone.
            CallbackPlan::Owed => self.refill_if_short(correspondent_id),
            CallbackPlan::OwedInWindow => {
                self.in_window = self.in_window.saturating_sub(1);
                if let Some(lane) = self.lanes.get_mut(correspondent_id) {
                    lane.reserved = lane.reserved.saturating_sub(1);
                }
                self.refill_if_short(correspondent_id);
                self.forget_if_empty(correspondent_id);
            }
        }
    }

    /// A message is archived, and its callback's first attempt number is durable.
    pub fn enter(
        &mut self,
        now: Timestamp,
        settings: &BotSettings,
        seq: ArchiveSeq,
        callback: Durable<Callback>,
    ) {
        let correspondent_id = callback.get().correspondent_id.clone();
        let state = self.marks.entry_state(callback.get());
        let lane = match self.lanes.get_mut(&correspondent_id) {
            Some(lane) => lane,
            None => self.lanes.entry(correspondent_id.clone()).or_default(),
        };
        lane.reserved = lane.reserved.saturating_sub(1);
        let entry = Entry { seq, callback, failures: 0, state, since: now, together: false };
        lane.insert(entry, settings.is_gated(&correspondent_id));
        self.paging.entered(seq);
        if !lane.listed {
            lane.listed = true;
            self.sendable.push_back(correspondent_id);
        }
    }

    /// A message is archived, and its callback stays in the store for now.
    pub fn left_in_store(&mut self, correspondent_id: &CorrespondentId, seq: ArchiveSeq) {
        // A lane that has spilled reads its own pages; everything else is found by the bot's.
        match self.lanes.get(correspondent_id) {
            Some(lane) if lane.spilled => self.refill_if_short(correspondent_id),
            Some(_) | None => self.paging.left_in_store(seq),
        }
    }

    /// Lists a lane that may have something to do.
    fn list(&mut self, correspondent_id: &CorrespondentId) {
        if let Some(lane) = self.lanes.get_mut(correspondent_id)
            && !lane.listed
        {
            lane.listed = true;
            self.sendable.push_back(correspondent_id.clone());
        }
    }

    /// Forgets a lane that came from a page and has nothing left; all others stay as long as their
    /// correspondent is in memory.
    fn forget_if_empty(&mut self, correspondent_id: &CorrespondentId) {
        let lane = self.lanes.get(correspondent_id);
        if lane.is_some_and(|lane| !lane.stays && lane.is_forgettable()) {
            self.lanes.remove(correspondent_id);
        }
    }

    /// Sends what may be sent, and asks the store for what it needs.
    pub fn pump(&mut self, cx: &mut OutboxContext<'_, '_>) {
        self.send_all(cx);
        self.pump_raises(cx);
        self.pump_marks(cx);
        self.pump_pages(cx);
    }

    fn send_all(&mut self, cx: &mut OutboxContext<'_, '_>) {
        let Consumer::Present(stream_id) = self.consumer else { return };
        let max_in_flight = cx.settings.callbacks.max_in_flight;
        // While one lane probes, only that lane has a turn; each lane has at most one.
        let mut turns = self.sendable.len();
        while cx.may_send
            && turns > 0
            && self.open.len() < max_in_flight
            && !self.circuit.blocks()
            && let Some(correspondent_id) = self.sendable.pop_front()
        {
            turns -= 1;
            match cx.settings.callbacks.debounce {
                None => self.turn(cx, stream_id, correspondent_id),
                Some(debounce) => {
                    if !self.turn_together(cx, stream_id, correspondent_id, debounce) {
                        return;
                    }
                }
            }
        }
    }

    /// One lane's turn. It stays listed when it has something to do but may not.
    fn turn(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        stream_id: StreamId,
        correspondent_id: CorrespondentId,
    ) {
        let Some(lane) = self.lanes.get_mut(&correspondent_id) else { return };
        let complete_through = lane.complete_through;
        let incomplete = lane.spilled && cx.settings.is_gated(&correspondent_id);
        lane.listed = false;
        let Some(entry) = lane.current() else {
            self.forget_if_empty(&correspondent_id);
            return;
        };
        let message_id = entry.callback.get().message.id;
        if incomplete && complete_through.is_none_or(|through| message_id > through) {
            self.refill(&correspondent_id);
            return;
        }
        if let EntryState::Refused { until } = entry.state
            && until > cx.cx.now
        {
            self.wait(until, Deadline::CallbackRetry, &correspondent_id);
            return;
        }
        if let Some(until) = gate(cx, &correspondent_id, message_id) {
            self.wait(until, Deadline::GatingMaxWait, &correspondent_id);
            return;
        }
        if !self.circuit.lets_through(&correspondent_id) {
            self.list(&correspondent_id);
            return;
        }
        match entry.state {
            EntryState::Ready => {
                let order = self.next_order;
                self.next_order += 1;
                entry.state = EntryState::Open { order };
                let callback = entry.callback.clone();
                let revision = callback.get().revision;
                let key = CallbackKey { correspondent_id, message_id, revision };
                self.send(cx, stream_id, order, key, callback);
            }
            EntryState::Spent | EntryState::Refused { .. } => {
                let key = entry.key();
                self.raise(key);
            }
            EntryState::Raising | EntryState::Open { .. } | EntryState::Ending => {}
        }
    }

    fn send(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        stream_id: StreamId,
        order: u64,
        key: CallbackKey,
        callback: Durable<Callback>,
    ) {
        if passes_open_media(cx, &key) {
            let bot_id = cx.bot_id.clone();
            cx.cx.notice(Notice::GatingReleased { bot_id, key: key.clone() });
        }
        let deadline = cx.cx.now + cx.settings.callbacks.ack_timeout;
        self.open.insert(order, Open { key, deadline });
        let valid_until = cx.valid_until;
        cx.effect(BotEffect::Callback { stream_id, callback, valid_until });
    }

    fn wait(&mut self, until: Timestamp, why: Deadline, correspondent_id: &CorrespondentId) {
        self.waits.insert((until, why, correspondent_id.clone()));
    }

    /// A medium of the correspondent has been archived, or will not be: a gate may be open.
    pub fn media_settled(&mut self, correspondent_id: &CorrespondentId) {
        self.list(correspondent_id);
    }

    pub fn tick(&mut self, cx: &mut OutboxContext<'_, '_>) {
        while let Some((until, why, correspondent_id)) = self.waits.first().cloned()
            && until <= cx.cx.now
        {
            self.waits.remove(&(until, why, correspondent_id.clone()));
            if why == Deadline::Debounce {
                self.gathered(&correspondent_id);
            }
            self.list(&correspondent_id);
        }
        self.circuit.tick(cx.cx.now);
        self.time_out(cx);
        self.retry_raises(cx);
        self.retry_marks(cx);
        self.retry_page(cx);
    }

    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        Earliest::default()
            .of(self.open.first().map(|(_, open)| open.deadline), Deadline::AckTimeout)
            .and(self.waits.first().map(|(until, why, _)| (*until, *why)))
            .of(self.circuit.probe_at(), Deadline::CircuitProbe)
            .of(self.raises.retry_at(), Deadline::StoreRetry)
            .of(self.marks.retry_at(), Deadline::StoreRetry)
            .of(self.paging.retry_at(), Deadline::StoreRetry)
            .get()
    }

    /// The store answered. True when it says that the bot has a newer owner.
    pub fn on_store(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        op: OpId,
        result: StoreResult,
    ) -> bool {
        if let Some(raised) = self.raises.take(op) {
            self.on_raised(cx, raised, result)
        } else if self.marks.awaits(op) {
            self.on_marked(cx, op, result)
        } else {
            self.on_page(cx, op, result)
        }
    }
}

/// Until when a callback has to wait for media in front of it, if it has to.
fn gate(
    cx: &OutboxContext<'_, '_>,
    correspondent_id: &CorrespondentId,
    message_id: MessageId,
) -> Option<Timestamp> {
    if !cx.settings.is_gated(correspondent_id) {
        return None;
    }
    let entry = cx.correspondents.get(correspondent_id)?;
    entry
        .open_media_before(message_id)
        .map(|(_, accepted)| accepted.max(cx.running_since) + cx.settings.gating.max_wait)
        .filter(|until| *until > cx.cx.now)
        .min()
}

/// Whether a gated callback goes out although media in front of it are open.
fn passes_open_media(cx: &OutboxContext<'_, '_>, key: &CallbackKey) -> bool {
    cx.settings.is_gated(&key.correspondent_id)
        && cx
            .correspondents
            .get(&key.correspondent_id)
            .is_some_and(|entry| entry.open_media_before(key.message_id).next().is_some())
}

impl Outbox {
    /// Checks every invariant of the outbox. Linear in what is open.
    ///
    /// # Errors
    /// The first broken one, in words.
    pub fn check_invariants(&self, settings: &BotSettings) -> Result<(), String> {
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let callbacks = &settings.callbacks;
        ensure(self.open.len() <= callbacks.max_in_flight, "open callbacks are bounded")?;
        // A page that was asked for while there was room, and one callback of each lane. Gated lanes are read
        // as far as they need.
        let most = self.window + self.window.max(self.lane_max) + self.lanes.len();
        let may_gate = settings.gating.enabled || !settings.gating_overrides.is_empty();
        let bounded = may_gate || self.in_window <= most;
        ensure(bounded, "callbacks in memory are bounded")?;
        let mut correspondents = BTreeSet::new();
        for (order, open) in self.open.iter() {
            if correspondents.insert(&open.key.correspondent_id)
                && let Some(lane) = self.lanes.get(&open.key.correspondent_id)
            {
                lane.check_open(callbacks.together_max())?;
            }
            let lane = self.lanes.get(&open.key.correspondent_id);
            let entry = lane.and_then(|lane| {
                lane.entries.iter().find(|entry| entry.state == EntryState::Open { order: *order })
            });
            ensure(entry.is_some_and(|entry| entry.key() == open.key), "an open callback is owed")?;
            let same = lane.map_or(0, |lane| {
                lane.entries.iter().filter(|entry| entry.key() == open.key).count()
            });
            ensure(same == 1, "an open callback is owed once")?;
        }
        Ok(())
    }
}
