//! The way to the store and back, as the world sees it: which requests are late, which fail before or
//! after they took effect, and who hears of what was done. What is cut is cut on the network.

use anteroom_core::bot::event::BotEvent;
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, NodeId, PoolName};
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::store::{StoreReply, StoreRequest, StoreResult};
use anteroom_core::time::Millis;

use super::World;
use super::durable::unavailable;
use super::lines::Order;
use crate::checker::marks::Mark;

/// How long a request without an answer is waited for.
pub(super) const PATIENCE: Millis = Millis::from_secs(4);

/// Which node asked, and which of its processes; none for an operator.
pub(super) type By = Option<(usize, NodeId)>;

impl World {
    /// An operator asks the store.
    pub(super) fn ask_as_operator(&mut self, request: StoreRequest) {
        self.lines.order(Order::AskStore { request });
    }

    /// A request has reached the store: how long until it takes effect, and whether it is answered.
    pub(super) fn store_takes(&mut self) -> (Millis, bool) {
        let (late, slow) = (self.weather.store_late, self.weather.store_slow);
        if self.dice.store.strikes(late.per_mille) {
            let wait = self.dice.store.below(late.most.as_ms());
            self.reach(Mark::LateApply);
            return (Millis::from_ms(PATIENCE.as_ms() + wait), false);
        }
        let most = if self.dice.store.strikes(slow.per_mille) { slow.most.as_ms() } else { 10 };
        (Millis::from_ms(1 + self.dice.store.below(most)), true)
    }

    /// A request takes effect, or does not. What is answered, if anything.
    pub(super) fn store_acts(
        &mut self,
        by: By,
        request: &StoreRequest,
        answered: bool,
    ) -> Option<StoreResult> {
        let (before, after) = (self.weather.store_before, self.weather.store_after);
        if self.weather.store_down || self.dice.store.strikes(before) {
            return answered.then(|| Err(unavailable("before")));
        }
        let cut = by.is_some_and(|(node, _)| self.weather.nodes[node].cut_back);
        let lost = !answered || cut || self.dice.store.strikes(after);
        let result = self.execute(by, request, lost);
        if let Ok(reply) = &result {
            self.others_are_told(by, request, reply);
        }
        if by.is_none() {
            self.operator_answered(&result);
        }
        answered.then(|| if lost { Err(unavailable("after")) } else { result })
    }

    /// Whether the store says nothing at all, as when it lists its bots.
    pub(super) fn store_is_silent(&mut self) -> bool {
        let (before, after) = (self.weather.store_before, self.weather.store_after);
        self.weather.store_down || self.dice.store.strikes(before.max(after))
    }

    /// Other nodes may hear of work and results that wait for them.
    fn others_are_told(&mut self, by: By, request: &StoreRequest, reply: &StoreReply) {
        let mut bots: Vec<BotId> = Vec::new();
        let mut pools: Vec<PoolName> = Vec::new();
        match (request, reply) {
            (StoreRequest::InsertJobs { jobs, .. }, _) => {
                let waiting = jobs.iter().filter(|new| new.lease.is_none());
                pools.extend(waiting.map(|new| new.job.pool.clone()));
            }
            (StoreRequest::Release { releases }, _) => {
                let jobs = releases.iter().filter_map(|it| self.store.job(it.media_id));
                pools.extend(jobs.map(|job| job.pool.clone()));
            }
            (StoreRequest::Complete { completions }, _) => {
                let jobs = completions.iter().filter_map(|it| self.store.job(it.media_id));
                bots.extend(jobs.map(|job| job.bot_id.clone()));
            }
            _ => {}
        }
        bots.sort();
        bots.dedup();
        pools.sort();
        pools.dedup();
        for node in (0..self.nodes.len()).filter(|node| by.is_none_or(|(asker, _)| asker != *node))
        {
            let results = bots.iter().cloned().map(|bot| Event::Bot(bot, BotEvent::ResultsWaiting));
            let work = pools.iter().cloned();
            let work = work.map(|pool| Event::Pools(PoolEvent::WorkWaiting { pool }));
            for event in results.chain(work).collect::<Vec<_>>() {
                if self.dice.store.coin() {
                    self.tell_bot_event(node, event);
                }
            }
        }
    }
}
