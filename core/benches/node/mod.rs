//! One running node whose store, provider and consumer answer at once.
//!
//! Does for [`Machine`] what a driver does: carries its effects out and reports their ends. The store
//! remembers nothing but the next place in the archive; the consumer acknowledges, in one request,
//! whatever callbacks have come since its last one. Batches are therefore those that arise in
//! the machine by itself: while one is with the store, the next gathers.

use std::collections::VecDeque;

use anteroom_core::Seed;
use anteroom_core::bot::event::{BotEffect, BotEvent};
use anteroom_core::draft::Draft;
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{
    ArchiveSeq, BotId, CallbackKey, Epoch, MessageId, NodeId, OpId, RequestId, SessionId, StreamId,
};
use anteroom_core::machine::Machine;
use anteroom_core::ownership::{OwnershipEffect, OwnershipEvent};
use anteroom_core::protocol::{Hello, MessageFrame, ProviderFrame};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::settings::{NodeSettings, Run};
use anteroom_core::store::{
    Acquired, ArchiveAnswer, BotRecord, InsertAnswer, JobPage, MarkAnswer, StoreReply, StoreRequest,
};
use anteroom_core::time::{Millis, Timestamp};
use uuid::Uuid;

/// One running node with one bot, one provider connection and one consumer.
pub struct Node {
    machine: Machine,
    now: Timestamp,
    bot_id: BotId,
    session_id: SessionId,
    effects: Vec<Effect>,
    /// What the store has been asked and has not answered.
    asked: VecDeque<(Asker, OpId, StoreRequest)>,
    /// The callbacks that the consumer has and has not acknowledged.
    callbacks: Vec<CallbackKey>,
    last_message_seq: u64,
    last_archive_seq: u64,
    last_request_id: u64,
    told: Told,
}

/// How often the outside was told something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Receipts of messages.
    pub receipts: u64,
    /// Callbacks.
    pub callbacks: u64,
    /// Callbacks whose acknowledgement is durable.
    pub acknowledged: u64,
    /// Notices; none belongs into a bench.
    pub notices: u64,
}

enum Asker {
    Bot,
    Ownership,
}

impl Node {
    /// A node whose bot runs, with its provider and its consumer connected.
    pub fn running() -> Self {
        let mut settings = NodeSettings::new(NodeId::from(Uuid::from_u128(1)));
        // The window of one connection bounds what is on its way; nothing ends by the clock here.
        settings.ownership.ttl = Millis::from_hours(24);
        let machine = Machine::new(settings, Seed([7; 32])).expect("the default pools route");
        let bot_id = BotId::from("bench");
        let session_id = SessionId::from(Uuid::from_u128(2));
        let mut node = Self {
            machine,
            now: Timestamp::from_ms(1_700_000_000_000),
            bot_id: bot_id.clone(),
            session_id,
            effects: Vec::new(),
            asked: VecDeque::new(),
            callbacks: Vec::new(),
            last_message_seq: 0,
            last_archive_seq: 0,
            last_request_id: 0,
            told: Told::default(),
        };
        let provider_name = "whatsapp_baileys".into();
        let record = BotRecord { bot_id: bot_id.clone(), provider_name, run: Run::Always };
        let bots = vec![record.clone()];
        let start = NodeEvent::Start { bots, runs_bots: true, runs_workers: false };
        let hello = Hello {
            bot_id: bot_id.clone(),
            provider_name: record.provider_name,
            provider_instance: None,
            token: None,
        };
        let hello = SessionEvent::Frame { frame: ProviderFrame::Hello(hello), authorized: true };
        let attached = BotEvent::ConsumerAttached { stream_id: StreamId(1) };
        node.step(Event::Node(start));
        node.step(Event::Session(session_id, SessionEvent::Opened));
        node.step(Event::Session(session_id, hello));
        node.step(Event::Bot(bot_id, attached));
        node.settle();
        node.told = Told::default();
        node
    }

    /// The event that brings `draft` over the provider's connection.
    pub fn frame(&mut self, draft: Draft) -> Event {
        self.last_message_seq += 1;
        let draft = Box::new(draft);
        let message = MessageFrame { seq: self.last_message_seq, bot_id: None, draft };
        let frame = ProviderFrame::Message(message);
        Event::Session(self.session_id, SessionEvent::Frame { frame, authorized: true })
    }

    /// Takes in a window of messages, then answers the store and the consumer until nothing is left
    /// to do.
    pub fn exchange(&mut self, window: impl IntoIterator<Item = Event>) {
        self.now = self.now + Millis::from_ms(1);
        for event in window {
            self.step(event);
        }
        self.settle();
    }

    /// How often the outside was told something since the node runs.
    pub fn told(&self) -> Told {
        self.told
    }

    fn settle(&mut self) {
        loop {
            if let Some((asker, op, request)) = self.asked.pop_front() {
                let result = Ok(self.answer(request));
                self.step(match asker {
                    Asker::Bot => Event::Bot(self.bot_id.clone(), BotEvent::Store { op, result }),
                    Asker::Ownership => Event::Ownership(OwnershipEvent::Store { op, result }),
                });
            } else if !self.callbacks.is_empty() {
                self.last_request_id += 1;
                let request_id = RequestId(self.last_request_id);
                let next = Vec::with_capacity(self.callbacks.len());
                let keys = std::mem::replace(&mut self.callbacks, next);
                let acknowledge = BotEvent::Acknowledge { request_id, keys };
                self.step(Event::Bot(self.bot_id.clone(), acknowledge));
            } else {
                return;
            }
        }
    }

    fn step(&mut self, event: Event) {
        let mut effects = std::mem::take(&mut self.effects);
        self.machine.step(self.now, event, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Bot(_, BotEffect::Store { op, request }) => {
                self.asked.push_back((Asker::Bot, op, request));
            }
            Effect::Ownership(OwnershipEffect::Store { op, request }) => {
                self.asked.push_back((Asker::Ownership, op, request));
            }
            Effect::Bot(_, BotEffect::Callback { callback, .. }) => {
                self.told.callbacks += 1;
                self.callbacks.push(callback.get().key());
            }
            Effect::Bot(_, BotEffect::AckAnswer { answer, .. }) => {
                let acknowledged = answer.map_or(0, |answer| answer.get().acknowledged);
                self.told.acknowledged += acknowledged as u64;
            }
            Effect::Session(_, SessionEffect::Receipt { .. }) => self.told.receipts += 1,
            Effect::Notice(_) => self.told.notices += 1,
            Effect::Session(..)
            | Effect::Bot(..)
            | Effect::Pools(_)
            | Effect::Janitor(_)
            | Effect::Stopped => {}
        }
    }

    /// What a store says to which everything is new.
    fn answer(&mut self, request: StoreRequest) -> StoreReply {
        match request {
            StoreRequest::AcquireBot { .. } => {
                StoreReply::AcquireBot(Acquired::Acquired { epoch: Epoch(1) })
            }
            StoreRequest::RestoreBot { .. } => {
                StoreReply::RestoreBot(JobPage { jobs: Vec::new(), more: false })
            }
            StoreRequest::CompletedJobs { .. } => {
                StoreReply::CompletedJobs(JobPage { jobs: Vec::new(), more: false })
            }
            StoreRequest::OwedCallbacks { .. } => {
                StoreReply::OwedCallbacks { callbacks: Vec::new(), more: false }
            }
            StoreRequest::OwedSends { .. } => StoreReply::OwedSends(Vec::new()),
            StoreRequest::NextId { .. } => StoreReply::NextId(MessageId::FIRST),
            StoreRequest::InsertJobs { jobs, .. } => {
                let inserted = |_| InsertAnswer::Inserted { leased: false };
                StoreReply::InsertJobs(jobs.iter().map(inserted).collect())
            }
            StoreRequest::Archive { items, .. } => {
                let stored = items.iter().map(|_| {
                    self.last_archive_seq += 1;
                    ArchiveAnswer::Stored { seq: ArchiveSeq(self.last_archive_seq) }
                });
                StoreReply::Archive(stored.collect())
            }
            StoreRequest::MarkCalledBack { marks, .. } => {
                StoreReply::MarkCalledBack(marks.iter().map(|_| MarkAnswer::Ended).collect())
            }
            request => unreachable!("nothing in a bench asks for {request:?}"),
        }
    }
}
