//! The lines between providers and nodes: in order both ways, lost as a whole once they are cut, and
//! broken when one side has heard nothing for too long.

use anteroom_core::bot::event::BotEvent;
use anteroom_core::draft::Draft;
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, RequestId, SessionId};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::store::Send;
use anteroom_core::time::{Millis, Timestamp};

use super::World;
use super::node::Inside;
use super::provider::Connection;
use crate::checker::marks::Mark;

/// How far the frames of a connection are.
pub(super) struct Way {
    /// To which process of its node they go.
    incarnation: u32,
    /// Nothing comes through any more.
    broken: bool,
    /// When the last frame arrives at the node, and at the provider.
    there_at: Timestamp,
    back_at: Timestamp,
}

impl Way {
    pub fn new(now: Timestamp, incarnation: u32) -> Self {
        Self { incarnation, broken: false, there_at: now, back_at: now }
    }
}

impl World {
    /// Sends something over a provider's connection, behind what was sent before.
    pub(super) fn tell_node(&mut self, provider: usize, event: SessionEvent) {
        let weather = &self.weather.providers[provider];
        let (cut, most) = (weather.cut, weather.slow.as_ms().max(10));
        let wait = Millis::from_ms(1 + self.dice.provider.below(most));
        let arrives = self.now + wait;
        let Some(connection) = &mut self.providers[provider].connection else { return };
        connection.way.broken |= cut;
        if connection.way.broken {
            return;
        }
        connection.way.there_at = connection.way.there_at.max(arrives);
        let (node, incarnation) = (connection.node, connection.way.incarnation);
        let (at, event) = (connection.way.there_at, Event::Session(connection.session_id, event));
        self.inside_at(at, Inside::Deliver { node, incarnation, event });
    }

    /// A connection ends at the provider's side; the node learns of it late, or never.
    pub(super) fn connection_breaks(&mut self, provider: usize) {
        let Some(connection) = self.providers[provider].connection.take() else { return };
        let Connection { node, session_id, .. } = connection;
        let incarnation = connection.way.incarnation;
        let healthy = !connection.way.broken && !self.weather.providers[provider].cut;
        if healthy {
            let wait = Millis::from_ms(1 + self.dice.provider.below(10_000));
            let event = Event::Session(session_id, SessionEvent::Closed);
            let at = connection.way.there_at.max(self.now + wait);
            self.inside_at(at, Inside::Deliver { node, incarnation, event });
        }
        self.connect_later(provider, 5_000);
    }

    /// A node has died: its connections are gone.
    pub(super) fn connections_lost(&mut self, node: usize) {
        for provider in 0..self.providers.len() {
            let connection = &mut self.providers[provider].connection;
            if connection.as_ref().is_some_and(|connection| connection.node == node) {
                *connection = None;
                self.connect_later(provider, 5_000);
            }
        }
    }

    /// A node's writer refuses what is late: the connection is gone for both sides.
    pub(super) fn writer_ends(&mut self, node: usize, session_id: SessionId) {
        let provider = self.providers.iter().position(|provider| {
            provider.connection.as_ref().is_some_and(|it| it.session_id == session_id)
        });
        let Some(provider) = provider else { return };
        self.providers[provider].connection = None;
        self.connect_later(provider, 5_000);
        let (incarnation, event) =
            (self.nodes[node].incarnation, Event::Session(session_id, SessionEvent::Closed));
        self.inside_at(self.now + Millis::from_ms(1), Inside::Deliver { node, incarnation, event });
    }

    /// A node says something over a connection.
    pub(super) fn session_effect(
        &mut self,
        node: usize,
        session_id: SessionId,
        effect: SessionEffect,
    ) {
        let now = self.node_now(node);
        let valid_until = match &effect {
            SessionEffect::Receipt { valid_until, .. }
            | SessionEffect::Send { valid_until, .. } => Some(*valid_until),
            SessionEffect::Welcome { .. }
            | SessionEffect::Error { .. }
            | SessionEffect::Pong
            | SessionEffect::Ping
            | SessionEffect::Close => None,
        };
        if valid_until.is_some_and(|until| until <= now) {
            self.reach(Mark::LateEffectDropped);
            return self.writer_ends(node, session_id);
        }
        let Some(provider) = self.written(node, session_id, &effect) else { return };
        let weather = &self.weather.providers[provider];
        let (cut, most) = (weather.cut, weather.slow.as_ms().max(10));
        let arrives = self.now + Millis::from_ms(1 + self.dice.provider.below(most));
        let Some(connection) = &mut self.providers[provider].connection else { return };
        connection.way.broken |= cut;
        if connection.way.broken {
            return;
        }
        connection.way.back_at = connection.way.back_at.max(arrives);
        let at = connection.way.back_at;
        self.inside_at(at, Inside::Heard { provider, session_id, effect });
    }

    /// Hands a message in by a request.
    pub(super) fn hand_in(
        &mut self,
        node: usize,
        bot_id: BotId,
        request_id: RequestId,
        draft: Box<Draft>,
    ) {
        let incarnation = self.nodes[node].incarnation;
        let event = Event::Bot(bot_id, BotEvent::Post { request_id, draft });
        let wait = Millis::from_ms(1 + self.dice.provider.below(10));
        self.inside_at(self.now + wait, Inside::Deliver { node, incarnation, event });
    }

    /// Asks a node for a message to be sent.
    pub(super) fn ask_node_to_send(&mut self, node: usize, bot_id: BotId, send: Send) {
        let request_id = RequestId(self.number());
        let event = Event::Bot(bot_id, BotEvent::Enqueue { request_id, send });
        self.tell_bot_event(node, event);
    }
}
