//! An operator, and whoever wants messages sent: requests from outside that are no messages.

use anteroom_core::bot::event::BotEvent;
use anteroom_core::draft::Direction;
use anteroom_core::event::Event;
use anteroom_core::id::{Attempt, CallbackKey, CorrespondentId, MediaId, RequestId, SendId};
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::store::{
    CallbackEnd, EnqueueAnswer, OperatorAnswer, Send, StoreReply, StoreRequest, StoreResult,
};
use anteroom_core::time::Millis;

use super::provider::Action;
use super::{Happening, World};
use crate::checker::marks::Mark;
use crate::plan::{Echo, PlannedMessage};
use crate::store::CallbackState;

/// How often a send is asked for before whoever wants it gives up, its outcome unknown.
const TRIES_MAX: u32 = 20;

/// What was asked for from outside.
#[derive(Default)]
pub(super) struct Operator {
    sends: Vec<Wanted>,
    /// Callbacks that were asked for, each with its last attempt as it was seen then.
    redelivered: Vec<(usize, CallbackKey, Attempt)>,
}

struct Wanted {
    bot: usize,
    send: Send,
    echo: Echo,
    tries: u32,
    taken: bool,
}

impl World {
    pub(super) fn stop_bot(&mut self, bot: usize, node: usize) {
        if self.nodes[node].is_up() {
            let event = Event::Bot(self.bot_id(bot), BotEvent::Stop);
            self.tell_bot_event(node, event);
        }
    }

    pub(super) fn start_bot(&mut self, bot: usize, node: usize) {
        if self.nodes[node].is_up() && self.nodes[node].runs_bots {
            let event = Event::Bot(self.bot_id(bot), BotEvent::Start);
            self.tell_bot_event(node, event);
        }
    }

    pub(super) fn discard(&mut self, media_id: MediaId) {
        self.ask_as_operator(StoreRequest::DiscardJob { media_id });
    }

    pub(super) fn retry(&mut self, media_id: MediaId) {
        // The file is looked for before the store is asked.
        if self.staged.contains(&media_id) {
            self.ask_as_operator(StoreRequest::RetryJob { media_id, routing: None });
        }
    }

    /// An operator asks some node for the callbacks of a bot that were given up, by mistake for others, and for
    /// what an old list of theirs says.
    pub(super) fn redeliver(&mut self, bot: usize) {
        let node = self.dice.operator.index(self.nodes.len());
        if !self.nodes[node].is_up() || !self.nodes[node].runs_bots {
            return;
        }
        let bot_id = self.bot_id(bot);
        let old = self.operator.redelivered.iter().filter(|(of, ..)| *of == bot);
        let mut wanted: Vec<_> =
            old.map(|(_, key, attempts)| (false, key.clone(), *attempts)).collect();
        for row in self.store.archive_rows().filter(|row| row.bot_id == bot_id) {
            let given_up = match row.callback {
                CallbackState::Ended { end: CallbackEnd::Undeliverable, .. } => true,
                CallbackState::Ended { end: CallbackEnd::Acknowledged, .. }
                | CallbackState::Owed
                | CallbackState::NotOwed { .. } => false,
            };
            if given_up || self.dice.operator.below(20) == 0 {
                wanted.push((given_up, row.callback_key(), row.attempts));
            }
        }
        for (given_up, key, attempts) in wanted {
            if given_up {
                self.reach(Mark::RedeliveryAsked);
                self.operator.redelivered.push((bot, key.clone(), attempts));
            }
            let request_id = RequestId(self.number());
            let event = BotEvent::Redeliver { request_id, key, attempts };
            self.tell_bot_event(node, Event::Bot(bot_id.clone(), event));
        }
    }

    /// A job was changed by hand: the nodes are told, if they are there to hear it.
    pub(super) fn operator_answered(&mut self, result: &StoreResult) {
        let (discarded, answer) = match result {
            Ok(StoreReply::DiscardJob(answer)) => (true, answer),
            Ok(StoreReply::RetryJob(answer)) => (false, answer),
            Ok(_) | Err(_) => return,
        };
        let OperatorAnswer::Done { bot_id, pool } = answer else { return };
        for node in 0..self.nodes.len() {
            let event = if discarded {
                Event::Bot(bot_id.clone(), BotEvent::ResultsWaiting)
            } else {
                Event::Pools(PoolEvent::WorkWaiting { pool: pool.clone() })
            };
            if self.dice.operator.coin() {
                self.tell_bot_event(node, event);
            }
        }
    }

    /// Somebody wants a message sent.
    pub(super) fn wants_sent(
        &mut self,
        bot: usize,
        correspondent_id: CorrespondentId,
        send_id: SendId,
        echo: Echo,
    ) {
        let send = Send { send_id, correspondent_id, message: "hello".to_owned() };
        self.operator.sends.push(Wanted { bot, send, echo, tries: 0, taken: false });
        self.ask_send(self.operator.sends.len() - 1);
    }

    pub(super) fn ask_send(&mut self, ask: usize) {
        let it = &mut self.operator.sends[ask];
        if it.taken || it.tries >= TRIES_MAX {
            return;
        }
        it.tries += 1;
        let (bot, send) = (it.bot, it.send.clone());
        self.after(Millis::from_secs(4), Happening::AskSend { ask });
        let node = self.dice.operator.index(self.nodes.len());
        if self.nodes[node].is_up() && self.nodes[node].runs_bots {
            self.ask_node_to_send(node, self.bot_id(bot), send);
        }
    }

    pub(super) fn send_answered(&mut self, send_id: &SendId, answer: Option<EnqueueAnswer>) {
        let taken = match answer {
            Some(EnqueueAnswer::Enqueued | EnqueueAnswer::AlreadyPresent) => true,
            Some(EnqueueAnswer::Conflict) | None => false,
        };
        // A lost confirmation makes whoever wants it ask once more.
        if taken && self.dice.operator.below(4) > 0 {
            for wanted in self.operator.sends.iter_mut().filter(|it| it.send.send_id == *send_id) {
                wanted.taken = true;
            }
        }
    }

    /// The network reports a message that a provider sent.
    pub(super) fn echo_comes(
        &mut self,
        provider: usize,
        bot: usize,
        correspondent_id: &CorrespondentId,
        send_id: &SendId,
    ) {
        let wanted = self.operator.sends.iter().find(|wanted| wanted.send.send_id == *send_id);
        let named = match wanted.map_or(Echo::None, |wanted| wanted.echo) {
            Echo::None => return,
            Echo::Named => true,
            Echo::Unnamed => false,
        };
        let message = PlannedMessage {
            bot,
            correspondent_id: correspondent_id.clone(),
            provider_message_id: format!("out-{send_id}").into(),
            text: "hello".to_owned(),
            direction: Direction::Outgoing,
            send_id: named.then(|| send_id.clone()),
            posted: false,
            media: None,
        };
        let wait = Millis::from_ms(1 + self.dice.operator.below(8_000));
        let action = Action::Comes { message: Box::new(message) };
        self.after(wait, Happening::Provider { provider, action });
    }
}
