//! What must hold of what the machine says, step after step.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::bot::event::{BotEffect, BotEvent, Callback};
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{
    Attempt, BotId, CallbackKey, CorrespondentId, MessageId, OpId, ProviderMessageId, RequestId,
    SessionId,
};
use anteroom_core::notice::Notice;
use anteroom_core::protocol::ProviderFrame;
use anteroom_core::receipt::{Origin, Receipt};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::store::{
    ArchiveAnswer, InsertAnswer, JobPage, StoreReply, StoreRequest, StoreResult,
};

use crate::script::Asked;

type Named = (CorrespondentId, ProviderMessageId, MessageId);

/// Whether the store tells the truth. What a callback's number is, and that it is not owed any more,
/// the machine knows from the store alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    #[default]
    Truth,
    Lies,
}

/// What has been said so far, as far as rules need it.
#[derive(Default)]
pub struct Watch {
    trust: Trust,
    ops: BTreeSet<OpId>,
    /// Which message a receipt is about.
    said: BTreeMap<Origin, (CorrespondentId, ProviderMessageId)>,
    told: BTreeSet<Origin>,
    /// What the store has called durable.
    durable: BTreeSet<Named>,
    attempts: BTreeMap<(BotId, CallbackKey), Attempt>,
    acknowledging: BTreeMap<RequestId, Vec<CallbackKey>>,
    acknowledged: BTreeSet<(BotId, CallbackKey)>,
    fenced: BTreeSet<BotId>,
    stopped: bool,
}

impl Watch {
    pub fn new(trust: Trust) -> Self {
        Self { trust, ..Self::default() }
    }

    /// Something is about to be told to the machine.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Session(
                session_id,
                SessionEvent::Frame { frame: ProviderFrame::Message(frame), .. },
            ) => {
                let draft = &frame.draft;
                let origin = Origin::Session { session_id: *session_id, seq: frame.seq };
                let named = (draft.correspondent_id.clone(), draft.provider_message_id.clone());
                self.said.insert(origin, named);
                self.told.remove(&origin);
            }
            Event::Bot(_, BotEvent::Post { request_id, draft }) => {
                let origin = Origin::Request { request_id: *request_id };
                let named = (draft.correspondent_id.clone(), draft.provider_message_id.clone());
                self.said.insert(origin, named);
            }
            Event::Bot(_, BotEvent::Acknowledge { request_id, keys }) => {
                self.acknowledging.insert(*request_id, keys.clone());
            }
            _ => {}
        }
    }

    /// The store's answer is about to be told to the machine.
    pub fn answer(&mut self, request: &StoreRequest, result: &StoreResult) {
        let Ok(reply) = result else { return };
        match (request, reply) {
            (StoreRequest::Archive { items, .. }, StoreReply::Archive(answers)) => {
                for (item, answer) in items.iter().zip(answers) {
                    let id = match answer {
                        ArchiveAnswer::Stored { .. } | ArchiveAnswer::AlreadyStored { .. } => {
                            item.message.id
                        }
                        ArchiveAnswer::DuplicateProviderMessage { message_id } => *message_id,
                        ArchiveAnswer::StaleLease => continue,
                    };
                    let provider_message_id = item.message.provider_message_id.clone();
                    self.durable.insert((item.correspondent_id.clone(), provider_message_id, id));
                }
            }
            (StoreRequest::InsertJobs { jobs, .. }, StoreReply::InsertJobs(answers)) => {
                for (new, answer) in jobs.iter().zip(answers) {
                    let message = &new.job.placeholder_message;
                    let id = match answer {
                        InsertAnswer::Inserted { .. } => message.id,
                        InsertAnswer::DuplicateProviderMessage { message_id } => *message_id,
                        InsertAnswer::MediaIdInUse => continue,
                    };
                    let correspondent_id = new.job.correspondent_id.clone();
                    let provider_message_id = message.provider_message_id.clone();
                    self.durable.insert((correspondent_id, provider_message_id, id));
                }
            }
            (_, StoreReply::RestoreBot(page) | StoreReply::CompletedJobs(page)) => self.page(page),
            _ => {}
        }
    }

    fn page(&mut self, page: &JobPage) {
        for job in &page.jobs {
            let message = &job.placeholder_message;
            let provider_message_id = message.provider_message_id.clone();
            self.durable.insert((job.correspondent_id.clone(), provider_message_id, message.id));
        }
    }

    /// The machine says something.
    pub fn effect(&mut self, effect: &Effect) {
        if let Some(asked) = Asked::by(effect) {
            assert!(self.ops.insert(asked.op), "operation {} is asked twice", asked.op);
            let enqueue = matches!(asked.request, StoreRequest::EnqueueSend { .. });
            assert!(!self.stopped || enqueue, "a stopped node asks for {}", asked.name());
        }
        match effect {
            Effect::Session(session_id, SessionEffect::Receipt { seq, receipt, error, .. }) => {
                if error.is_none() {
                    self.session_receipt(*session_id, *seq, receipt);
                }
            }
            Effect::Bot(bot_id, effect) => self.bot_effect(bot_id, effect),
            Effect::Notice(Notice::BotFenced { bot_id }) => {
                self.fenced.insert(bot_id.clone());
            }
            Effect::Notice(Notice::BotStarted { bot_id, .. }) => {
                self.fenced.remove(bot_id);
            }
            Effect::Stopped => {
                assert!(!self.stopped, "a node stops once");
                self.stopped = true;
            }
            Effect::Session(..)
            | Effect::Pools(_)
            | Effect::Ownership(_)
            | Effect::Janitor(_)
            | Effect::Notice(_) => {}
        }
    }

    fn session_receipt(&mut self, session_id: SessionId, seq: u64, receipt: &Receipt) {
        let origin = Origin::Session { session_id, seq };
        assert!(self.told.insert(origin), "message {seq} has one receipt");
        self.receipt(origin, receipt);
    }

    fn receipt(&self, origin: Origin, receipt: &Receipt) {
        let (Receipt::Accepted { message_id } | Receipt::Duplicate { message_id }) = receipt else {
            return;
        };
        let (correspondent_id, provider_message_id) = self.said[&origin].clone();
        let named = (correspondent_id, provider_message_id, *message_id.get());
        assert!(self.durable.contains(&named), "{named:?} was said to be durable too early");
    }

    fn called_back(&mut self, bot_id: &BotId, callback: &Callback) {
        let (key, attempt) = ((bot_id.clone(), callback.key()), callback.attempt);
        assert!(!self.acknowledged.contains(&key), "{key:?} was acknowledged");
        let before = self.attempts.insert(key.clone(), attempt);
        assert!(before < Some(attempt), "{key:?}: {attempt:?} comes after {before:?}");
        assert!(attempt > Attempt(0), "{key:?}: attempts count from 1");
    }

    fn bot_effect(&mut self, bot_id: &BotId, effect: &BotEffect) {
        if self.fenced.contains(bot_id) {
            assert_leaves_alone(effect);
        }
        match effect {
            BotEffect::Callback { callback, .. } if self.trust == Trust::Truth => {
                self.called_back(bot_id, callback.get());
            }
            BotEffect::Callbacks { callbacks, .. } if self.trust == Trust::Truth => {
                callbacks.iter().for_each(|callback| self.called_back(bot_id, callback.get()));
            }
            BotEffect::PostReceipt { request_id, receipt, .. } => {
                let origin = Origin::Request { request_id: *request_id };
                assert!(self.told.insert(origin), "request {request_id} has one receipt");
                self.receipt(origin, receipt);
            }
            BotEffect::AckAnswer { request_id, answer: Some(answer), .. } => {
                let unknown = &answer.get().unknown;
                let keys = self.acknowledging.remove(request_id).unwrap_or_default();
                let ended = keys.into_iter().filter(|key| !unknown.contains(key));
                self.acknowledged.extend(ended.map(|key| (bot_id.clone(), key)));
            }
            BotEffect::Store { .. }
            | BotEffect::Callback { .. }
            | BotEffect::Callbacks { .. }
            | BotEffect::AbortCallback { .. }
            | BotEffect::StreamReplaced { .. }
            | BotEffect::AckAnswer { answer: None, .. }
            | BotEffect::EnqueueAnswer { .. }
            | BotEffect::RedeliverAnswer { .. }
            | BotEffect::DeleteMedia { .. } => {}
        }
    }
}

/// A bot that lost its ownership does nothing but refuse, until it has a new one.
fn assert_leaves_alone(effect: &BotEffect) {
    let harmless = match effect {
        BotEffect::Store { request, .. } => matches!(
            request,
            StoreRequest::RegisterBot(_)
                | StoreRequest::RestoreBot { .. }
                | StoreRequest::HoldBot(_)
                | StoreRequest::EnqueueSend { .. }
        ),
        BotEffect::PostReceipt { receipt, .. } => match receipt {
            Receipt::Rejected { .. } | Receipt::Evicted { .. } => true,
            Receipt::Accepted { .. } | Receipt::Duplicate { .. } => false,
        },
        BotEffect::Callback { .. }
        | BotEffect::Callbacks { .. }
        | BotEffect::DeleteMedia { .. } => false,
        BotEffect::AckAnswer { answer, .. } => answer.is_none(),
        BotEffect::RedeliverAnswer { answer, .. } => answer.is_none(),
        BotEffect::AbortCallback { .. }
        | BotEffect::StreamReplaced { .. }
        | BotEffect::EnqueueAnswer { .. } => true,
    };
    assert!(harmless, "a fenced bot does {effect:?}");
}
