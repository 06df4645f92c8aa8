//! The other way: messages from the bot to its correspondents, durable until the provider has sent
//! them; and the echoes by which a provider reports what went out.
//!
//! A send is repeated to the provider until it is confirmed; the provider remembers `send_id`s, so
//! nothing is sent twice. An echo without a `send_id` that may be of a send under way waits a moment
//! for its `sent` to tell the two apart.

use std::collections::{BTreeMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Bot;
use super::event::BotEffect;
use crate::context::Context;
use crate::draft::{Direction, Draft};
use crate::durable::Durable;
use crate::effect::Effect;
use crate::id::{OpId, ProviderMessageId, RequestId, SendId};
use crate::lane::Lane;
use crate::message::Source;
use crate::notice::Notice;
use crate::receipt::Origin;
use crate::signal::SessionSignal;
use crate::store::{Send, StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::{Millis, Timestamp};

/// Outgoing messages in memory, sent and waiting for their confirmation.
const SENDS_PAGE: u32 = 100;

/// Requests for sends that may wait for the store.
const ENQUEUES_MAX: usize = 256;

/// How long an echo waits to be told apart.
const ECHO_WAIT: Millis = Millis::from_secs(5);

/// Echoes that may wait.
const ECHOES_MAX: usize = 256;

/// How long a send waits for its confirmation before it is repeated.
const RESEND_AFTER: Millis = Millis::from_secs(30);

/// How often a bot looks for sends that nobody told it of: those made durable at another node.
const LOOK_EVERY: Millis = Millis::from_secs(60);

/// Confirmed provider ids that are remembered for their echoes.
const CONFIRMED_MAX: usize = 1_024;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Sends {
    /// Sends may wait in the store.
    waiting: bool,
    /// When to look for sends that nobody told of.
    look_at: Option<Timestamp>,
    page: Lane<()>,
    /// Handed to the provider, not confirmed.
    owed: VecDeque<Send>,
    resend_at: Option<Timestamp>,
    to_mark: Vec<(SendId, ProviderMessageId)>,
    marks: Lane<Vec<(SendId, ProviderMessageId)>>,
    enqueues: BTreeMap<OpId, (RequestId, SendId)>,
    echoes: VecDeque<Echo>,
    /// Never iterated.
    #[serde(with = "crate::lookup::sorted_set")]
    confirmed: HashSet<ProviderMessageId>,
    confirmed_order: VecDeque<ProviderMessageId>,
}

/// An outgoing message that may be an echo of a send.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Echo {
    due_at: Timestamp,
    origin: Origin,
    draft: Box<Draft>,
}

/// What is known of a message's source.
pub(super) enum Classified {
    Now {
        source: Source,
        draft: Box<Draft>,
    },
    /// It waits to be told apart.
    Waits,
}

impl Sends {
    pub fn awaits(&self, op: OpId) -> bool {
        self.page.awaits(op) || self.marks.awaits(op) || self.enqueues.contains_key(&op)
    }

    pub fn retry_at(&self) -> Option<Timestamp> {
        let retries = self.page.retry_at().into_iter().chain(self.marks.retry_at());
        retries.chain(self.resend_at).min()
    }

    pub fn look_at(&self) -> Option<Timestamp> {
        self.look_at
    }

    pub fn echo_due_at(&self) -> Option<Timestamp> {
        self.echoes.front().map(|echo| echo.due_at)
    }

    /// Whether nothing is to be made durable.
    pub fn is_quiet(&self) -> bool {
        self.to_mark.is_empty()
            && self.marks.is_idle()
            && self.page.is_idle()
            && self.enqueues.is_empty()
    }

    fn remember(&mut self, provider_message_id: ProviderMessageId) {
        if self.confirmed.insert(provider_message_id.clone()) {
            self.confirmed_order.push_back(provider_message_id);
        }
        while self.confirmed_order.len() > CONFIRMED_MAX {
            if let Some(oldest) = self.confirmed_order.pop_front() {
                self.confirmed.remove(&oldest);
            }
        }
    }
}

impl Bot {
    /// Somebody wants a message sent.
    pub(super) fn enqueue_send(&mut self, cx: &mut Context<'_>, request_id: RequestId, send: Send) {
        if self.record.is_none() || self.sends.enqueues.len() >= ENQUEUES_MAX {
            let send_id = send.send_id;
            let effect = BotEffect::EnqueueAnswer { request_id, answer: None, send_id };
            return cx.effect(Effect::Bot(self.id.clone(), effect));
        }
        let send_id = send.send_id.clone();
        let request = StoreRequest::EnqueueSend { bot_id: self.id.clone(), send };
        let op = self.ask_store(cx, request);
        self.sends.enqueues.insert(op, (request_id, send_id));
    }

    /// Sends may wait in the store, from before or from elsewhere.
    pub(super) fn sends_may_wait(&mut self) {
        self.sends.waiting = true;
    }

    /// Hands all unconfirmed sends to the newest connection again.
    pub(super) fn resend(&mut self, cx: &mut Context<'_>) {
        for send in self.sends.owed.clone() {
            self.hand_over(cx, send);
        }
    }

    fn hand_over(&mut self, cx: &mut Context<'_>, send: Send) {
        let Some(attachment) = self.attachments.last() else { return };
        let bot_id = self.id.clone();
        let valid_until = self.valid_until;
        cx.tell_session(attachment.session_id, SessionSignal::Send { bot_id, send, valid_until });
        self.sends.resend_at = Some(cx.now + RESEND_AFTER);
    }

    /// The provider confirmed a send.
    pub(super) fn sent(
        &mut self,
        cx: &mut Context<'_>,
        send_id: SendId,
        provider_message_id: ProviderMessageId,
    ) {
        self.sends.remember(provider_message_id.clone());
        let Some(index) = self.sends.owed.iter().position(|send| send.send_id == send_id) else {
            return cx.unexpected(format!("bot {}: `sent` of unknown {send_id}", self.id));
        };
        self.sends.owed.remove(index);
        self.sends.to_mark.push((send_id, provider_message_id));
        self.tell_echoes_apart(cx);
    }

    pub(super) fn pump_sends(&mut self, cx: &mut Context<'_>) {
        self.sends.look_at.get_or_insert(cx.now + LOOK_EVERY);
        if self.sends.waiting && self.sends.page.is_idle() && self.sends.owed.is_empty() {
            self.sends.waiting = false;
            self.ask_sends(cx);
        }
    }

    /// Makes durable what the provider has confirmed.
    pub(super) fn pump_sent(&mut self, cx: &mut Context<'_>) {
        if !self.sends.to_mark.is_empty() && self.sends.marks.is_idle() {
            let sent = std::mem::take(&mut self.sends.to_mark);
            self.ask_mark_sent(cx, sent);
        }
    }

    pub(super) fn tick_sends(&mut self, cx: &mut Context<'_>) {
        if self.sends.look_at.take_if(|at| *at <= cx.now).is_some() {
            self.sends_may_wait();
        }
        if self.sends.page.take_due(cx.now).is_some() {
            self.ask_sends(cx);
        }
        if let Some(sent) = self.sends.marks.take_due(cx.now) {
            self.ask_mark_sent(cx, sent);
        }
        if self.sends.resend_at.is_some_and(|at| at <= cx.now) {
            self.sends.resend_at = None;
            self.resend(cx);
        }
        while self.sends.echoes.front().is_some_and(|echo| echo.due_at <= cx.now) {
            if let Some(Echo { origin, draft, .. }) = self.sends.echoes.pop_front() {
                self.admit(cx, origin, Source::UserOutgoing, draft);
            }
        }
    }

    fn ask_sends(&mut self, cx: &mut Context<'_>) {
        let request = StoreRequest::OwedSends { fence: self.fence(), limit: SENDS_PAGE };
        let op = self.ask_store(cx, request);
        self.sends.page.begin(op, ());
    }

    fn ask_mark_sent(&mut self, cx: &mut Context<'_>, sent: Vec<(SendId, ProviderMessageId)>) {
        let request = StoreRequest::MarkSent { fence: self.fence(), sent: sent.clone() };
        let op = self.ask_store(cx, request);
        self.sends.marks.begin(op, sent);
    }

    pub(super) fn on_sends(&mut self, cx: &mut Context<'_>, op: OpId, result: StoreResult) {
        if let Some((request_id, send_id)) = self.sends.enqueues.remove(&op) {
            self.on_enqueued(cx, request_id, send_id, result);
        } else if self.sends.page.take(op).is_some() {
            self.on_owed_sends(cx, result);
        } else if let Some(sent) = self.sends.marks.take(op) {
            self.on_marked_sent(cx, sent, result);
        }
    }

    fn on_enqueued(
        &mut self,
        cx: &mut Context<'_>,
        request_id: RequestId,
        send_id: SendId,
        result: StoreResult,
    ) {
        let answer = match &result {
            Ok(reply @ StoreReply::EnqueueSend(answer)) => {
                self.sends.waiting = true;
                Some(Durable::by(reply, *answer))
            }
            Ok(_) | Err(_) => None,
        };
        let effect = BotEffect::EnqueueAnswer { request_id, answer, send_id };
        cx.effect(Effect::Bot(self.id.clone(), effect));
    }

    fn on_owed_sends(&mut self, cx: &mut Context<'_>, result: StoreResult) {
        match result {
            Ok(StoreReply::OwedSends(sends)) => {
                self.sends.page.settle();
                // A full page may have more behind it, which is read when this one is confirmed.
                self.sends.waiting |= sends.len() >= SENDS_PAGE as usize;
                let marking: Vec<_> = self.sends.marks.payload().into_iter().flatten().collect();
                let unconfirmed = |send: &Send| {
                    let marked = self.sends.to_mark.iter().chain(marking.iter().copied());
                    marked.into_iter().all(|(send_id, _)| *send_id != send.send_id)
                };
                let sends: Vec<_> = sends.into_iter().filter(unconfirmed).collect();
                for send in sends {
                    self.sends.owed.push_back(send.clone());
                    self.hand_over(cx, send);
                }
            }
            Err(StoreError::Unavailable { detail }) => {
                self.sends.page.retry_later(cx, (), "owed_sends", detail);
            }
            Err(StoreError::Fenced) => self.fenced_by_store(cx),
            Ok(_) | Err(StoreError::Invalid { .. }) => {
                cx.unexpected(format!("bot {}: no answer to owed_sends", self.id));
            }
        }
    }

    fn on_marked_sent(
        &mut self,
        cx: &mut Context<'_>,
        sent: Vec<(SendId, ProviderMessageId)>,
        result: StoreResult,
    ) {
        match result {
            Ok(_) => self.sends.marks.settle(),
            Err(StoreError::Unavailable { detail }) => {
                self.sends.marks.retry_later(cx, sent, "mark_sent", detail);
            }
            Err(StoreError::Fenced) => self.fenced_by_store(cx),
            Err(StoreError::Invalid { detail }) => {
                cx.notice(Notice::StoreRefused { operation: "mark_sent".to_owned(), detail });
            }
        }
    }

    /// Whose message it is, unless that has to wait.
    pub(super) fn classify(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        draft: Box<Draft>,
    ) -> Classified {
        match draft.direction {
            Direction::Incoming => return Classified::Now { source: Source::User, draft },
            Direction::Outgoing => {}
        }
        if draft.send_id.is_some() || self.sends.confirmed.contains(&draft.provider_message_id) {
            return Classified::Now { source: Source::Bot, draft };
        }
        let may_be_ours =
            self.sends.owed.iter().any(|send| send.correspondent_id == draft.correspondent_id);
        if may_be_ours && self.sends.echoes.len() < ECHOES_MAX {
            self.sends.echoes.push_back(Echo { due_at: cx.now + ECHO_WAIT, origin, draft });
            return Classified::Waits;
        }
        Classified::Now { source: Source::UserOutgoing, draft }
    }

    /// Lets in the echoes whose source is known, in their order.
    fn tell_echoes_apart(&mut self, cx: &mut Context<'_>) {
        let mut waiting = VecDeque::new();
        for Echo { due_at, origin, draft } in std::mem::take(&mut self.sends.echoes) {
            if self.sends.confirmed.contains(&draft.provider_message_id) {
                self.admit(cx, origin, Source::Bot, draft);
            } else if self
                .sends
                .owed
                .iter()
                .any(|send| send.correspondent_id == draft.correspondent_id)
            {
                waiting.push_back(Echo { due_at, origin, draft });
            } else {
                self.admit(cx, origin, Source::UserOutgoing, draft);
            }
        }
        self.sends.echoes = waiting;
    }

    /// Takes the echoes that wait out, to be answered otherwise.
    pub(super) fn echo_origins(&mut self) -> Vec<Origin> {
        std::mem::take(&mut self.sends.echoes).into_iter().map(|echo| echo.origin).collect()
    }

    /// Forgets all sends; requests that wait are told that it is not known what became of theirs.
    pub(super) fn clear_sends(&mut self, cx: &mut Context<'_>) {
        let sends = std::mem::take(&mut self.sends);
        for (request_id, send_id) in sends.enqueues.into_values() {
            let effect = BotEffect::EnqueueAnswer { request_id, answer: None, send_id };
            cx.effect(Effect::Bot(self.id.clone(), effect));
        }
    }
}
