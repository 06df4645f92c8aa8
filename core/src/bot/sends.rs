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
use crate::id::{CorrespondentId, OpId, ProviderMessageId, RequestId, SendId};
use crate::lane::Lane;
use crate::message::Source;
use crate::notice::Notice;
use crate::receipt::Origin;
use crate::signal::SessionSignal;
use crate::store::{Send, StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::{Millis, Timestamp};

/// Sends that are read at a time.
const SENDS_PAGE: usize = 100;

/// Sends that are owed and in memory, beyond which no more are read.
const SENDS_MAX: usize = 1_000;

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
    /// The page being read, with how many are asked for.
    page: Lane<usize>,
    /// Handed to the provider, not confirmed.
    owed: VecDeque<Unconfirmed>,
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

/// A send that the provider has not confirmed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Unconfirmed {
    send: Send,
    /// How often it has been handed over.
    times: u32,
    /// When it is handed over again.
    resend_at: Timestamp,
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

    /// Whether more are to be read: most of the last page is confirmed, or has been handed over in vain. One that is
    /// never confirmed must not hold up those behind it.
    fn wants_page(&self) -> bool {
        let is_new = |unconfirmed: &&Unconfirmed| unconfirmed.times <= 1;
        self.waiting
            && self.page.is_idle()
            && self.in_memory() < SENDS_MAX
            && self.owed.iter().filter(is_new).count() <= SENDS_PAGE / 2
    }

    /// How many the store owes and are in memory.
    fn in_memory(&self) -> usize {
        self.owed.len() + self.to_mark.len() + self.marks.payload().map_or(0, Vec::len)
    }

    /// Whether the store owes it, and it is in memory.
    fn holds(&self, send_id: &SendId) -> bool {
        let marked = self.to_mark.iter().chain(self.marks.payload().into_iter().flatten());
        self.owed.iter().any(|unconfirmed| unconfirmed.send.send_id == *send_id)
            || marked.into_iter().any(|(marked, _)| marked == send_id)
    }

    /// Whether one to this correspondent is not confirmed.
    fn owes(&self, correspondent_id: &CorrespondentId) -> bool {
        self.owed.iter().any(|unconfirmed| unconfirmed.send.correspondent_id == *correspondent_id)
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
        self.hand_over(cx, Timestamp::MAX);
    }

    /// Hands what is due by a moment to the newest connection.
    fn hand_over(&mut self, cx: &mut Context<'_>, due: Timestamp) {
        let Some(attachment) = self.attachments.last() else { return };
        for unconfirmed in self.sends.owed.iter_mut().filter(|it| it.resend_at <= due) {
            unconfirmed.times = unconfirmed.times.saturating_add(1);
            unconfirmed.resend_at = cx.now + RESEND_AFTER;
            let (bot_id, send) = (self.id.clone(), unconfirmed.send.clone());
            let send = SessionSignal::Send { bot_id, send, valid_until: self.valid_until };
            cx.tell_session(attachment.session_id, send);
        }
        self.sends.resend_at = self.sends.owed.iter().map(|it| it.resend_at).min();
    }

    /// The provider confirmed a send.
    pub(super) fn sent(
        &mut self,
        cx: &mut Context<'_>,
        send_id: SendId,
        provider_message_id: ProviderMessageId,
    ) {
        self.sends.remember(provider_message_id.clone());
        let found = self.sends.owed.iter().position(|it| it.send.send_id == send_id);
        let Some(index) = found else {
            return cx.unexpected(format!("bot {}: `sent` of unknown {send_id}", self.id));
        };
        self.sends.owed.remove(index);
        self.sends.to_mark.push((send_id, provider_message_id));
        self.tell_echoes_apart(cx);
    }

    pub(super) fn pump_sends(&mut self, cx: &mut Context<'_>) {
        self.sends.look_at.get_or_insert(cx.now + LOOK_EVERY);
        if self.sends.wants_page() {
            self.sends.waiting = false;
            // Those in memory may come first.
            self.ask_sends(cx, self.sends.in_memory() + SENDS_PAGE);
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
        if let Some(limit) = self.sends.page.take_due(cx.now) {
            self.ask_sends(cx, limit);
        }
        if let Some(sent) = self.sends.marks.take_due(cx.now) {
            self.ask_mark_sent(cx, sent);
        }
        if self.sends.resend_at.take_if(|at| *at <= cx.now).is_some() {
            self.hand_over(cx, cx.now);
        }
        while self.sends.echoes.front().is_some_and(|echo| echo.due_at <= cx.now) {
            if let Some(Echo { origin, draft, .. }) = self.sends.echoes.pop_front() {
                self.admit(cx, origin, Source::UserOutgoing, draft);
            }
        }
    }

    fn ask_sends(&mut self, cx: &mut Context<'_>, limit: usize) {
        let of = u32::try_from(limit).unwrap_or(u32::MAX);
        let request = StoreRequest::OwedSends { fence: self.fence(), limit: of };
        let op = self.ask_store(cx, request);
        self.sends.page.begin(op, limit);
    }

    fn ask_mark_sent(&mut self, cx: &mut Context<'_>, sent: Vec<(SendId, ProviderMessageId)>) {
        let request = StoreRequest::MarkSent { fence: self.fence(), sent: sent.clone() };
        let op = self.ask_store(cx, request);
        self.sends.marks.begin(op, sent);
    }

    pub(super) fn on_sends(&mut self, cx: &mut Context<'_>, op: OpId, result: StoreResult) {
        if let Some((request_id, send_id)) = self.sends.enqueues.remove(&op) {
            self.on_enqueued(cx, request_id, send_id, result);
        } else if let Some(limit) = self.sends.page.take(op) {
            self.on_owed_sends(cx, limit, result);
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

    fn on_owed_sends(&mut self, cx: &mut Context<'_>, limit: usize, result: StoreResult) {
        match result {
            Ok(StoreReply::OwedSends(sends)) => {
                self.sends.page.settle();
                // A full page may have more behind it.
                self.sends.waiting |= sends.len() >= limit;
                for send in sends {
                    if !self.sends.holds(&send.send_id) {
                        self.sends.owed.push_back(Unconfirmed {
                            send,
                            times: 0,
                            resend_at: cx.now,
                        });
                    }
                }
                self.hand_over(cx, cx.now);
            }
            Err(StoreError::Unavailable { detail }) => {
                self.sends.page.retry_later(cx, limit, "owed_sends", detail);
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
        if self.sends.owes(&draft.correspondent_id) && self.sends.echoes.len() < ECHOES_MAX {
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
            } else if self.sends.owes(&draft.correspondent_id) {
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
