//! OpenDocument: text, spreadsheets, presentations and drawings all keep their text in the paragraphs
//! of one part, `content.xml`.

use std::fs::File;
use std::ops::ControlFlow;

use super::package::Package;
use super::report::Unread;
use super::text::Text;
use super::xml::{self, Element, Piece};

/// How many blanks one element may stand for.
const BLANKS_MAX: usize = 100;

/// Reads an OpenDocument file.
pub(super) fn read(file: File, text: &mut Text) -> Result<(), Unread> {
    let mut package = Package::open(file)?;
    let mut place = Place::default();
    xml::read(package.required_part("content.xml")?, |piece| {
        match piece {
            Piece::Start(element) => place.enter(element, text),
            Piece::End(name) => place.leave(name, text),
            Piece::Text(shown) if place.paragraphs > 0 && place.hidden == 0 => text.push(shown),
            Piece::Text(_) => {}
        }
        if text.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

/// Where in the document the reader is.
#[derive(Debug, Default)]
struct Place {
    paragraphs: usize,
    cells: usize,
    hidden: usize,
}

impl Place {
    fn enter(&mut self, element: &Element<'_>, text: &mut Text) {
        match element.name() {
            name if is_hidden(name) => self.hidden += 1,
            _ if self.hidden > 0 => {}
            "p" | "h" => self.paragraphs += 1,
            "table-cell" | "covered-table-cell" => self.cells += 1,
            "tab" => text.push("\t"),
            "line-break" => text.end_line(),
            "s" => {
                let count = element.attribute("c").and_then(|count| count.parse().ok());
                text.push(&" ".repeat(count.unwrap_or(1).min(BLANKS_MAX)));
            }
            _ => {}
        }
    }

    fn leave(&mut self, name: &str, text: &mut Text) {
        match name {
            name if is_hidden(name) => self.hidden = self.hidden.saturating_sub(1),
            _ if self.hidden > 0 => {}
            "p" | "h" => {
                self.paragraphs = self.paragraphs.saturating_sub(1);
                if self.cells > 0 { text.push_space() } else { text.end_line() }
            }
            "table-cell" | "covered-table-cell" => {
                self.cells = self.cells.saturating_sub(1);
                text.push("\t");
            }
            "table-row" => text.end_started_line(),
            "page" | "table" => text.end_line(),
            _ => {}
        }
    }
}

/// What is not part of the text: changes, comments, and what only describes.
fn is_hidden(name: &str) -> bool {
    matches!(name, "tracked-changes" | "annotation" | "forms" | "desc" | "title" | "notes")
}
