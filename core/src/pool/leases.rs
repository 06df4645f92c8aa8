//! How jobs are kept: all leases are renewed in one command; one that cannot be renewed is let go
//! before the store gives the job to somebody else.
//!
//! A job whose result is on its way to the store ends as soon as that is durable, and writing its lease
//! meanwhile would be in the way of that. So the lease of such a job is renewed only when it would not last for
//! two more rounds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::event::PoolEffect;
use super::{Held, HeldState, Pools};
use crate::context::Context;
use crate::id::{LeaseToken, MediaId, OpId};
use crate::notice::Notice;
use crate::settings::LeaseSettings;
use crate::store::{StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::Timestamp;

/// The renewal of all leases.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Renewal {
    due_at: Option<Timestamp>,
    in_flight: Option<Renewing>,
    failures: u32,
}

/// A renewal that the store has not answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Renewing {
    op: OpId,
    asked_at: Timestamp,
    leases: Vec<(MediaId, LeaseToken)>,
}

impl Renewal {
    pub fn awaits(&self, op: OpId) -> bool {
        self.in_flight.as_ref().is_some_and(|renewing| renewing.op == op)
    }

    /// When leases are renewed the next time, unless a renewal is under way.
    pub fn next(&self) -> Option<Timestamp> {
        self.due_at.filter(|_| self.in_flight.is_none())
    }
}

impl Held {
    /// Whether the round of renewals at `now` is to renew the lease.
    fn wants_renewal(&self, now: Timestamp, settings: &LeaseSettings) -> bool {
        match self.state {
            HeldState::Waiting | HeldState::Running { .. } => true,
            HeldState::Delivered | HeldState::Reported => {
                self.lease_end < now + settings.renew_every + settings.renew_every
            }
        }
    }
}

impl Pools {
    /// Something is held from here on, under a lease that was asked for at `asked_at`: it will have to be renewed.
    pub(super) fn schedule_renewal(&mut self, cx: &Context<'_>, asked_at: Timestamp) {
        let due_at = asked_at + cx.settings.lease.renew_every;
        let due_at = self.renewal.due_at.map_or(due_at, |at| at.min(due_at));
        self.renewal.due_at = Some(due_at.max(cx.now));
    }

    pub(super) fn renew_if_due(&mut self, cx: &mut Context<'_>) {
        if self.renewal.next().is_none_or(|due| due > cx.now) {
            return;
        }
        self.renewal.due_at = None;
        if self.held.is_empty() {
            return;
        }
        let settings = &cx.settings.lease;
        let due = self.held.iter().filter(|(_, held)| held.wants_renewal(cx.now, settings));
        let leases: Vec<_> = due.map(|(media_id, held)| (*media_id, held.work.token)).collect();
        if leases.is_empty() {
            return self.schedule_renewal(cx, cx.now);
        }
        let ttl = settings.ttl;
        let request = StoreRequest::Renew { leases: leases.clone(), ttl };
        let op = Self::ask_store(cx, request);
        self.renewal.in_flight = Some(Renewing { op, asked_at: cx.now, leases });
    }

    pub(super) fn on_renewed(&mut self, cx: &mut Context<'_>, result: StoreResult) {
        let Some(Renewing { asked_at, leases, .. }) = self.renewal.in_flight.take() else { return };
        match result {
            Ok(StoreReply::Renew(lost)) => {
                self.renewal.failures = 0;
                let lease_end = asked_at + cx.settings.lease.ttl;
                let lost: BTreeSet<MediaId> = lost.into_iter().collect();
                for (media_id, token) in leases {
                    let Some(held) = self.held.get_mut(&media_id) else { continue };
                    if held.work.token != token {
                        continue;
                    }
                    if lost.contains(&media_id) {
                        self.lose_unless_reported(cx, media_id);
                    } else {
                        held.lease_end = held.lease_end.max(lease_end);
                    }
                }
            }
            Err(StoreError::Unavailable { detail }) => {
                let wait = cx.settings.store_retry.after(self.renewal.failures);
                self.renewal.failures = self.renewal.failures.saturating_add(1);
                self.renewal.due_at = Some(cx.now + cx.source.jittered(wait));
                return cx.notice(Notice::StoreRetried { operation: "renew".to_owned(), detail });
            }
            Ok(_) | Err(StoreError::Fenced | StoreError::Invalid { .. }) => {
                cx.unexpected("pools: no answer to a renewal");
            }
        }
        if !self.held.is_empty() {
            self.schedule_renewal(cx, asked_at);
        }
    }

    /// The next look at ends is not later than `at`.
    pub(super) fn check_by(&mut self, at: Timestamp) {
        self.check_at = Some(self.check_at.map_or(at, |check_at| check_at.min(at)));
    }

    /// Ends what has used up its time or its lease.
    pub(super) fn check_ends(&mut self, cx: &mut Context<'_>) {
        if self.check_at.is_none_or(|at| at > cx.now) {
            return;
        }
        let mut lost = Vec::new();
        let mut timed_out = Vec::new();
        let mut next: Option<Timestamp> = None;
        for (media_id, held) in &self.held {
            let end = match held.state {
                HeldState::Waiting => held.lease_end,
                HeldState::Running { until, .. } => held.lease_end.min(until),
                // The store judges what is on its way; there is nothing to end here.
                HeldState::Delivered | HeldState::Reported => continue,
            };
            if held.lease_end <= cx.now {
                lost.push(*media_id);
            } else if end <= cx.now {
                timed_out.push(*media_id);
            } else {
                next = Some(next.map_or(end, |next| next.min(end)));
            }
        }
        self.check_at = next;
        for media_id in lost {
            self.lose(cx, media_id);
        }
        for media_id in timed_out {
            self.time_out(cx, media_id);
        }
    }

    /// The lease of a job is not ours any more. A result that is on its way is judged by the store.
    fn lose_unless_reported(&mut self, cx: &mut Context<'_>, media_id: MediaId) {
        let Some(held) = self.held.get(&media_id) else { return };
        match held.state {
            HeldState::Waiting | HeldState::Running { .. } => self.lose(cx, media_id),
            HeldState::Delivered => {
                self.held.remove(&media_id);
            }
            HeldState::Reported => {}
        }
    }

    /// The lease of a job is not ours any more: nothing here works on it.
    pub(super) fn lose(&mut self, cx: &mut Context<'_>, media_id: MediaId) {
        let Some(held) = self.held.remove(&media_id) else { return };
        match held.state {
            HeldState::Waiting => {
                if let Some(pool) = self.pools.get_mut(&held.work.pool) {
                    pool.waiting.retain(|waiting| *waiting != media_id);
                }
                cx.board.give_back(&held.work.pool, 1);
            }
            HeldState::Running { .. } => {
                let token = held.work.token;
                cx.effect(PoolEffect::Cancel { media_id, token });
            }
            HeldState::Delivered | HeldState::Reported => {}
        }
        cx.notice(Notice::LeaseLost { media_id });
    }

    /// The job's message is archived, and the job gone with it.
    pub(super) fn settled(&mut self, media_id: MediaId) {
        self.held.remove(&media_id);
    }
}
