//! How a way through a tiny world reads.

use anteroom_core::store::StoreRequest;

use super::explore::{Failure, Visited};
use super::world::{Choice, Loss, World};
use std::fmt;

impl World {
    /// What a choice is, in words, before it is made.
    pub fn in_words(&self, choice: Choice) -> String {
        let asked = |index: usize| match self.asked.get(index) {
            Some(asked) => format!("node {}: {}", asked.node, name(&asked.request)),
            None => "nothing".to_owned(),
        };
        match choice {
            Choice::Act(actor) => match self.next_act(actor) {
                Some(act) => format!("actor {actor}: {act:?}"),
                None => format!("actor {actor}: nothing"),
            },
            Choice::Apply(index) => format!("store takes {}", asked(index)),
            Choice::Lose(index, Loss::Before) => {
                format!("lost before it happens: {}", asked(index))
            }
            Choice::Lose(index, Loss::After) => format!("lost after it happened: {}", asked(index)),
            Choice::Tell(index) => match self.told.get(index) {
                Some(told) => format!("node {} hears {}", told.node, short(&told.event)),
                None => "nothing".to_owned(),
            },
            Choice::End(index) => match self.processors.get(index) {
                Some(processor) => {
                    format!("processor of {} ends at {}", processor.work.media_id, processor.node)
                }
                None => "nothing".to_owned(),
            },
            Choice::Acknowledge(index) => match self.consumer.unacknowledged.get(index) {
                Some(callback) => format!("the consumer acknowledges {callback:?}"),
                None => "nothing".to_owned(),
            },
            Choice::Tick(node) => format!("node {node} ticks"),
        }
    }
}

/// The name of a request.
pub(crate) fn name(request: &StoreRequest) -> String {
    let text = format!("{request:?}");
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}

fn short(value: &impl fmt::Debug) -> String {
    const SHOWN_MAX: usize = 300;
    let mut text = format!("{value:?}");
    if let Some((end, _)) = text.char_indices().nth(SHOWN_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl fmt::Display for Visited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, choices, ends, depth, complete } = self;
        let all = if *complete { "all of them" } else { "not all of them" };
        write!(f, "{states} states ({all}), {choices} choices, {ends} ends, depth {depth}")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.path.iter().enumerate() {
            writeln!(f, "{:>3}  {step}", number + 1)?;
        }
        write!(f, "{}: {}", self.broken.rule, self.broken.what)
    }
}
