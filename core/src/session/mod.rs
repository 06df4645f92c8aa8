//! Provider connections: who they are for, what they may still send, and whether anybody is there.
//!
//! Owns the conversation: `hello`, the window of messages without a receipt, pings, replacement. What
//! becomes of a message is its bot's business. A connection carries one bot or several; a
//! connection that has ended is forgotten at once, so its late words change nothing.

pub mod event;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::event::{SessionEffect, SessionEvent};
use crate::ascending::Ascending;
use crate::bot::Bot;
use crate::context::Context;
use crate::deadline::Deadline;
use crate::effect::Effect;
use crate::id::{BotId, ProviderName, SessionId};
use crate::notice::Notice;
use crate::protocol::{ErrorCode, FrameError, Hello, MessageFrame, ProviderFrame, v0};
use crate::receipt::{Origin, Receipt, RejectReason};
use crate::settings::Run;
use crate::signal::{BotSignal, SessionSignal, Signal};
use crate::store::BotRecord;
use crate::time::Timestamp;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    /// When each connection is to be looked at; not later than it has to be.
    due: BTreeSet<(Timestamp, SessionId)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    opened_at: Timestamp,
    last_heard: Timestamp,
    last_ping: Timestamp,
    due_at: Timestamp,
    bindings: BTreeMap<BotId, Binding>,
}

/// One bot on a connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Binding {
    since: Timestamp,
    welcomed: bool,
    /// The messages without a receipt.
    open: Ascending<()>,
    /// The highest number so far.
    highest: Option<u64>,
    /// The lowest number that the provider keeps although it has its receipt.
    kept: Option<u64>,
}

impl Sessions {
    pub fn on_event(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        event: SessionEvent,
        bots: &BTreeMap<BotId, Bot>,
    ) {
        if let SessionEvent::Opened = event {
            return self.open(cx, session_id);
        }
        let Some(session) = self.sessions.get_mut(&session_id) else {
            // A connection that has ended here may still say that it is closed.
            if event != SessionEvent::Closed {
                cx.unexpected(format!("session {session_id}: not open"));
            }
            return;
        };
        session.last_heard = cx.now;
        match event {
            SessionEvent::Opened | SessionEvent::Heard => {}
            SessionEvent::Frame { frame, authorized } => {
                self.on_frame(cx, session_id, frame, authorized, bots);
            }
            SessionEvent::Malformed { error } => self.malformed(cx, session_id, error),
            SessionEvent::Closed => self.forget(cx, session_id),
        }
    }

    pub fn on_signal(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        signal: SessionSignal,
    ) {
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        match signal {
            SessionSignal::Ready { bot_id, resume_after_seq } => {
                if let Some(binding) = session.bindings.get_mut(&bot_id)
                    && !binding.welcomed
                {
                    binding.welcomed = true;
                    welcome(cx, session_id, bot_id, resume_after_seq);
                }
            }
            SessionSignal::Receipt { bot_id, seq, receipt, valid_until } => {
                let several = session.bindings.len() > 1;
                if let Some(binding) = session.bindings.get_mut(&bot_id)
                    && binding.open.remove(seq).is_some()
                {
                    binding.note(seq, &receipt);
                    let bot_id = several.then_some(bot_id);
                    let error = None;
                    say(
                        cx,
                        session_id,
                        SessionEffect::Receipt { bot_id, seq, receipt, error, valid_until },
                    );
                }
            }
            SessionSignal::Send { bot_id, send, valid_until } => {
                if session.bindings.contains_key(&bot_id) {
                    let bot_id = (session.bindings.len() > 1).then_some(bot_id);
                    say(cx, session_id, SessionEffect::Send { bot_id, send, valid_until });
                }
            }
            SessionSignal::Replaced { bot_id } => {
                session.bindings.remove(&bot_id);
                let last = session.bindings.is_empty();
                let detail = "a newer connection of this provider instance took the bot over";
                let mut error = FrameError::new(ErrorCode::Replaced, None, detail.to_owned());
                error.bot_id = Some(bot_id);
                error.fatal = last;
                self.complain(cx, session_id, error, None);
            }
            SessionSignal::Fenced { bot_id } => {
                session.bindings.remove(&bot_id);
                let detail = "this node does not own the bot: connect for it anew";
                let mut error = FrameError::new(ErrorCode::BotLost, None, detail.to_owned());
                error.bot_id = Some(bot_id);
                error.fatal = session.bindings.is_empty();
                self.complain(cx, session_id, error, None);
            }
        }
    }

    /// Looks at the connections that are due: pings, time-outs, silence.
    pub fn tick(&mut self, cx: &mut Context<'_>) {
        while let Some((due_at, session_id)) = self.due.first().copied()
            && due_at <= cx.now
        {
            self.due.remove(&(due_at, session_id));
            self.look_at(cx, session_id);
        }
    }

    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        let (due_at, session_id) = self.due.first()?;
        let greeted = self.sessions.get(session_id).is_some_and(Session::is_greeted);
        let why = if greeted { Deadline::SessionPing } else { Deadline::SessionHello };
        Some((*due_at, why))
    }

    /// Ends all connections: the node has shut down.
    pub fn close_all(&mut self, cx: &mut Context<'_>) {
        let open: Vec<_> = self.sessions.keys().copied().collect();
        for session_id in open {
            self.close(cx, session_id);
        }
    }

    fn open(&mut self, cx: &mut Context<'_>, session_id: SessionId) {
        if self.sessions.contains_key(&session_id) {
            return cx.unexpected(format!("session {session_id}: opened twice"));
        }
        let now = cx.now;
        let session = Session {
            opened_at: now,
            last_heard: now,
            last_ping: now,
            due_at: now,
            bindings: BTreeMap::new(),
        };
        self.sessions.insert(session_id, session);
        self.schedule(cx, session_id);
    }

    fn on_frame(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        frame: ProviderFrame,
        authorized: bool,
        bots: &BTreeMap<BotId, Bot>,
    ) {
        match frame {
            ProviderFrame::Hello(hello) => self.hello(cx, session_id, hello, authorized, bots),
            ProviderFrame::Message(message) => self.message(cx, session_id, message),
            ProviderFrame::Status(status) => {
                if let Some(bot_id) = self.bot_of(cx, session_id, status.bot_id.as_ref()) {
                    let status = status.status;
                    cx.notice(Notice::ProviderStatus { bot_id, status });
                }
            }
            ProviderFrame::Sent(sent) => {
                if let Some(bot_id) = self.bot_of(cx, session_id, sent.bot_id.as_ref()) {
                    let (send_id, provider_message_id) = (sent.send_id, sent.provider_message_id);
                    cx.tell_bot(&bot_id, BotSignal::Sent { send_id, provider_message_id });
                }
            }
            ProviderFrame::Ping(_) => say(cx, session_id, SessionEffect::Pong),
        }
    }

    fn hello(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        hello: Hello,
        authorized: bool,
        bots: &BTreeMap<BotId, Bot>,
    ) {
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        let Hello { bot_id, provider_name, provider_instance, .. } = hello;
        let known = bots.get(&bot_id).and_then(|bot| bot.record().or(bot.is_registering()));
        if !authorized || (known.is_none() && !cx.settings.session.auto_create_bots) {
            let detail = "the bot is not known here, or its token is wrong";
            return self.refuse_hello(
                cx,
                session_id,
                bot_id,
                ErrorCode::Unauthorized,
                detail,
                None,
            );
        }
        if let Some(record) = known.filter(|record| record.provider_name != provider_name) {
            let detail = format!(
                "the bot is connected through {}, not through {provider_name}",
                record.provider_name
            );
            let expected = Some(record.provider_name.clone());
            let code = ErrorCode::ProviderMismatch;
            return self.refuse_hello(cx, session_id, bot_id, code, &detail, expected);
        }
        if let Some(binding) = session.bindings.get(&bot_id) {
            // The same `hello` again is answered again.
            if binding.welcomed {
                welcome(cx, session_id, bot_id, None);
            }
            return;
        }
        if session.bindings.len() >= cx.settings.session.bots_max {
            let detail = "the connection carries as many bots as it may";
            return self.refuse_hello(cx, session_id, bot_id, ErrorCode::TooManyBots, detail, None);
        }
        session.bindings.insert(bot_id.clone(), Binding::new(cx.now));
        if known.is_none() {
            let record = BotRecord { bot_id: bot_id.clone(), provider_name, run: Run::Always };
            cx.signals.push_back(Signal::Register(record));
        }
        cx.tell_bot(&bot_id, BotSignal::Attached { session_id, instance: provider_instance });
        self.schedule(cx, session_id);
    }

    fn refuse_hello(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        bot_id: BotId,
        code: ErrorCode,
        detail: &str,
        expected: Option<ProviderName>,
    ) {
        let field = if expected.is_some() { "provider_name" } else { "bot_id" };
        let mut error = FrameError::new(code, Some(field.to_owned()), detail.to_owned());
        error.bot_id = Some(bot_id);
        error.fatal = true;
        self.complain(cx, session_id, error, expected);
    }

    fn message(&mut self, cx: &mut Context<'_>, session_id: SessionId, frame: MessageFrame) {
        let window = cx.settings.session.window.get() as usize;
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        let several = session.bindings.len() > 1;
        let Some((bot_id, binding)) = session.binding(frame.bot_id.as_ref()) else {
            return self.no_binding(cx, session_id, frame.bot_id.as_ref());
        };
        let seq = frame.seq;
        if binding.open.contains(seq) {
            let detail = format!("message {seq} has been sent and waits for its receipt");
            let field = Some("seq".to_owned());
            let error = FrameError::new(ErrorCode::InvalidField, field, detail);
            return self.complain(cx, session_id, error, None);
        }
        binding.highest = binding.highest.max(Some(seq));
        if binding.open.len() >= window {
            let receipt = Receipt::rejected(RejectReason::RetryLater);
            binding.note(seq, &receipt);
            let bot_id = several.then_some(bot_id);
            let (error, valid_until) = (None, Timestamp::MAX);
            let effect = SessionEffect::Receipt { bot_id, seq, receipt, error, valid_until };
            return say(cx, session_id, effect);
        }
        binding.open.insert(seq, ());
        let origin = Origin::Session { session_id, seq };
        let draft = frame.draft;
        cx.signals.push_back(Signal::Bot(bot_id, BotSignal::Intake { origin, draft }));
    }

    /// A frame that is none. Where its number could be read its receipt says so, for the provider
    /// must not send it again; otherwise an `error` does.
    fn malformed(&mut self, cx: &mut Context<'_>, session_id: SessionId, error: FrameError) {
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        let several = session.bindings.len() > 1;
        let only = session.bindings.keys().next().filter(|_| !several).cloned();
        let bot_id = error.bot_id.clone().or(only);
        let binding = bot_id.as_ref().and_then(|bot_id| session.bindings.get_mut(bot_id));
        let (Some(seq), Some(binding), false) = (error.seq, binding, error.fatal) else {
            let error = FrameError { seq: None, ..error };
            return self.complain(cx, session_id, error, None);
        };
        if binding.open.contains(seq) {
            let error = FrameError { seq: None, ..error };
            return self.complain(cx, session_id, error, None);
        }
        binding.highest = binding.highest.max(Some(seq));
        let receipt = Receipt::rejected(RejectReason::Invalid);
        let (bot_id, valid_until) = (bot_id.filter(|_| several), Timestamp::MAX);
        let error = Some(Box::new(error));
        say(cx, session_id, SessionEffect::Receipt { bot_id, seq, receipt, error, valid_until });
    }

    /// Which bot a frame is for; says what is wrong when there is none.
    fn bot_of(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        named: Option<&BotId>,
    ) -> Option<BotId> {
        let session = self.sessions.get_mut(&session_id)?;
        if let Some((bot_id, _)) = session.binding(named) {
            return Some(bot_id);
        }
        self.no_binding(cx, session_id, named);
        None
    }

    /// Says why a frame is for no bot of the connection.
    fn no_binding(&mut self, cx: &mut Context<'_>, session_id: SessionId, named: Option<&BotId>) {
        let Some(session) = self.sessions.get(&session_id) else { return };
        let detail = match named {
            Some(_) => "the connection has not said hello for this bot",
            None if session.bindings.is_empty() => "say hello first",
            None => "the connection carries several bots: say which one is meant",
        };
        let field = Some("bot_id".to_owned());
        let mut error = FrameError::new(ErrorCode::HelloExpected, field, detail.to_owned());
        error.bot_id = named.cloned();
        self.complain(cx, session_id, error, None);
    }

    fn complain(
        &mut self,
        cx: &mut Context<'_>,
        session_id: SessionId,
        error: FrameError,
        expected: Option<ProviderName>,
    ) {
        let fatal = error.fatal;
        say(cx, session_id, SessionEffect::Error { error: Box::new(error), expected });
        if fatal {
            self.close(cx, session_id);
        }
    }

    fn close(&mut self, cx: &mut Context<'_>, session_id: SessionId) {
        say(cx, session_id, SessionEffect::Close);
        self.forget(cx, session_id);
    }

    fn forget(&mut self, cx: &mut Context<'_>, session_id: SessionId) {
        let Some(session) = self.sessions.remove(&session_id) else { return };
        self.due.remove(&(session.due_at, session_id));
        for (bot_id, binding) in session.bindings {
            let resume_after_seq = binding.resume_after_seq();
            cx.tell_bot(&bot_id, BotSignal::Detached { session_id, resume_after_seq });
        }
    }

    fn look_at(&mut self, cx: &mut Context<'_>, session_id: SessionId) {
        let settings = cx.settings.session;
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        if cx.now.since(session.last_heard) >= settings.silence_max {
            return self.close(cx, session_id);
        }
        if session.bindings.is_empty() && cx.now.since(session.opened_at) >= settings.hello_timeout
        {
            let detail = "no hello came in time";
            let mut error = FrameError::new(ErrorCode::HelloTimeout, None, detail.to_owned());
            error.fatal = true;
            return self.complain(cx, session_id, error, None);
        }
        if cx.now.since(session.last_ping) >= settings.ping_every {
            session.last_ping = cx.now;
            say(cx, session_id, SessionEffect::Ping);
        }
        for (bot_id, binding) in &mut session.bindings {
            if !binding.welcomed && cx.now.since(binding.since) >= settings.welcome_timeout {
                // The bot does not start. The provider may talk all the same; it is told to retry.
                binding.welcomed = true;
                welcome(cx, session_id, bot_id.clone(), None);
            }
        }
        self.schedule(cx, session_id);
    }

    fn schedule(&mut self, cx: &Context<'_>, session_id: SessionId) {
        let settings = cx.settings.session;
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        let mut due_at = session.last_ping + settings.ping_every;
        due_at = due_at.min(session.last_heard + settings.silence_max);
        if session.bindings.is_empty() {
            due_at = due_at.min(session.opened_at + settings.hello_timeout);
        }
        for binding in session.bindings.values().filter(|binding| !binding.welcomed) {
            due_at = due_at.min(binding.since + settings.welcome_timeout);
        }
        self.due.remove(&(session.due_at, session_id));
        session.due_at = due_at;
        self.due.insert((due_at, session_id));
    }

    /// Checks every invariant of the connections. Linear.
    ///
    /// # Errors
    /// The first broken one, in words.
    pub fn check_invariants(&self, window: usize) -> Result<(), String> {
        for (session_id, session) in &self.sessions {
            if !self.due.contains(&(session.due_at, *session_id)) {
                return Err(format!("session {session_id} is looked at"));
            }
            if session.bindings.values().any(|binding| binding.open.len() > window) {
                return Err(format!("session {session_id} stays within its window"));
            }
        }
        if self.due.len() != self.sessions.len() {
            return Err("only open sessions are looked at".to_owned());
        }
        Ok(())
    }
}

impl Session {
    /// The bot that a frame is for: the one it names, or the only one.
    fn binding(&mut self, named: Option<&BotId>) -> Option<(BotId, &mut Binding)> {
        match named {
            Some(bot_id) => Some((bot_id.clone(), self.bindings.get_mut(bot_id)?)),
            None if self.bindings.len() > 1 => None,
            None => self.bindings.iter_mut().next().map(|(bot_id, only)| (bot_id.clone(), only)),
        }
    }

    fn is_greeted(&self) -> bool {
        !self.bindings.is_empty() && self.bindings.values().all(|binding| binding.welcomed)
    }
}

impl Binding {
    fn new(now: Timestamp) -> Self {
        Self { since: now, welcomed: false, open: Ascending::default(), highest: None, kept: None }
    }

    /// Notes a receipt after which the provider still keeps its message.
    fn note(&mut self, seq: u64, receipt: &Receipt) {
        if !receipt.is_final_for_provider() {
            self.kept = Some(self.kept.map_or(seq, |kept| kept.min(seq)));
        }
    }

    /// All messages up to this number have their final receipt, and need not be sent again.
    fn resume_after_seq(&self) -> Option<u64> {
        let unsettled = self.open.first().map(|(seq, ())| *seq).into_iter().chain(self.kept).min();
        let resumed = match unsettled {
            Some(seq) => seq.checked_sub(1),
            None => self.highest,
        };
        // A number that was given here says nothing to the provider.
        resumed.filter(|seq| *seq < v0::FIRST_SEQ)
    }
}

fn welcome(
    cx: &mut Context<'_>,
    session_id: SessionId,
    bot_id: BotId,
    resume_after_seq: Option<u64>,
) {
    let window = cx.settings.session.window.get();
    say(cx, session_id, SessionEffect::Welcome { bot_id, window, resume_after_seq });
}

fn say(cx: &mut Context<'_>, session_id: SessionId, effect: SessionEffect) {
    cx.effect(Effect::Session(session_id, effect));
}
