//! A story as a page to look at: one file that needs nothing else, not even a network.
//!
//! The page has a swim lane a provider, node, store and consumer, an arrow for everything that was told,
//! and a row for each of them in the order in which they happened. What it shows stands in it as
//! JSON; all drawing is done by its own script, which draws only the rows that can be seen.

mod replayed;

use serde::Serialize;

pub use self::replayed::Pages;
use crate::story::{Kind, Lanes, Story};

/// What a page is called, and what is said above it.
#[derive(Debug, Clone, Serialize)]
pub struct Title {
    /// Its name.
    pub name: String,
    /// What the reader should know of it.
    pub note: String,
}

#[derive(Serialize)]
struct Page<'a> {
    name: &'a str,
    note: &'a str,
    lanes: Vec<Lane<'a>>,
    subjects: Vec<String>,
    beats: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Lane<'a> {
    kind: &'a str,
    name: &'a str,
}

/// When (in milliseconds after the first one), what kind, from which lane, to which, what, about which
/// subjects, at which node, on which line of the trace.
#[derive(Serialize)]
struct Row<'a>(u64, &'a str, Option<usize>, Option<usize>, &'a str, Vec<usize>, Option<u32>, usize);

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a story.
pub fn html(story: &Story, title: &Title) -> String {
    let lanes = Lanes::of(story);
    let mut subjects: Vec<String> = story
        .beats()
        .iter()
        .flat_map(|beat| beat.subjects.iter().map(|subject| story.name_of_subject(subject)))
        .collect();
    subjects.sort();
    subjects.dedup();
    let begin = story.begin();
    let place = |party: &Option<_>| party.as_ref().and_then(|party| lanes.place_of(party));
    let beats = story.beats().iter().map(|beat| {
        let mut about: Vec<_> = beat
            .subjects
            .iter()
            .filter_map(|it| subjects.binary_search(&story.name_of_subject(it)).ok())
            .collect();
        about.sort_unstable();
        about.dedup();
        let (from, to) = (place(&beat.from), place(&beat.to));
        let ms = beat.at.since(begin).as_ms();
        Row(ms, word(beat.kind), from, to, &beat.label, about, beat.node, beat.line)
    });
    let beats = beats.collect();
    let named = lanes.names().iter().map(|(kind, name)| Lane { kind, name });
    let lanes = named.collect();
    let (name, note) = (&title.name, &title.note);
    let page = Page { name, note, lanes, subjects, beats };
    // In a script, only `<` could end it.
    let json = serde_json::to_string(&page).unwrap_or_default().replace('<', "\\u003c");
    filled(|part| match part {
        "name" => escaped(name),
        "style" => STYLE.to_owned(),
        "script" => SCRIPT.to_owned(),
        "story" => json.clone(),
        other => format!("{{{{{other}}}}}"),
    })
}

/// The template with its parts, in which nothing more is looked for.
fn filled(part: impl Fn(&str) -> String) -> String {
    let mut pieces = TEMPLATE.split("{{");
    let mut page = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once("}}") {
            Some((name, rest)) => page.extend([part(name).as_str(), rest]),
            None => page.push_str(piece),
        }
    }
    page
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Told => "told",
        Kind::Answered => "answered",
        Kind::Happened => "happened",
        Kind::Notice => "notice",
        Kind::Fault => "fault",
        Kind::Broken => "broken",
        Kind::Chapter => "chapter",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
