//! A trace as people would tell it: who told whom what, when, and what it was about.
//!
//! Owns the order of [`Beat`]s and the names of everybody who takes part. Names and numbers that come
//! to be known only later (which provider a connection belongs to, which id a message was given) hold
//! for the whole story.

mod about;
mod lanes;
mod tell;

use std::collections::BTreeMap;

use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{
    BotId, CorrespondentId, MediaId, MessageId, OpId, ProviderMessageId, SessionId,
};
use anteroom_core::session::event::SessionEvent;
use anteroom_core::time::{Millis, Timestamp};

pub use self::lanes::Lanes;

/// Somebody who takes part: a lane of the drawing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// The provider behind a connection.
    Session(SessionId),
    /// Whoever hands messages of a bot over by request.
    Requests(BotId),
    /// A node.
    Node(u32),
    /// The workers of a node.
    Workers(u32),
    /// The store.
    Store,
    /// The consumer of a bot.
    Consumer(BotId),
}

/// What a beat is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A message, by its id.
    Message(BotId, CorrespondentId, MessageId),
    /// A message, by its provider's id.
    ProviderMessage(BotId, CorrespondentId, ProviderMessageId),
    /// A media job.
    Job(MediaId),
}

/// What kind of beat it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody told somebody something.
    Told,
    /// The end of something was told: an answer, a receipt, an acknowledgement.
    Answered,
    /// Something that happened in one place.
    Happened,
    /// A notice to operators.
    Notice,
    /// The world did harm.
    Fault,
    /// The moment that a rule was broken, or that a replay does something else.
    Broken,
    /// A word to the reader.
    Chapter,
}

/// One thing that was told, or happened.
#[derive(Debug, Clone)]
pub struct Beat {
    /// When, by the world's clock.
    pub at: Timestamp,
    /// The line of the trace, from 1; 0 where there is none.
    pub line: usize,
    /// What kind.
    pub kind: Kind,
    /// Who told it; none where it concerns everybody.
    pub from: Option<Party>,
    /// Whom; the same as `from` where it was told to nobody.
    pub to: Option<Party>,
    /// What, in a few words.
    pub label: String,
    /// What it was about.
    pub subjects: Vec<Subject>,
    /// The node at which it happened.
    pub node: Option<u32>,
}

/// What a message is known by: its bot, its correspondent, and its provider's id.
type ProviderKey = (BotId, CorrespondentId, ProviderMessageId);

/// A trace as people would tell it.
#[derive(Debug, Clone, Default)]
pub struct Story {
    beats: Vec<Beat>,
    line: usize,
    /// When the first beat was, where that is forgotten.
    begin: Option<Timestamp>,
    last_at: Timestamp,
    /// Which provider each connection belongs to, as far as it has said so, and its bots.
    sessions: BTreeMap<SessionId, (String, Vec<BotId>)>,
    /// Which message waits for a receipt under which number of a connection.
    numbered: BTreeMap<(SessionId, u64), ProviderKey>,
    ids: BTreeMap<ProviderKey, MessageId>,
    jobs: BTreeMap<MediaId, (BotId, CorrespondentId, MessageId)>,
    /// What the operations in flight ask for, and what about.
    asked: BTreeMap<(u32, OpId), (String, Vec<Subject>)>,
}

impl Story {
    /// What is told from here on is in this line of the trace.
    pub fn at_line(&mut self, line: usize) {
        self.line = line;
    }

    /// A node began, or began anew.
    pub fn booted(&mut self, node: u32, at: Timestamp) {
        self.asked.retain(|(asking, _), _| *asking != node);
        self.happened(at, Kind::Happened, node, "begins".to_owned());
    }

    /// A step of a node, at a time of the world.
    pub fn step(&mut self, node: u32, at: Timestamp, event: &Event, effects: &[Effect]) {
        self.last_at = at;
        // A tick that finds nothing to do, and a connection that is only heard of, are no part of it.
        let is_silence = match event {
            Event::Tick => effects.is_empty(),
            Event::Session(_, event) => *event == SessionEvent::Heard,
            _ => false,
        };
        if !is_silence {
            self.tell_event(node, at, event);
        }
        for effect in effects {
            self.tell_effect(node, at, effect);
        }
    }

    /// The world did harm.
    pub fn fault(&mut self, at: Timestamp, node: Option<u32>, what: &str, lasts: Option<Millis>) {
        self.last_at = at;
        let label = match lasts {
            Some(lasts) => format!("{what} ({lasts})"),
            None => what.to_owned(),
        };
        let party = node.map(Party::Node);
        let line = self.line;
        let (from, to) = (party.clone(), party);
        self.beats.push(Beat {
            at,
            line,
            kind: Kind::Fault,
            from,
            to,
            label,
            subjects: Vec::new(),
            node,
        });
    }

    /// The store did something, for a node or for somebody else.
    pub fn applied(&mut self, at: Timestamp, node: Option<u32>, what: &str) {
        self.last_at = at;
        let (from, to) = (Some(Party::Store), Some(Party::Store));
        let (line, label, subjects) = (self.line, what.to_owned(), Vec::new());
        self.beats.push(Beat { at, line, kind: Kind::Happened, from, to, label, subjects, node });
    }

    /// A rule was broken, or something else went wrong that the reader looks for.
    pub fn broken(&mut self, at: Timestamp, what: &str) {
        self.everybody(at, Kind::Broken, what.to_owned());
    }

    /// A word to the reader.
    pub fn chapter(&mut self, what: &str) {
        self.everybody(self.last_at, Kind::Chapter, what.to_owned());
    }

    /// Forgets what was told, but not who is who.
    pub fn restart(&mut self) {
        self.beats.clear();
        self.begin = None;
    }

    /// Forgets all but the last beats.
    pub fn keep_last(&mut self, beats: usize) {
        self.begin = Some(self.begin());
        let over = self.beats.len().saturating_sub(beats);
        self.beats.drain(..over);
    }

    /// When it begins.
    pub fn begin(&self) -> Timestamp {
        let first = self.beats.iter().map(|beat| beat.at).min().unwrap_or_default();
        self.begin.map_or(first, |begin| begin.min(first))
    }

    /// Everything that was told.
    pub fn beats(&self) -> &[Beat] {
        &self.beats
    }

    /// The name of a lane.
    pub fn name_of(&self, party: &Party) -> String {
        match party {
            Party::Session(session_id) => match self.sessions.get(session_id) {
                Some((name, _)) => name.clone(),
                None => format!("session {:.8}", session_id.to_string()),
            },
            Party::Requests(bot_id) => format!("requests of {bot_id}"),
            Party::Node(node) => format!("node {node}"),
            Party::Workers(node) => format!("workers of node {node}"),
            Party::Store => "store".to_owned(),
            Party::Consumer(bot_id) => format!("consumer of {bot_id}"),
        }
    }

    /// The name of a subject.
    pub fn name_of_subject(&self, subject: &Subject) -> String {
        match subject {
            Subject::Message(bot_id, correspondent_id, id) => {
                format!("message {bot_id}/{correspondent_id}/{id}")
            }
            Subject::ProviderMessage(bot_id, correspondent_id, provider_id) => {
                let key = (bot_id.clone(), correspondent_id.clone(), provider_id.clone());
                match self.ids.get(&key) {
                    Some(id) => format!("message {bot_id}/{correspondent_id}/{id}"),
                    None => format!("message {bot_id}/{correspondent_id} {provider_id}"),
                }
            }
            Subject::Job(media_id) => format!("job {media_id}"),
        }
    }

    fn everybody(&mut self, at: Timestamp, kind: Kind, label: String) {
        let (line, subjects) = (self.line, Vec::new());
        let (from, to, node) = (None, None, None);
        self.beats.push(Beat { at, line, kind, from, to, label, subjects, node });
    }

    fn happened(&mut self, at: Timestamp, kind: Kind, node: u32, label: String) {
        self.told(at, kind, node, (Party::Node(node), Party::Node(node)), label, Vec::new());
    }

    fn told(
        &mut self,
        at: Timestamp,
        kind: Kind,
        node: u32,
        (from, to): (Party, Party),
        label: String,
        mut subjects: Vec<Subject>,
    ) {
        // A job is about its message, too.
        for place in 0..subjects.len() {
            if let Subject::Job(media_id) = subjects[place]
                && let Some((bot_id, correspondent_id, id)) = self.jobs.get(&media_id).cloned()
            {
                subjects.push(Subject::Message(bot_id, correspondent_id, id));
            }
        }
        subjects.sort();
        subjects.dedup();
        let (from, to, node) = (Some(from), Some(to), Some(node));
        let line = self.line;
        self.beats.push(Beat { at, line, kind, from, to, label, subjects, node });
    }
}
