//! What is kept of a run: a hash over it, its events for a replay, its lines for people. Each only
//! where it was asked for.

use anteroom_core::context::Seed;
use anteroom_core::deadline::Deadline;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::machine::Machine;
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{StoreRequest, StoreResult};
use anteroom_core::time::{Millis, Timestamp};
use anteroom_trace::line::{Applied, Broken, BrokenLine, Contents, Fault, Header, When};
use anteroom_trace::words;
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
    /// The trace, as it is written to its file.
    trace: Vec<u8>,
}

impl Recorder {
    pub fn new(looks: Looks) -> Self {
        let (digest, length, applied) = (Digest::default(), 0, 0);
        let trace = if looks.trace { Header::new(Contents::Kept).to_line() } else { Vec::new() };
        Self { looks, digest, length, applied, processes: Vec::new(), trace }
    }

    /// A process of a node begins.
    pub fn booted(&mut self, when: When, number: u32, settings: &NodeSettings, seed: Seed) {
        let node = when.node as usize;
        if self.looks.replay {
            self.processes.push(Process::new(node, number, settings.clone(), seed));
        }
        if self.looks.digest {
            self.digest.feed(settings);
        }
        if self.looks.trace
            && let Ok(machine) = Machine::new(settings.clone(), seed)
        {
            Contents::Kept.machine(&mut self.trace, when, &machine);
        }
    }

    /// An event reaches a node.
    pub fn event(&mut self, when: When, event: &Event) {
        let (node, now) = (when.node as usize, when.now);
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
            Contents::Kept.event(&mut self.trace, when, event);
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
            Contents::Kept.effects(&mut self.trace, effects);
        }
    }

    /// The world does harm, to one node or to all.
    pub fn fault(
        &mut self,
        now: Timestamp,
        node: Option<usize>,
        fault: impl Into<String>,
        lasts: Option<Millis>,
    ) {
        let node = node.map(|node| node as u32);
        self.line(&Fault { now, fault: fault.into(), node, lasts });
    }

    /// A rule is broken.
    pub fn broken(&mut self, now: Timestamp, rule: String, what: String) {
        self.line(&BrokenLine { now, broken: Broken { rule, what } });
    }

    /// The store did what somebody asked for.
    pub fn applied(
        &mut self,
        (now, node): (Timestamp, Option<usize>),
        request: &StoreRequest,
        result: &StoreResult,
        store: &StoreModel,
    ) {
        self.applied += 1;
        if self.looks.digest {
            self.digest.feed(result);
            if self.applied.is_multiple_of(STATE_EVERY) {
                self.state(store);
            }
        }
        if self.looks.trace {
            let name = words::request_name(request);
            let (request, result) = (words::of_request(request), words::of_result(result));
            let result = result.trim_end_matches(&name).trim_end();
            let node = node.map(|node| node as u32);
            self.line(&Applied { now, applied: format!("does {request}: {result}"), node });
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

    pub fn into_trace(self) -> String {
        String::from_utf8_lossy(&self.trace).into_owned()
    }

    fn line(&mut self, line: &impl Serialize) {
        if self.looks.trace {
            Contents::Kept.append(&mut self.trace, line);
            self.trace.push(b'\n');
        }
    }
}
