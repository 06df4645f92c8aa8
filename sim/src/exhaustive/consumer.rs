//! The consumer of all bots: one stream a bot and node; it acknowledges what it gets, when it is let.

use anteroom_core::bot::event::{BotEvent, Callback};
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, CallbackKey, RequestId, StreamId};

use super::world::World;

/// The consumer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consumer {
    /// The callbacks that it got and has not acknowledged.
    pub unacknowledged: Vec<Unacknowledged>,
    requests: u64,
    /// It hears nothing.
    pub mute: bool,
}

/// A callback at the consumer.
#[derive(Debug, Clone)]
pub(crate) struct Unacknowledged {
    pub node: usize,
    bot_id: BotId,
    key: CallbackKey,
}

impl World {
    /// The consumer opens its stream of a bot at a node.
    pub fn attach(&mut self, bot: usize, node: usize) {
        let stream_id = StreamId(bot as u64 + 1);
        let event = BotEvent::ConsumerAttached { stream_id };
        self.tell(node, Event::Bot(super::world::bot_id(bot), event));
    }

    pub fn called_back(&mut self, node: usize, bot_id: &BotId, callback: &Callback) {
        let node_id = super::node::node_id(node, self.nodes[node].incarnation);
        self.rules.called_back(self.now, node, node_id, bot_id, callback, &self.store);
        if self.consumer.mute {
            return;
        }
        let (bot_id, key) = (bot_id.clone(), callback.key());
        self.consumer.unacknowledged.push(Unacknowledged { node, bot_id, key });
    }

    pub fn acknowledge(&mut self, index: usize) {
        let Unacknowledged { node, bot_id, key, .. } = self.consumer.unacknowledged.remove(index);
        self.consumer.requests += 1;
        let request_id = RequestId(self.consumer.requests);
        self.rules.acknowledging(request_id, &bot_id, &key);
        let event = BotEvent::Acknowledge { request_id, keys: vec![key] };
        self.tell(node, Event::Bot(bot_id, event));
    }
}
