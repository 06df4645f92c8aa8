//! The sweeps: what time alone ends. Expired leases, jobs that waited too long, files of nobody.
//!
//! Owns when each sweep runs and how far it is; *what* ends is decided by the guards of the job
//! table, in the store. Two janitors at once are harmless. A file is deleted only when the store has
//! just said that no job knows it; an orphan, moreover, only when this janitor itself has seen it
//! unknown for `orphan_after`, and no provider has sent its message here meanwhile.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::deadline::Deadline;
use crate::durable::Durable;
use crate::id::{BotId, Epoch, MediaId, OpId};
use crate::notice::Notice;
use crate::signal::BotSignal;
use crate::store::{StoreError, StoreReply, StoreRequest, StoreResult, Swept};
use crate::time::{Millis, Timestamp};

/// Files that may wait to be looked up at once; what is beyond is left to the orphan sweep.
const UNNEEDED_MAX: usize = 1_000;

/// Files under suspicion at once.
const SUSPECTS_MAX: usize = 100_000;

/// Something that happened to the sweeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JanitorEvent {
    /// The store answered.
    Store {
        /// Which operation.
        op: OpId,
        /// What.
        result: StoreResult,
    },
    /// The files that are staged.
    Staged {
        /// Their names.
        files: Vec<MediaId>,
    },
}

/// Something for the driver to do for the sweeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JanitorEffect {
    /// Ask the store.
    Store {
        /// The operation; its reply carries the same id.
        op: OpId,
        /// What to ask.
        request: StoreRequest,
    },
    /// Say which files are staged.
    ListStaged,
    /// Delete a staged file.
    DeleteMedia {
        /// Which; durable is what makes it unneeded.
        media_id: Durable<MediaId>,
    },
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Janitor {
    started: bool,
    reclaim: Sweep,
    expire: Sweep,
    files: Sweep,
    /// Staged files whose job nobody knew, since when.
    suspects: BTreeMap<MediaId, Timestamp>,
    /// Staged files still to be looked up in the running sweep.
    unchecked: VecDeque<MediaId>,
    /// Files of messages that turned out to be resends.
    unneeded: BTreeSet<MediaId>,
    unneeded_op: Option<(OpId, Vec<MediaId>)>,
    checking: Vec<MediaId>,
}

/// One kind of sweep: when it is due, or which operation it waits for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sweep {
    due_at: Option<Timestamp>,
    op: Option<OpId>,
}

impl Janitor {
    pub fn start(&mut self, cx: &Context<'_>) {
        let janitor = cx.settings.janitor;
        self.started = true;
        self.reclaim.due_at = Some(cx.now + janitor.reclaim_every);
        self.expire.due_at = Some(cx.now + janitor.expire_every);
        self.files.due_at = Some(cx.now + janitor.files_every);
    }

    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// Starts the sweeps that are due. `running` names the bots owned and running here.
    pub fn tick(&mut self, cx: &mut Context<'_>, running: impl FnOnce() -> Vec<(BotId, Epoch)>) {
        let janitor = cx.settings.janitor;
        if self.reclaim.is_due(cx.now) {
            self.reclaim.ask(cx, StoreRequest::ReclaimLeases { limit: janitor.batch_max });
        }
        if self.expire.is_due(cx.now) {
            let request = StoreRequest::ExpireJobs {
                running: running(),
                active_ttl: janitor.active_ttl,
                holding_ttl: janitor.holding_ttl,
                limit: janitor.batch_max,
            };
            self.expire.ask(cx, request);
        }
        if self.files.is_due(cx.now) {
            let request = StoreRequest::AcquireSingleton {
                name: "janitor".to_owned(),
                node_id: cx.settings.node_id,
                ttl: janitor.files_every,
            };
            self.files.ask(cx, request);
        }
    }

    pub fn next_deadline(&self) -> Option<(Timestamp, Deadline)> {
        let reclaim = self.reclaim.due_at.map(|due| (due, Deadline::ReclaimSweep));
        let expire = self.expire.due_at.map(|due| (due, Deadline::ExpirySweep));
        let files = self.files.due_at.map(|due| (due, Deadline::FilesSweep));
        reclaim.into_iter().chain(expire).chain(files).min()
    }

    /// A resend brought a file of its own, which its message does not need.
    pub fn file_unneeded(&mut self, cx: &mut Context<'_>, media_id: MediaId) {
        if self.started && self.unneeded.len() < UNNEEDED_MAX {
            self.unneeded.insert(media_id);
            self.look_up_unneeded(cx);
        }
    }

    /// A provider keeps the message of a file, which may be refused for long: the file is no orphan.
    pub fn file_mentioned(&mut self, now: Timestamp, media_id: MediaId) {
        if let Some(since) = self.suspects.get_mut(&media_id) {
            *since = now;
        }
    }

    pub fn on_event(&mut self, cx: &mut Context<'_>, event: JanitorEvent) {
        match event {
            JanitorEvent::Store { op, result } => self.on_reply(cx, op, result),
            JanitorEvent::Staged { files } => self.on_staged(cx, files),
        }
    }

    fn on_reply(&mut self, cx: &mut Context<'_>, op: OpId, result: StoreResult) {
        if self.reclaim.op == Some(op) {
            self.reclaim.op = None;
            self.on_reclaimed(cx, result);
        } else if self.expire.op == Some(op) {
            self.expire.op = None;
            self.on_expired(cx, result);
        } else if self.files.op == Some(op) {
            self.files.op = None;
            self.on_files_reply(cx, result);
        } else if self.unneeded_op.as_ref().is_some_and(|(asked, _)| *asked == op) {
            self.on_unneeded_known(cx, result);
        } else if self.started {
            cx.unexpected(format!("janitor: reply to unknown operation {op}"));
        }
    }

    fn on_reclaimed(&mut self, cx: &mut Context<'_>, result: StoreResult) {
        let janitor = cx.settings.janitor;
        let Some(StoreReply::ReclaimLeases(swept)) = answered(cx, "reclaim_leases", result) else {
            return self.reclaim.again_in(cx.now, janitor.reclaim_every);
        };
        let full = swept.len() >= janitor.batch_max as usize;
        for job in swept {
            cx.notice(Notice::LeaseReclaimed {
                bot_id: job.bot_id.clone(),
                media_id: job.media_id,
            });
            tell_of(cx, &job);
        }
        let wait = if full { Millis::ZERO } else { janitor.reclaim_every };
        self.reclaim.again_in(cx.now, wait);
    }

    fn on_expired(&mut self, cx: &mut Context<'_>, result: StoreResult) {
        let janitor = cx.settings.janitor;
        let Some(StoreReply::ExpireJobs(swept)) = answered(cx, "expire_jobs", result) else {
            return self.expire.again_in(cx.now, janitor.expire_every);
        };
        let full = swept.len() >= janitor.batch_max as usize;
        for job in swept {
            cx.notice(Notice::JobExpired { bot_id: job.bot_id.clone(), media_id: job.media_id });
            tell_of(cx, &job);
        }
        let wait = if full { Millis::ZERO } else { janitor.expire_every };
        self.expire.again_in(cx.now, wait);
    }

    /// The files sweep, step by step: singleton, failed copies, old rows, staged files.
    fn on_files_reply(&mut self, cx: &mut Context<'_>, result: StoreResult) {
        let janitor = cx.settings.janitor;
        let limit = janitor.batch_max;
        let Some(reply) = answered(cx, "files sweep", result) else {
            self.unchecked.clear();
            return self.files.again_in(cx.now, janitor.files_every);
        };
        let forget_failed =
            StoreRequest::ForgetFailed { retention: janitor.failed_media_retention, limit };
        let forget_archived =
            StoreRequest::ForgetArchived { retention: janitor.archive_retention, limit };
        match &reply {
            StoreReply::AcquireSingleton(true) => self.files.ask(cx, forget_failed),
            StoreReply::ForgetFailed(media_ids) => {
                for &media_id in media_ids {
                    let media_id = Durable::by(&reply, media_id);
                    cx.effect(JanitorEffect::DeleteMedia { media_id });
                }
                let full = media_ids.len() >= limit as usize;
                self.files.ask(cx, if full { forget_failed } else { forget_archived });
            }
            StoreReply::ForgetArchived(count) if *count >= limit => {
                self.files.ask(cx, forget_archived);
            }
            StoreReply::ForgetArchived(_) => {
                // The listing is no store operation: the sweep is due again should it never come.
                self.files.again_in(cx.now, janitor.files_every);
                cx.effect(JanitorEffect::ListStaged);
            }
            StoreReply::KnownMedia(known) => {
                self.judge_checked(cx, &reply, known);
                self.check_next(cx);
            }
            _ => self.files.again_in(cx.now, janitor.files_every),
        }
    }

    fn on_staged(&mut self, cx: &mut Context<'_>, files: Vec<MediaId>) {
        if !self.started || self.files.op.is_some() {
            return cx.unexpected("janitor: a listing nobody asked for");
        }
        let staged: BTreeSet<_> = files.iter().copied().collect();
        self.suspects.retain(|media_id, _| staged.contains(media_id));
        self.unchecked = files.into();
        self.check_next(cx);
    }

    fn check_next(&mut self, cx: &mut Context<'_>) {
        let count = self.unchecked.len().min(cx.settings.janitor.batch_max as usize);
        if count == 0 {
            return self.files.again_in(cx.now, cx.settings.janitor.files_every);
        }
        self.checking = self.unchecked.drain(..count).collect();
        let media_ids = self.checking.clone();
        self.files.ask(cx, StoreRequest::KnownMedia { media_ids });
    }

    fn judge_checked(&mut self, cx: &mut Context<'_>, reply: &StoreReply, known: &[MediaId]) {
        let known: BTreeSet<_> = known.iter().collect();
        for media_id in std::mem::take(&mut self.checking) {
            if known.contains(&media_id) {
                self.suspects.remove(&media_id);
                continue;
            }
            let since = match self.suspects.get(&media_id) {
                Some(since) => *since,
                None if self.suspects.len() < SUSPECTS_MAX => {
                    self.suspects.insert(media_id, cx.now);
                    continue;
                }
                None => continue,
            };
            if cx.now.since(since) >= cx.settings.janitor.orphan_after {
                self.suspects.remove(&media_id);
                cx.effect(JanitorEffect::DeleteMedia { media_id: Durable::by(reply, media_id) });
                cx.notice(Notice::OrphanFileDeleted { media_id });
            }
        }
    }

    fn look_up_unneeded(&mut self, cx: &mut Context<'_>) {
        if self.unneeded_op.is_some() || self.unneeded.is_empty() {
            return;
        }
        let media_ids: Vec<_> = std::mem::take(&mut self.unneeded).into_iter().collect();
        let op = cx.source.op();
        let request = StoreRequest::KnownMedia { media_ids: media_ids.clone() };
        cx.effect(JanitorEffect::Store { op, request });
        self.unneeded_op = Some((op, media_ids));
    }

    fn on_unneeded_known(&mut self, cx: &mut Context<'_>, result: StoreResult) {
        let Some((_, asked)) = self.unneeded_op.take() else { return };
        // Without an answer the files are left to the orphan sweep.
        if let Some(reply) = answered(cx, "known_media", result)
            && let StoreReply::KnownMedia(known) = &reply
        {
            for media_id in asked {
                if !known.contains(&media_id) {
                    let media_id = Durable::by(&reply, media_id);
                    cx.effect(JanitorEffect::DeleteMedia { media_id });
                }
            }
        }
        self.look_up_unneeded(cx);
    }
}

impl Sweep {
    fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due <= now)
    }

    fn ask(&mut self, cx: &mut Context<'_>, request: StoreRequest) {
        let op = cx.source.op();
        self.due_at = None;
        self.op = Some(op);
        cx.effect(JanitorEffect::Store { op, request });
    }

    fn again_in(&mut self, now: Timestamp, wait: Millis) {
        self.due_at = Some(now + wait);
    }
}

/// Tells a swept job's pool or bot what it should look for.
fn tell_of(cx: &mut Context<'_>, job: &Swept) {
    if job.completed {
        cx.tell_bot(&job.bot_id, BotSignal::ResultsWaiting);
    } else {
        cx.hint_work(&job.pool);
    }
}

/// The reply, or a notice that there is none: a sweep simply comes again.
fn answered(cx: &mut Context<'_>, operation: &str, result: StoreResult) -> Option<StoreReply> {
    let operation = operation.to_owned();
    match result {
        Ok(reply) => return Some(reply),
        Err(StoreError::Unavailable { detail }) => {
            cx.notice(Notice::StoreRetried { operation, detail });
        }
        Err(StoreError::Invalid { detail }) => {
            cx.notice(Notice::StoreRefused { operation, detail });
        }
        Err(StoreError::Fenced) => cx.unexpected(format!("janitor: {operation} fenced")),
    }
    None
}
