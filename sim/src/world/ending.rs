//! The end of a run: faults are healed, then everything has to come to its end, then fresh work is
//! served, then the store is looked through.
//!
//! Owns the watchdog: a run goes on as long as anything moves, and is stuck when nothing has for
//! longer than any wait in it can last.

use anteroom_core::draft::Direction;
use anteroom_core::message::MediaKind;
use anteroom_core::time::{Millis, Timestamp};

use super::weather::Weather;
use super::{Happening, World};
use crate::checker::Broken;
use crate::checker::seen::Final;
use crate::digest::Digest;
use crate::plan::{Ending, FileState, MessageName, PlannedMedia, PlannedMessage, Processing};

/// How often somebody looks whether everything has come to its end.
const LOOK_EVERY: Millis = Millis::from_secs(5);

/// Longer than anything waits: back-offs, gates, leases, the sweeps of files and their suspects.
const STUCK_AFTER: Millis = Millis::from_minutes(45);

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Faults strike.
    Faulty,
    /// Everything has to come to its end.
    Settling { moved_at: Timestamp, progress: u64, fresh: bool },
    /// It has.
    Over,
}

impl World {
    /// The faults end.
    pub(super) fn heal(&mut self) {
        if let Ending::StayDead(nodes) = self.plan.ending.clone() {
            for node in nodes {
                self.recorder.fault(self.now, Some(node), "dies for good", None);
                self.nodes[node].gone = true;
                self.kill(node, Millis::ZERO);
            }
        }
        self.recorder.fault(self.now, None, "no more faults: everything is healed", None);
        self.at_work.clear();
        let (nodes, bots) = (self.nodes.len(), self.consumers.len());
        self.weather = Weather::fair(nodes, bots, self.providers.len());
        for node in 0..nodes {
            if self.nodes[node].frozen {
                let incarnation = self.nodes[node].incarnation;
                self.thaw(node, incarnation);
            }
            for bot in 0..bots {
                self.start_bot(bot, node);
            }
        }
        for bot in 0..bots {
            self.consumer_comes(bot, true);
        }
        self.phase = Phase::Settling { moved_at: self.now, progress: 0, fresh: false };
        self.look();
    }

    /// Looks whether everything has come to its end, or at least moves.
    pub(super) fn look(&mut self) {
        let Phase::Settling { moved_at, progress, fresh } = self.phase else { return };
        let now_made = self.progress();
        let unsettled = self.unsettled();
        self.phase = match unsettled {
            None if fresh => Phase::Over,
            None => {
                self.fresh_work();
                Phase::Settling { moved_at: self.now, progress: self.progress(), fresh: true }
            }
            Some(_) if now_made != progress => {
                Phase::Settling { moved_at: self.now, progress: now_made, fresh }
            }
            Some(broken) if self.now.since(moved_at) >= STUCK_AFTER => {
                let what = format!("{}. {}", broken.what, self.stuck());
                self.checker.break_rule(broken.rule, what);
                Phase::Over
            }
            Some(_) => self.phase,
        };
        self.after(LOOK_EVERY, Happening::Look);
    }

    /// What has not come to its end.
    pub(super) fn unsettled(&self) -> Option<Broken> {
        let kept = self.kept();
        let world = Final { store: &self.store, staged: &self.staged, kept: &kept };
        self.checker.judge_end(&world).err()
    }

    /// The messages that have no final receipt.
    pub(super) fn kept(&self) -> Vec<MessageName> {
        let kept = self.providers.iter().flat_map(|provider| &provider.kept);
        kept.map(|kept| kept.message.name()).chain(self.posts.kept()).collect()
    }

    /// A hash over everything whose change brings the end nearer.
    fn progress(&self) -> u64 {
        let mut digest = Digest::default();
        digest.word(self.kept().len() as u64);
        digest.word(self.staged.len() as u64);
        for job in self.store.jobs() {
            digest.feed(&(job.media_id, job.lost, job.transient, job.outcome().is_some()));
        }
        for row in self.store.archive_rows() {
            digest.feed(&(row.seq, row.failures));
            digest.word(u64::from(row.callback == crate::store::CallbackState::Owed));
        }
        digest.word(self.store.sends().filter(|send| send.sent.is_none()).count() as u64);
        digest.value()
    }

    /// A text and a medium for each bot: the world still serves.
    fn fresh_work(&mut self) {
        for bot in 0..self.consumers.len() {
            let text = PlannedMessage {
                bot,
                correspondent_id: "fresh".into(),
                provider_message_id: "fresh-text".into(),
                text: "still there?".to_owned(),
                direction: Direction::Incoming,
                send_id: None,
                posted: false,
                media: None,
            };
            let media = PlannedMedia {
                media_id: self.dice.operator.uuid().into(),
                kind: MediaKind::Audio,
                mime_type: "audio/ogg".to_owned(),
                filename: None,
                file: FileState::Staged,
                processing: Processing::Text { characters: 10 },
            };
            self.media.add(media.media_id, media.processing);
            let voice = PlannedMessage {
                provider_message_id: "fresh-voice".into(),
                text: String::new(),
                media: Some(media),
                ..text.clone()
            };
            self.message_comes(text);
            self.message_comes(voice);
        }
    }
}
