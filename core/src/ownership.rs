//! Which bots this node owns: leases on bots, renewed together, ended by ourselves before they end.
//!
//! Owns one [`Tenure`] a bot that wants to run, is running, or is being given up. An ownership counts
//! from the moment it was *asked for*. One that could not be renewed ends `margin` before the
//! store would give the bot to somebody else, and is formally released before the bot is asked for
//! again: the next ownership then has a new epoch, which fences whatever was still on its way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::deadline::Deadline;
use crate::id::{BotId, Epoch, OpId};
use crate::notice::Notice;
use crate::signal::{BotSignal, OwnershipSignal};
use crate::store::{Acquired, Fence, StoreError, StoreReply, StoreRequest, StoreResult};
use crate::time::{Millis, Timestamp};

/// Something that happened to the node's ownerships.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnershipEvent {
    /// The store answered.
    Store {
        /// Which operation.
        op: OpId,
        /// What.
        result: StoreResult,
    },
}

/// Something for the driver to do for the node's ownerships.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnershipEffect {
    /// Ask the store.
    Store {
        /// The operation; its reply carries the same id.
        op: OpId,
        /// What to ask.
        request: StoreRequest,
    },
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ownership {
    tenures: BTreeMap<BotId, Tenure>,
    renewal: Renewal,
}

/// How a bot stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Tenure {
    /// The store is being asked for it.
    Asking { op: OpId, asked_at: Timestamp, again: Again, wanted: bool },
    /// It is to be asked for again.
    Waiting { retry_at: Timestamp, again: Again },
    /// It is ours until then, margin deducted.
    Owned { epoch: Epoch, valid_until: Timestamp },
    /// It was given up without the store's word. Before it is asked for again it has to be given up
    /// for certain: the store may still hold it to be ours, and would give the same epoch again.
    Unconfirmed { epoch: Epoch },
    /// It is being given up; then asked for again, if it is wanted.
    Releasing { op: Option<OpId>, epoch: Epoch, retry_at: Timestamp, failures: u32, wanted: bool },
}

/// What is known from asking before.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Again {
    /// How often the store has not answered in a row.
    failures: u32,
    /// Until when another node's ownership lasts at the most, unless that node renews it.
    held_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Renewal {
    due_at: Option<Timestamp>,
    in_flight: Option<Renewing>,
    /// How often the store has not answered in a row.
    failures: u32,
}

/// A renewal that the store has not answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Renewing {
    op: OpId,
    asked_at: Timestamp,
    bots: Vec<(BotId, Epoch)>,
}

impl Ownership {
    pub fn on_event(&mut self, cx: &mut Context<'_>, event: OwnershipEvent) {
        match event {
            OwnershipEvent::Store { op, result } => self.on_reply(cx, op, result),
        }
    }

    pub fn on_signal(&mut self, cx: &mut Context<'_>, signal: OwnershipSignal) {
        match signal {
            OwnershipSignal::Acquire { bot_id } => self.acquire(cx, bot_id),
            OwnershipSignal::Release { bot_id } => self.release(cx, bot_id),
        }
    }

    /// Ends what has run out, renews what is due, and asks again for what was refused.
    pub fn tick(&mut self, cx: &mut Context<'_>) {
        self.end_overdue(cx);
        self.ask_again(cx);
        if self.renewal.due_at.is_some_and(|due| due <= cx.now) {
            self.renew(cx);
        }
    }

    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        let tenures = self.tenures.values().filter_map(|tenure| match tenure {
            Tenure::Asking { .. }
            | Tenure::Unconfirmed { .. }
            | Tenure::Releasing { op: Some(_), .. } => None,
            Tenure::Waiting { retry_at, .. } | Tenure::Releasing { retry_at, .. } => {
                Some((*retry_at, Deadline::OwnershipRenewal))
            }
            Tenure::Owned { valid_until, .. } => Some((*valid_until, Deadline::OwnershipEnd)),
        });
        let renewal = self.renewal.due_at.map(|due| (due, Deadline::OwnershipRenewal));
        tenures.chain(renewal).min()
    }

    /// Whether nothing is owned, asked for or being given up.
    pub fn is_idle(&self) -> bool {
        self.tenures.values().all(|tenure| matches!(tenure, Tenure::Unconfirmed { .. }))
    }

    fn acquire(&mut self, cx: &mut Context<'_>, bot_id: BotId) {
        match self.tenures.get_mut(&bot_id) {
            None => self.ask(cx, bot_id, Again::default()),
            Some(Tenure::Asking { wanted, .. } | Tenure::Releasing { wanted, .. }) => {
                *wanted = true;
            }
            Some(Tenure::Owned { epoch, valid_until }) => {
                let (epoch, valid_until) = (*epoch, *valid_until);
                cx.tell_bot(&bot_id, BotSignal::Owned { epoch, valid_until });
            }
            Some(Tenure::Unconfirmed { epoch }) => {
                let epoch = *epoch;
                self.give_up(cx, bot_id, epoch, 0, true);
            }
            Some(Tenure::Waiting { .. }) => {}
        }
    }

    fn release(&mut self, cx: &mut Context<'_>, bot_id: BotId) {
        match self.tenures.get_mut(&bot_id) {
            None | Some(Tenure::Unconfirmed { .. }) => {}
            Some(Tenure::Asking { wanted, .. } | Tenure::Releasing { wanted, .. }) => {
                *wanted = false;
            }
            Some(Tenure::Waiting { .. }) => {
                self.tenures.remove(&bot_id);
            }
            Some(Tenure::Owned { epoch, .. }) => {
                let epoch = *epoch;
                self.give_up(cx, bot_id, epoch, 0, false);
            }
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>, bot_id: BotId, again: Again) {
        let op = cx.source.op();
        cx.effect(OwnershipEffect::Store {
            op,
            request: StoreRequest::AcquireBot {
                bot_id: bot_id.clone(),
                node_id: cx.settings.node_id,
                ttl: cx.settings.ownership.ttl,
            },
        });
        let tenure = Tenure::Asking { op, asked_at: cx.now, again, wanted: true };
        self.tenures.insert(bot_id, tenure);
    }

    fn give_up(
        &mut self,
        cx: &mut Context<'_>,
        bot_id: BotId,
        epoch: Epoch,
        failures: u32,
        wanted: bool,
    ) {
        let op = cx.source.op();
        let fence = Fence { bot_id: bot_id.clone(), epoch };
        cx.effect(OwnershipEffect::Store { op, request: StoreRequest::ReleaseBot(fence) });
        let retry_at = Timestamp::MAX;
        let tenure = Tenure::Releasing { op: Some(op), epoch, retry_at, failures, wanted };
        self.tenures.insert(bot_id, tenure);
    }

    fn renew(&mut self, cx: &mut Context<'_>) {
        self.renewal.due_at = None;
        let bots: Vec<_> = self
            .tenures
            .iter()
            .filter_map(|(bot_id, tenure)| match tenure {
                Tenure::Owned { epoch, .. } => Some((bot_id.clone(), *epoch)),
                Tenure::Asking { .. }
                | Tenure::Waiting { .. }
                | Tenure::Unconfirmed { .. }
                | Tenure::Releasing { .. } => None,
            })
            .collect();
        if bots.is_empty() || self.renewal.in_flight.is_some() {
            return;
        }
        let op = cx.source.op();
        cx.effect(OwnershipEffect::Store {
            op,
            request: StoreRequest::RenewBots {
                node_id: cx.settings.node_id,
                bots: bots.clone(),
                ttl: cx.settings.ownership.ttl,
            },
        });
        self.renewal.in_flight = Some(Renewing { op, asked_at: cx.now, bots });
    }

    fn end_overdue(&mut self, cx: &mut Context<'_>) {
        let overdue: Vec<_> = self
            .tenures
            .iter()
            .filter_map(|(bot_id, tenure)| match tenure {
                Tenure::Owned { epoch, valid_until } if *valid_until <= cx.now => {
                    Some((bot_id.clone(), *epoch))
                }
                Tenure::Owned { .. }
                | Tenure::Asking { .. }
                | Tenure::Waiting { .. }
                | Tenure::Unconfirmed { .. }
                | Tenure::Releasing { .. } => None,
            })
            .collect();
        for (bot_id, epoch) in overdue {
            self.lose(cx, bot_id, epoch);
        }
    }

    /// The bot must stop at once. The ownership is released all the same, so that the next one
    /// gets a new epoch.
    fn lose(&mut self, cx: &mut Context<'_>, bot_id: BotId, epoch: Epoch) {
        self.give_up(cx, bot_id.clone(), epoch, 0, false);
        cx.tell_bot(&bot_id, BotSignal::OwnershipLost);
    }

    fn ask_again(&mut self, cx: &mut Context<'_>) {
        let due: Vec<_> = self
            .tenures
            .iter()
            .filter_map(|(bot_id, tenure)| match tenure {
                Tenure::Waiting { retry_at, again } if *retry_at <= cx.now => {
                    Some((bot_id.clone(), *again, None))
                }
                Tenure::Releasing { op: None, epoch, retry_at, failures, wanted }
                    if *retry_at <= cx.now =>
                {
                    let again = Again { failures: *failures, held_until: None };
                    Some((bot_id.clone(), again, Some((*epoch, *wanted))))
                }
                Tenure::Waiting { .. }
                | Tenure::Releasing { .. }
                | Tenure::Asking { .. }
                | Tenure::Unconfirmed { .. }
                | Tenure::Owned { .. } => None,
            })
            .collect();
        for (bot_id, again, releasing) in due {
            match releasing {
                None => self.ask(cx, bot_id, again),
                Some((epoch, wanted)) => self.give_up(cx, bot_id, epoch, again.failures, wanted),
            }
        }
    }

    fn on_reply(&mut self, cx: &mut Context<'_>, op: OpId, result: StoreResult) {
        if self.renewal.in_flight.as_ref().is_some_and(|renewing| renewing.op == op) {
            return self.on_renewed(cx, result);
        }
        let asked = self.tenures.iter().find_map(|(bot_id, tenure)| match tenure {
            Tenure::Asking { op: asked, .. } | Tenure::Releasing { op: Some(asked), .. }
                if *asked == op =>
            {
                Some(bot_id.clone())
            }
            Tenure::Asking { .. }
            | Tenure::Releasing { .. }
            | Tenure::Waiting { .. }
            | Tenure::Unconfirmed { .. }
            | Tenure::Owned { .. } => None,
        });
        let Some(bot_id) = asked else {
            return cx.unexpected(format!("ownership: reply to unknown operation {op}"));
        };
        match self.tenures.remove(&bot_id) {
            Some(Tenure::Asking { asked_at, again, wanted, .. }) => {
                self.on_asked(cx, bot_id, asked_at, again, wanted, result);
            }
            Some(Tenure::Releasing { epoch, failures, wanted, .. }) => {
                self.on_released(cx, bot_id, epoch, failures, wanted, result);
            }
            Some(Tenure::Waiting { .. } | Tenure::Unconfirmed { .. } | Tenure::Owned { .. })
            | None => {}
        }
    }

    fn on_asked(
        &mut self,
        cx: &mut Context<'_>,
        bot_id: BotId,
        asked_at: Timestamp,
        again: Again,
        wanted: bool,
        result: StoreResult,
    ) {
        let ownership = cx.settings.ownership;
        match result {
            Ok(StoreReply::AcquireBot(Acquired::Acquired { epoch })) => {
                let valid_until = (asked_at + ownership.ttl).minus(ownership.margin);
                if !wanted || valid_until <= cx.now {
                    return self.give_up(cx, bot_id, epoch, 0, wanted);
                }
                self.tenures.insert(bot_id.clone(), Tenure::Owned { epoch, valid_until });
                self.schedule_renewal(cx.now.max(asked_at + ownership.renew_every));
                cx.tell_bot(&bot_id, BotSignal::Owned { epoch, valid_until });
            }
            _ if !wanted => {}
            Ok(StoreReply::AcquireBot(Acquired::HeldBy { remaining, .. })) => {
                let wait = remaining.min(ownership.renew_every).max(Millis::from_ms(100));
                // The store looked between the question and its answer.
                let renewed = again.held_until.is_some_and(|until| asked_at + remaining > until);
                let held_until = Some(cx.now + remaining);
                self.wait(bot_id.clone(), cx.now + wait, Again { failures: 0, held_until });
                cx.tell_bot(&bot_id, BotSignal::HeldElsewhere { renewed });
            }
            Ok(_) | Err(StoreError::Fenced | StoreError::Invalid { .. }) => {
                cx.unexpected(format!("ownership: no answer to acquiring {bot_id}"));
                self.wait(bot_id, cx.now + cx.settings.store_retry.most, again);
            }
            Err(StoreError::Unavailable { detail }) => {
                cx.notice(Notice::StoreRetried { operation: "acquire_bot".to_owned(), detail });
                let wait = cx.source.jittered(cx.settings.store_retry.after(again.failures));
                let failures = again.failures.saturating_add(1);
                self.wait(bot_id, cx.now + wait, Again { failures, ..again });
            }
        }
    }

    fn wait(&mut self, bot_id: BotId, retry_at: Timestamp, again: Again) {
        self.tenures.insert(bot_id, Tenure::Waiting { retry_at, again });
    }

    fn on_released(
        &mut self,
        cx: &mut Context<'_>,
        bot_id: BotId,
        epoch: Epoch,
        failures: u32,
        wanted: bool,
        result: StoreResult,
    ) {
        if let Err(StoreError::Unavailable { detail }) = result {
            // A release that nobody waits for is left to the lease's end.
            if !wanted {
                self.tenures.insert(bot_id, Tenure::Unconfirmed { epoch });
                return;
            }
            cx.notice(Notice::StoreRetried { operation: "release_bot".to_owned(), detail });
            let wait = cx.source.jittered(cx.settings.store_retry.after(failures));
            let retry_at = cx.now + wait;
            let failures = failures.saturating_add(1);
            let tenure = Tenure::Releasing { op: None, epoch, retry_at, failures, wanted };
            self.tenures.insert(bot_id, tenure);
        } else if wanted {
            self.ask(cx, bot_id, Again::default());
        }
    }

    fn on_renewed(&mut self, cx: &mut Context<'_>, result: StoreResult) {
        let Some(Renewing { asked_at, bots, .. }) = self.renewal.in_flight.take() else { return };
        let ownership = cx.settings.ownership;
        match result {
            Ok(StoreReply::RenewBots(lost)) => {
                self.renewal.failures = 0;
                let renewed_until = (asked_at + ownership.ttl).minus(ownership.margin);
                for (bot_id, asked_epoch) in bots {
                    match self.tenures.get_mut(&bot_id) {
                        Some(Tenure::Owned { epoch, valid_until }) if *epoch == asked_epoch => {
                            // What was valid until then may have been withheld: it has ended.
                            if lost.contains(&bot_id) || *valid_until <= cx.now {
                                self.lose(cx, bot_id, asked_epoch);
                            } else {
                                *valid_until = renewed_until.max(*valid_until);
                                let (epoch, valid_until) = (*epoch, *valid_until);
                                cx.tell_bot(&bot_id, BotSignal::Owned { epoch, valid_until });
                            }
                        }
                        Some(
                            Tenure::Owned { .. }
                            | Tenure::Asking { .. }
                            | Tenure::Waiting { .. }
                            | Tenure::Unconfirmed { .. }
                            | Tenure::Releasing { .. },
                        )
                        | None => {}
                    }
                }
                self.schedule_renewal(cx.now.max(asked_at + ownership.renew_every));
            }
            Ok(_) | Err(StoreError::Fenced | StoreError::Invalid { .. }) => {
                cx.unexpected("ownership: no answer to a renewal");
                self.schedule_renewal(cx.now + ownership.renew_every);
            }
            Err(StoreError::Unavailable { detail }) => {
                cx.notice(Notice::StoreRetried { operation: "renew_bots".to_owned(), detail });
                let wait = cx.source.jittered(cx.settings.store_retry.after(self.renewal.failures));
                self.renewal.failures = self.renewal.failures.saturating_add(1);
                self.schedule_renewal(cx.now + wait);
            }
        }
    }

    fn schedule_renewal(&mut self, at: Timestamp) {
        let due = self.renewal.due_at.map_or(at, |due| due.min(at));
        self.renewal.due_at = Some(due);
    }
}
