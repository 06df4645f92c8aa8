//! XML as the office formats use it: a stream of pieces with local names, entities resolved.

use std::io::BufRead;
use std::ops::ControlFlow;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::report::Unread;

/// One piece of a document.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// An element begins; an empty one is followed by its end.
    Start(&'a Element<'a>),
    /// An element ends; its local name.
    End(&'a str),
    /// Text between tags, decoded.
    Text(&'a str),
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// The name without its prefix.
    pub fn name(&self) -> &str {
        local(self.0.name().0)
    }

    /// The value of the attribute with this local name.
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.0
            .attributes()
            .with_checks(false)
            .flatten()
            .find(|attribute| local(attribute.key.0) == name)
            .and_then(|attribute| attribute.normalized_value(XmlVersion::Implicit1_0).ok())
            .map(|value| value.into_owned())
    }
}

/// Hands every piece of a document to `each`, until it breaks off.
///
/// # Errors
/// The document is not well-formed, or cannot be read.
pub(super) fn read(
    input: impl BufRead,
    mut each: impl FnMut(Piece<'_>) -> ControlFlow<()>,
) -> Result<(), Unread> {
    let mut reader = Reader::from_reader(input);
    let mut buffer = Vec::new();
    let mut open = 0_usize;
    loop {
        buffer.clear();
        let event = reader
            .read_event_into(&mut buffer)
            .map_err(|error| Unread::damaged(format!("the file holds malformed XML: {error}")))?;
        let flow = match event {
            Event::Start(start) => {
                open += 1;
                each(Piece::Start(&Element(start)))
            }
            Event::Empty(start) => {
                let element = Element(start);
                match each(Piece::Start(&element)) {
                    ControlFlow::Continue(()) => each(Piece::End(element.name())),
                    ControlFlow::Break(()) => ControlFlow::Break(()),
                }
            }
            Event::End(end) => {
                open -= 1;
                each(Piece::End(local(end.name().0)))
            }
            Event::Text(text) => each(Piece::Text(&text.xml10_content())),
            Event::CData(text) => each(Piece::Text(&text.xml10_content())),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => each(Piece::Text(character.encode_utf8(&mut [0; 4]))),
                Ok(None) => each(Piece::Text(resolve_xml_entity(&reference).unwrap_or_default())),
                Err(_) => ControlFlow::Continue(()),
            },
            Event::Eof if open == 0 => return Ok(()),
            Event::Eof => return Err(Unread::damaged("the file's XML ends in the middle")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                ControlFlow::Continue(())
            }
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}
