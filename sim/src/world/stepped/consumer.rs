//! A bot's consumer: a line to every node that is up, and an answer to each callback.
//!
//! One kind acknowledges by requests of its own, the other answers the call. Both remember nothing:
//! whatever comes again is acknowledged again. What came together is answered together; of it, the
//! first kind may acknowledge a part.

use anteroom_core::bot::event::{AckAnswer, BotEvent, Callback, ConsumerAnswer};
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, CallbackKey, RequestId, StreamId};
use anteroom_core::time::Millis;
use std::collections::BTreeMap;

use super::{Happening, World};
use crate::checker::marks::Mark;
use crate::checker::seen::Seen;
use crate::plan::{ConsumerPlan, Sabotage};

pub(super) struct Consumer {
    bot: usize,
    /// A line a node.
    streams: BTreeMap<usize, StreamId>,
    /// Acknowledgements without an answer.
    asked: BTreeMap<RequestId, Vec<CallbackKey>>,
    /// The highest attempt that arrived of each callback.
    got: BTreeMap<CallbackKey, u32>,
}

/// What a consumer does next.
#[derive(Debug)]
pub(super) enum Action {
    Connect,
    Get {
        node: usize,
        incarnation: u32,
        stream_id: StreamId,
        callbacks: Vec<Callback>,
    },
    Answer {
        node: usize,
        incarnation: u32,
        callbacks: Vec<Callback>,
    },
    /// It takes what it has refused.
    ThinkBetter {
        node: usize,
        incarnation: u32,
        keys: Vec<CallbackKey>,
    },
}

impl Consumer {
    pub fn new(bot: usize) -> Self {
        let (streams, asked, got) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { bot, streams, asked, got }
    }
}

impl World {
    pub(super) fn consumer_acts(&mut self, consumer: usize, action: Action) {
        match action {
            Action::Connect => self.consumer_connects(consumer),
            Action::Get { node, incarnation, stream_id, callbacks } => {
                self.consumer_gets(consumer, node, incarnation, stream_id, callbacks);
            }
            Action::Answer { node, incarnation, callbacks } => {
                self.consumer_answers(consumer, node, incarnation, &callbacks);
            }
            Action::ThinkBetter { node, incarnation, keys } => {
                if self.nodes[node].incarnation == incarnation {
                    let event = self.acknowledge(consumer, &keys);
                    self.consumer_says(consumer, node, &keys, true, event);
                }
            }
        }
    }

    /// A node is up: consumers find it after a while.
    pub(super) fn consumers_look_again(&mut self) {
        for consumer in 0..self.consumers.len() {
            let wait = Millis::from_ms(self.dice.consumer.below(2_000));
            self.after(wait, Happening::Consumer { consumer, action: Action::Connect });
        }
    }

    fn consumer_connects(&mut self, consumer: usize) {
        let bot = self.consumers[consumer].bot;
        if self.weather.bots[bot].down {
            return;
        }
        for node in 0..self.nodes.len() {
            let known = self.consumers[consumer].streams.contains_key(&node);
            if !self.nodes[node].is_up() || !self.nodes[node].runs_bots || known {
                continue;
            }
            let stream_id = StreamId(self.number());
            self.consumers[consumer].streams.insert(node, stream_id);
            self.tell_bot(node, bot, BotEvent::ConsumerAttached { stream_id });
        }
    }

    /// Tells a node of a bot's line.
    fn tell_bot(&mut self, node: usize, bot: usize, event: BotEvent) {
        let bot_id = self.bot_id(bot);
        match event {
            BotEvent::ConsumerAttached { .. } | BotEvent::ConsumerDetached { .. } => {
                self.show(&Seen::LineChanged { node, bot_id: &bot_id });
            }
            _ => {}
        }
        let incarnation = self.nodes[node].incarnation;
        self.deliver(node, incarnation, Event::Bot(bot_id, event));
    }

    /// A fault takes a consumer away.
    pub(super) fn consumer_goes(&mut self, bot: usize) {
        for (node, stream_id) in std::mem::take(&mut self.consumers[bot].streams) {
            self.tell_bot(node, bot, BotEvent::ConsumerDetached { stream_id });
        }
    }

    /// A fault's end brings a consumer back; one that said it was gone comes on lines of its own.
    pub(super) fn consumer_comes(&mut self, bot: usize, anew: bool) {
        if anew {
            self.consumers[bot].streams.clear();
        }
        self.consumer_connects(bot);
    }

    pub(super) fn streams_lost(&mut self, node: usize) {
        for consumer in &mut self.consumers {
            consumer.streams.remove(&node);
        }
    }

    pub(super) fn stream_replaced(&mut self, node: usize, stream_id: StreamId) {
        for consumer in &mut self.consumers {
            if consumer.streams.get(&node) == Some(&stream_id) {
                consumer.streams.remove(&node);
            }
        }
    }

    /// A node sends a callback, or several together.
    pub(super) fn call_back(
        &mut self,
        node: usize,
        bot_id: &BotId,
        stream_id: StreamId,
        callbacks: Vec<Callback>,
    ) {
        let node_now = self.node_now(node);
        for callback in &callbacks {
            self.show(&Seen::CallbackSent { node, node_now, bot_id, callback });
            if self.is_sabotaged(Sabotage::CallTwice) {
                self.show(&Seen::CallbackSent { node, node_now, bot_id, callback });
            }
        }
        let Some(consumer) = self.place_of_bot(bot_id) else { return };
        let lost = self.weather.bots[consumer].callbacks_lost;
        if self.dice.consumer.strikes(lost) {
            return;
        }
        let most = self.weather.bots[consumer].slow.as_ms().max(50);
        let wait = Millis::from_ms(1 + self.dice.consumer.below(most));
        let incarnation = self.nodes[node].incarnation;
        let action = Action::Get { node, incarnation, stream_id, callbacks };
        self.after(wait, Happening::Consumer { consumer, action });
    }

    fn consumer_gets(
        &mut self,
        consumer: usize,
        node: usize,
        incarnation: u32,
        stream_id: StreamId,
        callbacks: Vec<Callback>,
    ) {
        let it = &self.consumers[consumer];
        // What was on a line that has ended may arrive, or not.
        if it.streams.get(&node) != Some(&stream_id) && self.dice.consumer.coin() {
            return;
        }
        let bot_id = self.bot_id(consumer);
        for callback in &callbacks {
            let highest = self.consumers[consumer].got.entry(callback.key()).or_insert(0);
            let late = callback.attempt.0 < *highest;
            *highest = callback.attempt.0.max(*highest);
            if late {
                self.reach(Mark::LateAttemptArrived);
            }
            self.show(&Seen::CallbackGot { bot_id: &bot_id, callback });
        }
        let most = self.weather.bots[consumer].slow.as_ms().max(400);
        let wait = Millis::from_ms(1 + self.dice.consumer.below(most));
        let action = Action::Answer { node, incarnation, callbacks };
        self.after(wait, Happening::Consumer { consumer, action });
    }

    fn consumer_answers(
        &mut self,
        consumer: usize,
        node: usize,
        incarnation: u32,
        callbacks: &[Callback],
    ) {
        let lost = self.weather.bots[consumer].answers_lost;
        if self.dice.consumer.strikes(lost)
            || self.nodes[node].incarnation != incarnation
            || self.is_sabotaged(Sabotage::LoseAnswers)
        {
            return;
        }
        let bot_id = self.bot_id(consumer);
        let mut keys: Vec<_> = callbacks.iter().map(Callback::key).collect();
        let (event, acknowledged) = match self.plan.bots[consumer].consumer {
            ConsumerPlan::Acknowledges => {
                if keys.len() > 1 && self.dice.consumer.coin() {
                    self.reach(Mark::PartAcknowledged);
                    let least = 1 + self.dice.consumer.index(keys.len() - 1);
                    keys.truncate(least);
                }
                (self.acknowledge(consumer, &keys), true)
            }
            ConsumerPlan::Answers { replies_per_mille } => {
                let answer = self.answer_of(consumer, replies_per_mille);
                if answer == ConsumerAnswer::Gone {
                    self.show(&Seen::LineChanged { node, bot_id: &bot_id });
                }
                if answer == ConsumerAnswer::Refused && self.dice.consumer.below(8) == 0 {
                    let wait = Millis::from_ms(1 + self.dice.consumer.below(20_000));
                    let action = Action::ThinkBetter { node, incarnation, keys: keys.clone() };
                    self.after(wait, Happening::Consumer { consumer, action });
                }
                let acknowledged = matches!(answer, ConsumerAnswer::Acknowledged { .. });
                (answered(callbacks, answer), acknowledged)
            }
        };
        self.consumer_says(consumer, node, &keys, acknowledged, event);
    }

    /// The request by which a consumer acknowledges.
    fn acknowledge(&mut self, consumer: usize, keys: &[CallbackKey]) -> BotEvent {
        let request_id = RequestId(self.number());
        self.consumers[consumer].asked.insert(request_id, keys.to_vec());
        BotEvent::Acknowledge { request_id, keys: keys.to_vec() }
    }

    fn consumer_says(
        &mut self,
        consumer: usize,
        node: usize,
        keys: &[CallbackKey],
        acknowledged: bool,
        event: BotEvent,
    ) {
        let bot_id = self.bot_id(consumer);
        for key in keys {
            self.show(&Seen::ConsumerSaid { node, bot_id: &bot_id, key, acknowledged });
        }
        self.deliver(node, self.nodes[node].incarnation, Event::Bot(bot_id, event));
    }

    fn answer_of(&mut self, consumer: usize, replies_per_mille: u64) -> ConsumerAnswer {
        let weather = &self.weather.bots[consumer];
        let (gone, refuses, unavailable) = (weather.gone, weather.refuses, weather.unavailable);
        let dice = &mut self.dice.consumer;
        if gone {
            return ConsumerAnswer::Gone;
        }
        if dice.strikes(unavailable) {
            let retry_after = dice.coin().then_some(Millis::from_secs(2));
            return ConsumerAnswer::Unavailable { retry_after };
        }
        if dice.strikes(refuses) {
            return ConsumerAnswer::Refused;
        }
        let reply = dice.strikes(replies_per_mille).then(|| "thank you".to_owned());
        ConsumerAnswer::Acknowledged { reply }
    }

    pub(super) fn ack_answered(
        &mut self,
        node: usize,
        bot_id: &BotId,
        request_id: RequestId,
        answer: Option<&AckAnswer>,
    ) {
        let Some(consumer) = self.place_of_bot(bot_id) else { return };
        let Some(keys) = self.consumers[consumer].asked.remove(&request_id) else { return };
        let Some(answer) = answer else { return };
        for key in keys.iter().filter(|key| !answer.unknown.contains(key)) {
            self.show(&Seen::AckConfirmed { node, bot_id, key });
        }
    }
}

/// The answer to a call, as its node hears it.
fn answered(callbacks: &[Callback], answer: ConsumerAnswer) -> BotEvent {
    if let [callback] = callbacks {
        let (key, attempt) = (callback.key(), callback.attempt);
        return BotEvent::Answered { key, attempt, answer };
    }
    let callbacks = callbacks.iter().map(|callback| (callback.key(), callback.attempt)).collect();
    BotEvent::AnsweredTogether { callbacks, answer }
}
