//! A provider: keeps each message until it has a final receipt, and sends what it keeps again after
//! a reconnect, in order.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use anteroom_core::draft::{Direction, Draft, DraftMedia};
use anteroom_core::event::Event;
use anteroom_core::id::{MediaId, SessionId};
use anteroom_core::message::{MediaKind, Participant};
use anteroom_core::protocol::{Hello, MessageFrame, ProviderFrame};
use anteroom_core::receipt::Receipt;
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::time::{Millis, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::{Happening, Plan, World};

#[derive(Debug)]
pub(super) struct Provider {
    bot: usize,
    /// Messages that have not come from the network, by the time they come.
    to_come: VecDeque<(Timestamp, Draft)>,
    /// Messages without a final receipt, in order.
    kept: VecDeque<Draft>,
    connection: Option<Connection>,
    next_seq: u64,
    /// Connections so far: every few, another node is tried.
    connections: usize,
    fruitless: u32,
}

#[derive(Debug)]
struct Connection {
    node: usize,
    session_id: SessionId,
    welcomed: bool,
    window: usize,
    /// Sent and without a receipt: number → provider message id.
    open: BTreeMap<u64, Draft>,
}

/// What a provider does next.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Connect,
    Disconnect,
    Pump { session_id: SessionId },
    Hear { session_id: SessionId, effect: SessionEffect },
}

impl Provider {
    pub fn plan(plan: &Plan, bot: usize, random: &mut ChaCha8Rng) -> Self {
        let mut draw = |limit: u64| random.next_u64() % limit.max(1);
        let mut to_come: Vec<_> = (0..plan.messages)
            .map(|number| {
                let at = Timestamp::from_ms(1_000_000 + draw(plan.duration.as_ms()));
                let correspondent = format!("c{}", draw(plan.correspondents));
                let media = (draw(1_000) < plan.media_per_mille).then(|| {
                    let id = (u128::from(draw(u64::MAX)) << 64) | u128::from(draw(u64::MAX));
                    DraftMedia {
                        media_id: uuid::Uuid::from_u128(id).into(),
                        kind: MediaKind::Audio,
                        mime_type: "audio/ogg; codecs=opus".to_owned(),
                        original_filename: None,
                        size_bytes: None,
                        sha256: None,
                        quota_exceeded: false,
                        detail: None,
                    }
                });
                let draft = Draft {
                    correspondent_id: correspondent.as_str().into(),
                    provider_message_id: format!("b{bot}-m{number}").into(),
                    content: "ä".repeat(1 + draw(60) as usize),
                    sender: Participant { identifier: correspondent, ..Participant::default() },
                    direction: Direction::Incoming,
                    send_id: None,
                    originating_time: at,
                    group: None,
                    replayed: false,
                    media,
                };
                (at, draft)
            })
            .collect();
        to_come.sort_by_key(|(at, _)| *at);
        let (to_come, kept) = (to_come.into(), VecDeque::new());
        Self { bot, to_come, kept, connection: None, next_seq: 1, connections: 0, fruitless: 0 }
    }

    pub fn is_done(&self) -> bool {
        self.to_come.is_empty() && self.kept.is_empty()
    }

    /// A message without a final receipt, if there is one.
    pub fn kept(&self) -> Option<String> {
        let came = self.kept.front().map(|draft| draft.provider_message_id.to_string());
        came.or(self.to_come.front().map(|(_, draft)| draft.provider_message_id.to_string()))
    }
}

impl World {
    /// A node has died: its connections are gone.
    pub(super) fn connections_lost(&mut self, node: usize) {
        for provider in 0..self.providers.len() {
            let connection = &mut self.providers[provider].connection;
            if connection.as_ref().is_some_and(|connection| connection.node == node) {
                *connection = None;
                let action = Action::Connect;
                self.soon(5_000, Happening::Provider { provider, action });
            }
        }
        self.streams_lost(node);
    }

    pub(super) fn provider_acts(&mut self, provider: usize, action: Action) {
        match action {
            Action::Connect => self.provider_connects(provider),
            Action::Disconnect => self.provider_disconnects(provider),
            Action::Pump { session_id } => self.provider_pumps(provider, session_id),
            Action::Hear { session_id, effect } => {
                self.provider_hears(provider, session_id, effect)
            }
        }
    }

    fn provider_connects(&mut self, provider: usize) {
        if self.providers[provider].connection.is_some() {
            return;
        }
        let connections = self.providers[provider].connections;
        let node = (connections / 2) % self.nodes.len();
        self.providers[provider].connections += 1;
        self.providers[provider].fruitless = 0;
        if self.nodes[node].machine.is_none() {
            return self.soon(3_000, Happening::Provider { provider, action: Action::Connect });
        }
        let mut id = [0; 16];
        self.random.fill_bytes(&mut id);
        let session_id = SessionId::from(uuid::Uuid::from_bytes(id));
        let (welcomed, window, open) = (false, 1, BTreeMap::new());
        self.providers[provider].connection =
            Some(Connection { node, session_id, welcomed, window, open });
        let hello = Hello {
            bot_id: format!("bot-{}", self.providers[provider].bot).into(),
            provider_name: "sim".into(),
            provider_instance: Some("only".into()),
            token: None,
        };
        let frame = ProviderFrame::Hello(hello);
        self.tell_node(node, session_id, SessionEvent::Opened);
        self.tell_node(node, session_id, SessionEvent::Frame { frame, authorized: true });
        let action = Action::Pump { session_id };
        self.soon(1_000, Happening::Provider { provider, action });
    }

    fn tell_node(&mut self, node: usize, session_id: SessionId, event: SessionEvent) {
        let incarnation = self.nodes[node].incarnation;
        let event = Event::Session(session_id, event);
        self.at(self.now, Happening::Deliver { node, incarnation, event });
    }

    fn provider_disconnects(&mut self, provider: usize) {
        if self.healed {
            return;
        }
        if let Some(connection) = self.providers[provider].connection.take() {
            let Connection { node, session_id, .. } = connection;
            // The other side may learn of it late, or from the next connection.
            let incarnation = self.nodes[node].incarnation;
            let event = Event::Session(session_id, SessionEvent::Closed);
            self.soon(10_000, Happening::Deliver { node, incarnation, event });
            self.soon(5_000, Happening::Provider { provider, action: Action::Connect });
        }
    }

    /// Sends what is kept, in order, as far as the window goes.
    fn provider_pumps(&mut self, provider: usize, session_id: SessionId) {
        let now = self.now;
        let this = &mut self.providers[provider];
        while this.to_come.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, draft)) = this.to_come.pop_front() {
                this.kept.push_back(draft);
            }
        }
        let Some(connection) = &mut this.connection else { return };
        if connection.session_id != session_id {
            return;
        }
        let mut frames = Vec::new();
        if connection.welcomed {
            for draft in &this.kept {
                let under_way = connection
                    .open
                    .values()
                    .any(|other| other.provider_message_id == draft.provider_message_id);
                if connection.open.len() < connection.window && !under_way {
                    let seq = this.next_seq;
                    this.next_seq += 1;
                    connection.open.insert(seq, draft.clone());
                    frames.push(MessageFrame { seq, bot_id: None, draft: Box::new(draft.clone()) });
                }
            }
        }
        let node = connection.node;
        for frame in frames {
            if let Some(media) = &frame.draft.media {
                self.stage(media.media_id);
            }
            if self.strikes(self.plan.faults.resends) {
                self.resend_under_another_number(provider, &frame.draft);
            }
            let frame = ProviderFrame::Message(frame);
            self.tell_node(node, session_id, SessionEvent::Frame { frame, authorized: false });
        }
        self.tell_node(node, session_id, SessionEvent::Heard);
        let action = Action::Pump { session_id };
        self.soon(4_000, Happening::Provider { provider, action });
    }

    fn stage(&mut self, media_id: MediaId) {
        if !self.checker.is_settled_media(media_id) {
            self.staged.insert(media_id);
        }
    }

    fn resend_under_another_number(&mut self, provider: usize, draft: &Draft) {
        let this = &mut self.providers[provider];
        let Some(connection) = &mut this.connection else { return };
        if connection.open.len() >= connection.window {
            return;
        }
        let seq = this.next_seq;
        this.next_seq += 1;
        connection.open.insert(seq, draft.clone());
        let (node, session_id) = (connection.node, connection.session_id);
        let frame = MessageFrame { seq, bot_id: None, draft: Box::new(draft.clone()) };
        let frame = ProviderFrame::Message(frame);
        self.tell_node(node, session_id, SessionEvent::Frame { frame, authorized: false });
    }

    pub(super) fn session_effect(
        &mut self,
        node: usize,
        session_id: SessionId,
        effect: SessionEffect,
    ) {
        if let SessionEffect::Receipt { valid_until, .. } = &effect
            && *valid_until <= self.now
        {
            return;
        }
        let provider = self.providers.iter().position(|provider| {
            provider.connection.as_ref().is_some_and(|connection| {
                connection.node == node && connection.session_id == session_id
            })
        });
        if let Some(provider) = provider {
            let action = Action::Hear { session_id, effect };
            // A connection keeps its order.
            let at = self.now + Millis::from_ms(1);
            self.at(at, Happening::Provider { provider, action });
        }
    }

    fn provider_hears(&mut self, provider: usize, session_id: SessionId, effect: SessionEffect) {
        let bot = self.providers[provider].bot;
        let Some(connection) = &mut self.providers[provider].connection else { return };
        if connection.session_id != session_id {
            return;
        }
        match effect {
            SessionEffect::Welcome { window, .. } => {
                connection.welcomed = true;
                connection.window = window as usize;
                self.provider_pumps(provider, session_id);
            }
            SessionEffect::Receipt { seq, receipt, .. } => {
                let Some(draft) = connection.open.remove(&seq) else {
                    return self.checker.break_rule(format!("S8: second receipt of {seq}"));
                };
                self.checker.receipt(bot, &draft, &receipt);
                let this = &mut self.providers[provider];
                match receipt {
                    Receipt::Accepted { .. } | Receipt::Duplicate { .. } => {
                        let id = draft.provider_message_id;
                        this.kept.retain(|kept| kept.provider_message_id != id);
                        this.fruitless = 0;
                    }
                    Receipt::Rejected { .. } | Receipt::Evicted { .. } => this.fruitless += 1,
                }
                if self.providers[provider].fruitless > 20 {
                    self.provider_gives_up(provider);
                }
            }
            SessionEffect::Close => {
                self.providers[provider].connection = None;
                self.soon(5_000, Happening::Provider { provider, action: Action::Connect });
            }
            SessionEffect::Error { error, .. } => {
                if !error.fatal {
                    self.checker.break_rule(format!("unexpected error frame: {error}"));
                }
            }
            SessionEffect::Send { .. } | SessionEffect::Pong | SessionEffect::Ping => {}
        }
    }

    /// The bot does not run at this node: another one may have it.
    fn provider_gives_up(&mut self, provider: usize) {
        if let Some(Connection { node, session_id, .. }) =
            self.providers[provider].connection.take()
        {
            self.providers[provider].connections += 1;
            self.tell_node(node, session_id, SessionEvent::Closed);
            self.soon(2_000, Happening::Provider { provider, action: Action::Connect });
        }
    }
}
