//! How jobs are processed: started in a slot, ended by their result, their time, or the lease.

use super::event::{PoolEffect, ProcessorFailure};
use super::{Held, HeldState, Pools};
use crate::context::Context;
use crate::id::{LeaseToken, MediaId, PoolName};
use crate::job::{ReleaseReason, Worked};
use crate::message::{FailureKind, Outcome};
use crate::notice::Notice;
use crate::signal::BotSignal;
use crate::time::Millis;

impl Pools {
    pub(super) fn start_waiting(&mut self, cx: &mut Context<'_>) {
        if self.stopping.is_some() {
            return self.release_waiting(cx);
        }
        let mut ended = Vec::new();
        for (name, pool) in &mut self.pools {
            while pool.busy < pool.settings.slots.get() as usize
                && let Some(media_id) = pool.waiting.pop_front()
            {
                let Some(held) = self.held.get_mut(&media_id) else { continue };
                if held.lease_end <= cx.now {
                    ended.push(media_id);
                    continue;
                }
                let until = cx.now + pool.settings.timeout;
                held.state = HeldState::Running { since: cx.now, until };
                pool.busy += 1;
                self.processors.insert((media_id, held.work.token), name.clone());
                self.check_at = Some(self.check_at.map_or(until, |at| at.min(until)));
                cx.effect(PoolEffect::Start(held.work.clone()));
            }
        }
        // They wait in no line any more: a renewal that is answered yet would only hold them for ever.
        for media_id in ended {
            self.lose(cx, media_id);
        }
        self.release_behind_overdue(cx);
    }

    /// Gives back what waits behind processors none of which has a job any more: whether they ever end is
    /// not known, and another worker may have a free slot.
    fn release_behind_overdue(&mut self, cx: &mut Context<'_>) {
        let (held, processors) = (&self.held, &self.processors);
        let is_overdue = |media_id: &MediaId, token: LeaseToken| {
            let current = held.get(media_id).filter(|held| held.work.token == token);
            current.and_then(Held::running_since).is_none()
        };
        let blocked = self.pools.iter().filter(|(name, pool)| {
            !pool.waiting.is_empty()
                && processors
                    .iter()
                    .filter(|(_, of)| of == name)
                    .all(|((media_id, token), _)| is_overdue(media_id, *token))
        });
        let blocked: Vec<PoolName> = blocked.map(|(name, _)| name.clone()).collect();
        for name in blocked {
            // Until a job has ended again, nothing more is claimed ahead.
            self.forget_lengths(cx, &name);
            self.release_waiting_of(cx, &name);
        }
    }

    /// A processor has ended: its slot is free from here on.
    pub(super) fn ended(
        &mut self,
        cx: &mut Context<'_>,
        media_id: MediaId,
        token: LeaseToken,
        result: Result<Outcome, ProcessorFailure>,
    ) {
        let Some(name) = self.processors.remove(&(media_id, token)) else {
            return cx.unexpected(format!("pools: unknown processor of {media_id} ended"));
        };
        cx.board.give_back(&name, 1);
        if let Some(pool) = self.pools.get_mut(&name) {
            pool.busy = pool.busy.saturating_sub(1);
        }
        let current = self.held.get(&media_id).filter(|held| held.work.token == token);
        let Some(since) = current.and_then(Held::running_since) else {
            // It timed out before, or its lease was lost: what it says came too late.
            if result.is_ok() {
                cx.notice(Notice::StaleResult { media_id });
            }
            return;
        };
        // How long a cancelled one would have taken is not known.
        if result != Err(ProcessorFailure::Cancelled) {
            self.note_length(cx, &name, cx.now.since(since));
        }
        match result {
            Ok(outcome) => self.deliver(cx, media_id, outcome),
            Err(ProcessorFailure::Permanent { error, detail }) => {
                self.deliver(cx, media_id, Outcome::Failed { error, detail });
            }
            Err(ProcessorFailure::Transient { retry_after, detail }) => {
                self.failed_transiently(cx, media_id, retry_after, detail);
            }
            Err(ProcessorFailure::TimedOut) => self.deliver(cx, media_id, Outcome::TimedOut),
            Err(ProcessorFailure::Cancelled) => {
                self.release(media_id, Millis::ZERO, ReleaseReason::Shutdown);
            }
        }
    }

    /// Hands a result to the job's bot, wherever that is. That of a retry goes through the store: its message
    /// is archived, and a placeholder with the same media is another message to the bot.
    pub(super) fn deliver(&mut self, cx: &mut Context<'_>, media_id: MediaId, outcome: Outcome) {
        let Some(held) = self.held.get_mut(&media_id) else { return };
        let token = held.work.token;
        if held.revision > 0 {
            return self.undelivered(cx, media_id, token, outcome);
        }
        held.state = HeldState::Delivered;
        let bot_id = held.work.bot_id.clone();
        let worker_id = cx.settings.node_id;
        let worked = Worked { worker_id, claimed_at: held.claimed_at, ended_at: cx.now };
        cx.tell_bot(&bot_id, BotSignal::MediaDone { media_id, token, worked, outcome });
    }

    fn failed_transiently(
        &mut self,
        cx: &mut Context<'_>,
        media_id: MediaId,
        retry_after: Option<Millis>,
        detail: String,
    ) {
        let Some(held) = self.held.get(&media_id) else { return };
        let transient = held.transient;
        let name = held.work.pool.clone();
        let Some(pool) = self.pools.get_mut(&name) else { return };
        if transient >= pool.settings.transient_retries_max {
            let error = FailureKind::RetriesExhausted;
            let outcome = Outcome::Failed { error, detail: Some(detail) };
            return self.deliver(cx, media_id, outcome);
        }
        cx.notice(Notice::TransientFailure { media_id, detail });
        let back_off = pool.settings.transient_back_off;
        let asked = retry_after.unwrap_or_default().min(back_off.most);
        let delay = cx.source.jittered(back_off.after(transient)).max(asked);
        let look_at = cx.now + delay;
        pool.poll_at = Some(pool.poll_at.map_or(look_at, |at| at.min(look_at)));
        self.release(media_id, delay, ReleaseReason::Transient);
    }

    /// A processor has used up its time. The result is said at once; the slot is free when the
    /// processor has really ended.
    pub(super) fn time_out(&mut self, cx: &mut Context<'_>, media_id: MediaId) {
        let Some(held) = self.held.get(&media_id) else { return };
        let name = held.work.pool.clone();
        let token = held.work.token;
        cx.notice(Notice::ProcessorTimedOut { media_id });
        cx.effect(PoolEffect::Cancel { media_id, token });
        self.forget_lengths(cx, &name);
        self.deliver(cx, media_id, Outcome::TimedOut);
    }

    /// Gives back what was claimed and has no slot.
    pub(super) fn release_waiting(&mut self, cx: &mut Context<'_>) {
        let names: Vec<PoolName> = self.pools.keys().cloned().collect();
        for name in names {
            self.release_waiting_of(cx, &name);
        }
    }

    fn release_waiting_of(&mut self, cx: &mut Context<'_>, name: &PoolName) {
        let Some(pool) = self.pools.get_mut(name) else { return };
        cx.board.give_back(name, pool.waiting.len());
        for media_id in std::mem::take(&mut pool.waiting) {
            self.release(media_id, Millis::ZERO, ReleaseReason::Shutdown);
        }
    }
}
