//! The workers of this node: which jobs they hold, under which leases, and what became of them.
//!
//! Owns the leases held here from the claim (or the leased insert) until the store says that the job
//! has its result, and the slots that processors occupy until they have really ended. A result goes
//! to its bot when that runs here (whose archive batch, guarded by the lease, is its durable record),
//! and otherwise into the job. A lease is renewed for as long as anything depends on it.
//!
//! Here: the pools' common life. [`claims`]: how jobs come. [`work`]: how they are processed.
//! [`leases`]: how they are kept. [`reports`]: how results and releases reach the store. [`ahead`]: whether jobs
//! are claimed before there is a slot for them.

mod ahead;
pub(crate) mod board;
mod claims;
pub mod event;
mod leases;
mod reports;
pub mod routing;
mod work;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use self::ahead::UsualLength;
use self::claims::Claim;
use self::event::{PoolEffect, PoolEvent, Work};
use self::leases::Renewal;
use crate::context::Context;
use crate::deadline::Deadline;
use crate::id::{BotId, LeaseToken, MediaId, OpId, PoolName};
use crate::lane::Lane;
use crate::settings::{NodeSettings, PoolSettings};
use crate::signal::PoolSignal;
use crate::store::{Completion, Release, StoreRequest, StoreResult};
use crate::time::{Millis, Timestamp};

/// How long cancelled processors may take to end before a stopping node leaves them behind.
const CANCEL_GRACE: Millis = Millis::from_secs(5);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pools {
    pools: BTreeMap<PoolName, Pool>,
    /// The jobs whose leases are held here.
    held: BTreeMap<MediaId, Held>,
    /// The processors that have not ended, each in a slot of its pool.
    #[serde(with = "crate::lookup::pairs")]
    processors: BTreeMap<(MediaId, LeaseToken), PoolName>,
    renewal: Renewal,
    /// Not later than the first end of a lease or of a processor's time.
    check_at: Option<Timestamp>,
    to_complete: Vec<Completion>,
    completes: Lane<Vec<Completion>>,
    to_release: Vec<Release>,
    releases: Lane<Vec<Release>>,
    stopping: Option<Stopping>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pool {
    settings: PoolSettings,
    /// Processors that have not ended.
    busy: usize,
    usual: UsualLength,
    /// Claimed jobs that wait for a slot.
    waiting: VecDeque<MediaId>,
    claim: Lane<Claim>,
    /// The rotation over bots goes on behind this one.
    after_bot: Option<BotId>,
    /// When to look for work that nobody told of.
    poll_at: Option<Timestamp>,
}

/// A job whose lease is held here.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    work: Work,
    /// More than 0 for the retry of an archived message.
    revision: u32,
    transient: u32,
    claimed_at: Timestamp,
    /// By the time it was asked for: surely not later than the store's.
    lease_end: Timestamp,
    state: HeldState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum HeldState {
    /// It waits for a slot.
    Waiting,
    /// A processor works on it.
    Running { since: Timestamp, until: Timestamp },
    /// Its result is with its bot, on the way to the archive.
    Delivered,
    /// Its result, or its release, is on the way to the store.
    Reported,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Stopping {
    /// Processors may finish.
    Finishing { until: Timestamp },
    /// They have been cancelled.
    Cancelled { until: Timestamp },
    /// They did not end; the node stops without them.
    GivenUp,
}

impl Held {
    /// Since when a processor works on it; none while none does.
    fn running_since(&self) -> Option<Timestamp> {
        match self.state {
            HeldState::Running { since, .. } => Some(since),
            HeldState::Waiting | HeldState::Delivered | HeldState::Reported => None,
        }
    }
}

impl Pools {
    pub fn new(settings: &NodeSettings) -> Self {
        let pools = settings.pools.iter().map(|pool| {
            let settings = pool.clone();
            let (busy, usual, waiting) = (0, UsualLength::default(), VecDeque::new());
            let (claim, after_bot, poll_at) = (Lane::default(), None, None);
            (pool.name.clone(), Pool { settings, busy, usual, waiting, claim, after_bot, poll_at })
        });
        Self {
            pools: pools.collect(),
            held: BTreeMap::new(),
            processors: BTreeMap::new(),
            renewal: Renewal::default(),
            check_at: None,
            to_complete: Vec::new(),
            completes: Lane::default(),
            to_release: Vec::new(),
            releases: Lane::default(),
            stopping: None,
        }
    }

    /// Workers begin to look for work.
    pub fn start(&mut self, cx: &mut Context<'_>) {
        cx.board.open();
        self.pump(cx);
    }

    /// Claims end; what runs may finish for a while, what waits is given back.
    pub fn stop(&mut self, cx: &mut Context<'_>) {
        cx.board.close();
        if self.stopping.is_none() {
            let until = cx.now + cx.settings.shutdown_grace;
            self.stopping = Some(Stopping::Finishing { until });
            self.release_waiting(cx);
        }
        self.pump(cx);
    }

    /// The node has stopped: what is still under way is left to the ends of its leases.
    pub fn abandon(&mut self, settings: &NodeSettings) {
        *self = Self { stopping: Some(Stopping::GivenUp), ..Self::new(settings) };
    }

    /// Whether nothing is held and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty()
            && self.processors.is_empty()
            && self.to_complete.is_empty()
            && self.to_release.is_empty()
            && self.completes.is_idle()
            && self.releases.is_idle()
            && self.pools.values().all(|pool| pool.claim.is_idle())
    }

    /// Whether a stopping node has waited for its workers long enough.
    pub fn has_given_up(&self) -> bool {
        matches!(self.stopping, Some(Stopping::GivenUp))
    }

    pub fn on_event(&mut self, cx: &mut Context<'_>, event: PoolEvent) {
        match event {
            PoolEvent::Store { op, result } => self.on_store(cx, op, result),
            PoolEvent::Ended { media_id, token, result } => {
                self.ended(cx, media_id, token, result);
            }
            PoolEvent::WorkWaiting { pool } => cx.board.set_work_waiting(&pool, true),
        }
        self.pump(cx);
    }

    pub fn on_signal(&mut self, cx: &mut Context<'_>, signal: PoolSignal) {
        match signal {
            PoolSignal::WorkWaiting { pool } => cx.board.set_work_waiting(&pool, true),
            PoolSignal::Leased { job, lease, asked_at } => {
                self.hold(cx, *job, lease, asked_at);
            }
            // What waits for them is claimed below.
            PoolSignal::PlacesFree => {}
            PoolSignal::LeasedInVain { media_id, token } => self.give_back_claim(media_id, token),
            PoolSignal::Settled { media_id } => self.settled(media_id),
            PoolSignal::Undelivered { media_id, token, outcome } => {
                self.undelivered(cx, media_id, token, outcome);
            }
            PoolSignal::LeaseLost { media_id } => self.lose(cx, media_id),
        }
        self.pump(cx);
    }

    pub fn tick(&mut self, cx: &mut Context<'_>) {
        self.tick_stopping(cx);
        self.check_ends(cx);
        self.renew_if_due(cx);
        self.retry_claims(cx);
        self.retry_reports(cx);
        self.pump(cx);
    }

    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        let stopping = self.stopping.as_ref().and_then(|stopping| match stopping {
            Stopping::Finishing { until } | Stopping::Cancelled { until } => {
                Some((*until, Deadline::ShutdownGrace))
            }
            Stopping::GivenUp => None,
        });
        let check = self.check_at.map(|at| (at, Deadline::LeaseEnd));
        let renewal = self.renewal.next().map(|at| (at, Deadline::LeaseRenewal));
        let retries = [self.completes.retry_at(), self.releases.retry_at()];
        let claims = self.pools.values().map(|pool| pool.claim.retry_at());
        let retry = retries.into_iter().chain(claims).flatten();
        let polls = self.pools.values().filter_map(|pool| pool.poll_at);
        let polls = polls.filter(|_| self.stopping.is_none()).map(|at| (at, Deadline::ClaimPoll));
        stopping
            .into_iter()
            .chain(check)
            .chain(renewal)
            .chain(retry.map(|at| (at, Deadline::StoreRetry)))
            .chain(polls)
            .min()
    }

    /// Starts whatever can be started.
    fn pump(&mut self, cx: &mut Context<'_>) {
        self.start_waiting(cx);
        self.pump_claims(cx);
        self.pump_reports(cx);
    }

    fn on_store(&mut self, cx: &mut Context<'_>, op: OpId, result: StoreResult) {
        if self.renewal.awaits(op) {
            self.on_renewed(cx, result);
        } else if let Some(completions) = self.completes.take(op) {
            self.on_completed(cx, completions, result);
        } else if let Some(released) = self.releases.take(op) {
            self.on_released(cx, released, result);
        } else if let Some(pool) = self.claimed_by(op) {
            self.on_claimed(cx, &pool, op, result);
        } else {
            cx.unexpected(format!("pools: reply to unknown operation {op}"));
        }
    }

    fn tick_stopping(&mut self, cx: &mut Context<'_>) {
        match self.stopping {
            Some(Stopping::Finishing { until }) if until <= cx.now => {
                self.stopping = Some(Stopping::Cancelled { until: cx.now + CANCEL_GRACE });
                for (media_id, token) in self.processors.keys() {
                    cx.effect(PoolEffect::Cancel { media_id: *media_id, token: *token });
                }
            }
            Some(Stopping::Cancelled { until }) if until <= cx.now => {
                self.stopping = Some(Stopping::GivenUp);
            }
            Some(Stopping::Finishing { .. } | Stopping::Cancelled { .. } | Stopping::GivenUp)
            | None => {}
        }
    }

    fn ask_store(cx: &mut Context<'_>, request: StoreRequest) -> OpId {
        let op = cx.source.op();
        cx.effect(PoolEffect::Store { op, request });
        op
    }

    /// Checks every invariant of the workers. Linear in what is held.
    ///
    /// # Errors
    /// The first broken one, in words.
    pub fn check_invariants(&self, board: &board::Board) -> Result<(), String> {
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        for (name, pool) in &self.pools {
            let slots = pool.settings.slots.get() as usize;
            ensure(pool.busy <= slots, "a pool has no more processors than slots")?;
            let busy = self.processors.values().filter(|of| *of == name).count();
            ensure(busy == pool.busy, "each processor occupies a slot")?;
        }
        let waiting: usize = self.pools.values().map(|pool| pool.waiting.len()).sum();
        ensure(
            board.taken() >= waiting + self.processors.len(),
            "each processor and each waiting job has a place on the board",
        )?;
        let running = self.held.iter().filter(|(_, held)| held.running_since().is_some());
        for (media_id, held) in running {
            ensure(
                self.processors.contains_key(&(*media_id, held.work.token)),
                "a running job has a processor",
            )?;
        }
        Ok(())
    }
}
