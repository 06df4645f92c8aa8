//! Office Open XML: Word documents and PowerPoint presentations.
//!
//! Both keep text in runs (`t`) within paragraphs (`p`). Field codes and deleted text are other
//! elements and so left out; the fallback copies of text boxes are skipped.

use std::fs::File;
use std::io::BufRead;
use std::ops::ControlFlow;

use super::package::Package;
use super::report::Unread;
use super::text::Text;
use super::xml::{self, Piece};

/// Reads a Word document: its body, then its notes.
pub(super) fn read_document(file: File, text: &mut Text) -> Result<(), Unread> {
    let mut package = Package::open(file)?;
    read_runs(package.required_part("word/document.xml")?, text)?;
    for notes in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(part) = package.part(notes)? {
            text.end_line();
            read_runs(part, text)?;
        }
    }
    Ok(())
}

/// Reads a presentation, slide by slide.
pub(super) fn read_slides(file: File, text: &mut Text) -> Result<(), Unread> {
    let mut package = Package::open(file)?;
    let mut slides: Vec<(u32, String)> = package
        .names()
        .into_iter()
        .filter_map(|name| slide_number(&name).map(|number| (number, name)))
        .collect();
    if slides.is_empty() {
        return Err(Unread::damaged("the presentation has no slides"));
    }
    slides.sort_unstable();
    for (_, name) in slides {
        read_runs(package.required_part(&name)?, text)?;
        text.end_line();
        text.end_line();
    }
    Ok(())
}

/// The number in `ppt/slides/slide<number>.xml`.
fn slide_number(name: &str) -> Option<u32> {
    name.strip_prefix("ppt/slides/slide")?.strip_suffix(".xml")?.parse().ok()
}

/// Writes the text of all runs, a paragraph a line and a table's row a line.
fn read_runs(part: impl BufRead, text: &mut Text) -> Result<(), Unread> {
    let mut in_text = false;
    let mut cells = 0_usize;
    let mut fallbacks = 0_usize;
    xml::read(part, |piece| {
        match piece {
            Piece::Start(element) => match element.name() {
                "Fallback" => fallbacks += 1,
                "t" => in_text = true,
                "tc" => cells += 1,
                "tab" if fallbacks == 0 => text.push("\t"),
                "br" | "cr" if fallbacks == 0 => text.end_line(),
                _ => {}
            },
            Piece::End(name) => match name {
                "Fallback" => fallbacks = fallbacks.saturating_sub(1),
                "t" => in_text = false,
                "tc" => {
                    cells = cells.saturating_sub(1);
                    text.push("\t");
                }
                "tr" => text.end_started_line(),
                "p" if fallbacks > 0 => {}
                "p" if cells > 0 => text.push_space(),
                "p" => text.end_line(),
                _ => {}
            },
            Piece::Text(run) if in_text && fallbacks == 0 => text.push(run),
            Piece::Text(_) => {}
        }
        if text.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}
