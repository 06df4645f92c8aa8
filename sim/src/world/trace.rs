//! What is kept of a run: a hash over it, its events for a replay, its lines for people. Each only
//! where it was asked for.

use anteroom_core::context::Seed;
use anteroom_core::deadline::Deadline;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{StoreRequest, StoreResult};
use anteroom_core::time::Timestamp;
use serde::Serialize;

use super::Looks;
use super::replay::Process;
use crate::digest::Digest;
use crate::store::StoreModel;

/// After how many store operations the whole store is hashed.
const STATE_EVERY: u64 = 256;

pub(super) struct Recorder {
    looks: Looks,
    digest: Digest,
    length: u64,
    applied: u64,
    processes: Vec<Process>,
    lines: Vec<String>,
}

/// A line of a trace.
#[derive(Serialize)]
struct Line<'a, T> {
    now: Timestamp,
    node: Option<usize>,
    #[serde(flatten)]
    what: What<'a, T>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum What<'a, T> {
    Event(&'a T),
    Effect(&'a T),
    Asked(&'a T),
    Answered(&'a T),
}

impl Recorder {
    pub fn new(looks: Looks) -> Self {
        let (digest, length, applied) = (Digest::default(), 0, 0);
        Self { looks, digest, length, applied, processes: Vec::new(), lines: Vec::new() }
    }

    pub fn booted(&mut self, node: usize, number: u32, settings: &NodeSettings, seed: Seed) {
        if self.looks.replay {
            self.processes.push(Process::new(node, number, settings.clone(), seed));
        }
        if self.looks.digest {
            self.digest.feed(settings);
        }
    }

    pub fn event(&mut self, node: usize, now: Timestamp, event: &Event) {
        if self.looks.digest {
            self.length += 1;
            self.digest.word(now.as_ms());
            self.digest.feed(event);
        }
        if self.looks.replay
            && let Some(process) = self.processes.iter_mut().rev().find(|it| it.node == node)
        {
            process.events.push((now, event.clone()));
        }
        if self.looks.trace {
            self.line(Line { now, node: Some(node), what: What::Event(event) });
        }
    }

    pub fn effects(
        &mut self,
        node: usize,
        effects: &[Effect],
        deadline: Option<(Timestamp, Deadline)>,
    ) {
        if self.looks.digest {
            self.length += effects.len() as u64;
            self.digest.feed(&(effects, deadline));
        }
        if self.looks.replay
            && let Some(process) = self.processes.iter_mut().rev().find(|it| it.node == node)
        {
            process.digests.push(Process::digest_of(effects, deadline));
        }
        if self.looks.trace {
            for effect in effects {
                self.line(Line {
                    now: Timestamp::ZERO,
                    node: Some(node),
                    what: What::Effect(effect),
                });
            }
        }
    }

    pub fn applied(&mut self, request: &StoreRequest, result: &StoreResult, store: &StoreModel) {
        self.applied += 1;
        if self.looks.digest {
            self.digest.feed(result);
            if self.applied.is_multiple_of(STATE_EVERY) {
                self.state(store);
            }
        }
        if self.looks.trace {
            self.line(Line { now: Timestamp::ZERO, node: None, what: What::Asked(request) });
            self.line(Line { now: Timestamp::ZERO, node: None, what: What::Answered(result) });
        }
    }

    /// Hashes everything that is durable.
    pub fn state(&mut self, store: &StoreModel) {
        if !self.looks.digest {
            return;
        }
        store.jobs().for_each(|job| self.digest.feed(job));
        store.failed_copies().for_each(|copy| self.digest.feed(copy));
        for row in store.archive_rows() {
            let callback = format!("{:?}", row.callback);
            self.digest.feed(&(&row.message, row.revision, row.seq, row.attempts, callback));
        }
        for send in store.sends() {
            self.digest.feed(&(&send.bot_id, &send.send, send.place, send.sent.is_some()));
        }
        for (bot_id, ownership) in store.ownerships() {
            self.digest.feed(&(bot_id, ownership.epoch));
        }
    }

    /// The hash over everything, its length included; 0 unless it was asked for.
    pub fn digest(&self) -> u64 {
        if !self.looks.digest {
            return 0;
        }
        let mut digest = self.digest;
        digest.word(self.length);
        digest.value()
    }

    /// Replays every process, where that was asked for.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn replay(&self) -> Result<(), String> {
        self.processes.iter().try_for_each(Process::replay)
    }

    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    fn line<T: Serialize>(&mut self, line: Line<'_, T>) {
        let line = serde_json::to_string(&line);
        self.lines.push(line.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));
    }
}
