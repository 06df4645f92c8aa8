//! What the driver's steps say: events on their way in, effects on their way out.
//!
//! Owns what is open and measured: processors at work and callbacks without an answer. Both are bounded by
//! what the machine lets be open; a bot that ends takes its callbacks with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use anteroom_core::bot::event::{BotEffect, BotEvent, Callback, ConsumerAnswer};
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{
    BotId, CallbackId, CallbackKey, LeaseToken, MediaId, PoolName, SessionId, StreamId,
};
use anteroom_core::message::Outcome;
use anteroom_core::notice::Notice;
use anteroom_core::pool::event::{PoolEffect, PoolEvent, ProcessorFailure};
use anteroom_core::receipt::{Receipt, RejectReason};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::time::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use tracing::{Span, debug, debug_span};

use super::labels::{
    self, OfAction, OfAnswer, OfNotice, OfOutcome, OfPool, OfPoolResult, OfReason, Pool,
};
use super::series::{self, Series};
use crate::driver;

/// Looks on while a node's machine is stepped.
pub struct Steps {
    series: Arc<Series>,
    at_work: HashMap<(MediaId, LeaseToken), AtWork>,
    open: BTreeMap<BotId, HashMap<CallbackKey, Open>>,
    sessions: BTreeSet<SessionId>,
    streams: BTreeSet<StreamId>,
    running: BTreeSet<BotId>,
}

/// A processor at work.
struct AtWork {
    pool: PoolName,
    since: Instant,
}

/// A callback that was handed over.
struct Open {
    since: Instant,
    accepted_at: Timestamp,
    /// Ends with the answer.
    _span: Span,
}

impl Steps {
    pub(super) fn new(series: Arc<Series>) -> Self {
        Self {
            series,
            at_work: HashMap::new(),
            open: BTreeMap::new(),
            sessions: BTreeSet::new(),
            streams: BTreeSet::new(),
            running: BTreeSet::new(),
        }
    }

    /// The machine is about to be told an event.
    pub(crate) fn hears(&mut self, now: Timestamp, event: &Event) {
        match event {
            Event::Session(session_id, event) => self.hears_session(*session_id, event),
            Event::Bot(bot_id, event) => self.hears_bot(now, bot_id, event),
            Event::Pools(PoolEvent::Ended { media_id, token, result }) => {
                self.processor_ended(*media_id, *token, result);
            }
            Event::Pools(PoolEvent::Store { .. } | PoolEvent::WorkWaiting { .. })
            | Event::Tick
            | Event::Node(_)
            | Event::Ownership(_)
            | Event::Janitor(_) => {}
        }
    }

    /// The machine has said its effects, none of which is carried out yet.
    pub(crate) fn says(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Session(session_id, effect) => self.says_session(*session_id, effect),
                Effect::Bot(bot_id, effect) => self.says_bot(bot_id, effect),
                Effect::Pools(PoolEffect::Start(work)) => {
                    let at_work = AtWork { pool: work.pool.clone(), since: Instant::now() };
                    self.at_work.insert((work.media_id, work.token), at_work);
                    self.busy(&work.pool).inc();
                }
                Effect::Notice(notice) => self.notice(notice),
                Effect::Pools(PoolEffect::Store { .. } | PoolEffect::Cancel { .. })
                | Effect::Ownership(_)
                | Effect::Janitor(_)
                | Effect::Stopped => {}
            }
        }
    }

    fn hears_session(&mut self, session_id: SessionId, event: &SessionEvent) {
        match event {
            SessionEvent::Opened => {
                self.sessions.insert(session_id);
            }
            SessionEvent::Closed => {
                self.sessions.remove(&session_id);
            }
            SessionEvent::Frame { .. } | SessionEvent::Malformed { .. } | SessionEvent::Heard => {
                return;
            }
        }
        set(&self.series.provider_connections, self.sessions.len());
    }

    fn hears_bot(&mut self, now: Timestamp, bot_id: &BotId, event: &BotEvent) {
        match event {
            BotEvent::Acknowledge { keys, .. } => {
                for key in keys {
                    self.answered(now, bot_id, key, "acknowledged");
                }
            }
            BotEvent::Answered { key, answer, .. } => {
                self.answered(now, bot_id, key, word(answer));
            }
            BotEvent::AnsweredTogether { callbacks, answer } => {
                for (key, _) in callbacks {
                    self.answered(now, bot_id, key, word(answer));
                }
            }
            BotEvent::ConsumerAttached { stream_id } => {
                self.streams.insert(*stream_id);
                set(&self.series.consumers, self.streams.len());
            }
            BotEvent::ConsumerDetached { stream_id } => self.stream_ended(*stream_id),
            BotEvent::Start
            | BotEvent::Stop
            | BotEvent::Post { .. }
            | BotEvent::Store { .. }
            | BotEvent::Enqueue { .. }
            | BotEvent::Register { .. }
            | BotEvent::Redeliver { .. }
            | BotEvent::ResultsWaiting => {}
        }
    }

    /// A consumer has answered a callback that is open; any other answer is not counted.
    fn answered(
        &mut self,
        now: Timestamp,
        bot_id: &BotId,
        key: &CallbackKey,
        answer: &'static str,
    ) {
        let open = self.open.get_mut(bot_id).and_then(|open| open.remove(key));
        let Some(Open { since, accepted_at, .. }) = open else { return };
        self.series.callback_answers.get_or_create(&OfAnswer { answer }).inc();
        debug!(callback_id = %Named(bot_id, key), answer, "callback answered");
        if answer == "acknowledged" {
            series::observe(&self.series.callback, since.elapsed());
            series::observe(&self.series.message, now.since(accepted_at).into());
        }
    }

    fn processor_ended(
        &mut self,
        media_id: MediaId,
        token: LeaseToken,
        result: &Result<Outcome, ProcessorFailure>,
    ) {
        let Some(AtWork { pool, since }) = self.at_work.remove(&(media_id, token)) else { return };
        self.busy(&pool).dec();
        let result = match result {
            Ok(_) => "done",
            Err(ProcessorFailure::Permanent { .. }) => "failed",
            Err(ProcessorFailure::Transient { .. }) => "transient",
            Err(ProcessorFailure::TimedOut) => "timed_out",
            Err(ProcessorFailure::Cancelled) => "cancelled",
        };
        let of = OfPoolResult { pool: Pool(pool), result };
        series::observe(&self.series.processing.get_or_create(&of), since.elapsed());
    }

    fn says_session(&mut self, session_id: SessionId, effect: &SessionEffect) {
        match effect {
            SessionEffect::Receipt { receipt, .. } => self.receipt(receipt),
            SessionEffect::Close => {
                self.sessions.remove(&session_id);
                set(&self.series.provider_connections, self.sessions.len());
            }
            SessionEffect::Welcome { .. }
            | SessionEffect::Send { .. }
            | SessionEffect::Error { .. }
            | SessionEffect::Pong
            | SessionEffect::Ping => {}
        }
    }

    fn says_bot(&mut self, bot_id: &BotId, effect: &BotEffect) {
        match effect {
            BotEffect::PostReceipt { receipt, .. } => self.receipt(receipt),
            BotEffect::Callback { callback, .. } => self.handed_over(bot_id, callback.get()),
            BotEffect::Callbacks { callbacks, .. } => {
                for callback in callbacks {
                    self.handed_over(bot_id, callback.get());
                }
            }
            BotEffect::AbortCallback { key, .. } => {
                if let Some(open) = self.open.get_mut(bot_id) {
                    open.remove(key);
                }
            }
            BotEffect::StreamReplaced { stream_id } => self.stream_ended(*stream_id),
            BotEffect::Store { .. }
            | BotEffect::AckAnswer { .. }
            | BotEffect::EnqueueAnswer { .. }
            | BotEffect::RedeliverAnswer { .. }
            | BotEffect::DeleteMedia { .. } => {}
        }
    }

    fn handed_over(&mut self, bot_id: &BotId, callback: &Callback) {
        self.series.callback_attempts.inc();
        let key = callback.key();
        debug!(
            callback_id = %Named(bot_id, &key),
            attempt = callback.attempt.0,
            media_id = callback.message.media_id().map(tracing::field::display),
            "callback handed over"
        );
        // Worth its cost where spans are sent somewhere, or everything is logged.
        let span = debug_span!(
            "message",
            bot_id = bot_id.as_str(),
            correspondent_id = callback.correspondent_id.as_str(),
            callback_id = %Named(bot_id, &key),
            media_id = callback.message.media_id().map(tracing::field::display)
        );
        let accepted_at = callback.message.accepted_time;
        let open = Open { since: Instant::now(), accepted_at, _span: span };
        match self.open.get_mut(bot_id) {
            Some(of_bot) => {
                of_bot.entry(key).or_insert(open);
            }
            None => {
                self.open.insert(bot_id.clone(), HashMap::from([(key, open)]));
            }
        }
    }

    fn receipt(&self, receipt: &Receipt) {
        self.series.receipts.get_or_create(&labels::receipt(receipt)).inc();
    }

    fn stream_ended(&mut self, stream_id: StreamId) {
        self.streams.remove(&stream_id);
        set(&self.series.consumers, self.streams.len());
    }

    fn notice(&mut self, notice: &Notice) {
        let series = &self.series;
        series.notices.get_or_create(&OfNotice { notice: labels::notice(notice) }).inc();
        match notice {
            Notice::BotStarted { bot_id, .. } => {
                self.running.insert(bot_id.clone());
                set(&series.bots_running, self.running.len());
            }
            Notice::BotStopped { bot_id } | Notice::BotFenced { bot_id } => {
                self.running.remove(bot_id);
                self.open.remove(bot_id);
                set(&series.bots_running, self.running.len());
            }
            Notice::MessageEvicted { reason, .. } => {
                let reason = labels::eviction(reason);
                series.evictions.get_or_create(&OfReason { reason }).inc();
            }
            Notice::OverflowEntered { .. } => {
                series.overflow.get_or_create(&OfAction { action: "entered" }).inc();
            }
            Notice::MessageRejected { reason: RejectReason::Overflow, .. } => {
                series.overflow.get_or_create(&OfAction { action: "rejected" }).inc();
            }
            Notice::MediaEnded { outcome, .. } => {
                let reason = match outcome {
                    Outcome::Failed { error, .. } => labels::failure(error),
                    _ => "",
                };
                let outcome = driver::outcome_kind(outcome);
                series.outcomes.get_or_create(&OfOutcome { outcome, reason }).inc();
            }
            Notice::LeaseReclaimed { .. } => {
                series.lease_reclaims.inc();
            }
            Notice::StaleResult { .. } => {
                series.stale_results.inc();
            }
            _ => {}
        }
    }

    fn busy(&self, pool: &PoolName) -> Gauge {
        self.series.busy.get_or_create(&OfPool::from(pool)).clone()
    }
}

fn word(answer: &ConsumerAnswer) -> &'static str {
    match answer {
        ConsumerAnswer::Acknowledged { .. } => "acknowledged",
        ConsumerAnswer::Refused => "refused",
        ConsumerAnswer::Unavailable { .. } => "unavailable",
        ConsumerAnswer::Gone => "gone",
    }
}

fn set(gauge: &Gauge, count: usize) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}

/// A callback's public name, made only where it is shown.
struct Named<'a>(&'a BotId, &'a CallbackKey);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        CallbackId { bot_id: self.0.clone(), key: self.1.clone() }.fmt(f)
    }
}
