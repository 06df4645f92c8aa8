//! A provider: keeps each message until it has its final receipt, and sends what it keeps again after
//! a reconnect.
//!
//! Owns the connection and what is kept. A connection keeps its order both ways, loses everything
//! once it is cut, and breaks when one side has heard nothing for too long.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{SendId, SessionId};
use anteroom_core::protocol::{Hello, ProviderFrame};
use anteroom_core::session::event::SessionEvent;
use anteroom_core::time::{Millis, Timestamp};

use super::lines::Way;
use super::weather::ProviderWeather;
use super::{Happening, World};
use crate::plan::{FileState, MessageName, PlannedMessage, ProviderPlan};

/// How long a provider waits for a word before it tries another node.
const SILENCE_MAX: Millis = Millis::from_secs(50);

/// How long a provider takes rejections before it tries another node.
const FRUITLESS_MAX: Millis = Millis::from_secs(40);

pub(super) struct Provider {
    pub plan: ProviderPlan,
    /// Messages without a final receipt, in the order in which they came.
    pub kept: Vec<Kept>,
    /// Every message that ever came.
    pub known: BTreeMap<MessageName, PlannedMessage>,
    pub connection: Option<Connection>,
    /// Sends that were done, which are not done again.
    pub sent: BTreeSet<(usize, SendId)>,
    pub next_seq: u64,
    /// Which node is tried next.
    next_node: usize,
    /// Since when there were only rejections.
    pub fruitless_since: Option<Timestamp>,
    pump_at: Option<Timestamp>,
}

/// A message that its provider keeps.
pub(super) struct Kept {
    pub message: PlannedMessage,
    pub not_before: Timestamp,
}

pub(super) struct Connection {
    pub node: usize,
    pub session_id: SessionId,
    pub bots: BTreeMap<usize, Bound>,
    pub heard_at: Timestamp,
    /// How far the frames under way are.
    pub way: Way,
    /// Frames that were none and have no answer.
    pub nonsense: u32,
    /// Numbers that only nonsense had.
    pub nonsense_seqs: BTreeSet<u64>,
    /// A bot has left for a connection of its own.
    pub parted: bool,
}

/// A bot on a connection.
pub(super) struct Bound {
    pub welcomed: bool,
    pub window: usize,
    /// Sent and without a receipt.
    pub open: BTreeMap<u64, MessageName>,
}

/// What a provider does next.
#[derive(Debug)]
pub(super) enum Action {
    Connect,
    Pump,
    Watch {
        session_id: SessionId,
    },
    /// A message comes from the network.
    Comes {
        message: Box<PlannedMessage>,
    },
    /// A message was sent, and the network says so.
    Confirm {
        bot: usize,
        send_id: SendId,
    },
}

impl Provider {
    pub fn new(plan: &ProviderPlan) -> Self {
        Self {
            plan: plan.clone(),
            kept: Vec::new(),
            known: BTreeMap::new(),
            connection: None,
            sent: BTreeSet::new(),
            next_seq: 1,
            next_node: 0,
            fruitless_since: None,
            pump_at: None,
        }
    }

    /// Whether a message has been sent and waits for its receipt.
    pub fn is_under_way(&self, name: &MessageName) -> bool {
        let bound = self.connection.as_ref().and_then(|it| it.bots.get(&name.bot));
        bound.is_some_and(|bound| bound.open.values().any(|open| open == name))
    }
}

impl World {
    pub(super) fn provider_acts(&mut self, provider: usize, action: Action) {
        match action {
            Action::Connect => self.provider_connects(provider),
            Action::Pump => {
                self.providers[provider].pump_at = None;
                self.provider_pumps(provider);
            }
            Action::Watch { session_id } => self.provider_watches(provider, session_id),
            Action::Comes { message } => self.message_comes(*message),
            Action::Confirm { bot, send_id } => self.confirm_send(provider, bot, send_id),
        }
    }

    /// The provider of a bot.
    pub(super) fn provider_of(&self, bot: usize) -> Option<usize> {
        self.providers.iter().position(|provider| provider.plan.bots.contains(&bot))
    }

    /// A message comes from the network.
    pub(super) fn message_comes(&mut self, message: PlannedMessage) {
        let Some(provider) = self.provider_of(message.bot) else { return };
        let it = &mut self.providers[provider];
        it.known.insert(message.name(), message.clone());
        it.kept.push(Kept { message, not_before: Timestamp::ZERO });
        self.provider_pumps(provider);
    }

    /// A provider has forgotten that a message had its final receipt.
    pub(super) fn comes_again(&mut self, name: &MessageName) {
        if self.posts_again(name) {
            return;
        }
        let Some(provider) = self.provider_of(name.bot) else { return };
        let it = &mut self.providers[provider];
        let kept = it.kept.iter().any(|kept| kept.message.name() == *name);
        if let Some(message) = it.known.get(name).cloned().filter(|_| !kept) {
            it.kept.push(Kept { message, not_before: Timestamp::ZERO });
            self.provider_pumps(provider);
        }
    }

    fn provider_connects(&mut self, provider: usize) {
        if self.providers[provider].connection.is_some() {
            return;
        }
        let node = self.providers[provider].next_node % self.nodes.len();
        let it = &self.nodes[node];
        if !it.is_up() || !it.runs_bots || it.frozen || self.weather.providers[provider].cut {
            self.providers[provider].next_node += 1;
            return self.connect_later(provider, 3_000);
        }
        let (incarnation, session_id) = (it.incarnation, self.dice.provider.uuid().into());
        let bots = self.providers[provider].plan.bots.clone();
        let bound =
            |bot: &usize| (*bot, Bound { welcomed: false, window: 1, open: BTreeMap::new() });
        let it = &mut self.providers[provider];
        it.fruitless_since = None;
        it.connection = Some(Connection {
            node,
            session_id,
            bots: bots.iter().map(bound).collect(),
            heard_at: self.now,
            way: Way::new(self.now, incarnation),
            nonsense: 0,
            nonsense_seqs: BTreeSet::new(),
            parted: false,
        });
        self.tell_node(provider, SessionEvent::Opened);
        for bot in bots {
            self.say_hello(provider, bot);
        }
        self.after(
            SILENCE_MAX,
            Happening::Provider { provider, action: Action::Watch { session_id } },
        );
    }

    pub(super) fn say_hello(&mut self, provider: usize, bot: usize) {
        let hello = Hello {
            bot_id: self.bot_id(bot),
            provider_name: "sim".into(),
            provider_instance: self.providers[provider].plan.instance.clone(),
            token: None,
        };
        let frame = ProviderFrame::Hello(hello);
        self.tell_node(provider, SessionEvent::Frame { frame, authorized: true });
    }

    pub(super) fn connect_later(&mut self, provider: usize, most_ms: u64) {
        let wait = Millis::from_ms(1 + self.dice.provider.below(most_ms));
        self.after(wait, Happening::Provider { provider, action: Action::Connect });
    }

    /// A provider that hears nothing, or nothing good, tries another node.
    pub(super) fn try_another_node(&mut self, provider: usize) {
        self.providers[provider].next_node += 1;
        self.connection_breaks(provider);
    }

    /// Another node owns a bot: its provider connects there for it. Where it is one of several, it gets
    /// a connection of its own.
    pub(super) fn bot_is_lost(&mut self, provider: usize, bot: Option<usize>) {
        let it = &mut self.providers[provider];
        let Some(bot) = bot.filter(|bot| it.plan.bots.len() > 1 && it.plan.bots.contains(bot))
        else {
            return self.try_another_node(provider);
        };
        it.plan.bots.retain(|other| *other != bot);
        if let Some(connection) = &mut it.connection {
            connection.bots.remove(&bot);
            connection.parted = true;
        }
        let mut parted = Provider::new(&ProviderPlan { bots: vec![bot], ..it.plan.clone() });
        parted.next_node = it.next_node + 1;
        parted.kept = it.kept.extract_if(.., |kept| kept.message.bot == bot).collect();
        parted.known = it.known.extract_if(.., |name, _| name.bot == bot).collect();
        parted.sent = it.sent.extract_if(.., |(sender, _)| *sender == bot).collect();
        self.providers.push(parted);
        self.weather.providers.push(ProviderWeather::default());
        self.connect_later(self.providers.len() - 1, 5_000);
    }

    fn provider_watches(&mut self, provider: usize, session_id: SessionId) {
        let connection = self.providers[provider].connection.as_ref();
        let Some(connection) = connection.filter(|it| it.session_id == session_id) else { return };
        let due = connection.heard_at + SILENCE_MAX;
        if due <= self.now {
            return self.try_another_node(provider);
        }
        self.at(due, Happening::Provider { provider, action: Action::Watch { session_id } });
    }

    /// Sends what is kept, as far as the windows go.
    pub(super) fn provider_pumps(&mut self, provider: usize) {
        let any_order = self.weather.providers[provider].any_order;
        let ignores_window = self.weather.providers[provider].ignores_window;
        let mut next: Option<Timestamp> = None;
        let mut order: Vec<usize> = (0..self.providers[provider].kept.len()).collect();
        if any_order {
            for last in (1..order.len()).rev() {
                order.swap(last, self.dice.provider.index(last + 1));
            }
        }
        for place in order {
            let it = &self.providers[provider];
            let Kept { message, not_before } = &it.kept[place];
            let Some(connection) = &it.connection else { return };
            let Some(bound) = connection.bots.get(&message.bot) else { continue };
            let name = message.name();
            let is_full = bound.open.len() >= bound.window && !ignores_window;
            if !bound.welcomed || is_full || it.is_under_way(&name) {
                continue;
            }
            if *not_before > self.now {
                next = Some(next.map_or(*not_before, |next| next.min(*not_before)));
                continue;
            }
            let message = message.clone();
            self.offer(provider, &message);
            let twice = self.weather.providers[provider].twice;
            if self.dice.provider.strikes(twice) {
                self.offer(provider, &message);
            }
        }
        self.pump_by(provider, next);
    }

    fn pump_by(&mut self, provider: usize, next: Option<Timestamp>) {
        let it = &mut self.providers[provider];
        if let Some(at) = next
            && it.pump_at.is_none_or(|pump_at| at < pump_at)
        {
            it.pump_at = Some(at);
            self.at(at, Happening::Provider { provider, action: Action::Pump });
        }
    }

    /// Brings the file of a message that is about to be sent.
    pub(super) fn bring_file(&mut self, message: &PlannedMessage) {
        if let Some(media) = &message.media
            && media.file == FileState::Staged
        {
            self.stage(media.media_id);
        }
    }

    pub(super) fn rejected(&mut self, provider: usize, name: &MessageName, wait: Millis) {
        let not_before = self.now + wait;
        let it = &mut self.providers[provider];
        let since = *it.fruitless_since.get_or_insert(self.now);
        if let Some(kept) = it.kept.iter_mut().find(|kept| kept.message.name() == *name) {
            kept.not_before = not_before;
        }
        if self.now.since(since) >= FRUITLESS_MAX && self.nodes.len() > 1 {
            return self.try_another_node(provider);
        }
        self.pump_by(provider, Some(not_before));
    }
}
