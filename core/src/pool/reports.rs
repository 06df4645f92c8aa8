//! How results and releases reach the store, in batches.

use super::{HeldState, Pools};
use crate::context::Context;
use crate::id::{LeaseToken, MediaId};
use crate::job::ReleaseReason;
use crate::message::Outcome;
use crate::notice::Notice;
use crate::signal::BotSignal;
use crate::store::{
    Completion, Release, StoreError, StoreReply, StoreRequest, StoreResult, TokenAnswer,
};
use crate::time::Millis;

/// Results, or releases, of one store operation.
const BATCH_MAX: usize = 500;

impl Pools {
    /// The bot cannot apply a result: it is stored in the job, and the bot told that it is there.
    pub(super) fn undelivered(
        &mut self,
        cx: &mut Context<'_>,
        media_id: MediaId,
        token: LeaseToken,
        outcome: Outcome,
    ) {
        match self.held.get_mut(&media_id) {
            Some(held) if held.work.token == token => {
                held.state = HeldState::Reported;
                self.to_complete.push(Completion { media_id, token, outcome });
            }
            Some(_) | None => cx.notice(Notice::StaleResult { media_id }),
        }
    }

    /// A claim that came while the job was still held under another lease.
    pub(super) fn give_back_claim(&mut self, media_id: MediaId, token: LeaseToken) {
        let reason = ReleaseReason::Shutdown;
        self.to_release.push(Release { media_id, token, delay: Millis::ZERO, reason });
    }

    pub(super) fn release(&mut self, media_id: MediaId, delay: Millis, reason: ReleaseReason) {
        let Some(held) = self.held.get_mut(&media_id) else { return };
        held.state = HeldState::Reported;
        let token = held.work.token;
        self.to_release.push(Release { media_id, token, delay, reason });
    }

    pub(super) fn pump_reports(&mut self, cx: &mut Context<'_>) {
        if self.completes.is_idle() && !self.to_complete.is_empty() {
            let count = self.to_complete.len().min(BATCH_MAX);
            let completions: Vec<_> = self.to_complete.drain(..count).collect();
            self.ask_complete(cx, completions);
        }
        if self.releases.is_idle() && !self.to_release.is_empty() {
            let count = self.to_release.len().min(BATCH_MAX);
            let releases: Vec<_> = self.to_release.drain(..count).collect();
            self.ask_release(cx, releases);
        }
    }

    pub(super) fn retry_reports(&mut self, cx: &mut Context<'_>) {
        if let Some(completions) = self.completes.take_due(cx.now) {
            self.ask_complete(cx, completions);
        }
        if let Some(releases) = self.releases.take_due(cx.now) {
            self.ask_release(cx, releases);
        }
    }

    fn ask_complete(&mut self, cx: &mut Context<'_>, completions: Vec<Completion>) {
        let request = StoreRequest::Complete { completions: completions.clone() };
        let op = Self::ask_store(cx, request);
        self.completes.begin(op, completions);
    }

    fn ask_release(&mut self, cx: &mut Context<'_>, releases: Vec<Release>) {
        let request = StoreRequest::Release { releases: releases.clone() };
        let op = Self::ask_store(cx, request);
        self.releases.begin(op, releases);
    }

    pub(super) fn on_completed(
        &mut self,
        cx: &mut Context<'_>,
        completions: Vec<Completion>,
        result: StoreResult,
    ) {
        match result {
            Ok(StoreReply::Complete(answers)) => {
                self.completes.settle();
                for (completion, answer) in completions.into_iter().zip(answers) {
                    self.completed(cx, completion.media_id, completion.token, answer);
                }
            }
            Err(StoreError::Unavailable { detail }) => {
                self.completes.retry_later(cx, completions, "complete", detail);
            }
            Ok(_) | Err(StoreError::Fenced | StoreError::Invalid { .. }) => {
                cx.unexpected("pools: no answer to completions");
                for completion in completions {
                    self.forget(completion.media_id, completion.token);
                }
            }
        }
    }

    fn completed(
        &mut self,
        cx: &mut Context<'_>,
        media_id: MediaId,
        token: LeaseToken,
        answer: TokenAnswer,
    ) {
        let bot_id = self.held.get(&media_id).map(|held| held.work.bot_id.clone());
        self.forget(media_id, token);
        match answer {
            TokenAnswer::Ok => {
                if let Some(bot_id) = bot_id {
                    cx.tell_bot(&bot_id, BotSignal::ResultsWaiting);
                }
            }
            TokenAnswer::Stale => cx.notice(Notice::StaleResult { media_id }),
        }
    }

    pub(super) fn on_released(
        &mut self,
        cx: &mut Context<'_>,
        releases: Vec<Release>,
        result: StoreResult,
    ) {
        match result {
            Ok(StoreReply::Release(_)) => {
                self.releases.settle();
                for release in releases {
                    if let Some(held) = self.held.get(&release.media_id)
                        && release.delay == Millis::ZERO
                    {
                        cx.board.set_work_waiting(&held.work.pool, true);
                    }
                    self.forget(release.media_id, release.token);
                }
            }
            Err(StoreError::Unavailable { detail }) => {
                self.releases.retry_later(cx, releases, "release", detail);
            }
            Ok(_) | Err(StoreError::Fenced | StoreError::Invalid { .. }) => {
                cx.unexpected("pools: no answer to releases");
                for release in releases {
                    self.forget(release.media_id, release.token);
                }
            }
        }
    }

    fn forget(&mut self, media_id: MediaId, token: LeaseToken) {
        if self.held.get(&media_id).is_some_and(|held| held.work.token == token) {
            self.held.remove(&media_id);
        }
    }
}
