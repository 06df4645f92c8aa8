//! What is kept of a run: its lines, to be read, and its steps, to be drawn.

use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::time::Timestamp;
use anteroom_trace::columns::Columns;
use anteroom_trace::story::Story;
use anteroom_trace::words;

/// What is kept of a run.
pub struct Trace {
    lines: Columns,
    pub story: Story,
}

impl Trace {
    pub fn new(begin: Timestamp) -> Self {
        Self { lines: Columns::new(begin), story: Story::default() }
    }

    pub fn step(&mut self, now: Timestamp, event: &Event, effects: &[Effect]) {
        self.lines.step(now, event, effects);
        self.story.step(0, now, event, effects);
    }

    /// A word of the script to its reader.
    pub fn chapter(&mut self, what: &str) {
        self.lines.chapter(what);
        self.story.chapter(what);
    }

    /// Forgets everything so far, and counts from here.
    pub fn restart(&mut self, now: Timestamp) {
        self.lines = Columns::new(now);
        self.story.restart();
    }

    pub fn to_text(&self) -> String {
        self.lines.to_text()
    }
}

/// Effects as a trace would show them, without the time: to be compared as a whole.
pub fn shown(effects: &[Effect]) -> Vec<String> {
    let line = |effect| {
        let (room, summary) = words::of_effect(effect);
        format!("{room}: {summary}")
    };
    effects.iter().map(line).collect()
}

/// The same without the numbers of store operations.
pub fn told(effects: &[Effect]) -> Vec<String> {
    let plain = |line: String| {
        let words: Vec<_> = line.split(' ').filter(|word| !word.starts_with('#')).collect();
        words.join(" ")
    };
    shown(effects).into_iter().map(plain).collect()
}
