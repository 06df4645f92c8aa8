//! A trace through the core again: the same events give the same effects, or here is the first that
//! does not.
//!
//! Effects are compared as they are written, byte for byte, in the order in which they were given. Where
//! contents were blanked they are blanked again, so that a wrapper that the core puts around them reads
//! the same.

use std::collections::BTreeMap;
use std::fmt;

use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::machine::Machine;
use anteroom_core::time::Timestamp;
use serde_json::value::RawValue;

use crate::line::{Applied, BrokenLine, Contents, FORMAT, Fault, Header, Line, When};

/// A trace that is replayed, line by line.
#[derive(Debug, Default)]
pub struct Replay {
    header: Option<Header>,
    lines: usize,
    steps: u64,
    machines: BTreeMap<u32, Machine>,
    span: Option<(Timestamp, Timestamp)>,
}

/// What a line was.
#[derive(Debug)]
pub enum Replayed {
    /// The first one.
    Header(Header),
    /// A machine was restored: the node begins, or begins anew.
    Machine(When),
    /// A step that did the same again.
    Step(Step),
    /// What the world did.
    Fault(Fault),
    /// What the store did.
    Applied(Applied),
    /// A rule that was broken.
    Broken(BrokenLine),
}

/// A step that was replayed.
#[derive(Debug)]
pub struct Step {
    /// Of which node, and when.
    pub when: When,
    /// What happened.
    pub event: Event,
    /// What the machine did, again.
    pub effects: Vec<Effect>,
}

/// Why a trace does not replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A line is no line of a trace.
    #[error("line {line} is no line of a trace: {what}")]
    Unreadable {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The trace was written in another format.
    #[error("line 1: the trace has format {0}, and this program reads format {FORMAT}")]
    OtherFormat(u32),
    /// A machine was written by another version.
    #[error(
        "line {line}: the machine cannot be restored ({what}); {program} wrote it: {advice}",
        advice = "replay it with that version"
    )]
    OtherMachine {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
        /// Who wrote it.
        program: String,
    },
    /// A step did something else.
    #[error("{0}")]
    Differs(Box<Difference>),
}

/// The first effect that is not the same.
#[derive(Debug)]
pub struct Difference {
    /// The line's number, from 1.
    pub line: usize,
    /// The step, with what the machine does at the replay.
    pub step: Step,
    /// The event, as it was recorded.
    pub event: String,
    /// Which of the step's effects, from 1.
    pub place: usize,
    /// What was recorded; none when fewer effects were.
    pub expected: Option<String>,
    /// What the machine does; none when it does less.
    pub got: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nothing = || "nothing".to_owned();
        write!(
            f,
            "line {}: effect {} of the step at {} ms of node {} is another\n  event:    {}\n  \
             expected: {}\n  got:      {}",
            self.line,
            self.place,
            self.step.when.now,
            self.step.when.node,
            self.event,
            self.expected.clone().unwrap_or_else(nothing),
            self.got.clone().unwrap_or_else(nothing),
        )
    }
}

impl Replay {
    /// Replays the next line.
    ///
    /// # Errors
    /// When it is none, or does something else. A replay that has failed cannot go on.
    pub fn line(&mut self, text: &str) -> Result<Replayed, ReplayError> {
        self.lines += 1;
        match (Line::read(text).map_err(|what| self.unreadable(what))?, &self.header) {
            (Line::Header(header), None) => {
                if header.trace != FORMAT {
                    return Err(ReplayError::OtherFormat(header.trace));
                }
                self.header = Some(header.clone());
                Ok(Replayed::Header(header))
            }
            (Line::Header(_), Some(_)) => Err(self.unreadable("a second header".to_owned())),
            (_, None) => Err(self.unreadable("the first line is no header".to_owned())),
            (Line::Machine { when, machine }, Some(header)) => {
                let restored = serde_json::from_str(machine.get()).map_err(|error| {
                    let (what, program) = (error.to_string(), header.program.clone());
                    ReplayError::OtherMachine { line: self.lines, what, program }
                })?;
                self.machines.insert(when.node, restored);
                Ok(Replayed::Machine(when))
            }
            (Line::Step { when, event, effects }, Some(header)) => {
                let contents = header.contents;
                self.step(contents, when, event, effects).map(Replayed::Step)
            }
            (Line::Fault(fault), Some(_)) => Ok(Replayed::Fault(fault)),
            (Line::Applied(applied), Some(_)) => Ok(Replayed::Applied(applied)),
            (Line::Broken(broken), Some(_)) => Ok(Replayed::Broken(broken)),
        }
    }

    /// How many steps did the same.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The lines so far.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// When the first and the last step were, by the world's clock.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span
    }

    fn step(
        &mut self,
        contents: Contents,
        when: When,
        event: &RawValue,
        expected: &RawValue,
    ) -> Result<Step, ReplayError> {
        let parsed: Event = serde_json::from_str(event.get())
            .map_err(|error| self.unreadable(format!("the event makes no sense: {error}")))?;
        let Some(machine) = self.machines.get_mut(&when.node) else {
            return Err(
                self.unreadable(format!("node {} takes a step before its machine", when.node))
            );
        };
        let mut effects = Vec::new();
        machine.step(when.now, parsed.clone(), &mut effects);
        let step = Step { when, event: parsed, effects };
        if contents.json(&step.effects) != expected.get() {
            return Err(self.differs(contents, step, event, expected));
        }
        self.steps += 1;
        let (first, last) = self.span.unwrap_or((when.at, when.at));
        self.span = Some((first.min(when.at), last.max(when.at)));
        Ok(step)
    }

    /// Finds the first effect that differs.
    fn differs(
        &self,
        contents: Contents,
        step: Step,
        event: &RawValue,
        expected: &RawValue,
    ) -> ReplayError {
        let expected: Vec<&RawValue> = match serde_json::from_str(expected.get()) {
            Ok(expected) => expected,
            Err(error) => return self.unreadable(format!("the effects are no list: {error}")),
        };
        let got: Vec<_> = step.effects.iter().map(|effect| contents.json(effect)).collect();
        let longest = expected.len().max(got.len());
        let place = (0..longest).find(|&place| {
            expected.get(place).map(|it| it.get()) != got.get(place).map(String::as_str)
        });
        // Lists whose entries are the same differ in the white space between them.
        let Some(place) = place else {
            return self.unreadable("the effects are not written as they should be".to_owned());
        };
        ReplayError::Differs(Box::new(Difference {
            line: self.lines,
            step,
            event: event.get().to_owned(),
            place: place + 1,
            expected: expected.get(place).map(|it| it.get().to_owned()),
            got: got.get(place).cloned(),
        }))
    }

    fn unreadable(&self, what: String) -> ReplayError {
        ReplayError::Unreadable { line: self.lines, what }
    }
}

#[cfg(test)]
mod tests;
