//! A bot's consumer: a stream from every node that is up, and an acknowledgement of each callback by a
//! request of its own.
//!
//! It remembers nothing: whatever comes again is acknowledged again. The driver calls no consumers yet,
//! so one that would answer the call acknowledges as well; where the plan has it refuse, it says nothing.

use std::collections::BTreeMap;

use anteroom_core::bot::event::{AckAnswer, Callback};
use anteroom_core::id::{BotId, CallbackKey};
use anteroom_core::store::Send;
use anteroom_core::time::Millis;
use tokio_util::sync::CancellationToken;

use super::lines::Order;
use super::{Happening, World};
use crate::checker::marks::Mark;
use crate::checker::seen::Seen;
use crate::plan::{ConsumerPlan, Sabotage};

pub(super) struct Consumer {
    bot: usize,
    /// A stream a node: its number, and what ends it.
    streams: BTreeMap<usize, (u64, CancellationToken)>,
    /// The highest attempt that arrived of each callback.
    got: BTreeMap<CallbackKey, u32>,
}

/// What a consumer does next.
#[derive(Debug)]
pub(super) enum Action {
    Connect,
}

impl Consumer {
    pub fn new(bot: usize) -> Self {
        Self { bot, streams: BTreeMap::new(), got: BTreeMap::new() }
    }
}

impl World {
    pub(super) fn consumer_acts(&mut self, consumer: usize, action: Action) {
        match action {
            Action::Connect => self.consumer_connects(consumer),
        }
    }

    /// A node is up: consumers find it after a while.
    pub(super) fn consumers_look_again(&mut self) {
        for consumer in 0..self.consumers.len() {
            self.consumer_looks_again(consumer);
        }
    }

    fn consumer_looks_again(&mut self, consumer: usize) {
        let wait = Millis::from_ms(self.dice.consumer.below(2_000));
        self.after(wait, Happening::Consumer { consumer, action: Action::Connect });
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
            let (number, end) = (self.number(), CancellationToken::new());
            self.consumers[consumer].streams.insert(node, (number, end.clone()));
            self.lines.order(Order::Stream { bot, node, number, end });
        }
    }

    /// A fault takes a consumer away.
    pub(super) fn consumer_goes(&mut self, bot: usize) {
        for (_, end) in std::mem::take(&mut self.consumers[bot].streams).into_values() {
            end.cancel();
        }
    }

    /// A fault's end brings a consumer back; one that said it was gone comes on lines of its own.
    pub(super) fn consumer_comes(&mut self, bot: usize, anew: bool) {
        if anew {
            self.consumer_goes(bot);
        }
        self.consumer_connects(bot);
    }

    /// A stream has ended, for whatever reason.
    pub(super) fn stream_ended(&mut self, bot: usize, node: usize, number: u64) {
        let streams = &mut self.consumers[bot].streams;
        if streams.get(&node).is_some_and(|(current, _)| *current == number) {
            streams.remove(&node);
            self.consumer_looks_again(bot);
        }
    }

    /// How long a callback is on its way, besides the network's own delay; never, when it is lost.
    pub(super) fn callback_takes(&mut self, bot: usize) -> Option<Millis> {
        let weather = &self.weather.bots[bot];
        let (callbacks_lost, slow) = (weather.callbacks_lost, weather.slow);
        let is_lost = self.dice.consumer.strikes(callbacks_lost);
        (!is_lost).then(|| Millis::from_ms(self.dice.consumer.below(slow.as_ms())))
    }

    /// A callback arrives: when it will be acknowledged, if it will.
    pub(super) fn consumer_gets(&mut self, bot: usize, callback: &Callback) -> Option<Millis> {
        let weather = &self.weather.bots[bot];
        let answers_lost = weather.answers_lost;
        let silent = weather.refuses.max(weather.unavailable);
        let (gone, slow) = (weather.gone, weather.slow);
        let highest = self.consumers[bot].got.entry(callback.key()).or_insert(0);
        let late = callback.attempt.0 < *highest;
        *highest = callback.attempt.0.max(*highest);
        if late {
            self.reach(Mark::LateAttemptArrived);
        }
        let bot_id = self.bot_id(bot);
        self.show(&Seen::CallbackGot { bot_id: &bot_id, callback });
        let is_lost = self.dice.consumer.strikes(answers_lost)
            || self.dice.consumer.strikes(silent)
            || self.is_sabotaged(Sabotage::LoseAnswers);
        let wait = Millis::from_ms(1 + self.dice.consumer.below(slow.as_ms().max(400)));
        (!gone && !is_lost).then_some(wait)
    }

    /// What a consumer wants sent in reply to a callback.
    pub(super) fn reply_to(&mut self, bot: usize, callback: &Callback) -> Option<Send> {
        let ConsumerPlan::Answers { replies_per_mille } = self.plan.bots[bot].consumer else {
            return None;
        };
        let key = callback.key();
        let send_id = format!("re-{}-{}-{}", key.correspondent_id, key.message_id, key.revision);
        self.dice.consumer.strikes(replies_per_mille).then(|| Send {
            send_id: send_id.as_str().into(),
            correspondent_id: key.correspondent_id,
            message: "thank you".to_owned(),
        })
    }

    /// A node tells a consumer what became of its acknowledgement.
    pub(super) fn ack_answered(
        &mut self,
        node: usize,
        bot_id: &BotId,
        key: &CallbackKey,
        answer: &AckAnswer,
    ) {
        if answer.acknowledged == 1 {
            self.show(&Seen::AckConfirmed { node, bot_id, key });
        }
    }
}
