//! A story as a sequence diagram in Mermaid's language, which many viewers of Markdown draw.

use std::fmt::Write;

use anteroom_core::time::{Millis, Timestamp};

use crate::story::{Beat, Kind, Lanes, Story};

/// How much of what is told is shown.
const LABEL_CHARACTERS_MAX: usize = 72;

/// The shortest pause that is told.
const PAUSE_MIN: Millis = Millis::from_secs(1);

/// The diagram of a story, without the fence around it.
pub fn mermaid(story: &Story) -> String {
    let lanes = Lanes::of(story);
    let mut diagram = "sequenceDiagram\n".to_owned();
    for (place, (_, name)) in lanes.names().iter().enumerate() {
        line(&mut diagram, format_args!("participant l{place} as {}", safe(name)));
    }
    let everybody = match lanes.names().len() {
        0 | 1 => "l0".to_owned(),
        several => format!("l0,l{}", several - 1),
    };
    let mut before: Option<Timestamp> = None;
    for beat in story.beats() {
        let pause = before.map_or(Millis::ZERO, |before| beat.at.since(before));
        if pause >= PAUSE_MIN {
            let later = pause.as_ms() as f64 / 1_000.0;
            line(&mut diagram, format_args!("Note over {everybody}: {later} s later"));
        }
        before = Some(beat.at);
        draw(&mut diagram, &lanes, beat, &everybody);
    }
    diagram
}

fn draw(diagram: &mut String, lanes: &Lanes, beat: &Beat, everybody: &str) {
    let place = |party: &Option<_>| party.as_ref().and_then(|party| lanes.place_of(party));
    let label = safe(&beat.label);
    match (beat.kind, place(&beat.from), place(&beat.to)) {
        (Kind::Told, Some(from), Some(to)) if from != to => {
            line(diagram, format_args!("l{from}->>l{to}: {label}"));
        }
        (Kind::Answered, Some(from), Some(to)) if from != to => {
            line(diagram, format_args!("l{from}-->>l{to}: {label}"));
        }
        (_, Some(from), _) => line(diagram, format_args!("Note over l{from}: {label}")),
        (_, None, _) => line(diagram, format_args!("Note over {everybody}: {label}")),
    }
}

fn line(diagram: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(diagram, "    {what}");
}

/// A text on one line, without what means something to Mermaid.
fn safe(text: &str) -> String {
    let mut safe = String::new();
    for (place, character) in text.chars().enumerate() {
        if place == LABEL_CHARACTERS_MAX {
            safe.push('…');
            break;
        }
        match character {
            '#' => safe.push_str("#35;"),
            ';' => safe.push_str("#59;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            character if character.is_control() => safe.push(' '),
            character => safe.push(character),
        }
    }
    safe
}
