//! A consumer: one stream a bot, to wherever the bot runs; acknowledges what it gets.

use anteroom_core::bot::event::{AckAnswer, BotEvent, Callback};
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, CallbackKey, RequestId, StreamId};
use anteroom_core::time::Millis;

use super::{Happening, World};

#[derive(Debug)]
pub(super) struct Consumer {
    bot: usize,
    /// One stream a node; none while it is down.
    streams: Vec<(usize, StreamId)>,
    up: bool,
}

/// What a consumer does next.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Connect,
    Disconnect,
    Acknowledge { node: usize, stream_id: StreamId, key: CallbackKey },
}

impl Consumer {
    pub fn new(bot: usize) -> Self {
        Self { bot, streams: Vec::new(), up: false }
    }

    fn bot_id(&self) -> BotId {
        format!("bot-{}", self.bot).into()
    }
}

impl World {
    pub(super) fn streams_lost(&mut self, node: usize) {
        for consumer in 0..self.consumers.len() {
            self.consumers[consumer].streams.retain(|(at, _)| *at != node);
        }
    }

    pub(super) fn consumer_acts(&mut self, consumer: usize, action: Action) {
        match action {
            Action::Connect => self.consumer_connects(consumer),
            Action::Disconnect => self.consumer_disconnects(consumer),
            Action::Acknowledge { node, stream_id, key } => {
                self.acknowledge(consumer, node, stream_id, key);
            }
        }
    }

    fn consumer_connects(&mut self, consumer: usize) {
        self.consumers[consumer].up = true;
        let bot_id = self.consumers[consumer].bot_id();
        for node in 0..self.nodes.len() {
            let connected = self.consumers[consumer].streams.iter().any(|(at, _)| *at == node);
            if self.nodes[node].machine.is_none() || connected {
                continue;
            }
            self.order += 1;
            let stream_id = StreamId(self.order);
            self.consumers[consumer].streams.push((node, stream_id));
            let incarnation = self.nodes[node].incarnation;
            let event = Event::Bot(bot_id.clone(), BotEvent::ConsumerAttached { stream_id });
            self.at(self.now, Happening::Deliver { node, incarnation, event });
        }
        // It looks again, for nodes that come back.
        self.soon(8_000, Happening::Consumer { consumer, action: Action::Connect });
    }

    fn consumer_disconnects(&mut self, consumer: usize) {
        if self.healed {
            return;
        }
        let bot_id = self.consumers[consumer].bot_id();
        for (node, stream_id) in std::mem::take(&mut self.consumers[consumer].streams) {
            let incarnation = self.nodes[node].incarnation;
            let event = Event::Bot(bot_id.clone(), BotEvent::ConsumerDetached { stream_id });
            self.soon(3_000, Happening::Deliver { node, incarnation, event });
        }
    }

    pub(super) fn called_back(
        &mut self,
        node: usize,
        bot_id: &BotId,
        stream_id: StreamId,
        callback: &Callback,
    ) {
        self.checker.called_back(bot_id, callback);
        let Some(consumer) = self.consumers.iter().position(|it| it.bot_id() == *bot_id) else {
            return;
        };
        if self.strikes(self.plan.faults.callback_lost) {
            return;
        }
        let key = callback.key();
        let action = Action::Acknowledge { node, stream_id, key };
        self.soon(2_000, Happening::Consumer { consumer, action });
    }

    fn acknowledge(&mut self, consumer: usize, node: usize, stream_id: StreamId, key: CallbackKey) {
        let known = self.consumers[consumer].streams.contains(&(node, stream_id));
        if !known && self.below(2) == 0 {
            return;
        }
        let bot_id = self.consumers[consumer].bot_id();
        self.order += 1;
        let request_id = RequestId(self.order);
        self.checker.acknowledging(request_id, &bot_id, &key);
        let incarnation = self.nodes[node].incarnation;
        let event = Event::Bot(bot_id, BotEvent::Acknowledge { request_id, keys: vec![key] });
        let at = self.now + Millis::from_ms(1);
        self.at(at, Happening::Deliver { node, incarnation, event });
    }

    pub(super) fn ack_answered(
        &mut self,
        bot_id: &BotId,
        request_id: RequestId,
        answer: Option<&AckAnswer>,
    ) {
        self.checker.ack_answered(bot_id, request_id, answer);
    }
}
