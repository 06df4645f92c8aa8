//! What a provider says and hears over its connection.

use anteroom_core::effect::Effect;
use anteroom_core::id::{BotId, CorrespondentId, SendId, SessionId};
use anteroom_core::protocol::{
    ErrorCode, FRAME_BYTES_MAX, Hello, MessageFrame, ProviderFrame, Sent, parse_provider_frame,
};
use anteroom_core::receipt::{Origin, Receipt};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::time::Millis;

use super::provider::Action;
use super::{Happening, World};
use crate::checker::marks::Mark;
use crate::checker::rule::Rule;
use crate::checker::seen::{Seen, Told};
use crate::plan::{MessageName, Nonsense, PlannedMessage, Sabotage};

impl World {
    /// Sends a message under the next number.
    pub(super) fn offer(&mut self, provider: usize, message: &PlannedMessage) {
        let several = self.providers[provider].plan.bots.len() > 1;
        let (bot_id, name) = (self.bot_id(message.bot), message.name());
        let it = &mut self.providers[provider];
        let seq = it.next_seq;
        let Some(bound) = it.connection.as_mut().and_then(|it| it.bots.get_mut(&message.bot))
        else {
            return;
        };
        let is_full = bound.open.len() >= bound.window;
        if is_full && !self.weather.providers[provider].ignores_window {
            return;
        }
        bound.open.insert(seq, name.clone());
        it.next_seq += 1;
        if is_full {
            self.reach(Mark::WindowExceeded);
        }
        self.bring_file(message);
        let draft = message.draft(self.now);
        self.show(&Seen::Offered { bot_id: &bot_id, name: &name, draft: &draft });
        let bot_id = several.then_some(bot_id);
        let frame = ProviderFrame::Message(MessageFrame { seq, bot_id, draft: Box::new(draft) });
        self.say(provider, frame);
    }

    /// Sends a frame, through the wire's own text where the plan says so.
    fn say(&mut self, provider: usize, frame: ProviderFrame) {
        let frame = if self.providers[provider].plan.by_wire {
            match parse_provider_frame(&frame.to_wire()) {
                Ok(read) => read,
                Err(error) => {
                    let what = format!("a frame that was written cannot be read: {error}");
                    return self.checker.break_rule(Rule::S8, what);
                }
            }
        } else {
            frame
        };
        self.tell_node(provider, SessionEvent::Frame { frame, authorized: false });
    }

    /// Sends what is no frame, and remembers that an answer to it means nothing.
    pub(super) fn talk_nonsense(&mut self, provider: usize, kind: Nonsense) {
        let it = &mut self.providers[provider];
        let seq = it.next_seq;
        let Some(connection) = &mut it.connection else { return };
        connection.nonsense += 1;
        connection.nonsense_seqs.insert(seq);
        it.next_seq += 1;
        let event = match kind {
            Nonsense::WrongProvider => {
                let hello = Hello {
                    bot_id: self.bot_id(self.providers[provider].plan.bots[0]),
                    provider_name: "another".into(),
                    provider_instance: None,
                    token: None,
                };
                SessionEvent::Frame { frame: ProviderFrame::Hello(hello), authorized: true }
            }
            Nonsense::Garbage => unread("{\"type\": \"mess"),
            Nonsense::VersionZero => {
                unread(&format!(r#"{{"type":"message","payload_version":0,"seq":{seq}}}"#))
            }
            Nonsense::MissingField => {
                unread(&format!(r#"{{"type":"message","payload_version":1,"seq":{seq}}}"#))
            }
            Nonsense::Oversized => {
                let text = "x".repeat(FRAME_BYTES_MAX);
                unread(&format!(r#"{{"type":"message","seq":{seq},"message":"{text}"}}"#))
            }
            Nonsense::Stranger => SessionEvent::Frame {
                frame: ProviderFrame::Sent(Sent {
                    bot_id: Some("a stranger".into()),
                    send_id: "s".into(),
                    provider_message_id: "p".into(),
                }),
                authorized: false,
            },
        };
        self.tell_node(provider, event);
    }

    /// The moment at which a node's words leave it. Which provider is there to hear them.
    pub(super) fn written(
        &mut self,
        node: usize,
        session_id: SessionId,
        effect: &SessionEffect,
    ) -> Option<usize> {
        if let SessionEffect::Error { error, .. } = effect
            && error.code == ErrorCode::Replaced
        {
            self.reach(Mark::ConnectionReplaced);
        }
        let provider = self.providers.iter().position(|provider| {
            let connection = provider.connection.as_ref();
            connection.is_some_and(|it| it.session_id == session_id)
        })?;
        self.written_to(node, provider, session_id, effect);
        Some(provider)
    }

    fn written_to(
        &mut self,
        node: usize,
        provider: usize,
        session_id: SessionId,
        effect: &SessionEffect,
    ) {
        match effect {
            SessionEffect::Receipt { seq, receipt, error: None, .. } => {
                let Some(name) = self.open_message(provider, *seq) else { return };
                let (origin, bot_id) =
                    (Origin::Session { session_id, seq: *seq }, self.bot_id(name.bot));
                let told = Told::from(receipt);
                let seen = Seen::Receipted { node, bot_id: &bot_id, origin, name: &name, told };
                self.show(&seen);
                if self.is_sabotaged(Sabotage::ReceiptTwice) {
                    self.show(&seen);
                }
            }
            SessionEffect::Send { bot_id, .. } => {
                // Of several bots the provider can tell which is meant only when it hears it.
                let only = match self.providers[provider].plan.bots.as_slice() {
                    [only] => Some(self.bot_id(*only)),
                    _ => None,
                };
                if let Some(bot_id) = bot_id.as_ref().or(only.as_ref()) {
                    self.show(&Seen::Outward { node, bot_id, what: "a send" });
                }
            }
            SessionEffect::Receipt { error: Some(_), .. }
            | SessionEffect::Welcome { .. }
            | SessionEffect::Error { .. }
            | SessionEffect::Pong
            | SessionEffect::Ping
            | SessionEffect::Close => {}
        }
    }

    /// Which bot a frame of a node is for; none where that cannot be told.
    fn bot_meant(&mut self, provider: usize, bot_id: Option<&BotId>) -> Option<usize> {
        let it = &self.providers[provider];
        let welcomed = it.connection.iter().flat_map(|it| &it.bots);
        let mut welcomed = welcomed.filter(|(_, bound)| bound.welcomed).map(|(bot, _)| *bot);
        match (bot_id, it.plan.bots.as_slice(), (welcomed.next(), welcomed.next())) {
            (Some(bot_id), ..) => self.place_of_bot(bot_id),
            // Before the second bot is introduced, only the first can be meant.
            (None, [first], _) | (None, [first, ..], (None, _)) => Some(*first),
            (None, [first, ..], (Some(only), None)) if only == *first => Some(*first),
            (None, ..) => {
                let what = format!("provider {provider} is not told which bot is meant");
                self.checker.break_rule(Rule::S8, what);
                None
            }
        }
    }

    fn open_message(&self, provider: usize, seq: u64) -> Option<MessageName> {
        let connection = self.providers[provider].connection.as_ref()?;
        connection.bots.values().find_map(|bound| bound.open.get(&seq)).cloned()
    }

    pub(super) fn provider_hears(
        &mut self,
        provider: usize,
        session_id: SessionId,
        effect: SessionEffect,
    ) {
        let now = self.now;
        let connection = self.providers[provider].connection.as_mut();
        let Some(connection) = connection.filter(|it| it.session_id == session_id) else { return };
        connection.heard_at = now;
        match effect {
            SessionEffect::Welcome { bot_id, window, .. } => {
                let bot = self.place_of_bot(&bot_id);
                let it = self.providers[provider].connection.as_mut();
                if let Some(bound) = it.zip(bot).and_then(|(it, bot)| it.bots.get_mut(&bot)) {
                    (bound.welcomed, bound.window) = (true, window as usize);
                    self.provider_pumps(provider);
                }
            }
            SessionEffect::Receipt { seq, receipt, error: None, .. } => {
                self.hears_receipt(provider, seq, &receipt);
            }
            SessionEffect::Receipt { seq, error: Some(_), .. } => {
                let known = connection.nonsense_seqs.remove(&seq);
                self.nonsense_answered(provider, known, "a frame is refused");
            }
            SessionEffect::Send { bot_id, send, .. } => {
                match self.bot_meant(provider, bot_id.as_ref()) {
                    Some(bot) => self.sends(provider, bot, &send.correspondent_id, send.send_id),
                    None => self.connection_breaks(provider),
                }
            }
            SessionEffect::Ping => self.tell_node(provider, SessionEvent::Heard),
            SessionEffect::Pong => {}
            SessionEffect::Close => {
                self.providers[provider].connection = None;
                self.connect_later(provider, 5_000);
            }
            SessionEffect::Error { error, .. } => match error.code {
                ErrorCode::Replaced => {
                    let bot = error.bot_id.and_then(|bot_id| self.place_of_bot(&bot_id));
                    if let Some((it, bot)) = self.providers[provider].connection.as_mut().zip(bot) {
                        it.bots.remove(&bot);
                    }
                }
                ErrorCode::HelloTimeout => {}
                ErrorCode::BotLost => {
                    let bot = error.bot_id.and_then(|bot_id| self.place_of_bot(&bot_id));
                    self.bot_is_lost(provider, bot);
                }
                // What is said for a bot that has just been lost crosses the news.
                ErrorCode::HelloExpected if connection.parted => {}
                ErrorCode::ProviderMismatch => {
                    self.reach(Mark::HelloRefused);
                    self.nonsense_answered(provider, false, "a hello is refused");
                }
                _ => self.nonsense_answered(provider, false, &error.to_string()),
            },
        }
    }

    /// Something was refused: only nonsense may be.
    fn nonsense_answered(&mut self, provider: usize, known: bool, what: &str) {
        let Some(connection) = &mut self.providers[provider].connection else { return };
        if connection.nonsense == 0 && !known {
            let what = format!("provider {provider} said nothing wrong, and hears: {what}");
            return self.checker.break_rule(Rule::S8, what);
        }
        connection.nonsense = connection.nonsense.saturating_sub(1);
        self.reach(Mark::NonsenseRefused);
    }

    fn hears_receipt(&mut self, provider: usize, seq: u64, receipt: &Receipt) {
        let Some(connection) = &mut self.providers[provider].connection else { return };
        let name = connection.bots.values_mut().find_map(|bound| bound.open.remove(&seq));
        let Some(name) = name else {
            let what = format!("provider {provider} hears a receipt of {seq}, which is not open");
            return self.checker.break_rule(Rule::S8, what);
        };
        match receipt {
            Receipt::Accepted { .. } | Receipt::Duplicate { .. } => {
                let it = &mut self.providers[provider];
                it.kept.retain(|kept| kept.message.name() != name);
                it.fruitless_since = None;
            }
            Receipt::Rejected { retry_after, .. } | Receipt::Evicted { retry_after, .. } => {
                self.rejected(provider, &name, *retry_after);
            }
        }
        self.provider_pumps(provider);
    }

    /// A provider is to send a message: it does so once, and says so each time.
    fn sends(
        &mut self,
        provider: usize,
        bot: usize,
        correspondent_id: &CorrespondentId,
        send_id: SendId,
    ) {
        let first = self.providers[provider].sent.insert((bot, send_id.clone()));
        if first {
            self.echo_comes(provider, bot, correspondent_id, &send_id);
        }
        let wait = Millis::from_ms(1 + self.dice.provider.below(6_000));
        let action = Action::Confirm { bot, send_id };
        self.after(wait, Happening::Provider { provider, action });
    }

    pub(super) fn confirm_send(&mut self, provider: usize, bot: usize, send_id: SendId) {
        let several = self.providers[provider].plan.bots.len() > 1;
        let connection = self.providers[provider].connection.as_ref();
        if connection.is_none_or(|it| !it.bots.contains_key(&bot)) {
            return;
        }
        let bot_id = several.then(|| self.bot_id(bot));
        let provider_message_id = format!("out-{send_id}").into();
        let sent = Sent { bot_id, send_id, provider_message_id };
        self.say(provider, ProviderFrame::Sent(sent));
    }
}

/// Whether a provider is told that its message came before.
pub(super) fn is_duplicate(effect: &Effect) -> bool {
    let Effect::Session(_, SessionEffect::Receipt { receipt, .. }) = effect else { return false };
    matches!(receipt, Receipt::Duplicate { .. })
}

/// What a text that is no frame becomes at the wire.
fn unread(text: &str) -> SessionEvent {
    match parse_provider_frame(text) {
        Ok(frame) => SessionEvent::Frame { frame, authorized: false },
        Err(error) => SessionEvent::Malformed { error },
    }
}
