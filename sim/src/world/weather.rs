//! The weather: which faults are at work at the moment.

use anteroom_core::time::Millis;

use crate::plan::{Fault, Trouble, Way};

/// A share of what happens, and how much at the most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delay {
    pub per_mille: u64,
    pub most: Millis,
}

/// What is at work at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Weather {
    pub store_down: bool,
    pub store_before: u64,
    pub store_after: u64,
    pub store_late: Delay,
    pub store_slow: Delay,
    pub transient: u64,
    pub hang: u64,
    pub slow_to_cancel: Millis,
    pub slow: Millis,
    pub deletion_fails: u64,
    pub nodes: Vec<NodeWeather>,
    pub bots: Vec<BotWeather>,
    pub providers: Vec<ProviderWeather>,
}

/// What is at work between a node and the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NodeWeather {
    pub cut_there: bool,
    pub cut_back: bool,
}

/// What is at work between a bot and its consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BotWeather {
    pub down: bool,
    pub gone: bool,
    pub callbacks_lost: u64,
    pub answers_lost: u64,
    pub slow: Millis,
    pub refuses: u64,
    pub unavailable: u64,
}

/// What is at work between a provider and its node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProviderWeather {
    pub cut: bool,
    pub slow: Millis,
    pub twice: u64,
    pub ignores_window: bool,
    pub any_order: bool,
}

impl Weather {
    /// Fair weather.
    pub fn fair(nodes: usize, bots: usize, providers: usize) -> Self {
        Self {
            nodes: vec![NodeWeather::default(); nodes],
            bots: vec![BotWeather::default(); bots],
            providers: vec![ProviderWeather::default(); providers],
            ..Self::default()
        }
    }

    /// The weather while these faults are at work.
    pub fn of<'f>(&self, faults: impl Iterator<Item = &'f Fault>) -> Self {
        let mut weather = Self::fair(self.nodes.len(), self.bots.len(), self.providers.len());
        faults.for_each(|fault| weather.add(fault.what));
        weather
    }

    fn add(&mut self, what: Trouble) {
        match what {
            Trouble::Kill { .. }
            | Trouble::Freeze { .. }
            | Trouble::ClockJumps { .. }
            | Trouble::Reset { .. } => {}
            Trouble::StoreCut { node, way } => {
                let node = &mut self.nodes[node];
                node.cut_there |= way.cuts_there();
                node.cut_back |= way.cuts_back();
            }
            Trouble::StoreDown => self.store_down = true,
            Trouble::StoreBefore { per_mille } => raise(&mut self.store_before, per_mille),
            Trouble::StoreAfter { per_mille } => raise(&mut self.store_after, per_mille),
            Trouble::StoreLate { per_mille, most } => self.store_late.raise(per_mille, most),
            Trouble::StoreSlow { per_mille, most } => self.store_slow.raise(per_mille, most),
            Trouble::ProviderCut { provider } => self.providers[provider].cut = true,
            Trouble::ProviderSlow { provider, most } => {
                raise(&mut self.providers[provider].slow, most);
            }
            Trouble::SendsTwice { provider, per_mille } => {
                raise(&mut self.providers[provider].twice, per_mille);
            }
            Trouble::IgnoresWindow { provider } => self.providers[provider].ignores_window = true,
            Trouble::AnyOrder { provider } => self.providers[provider].any_order = true,
            Trouble::ConsumerDown { bot } => self.bots[bot].down = true,
            Trouble::ConsumerCut { bot, way, per_mille } => {
                self.bots[bot].cut(way, per_mille);
            }
            Trouble::ConsumerSlow { bot, most } => raise(&mut self.bots[bot].slow, most),
            Trouble::ConsumerRefuses { bot, per_mille, message: true } => {
                raise(&mut self.bots[bot].refuses, per_mille);
            }
            Trouble::ConsumerRefuses { bot, per_mille, message: false } => {
                raise(&mut self.bots[bot].unavailable, per_mille);
            }
            Trouble::ConsumerGone { bot } => self.bots[bot].gone = true,
            Trouble::Transient { per_mille } => raise(&mut self.transient, per_mille),
            Trouble::Hang { per_mille } => raise(&mut self.hang, per_mille),
            Trouble::SlowToCancel { most } => raise(&mut self.slow_to_cancel, most),
            Trouble::Slow { most } => raise(&mut self.slow, most),
            Trouble::DeletionFails { per_mille } => raise(&mut self.deletion_fails, per_mille),
        }
    }
}

impl BotWeather {
    fn cut(&mut self, way: Way, per_mille: u64) {
        if way.cuts_there() {
            raise(&mut self.callbacks_lost, per_mille);
        }
        if way.cuts_back() {
            raise(&mut self.answers_lost, per_mille);
        }
    }
}

impl Delay {
    fn raise(&mut self, per_mille: u64, most: Millis) {
        raise(&mut self.per_mille, per_mille);
        raise(&mut self.most, most);
    }
}

fn raise<T: Ord>(value: &mut T, to: T) {
    if to > *value {
        *value = to;
    }
}
