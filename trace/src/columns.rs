//! A run as text in fixed columns: one line an event (`>`) and an effect (`<`).
//!
//! Columns: milliseconds since the beginning, the direction, the room, the summary.

use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::time::Timestamp;

use crate::words;

/// The lines of a run.
#[derive(Debug, Clone)]
pub struct Columns {
    begin: Timestamp,
    lines: Vec<String>,
}

impl Columns {
    /// No lines; time is counted from `begin`.
    pub fn new(begin: Timestamp) -> Self {
        Self { begin, lines: Vec::new() }
    }

    /// A step: what came in, and what went out.
    pub fn step(&mut self, now: Timestamp, event: &Event, effects: &[Effect]) {
        let (room, summary) = words::of_event(event);
        self.line(now, '>', &room, &summary);
        for effect in effects {
            let (room, summary) = words::of_effect(effect);
            self.line(now, '<', &room, &summary);
        }
    }

    /// A word to the reader.
    pub fn chapter(&mut self, what: &str) {
        self.lines.push(format!("-- {what}"));
    }

    /// All lines.
    pub fn to_text(&self) -> String {
        self.lines.join("\n")
    }

    fn line(&mut self, now: Timestamp, direction: char, room: &str, summary: &str) {
        let ms = now.since(self.begin).as_ms();
        self.lines.push(format!("{ms:>7} | {direction} | {room:<9} | {summary}"));
    }
}
