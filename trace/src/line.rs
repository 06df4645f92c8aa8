//! The format: one JSON object a line.
//!
//! A trace begins with a [`Header`]. Then come, in the order in which they happened:
//!
//! ```text
//! {"node":0,"now":…,"machine":{…}}               a machine between two steps: it replays from here
//! {"node":0,"now":…,"event":{…},"effects":[…]}   one step
//! {"now":…,"fault":"…","node":0,"lasts":…}       what the world did (simulation only)
//! {"now":…,"applied":"…","node":0}               what the store did (simulation only)
//! {"now":…,"broken":{"rule":"S1","what":"…"}}    a rule that was broken (simulation only)
//! ```
//!
//! `now` is the time by the node's clock, in milliseconds; `at`, where it stands, the time by the world's.
//! Steps of a node that has no machine yet are an error. Unknown fields are ignored, so that a reader
//! survives a newer writer of the same [`FORMAT`].

use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::machine::Machine;
use anteroom_core::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::blanked::Blanked;

/// The number of this format. It grows when an older reader would misread a newer trace.
pub const FORMAT: u32 = 1;

/// The longest line that is read. A machine with all its queues full stays below it.
pub const LINE_BYTES_MAX: u64 = 1 << 29;

/// Whether what people wrote is in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// As it was.
    Kept,
    /// Each character replaced by one of the same size.
    Blanked,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format: [`FORMAT`].
    pub trace: u32,
    /// Which program wrote it, with its version: a machine is read by the same version only.
    pub program: String,
    /// Whether what people wrote is in it.
    pub contents: Contents,
    /// How many steps before the first one are missing, because they came faster than they could be
    /// written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Header {
    /// The header of this version's traces.
    pub fn new(contents: Contents) -> Self {
        let program = concat!("anteroom ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { trace: FORMAT, program, contents, missing: 0 }
    }

    /// The line, with its end.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        Contents::Kept.append(&mut line, self);
        line.push(b'\n');
        line
    }
}

/// At which node something is so, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// Which node.
    pub node: u32,
    /// When, by the node's clock.
    pub now: Timestamp,
    /// When, by the world's clock.
    pub at: Timestamp,
}

impl When {
    /// At a node whose clock is the world's.
    pub fn at_node(node: u32, now: Timestamp) -> Self {
        Self { node, now, at: now }
    }

    fn begin_line(self, into: &mut Vec<u8>) {
        let Self { node, now, at } = self;
        into.extend_from_slice(format!(r#"{{"node":{node},"now":{now},"#).as_bytes());
        if at != now {
            into.extend_from_slice(format!(r#""at":{at},"#).as_bytes());
        }
    }
}

impl Contents {
    /// Appends a value as JSON.
    pub fn append<T: Serialize>(self, into: &mut Vec<u8>, value: &T) {
        let begin = into.len();
        let written = match self {
            Self::Kept => serde_json::to_writer(&mut *into, value),
            Self::Blanked => serde_json::to_writer(&mut *into, &Blanked(value)),
        };
        // A value that JSON cannot say, or a broken `Serialize`, is found by whoever replays.
        if written.is_err() {
            into.truncate(begin);
            into.extend_from_slice(b"null");
        }
    }

    /// A value as JSON.
    pub fn json<T: Serialize>(self, value: &T) -> String {
        let mut json = Vec::new();
        self.append(&mut json, value);
        String::from_utf8_lossy(&json).into_owned()
    }

    /// Appends the line of a machine between two steps.
    pub fn machine(self, into: &mut Vec<u8>, when: When, machine: &Machine) {
        when.begin_line(into);
        into.extend_from_slice(br#""machine":"#);
        self.append(into, machine);
        into.extend_from_slice(b"}\n");
    }

    /// Appends the first half of a step's line, before the machine is stepped with the event.
    pub fn event(self, into: &mut Vec<u8>, when: When, event: &Event) {
        when.begin_line(into);
        into.extend_from_slice(br#""event":"#);
        self.append(into, event);
    }

    /// Appends the other half, when the effects are known.
    pub fn effects(self, into: &mut Vec<u8>, effects: &[Effect]) {
        into.extend_from_slice(br#","effects":"#);
        self.append(into, &effects);
        into.extend_from_slice(b"}\n");
    }
}

/// What the world did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When, by the world's clock.
    pub now: Timestamp,
    /// What, in words.
    pub fault: String,
    /// To which node, if to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// For how long, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Millis>,
}

/// What the store did, at its own moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// When, by the world's clock.
    pub now: Timestamp,
    /// What, in words.
    pub applied: String,
    /// For which node, if for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Which.
    pub rule: String,
    /// How, in words.
    pub what: String,
}

/// The line of a broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenLine {
    /// When, by the world's clock.
    pub now: Timestamp,
    /// What.
    pub broken: Broken,
}

/// A line that was read.
#[derive(Debug)]
pub enum Line<'a> {
    /// The first one.
    Header(Header),
    /// A machine between two steps.
    Machine {
        /// Of which node, and when.
        when: When,
        /// The machine, as JSON.
        machine: &'a RawValue,
    },
    /// One step.
    Step {
        /// Of which node, and when.
        when: When,
        /// The event, as JSON.
        event: &'a RawValue,
        /// The effects, as JSON.
        effects: &'a RawValue,
    },
    /// What the world did.
    Fault(Fault),
    /// What the store did.
    Applied(Applied),
    /// A rule that was broken.
    Broken(BrokenLine),
}

/// All fields that a line may have.
#[derive(Deserialize)]
struct Fields<'a> {
    trace: Option<u32>,
    node: Option<u32>,
    now: Option<Timestamp>,
    at: Option<Timestamp>,
    #[serde(borrow)]
    machine: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    effects: Option<&'a RawValue>,
    fault: Option<String>,
    lasts: Option<Millis>,
    applied: Option<String>,
    broken: Option<Broken>,
}

impl<'a> Line<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(text: &'a str) -> Result<Self, String> {
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if fields.trace.is_some() {
            return serde_json::from_str(text).map(Line::Header).map_err(|error| error.to_string());
        }
        let Some(now) = fields.now else { return Err("it has no `now`".to_owned()) };
        let at = fields.at.unwrap_or(now);
        let when = When { node: fields.node.unwrap_or_default(), now, at };
        match fields {
            Fields { machine: Some(machine), .. } => Ok(Self::Machine { when, machine }),
            Fields { event: Some(event), effects: Some(effects), .. } => {
                Ok(Self::Step { when, event, effects })
            }
            Fields { event: Some(_), effects: None, .. } => {
                Err("it has an event without its effects".to_owned())
            }
            Fields { fault: Some(fault), node, lasts, .. } => {
                Ok(Self::Fault(Fault { now, fault, node, lasts }))
            }
            Fields { applied: Some(applied), node, .. } => {
                Ok(Self::Applied(Applied { now, applied, node }))
            }
            Fields { broken: Some(broken), .. } => Ok(Self::Broken(BrokenLine { now, broken })),
            Fields { .. } => Err("it is neither a machine, a step, a fault nor a rule".to_owned()),
        }
    }
}
