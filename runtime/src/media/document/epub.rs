//! E-books: the chapters, in reading order.
//!
//! The container names the package document; its spine lists the chapters, each of them XHTML.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, Read};
use std::ops::ControlFlow;

use percent_encoding::percent_decode_str;

use super::package::Package;
use super::report::Unread;
use super::text::Text;
use super::xml::{self, Piece};
use super::{html, plain};

/// How many chapters are read.
const CHAPTERS_MAX: usize = 5_000;

/// How much of one chapter is read.
const CHAPTER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads an e-book.
pub(super) fn read(file: File, text: &mut Text) -> Result<(), Unread> {
    let mut package = Package::open(file)?;
    let book = root_file(package.required_part("META-INF/container.xml")?)?;
    let directory = book.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
    let chapters = chapters(package.required_part(&book)?)?;
    for chapter in chapters {
        let Some(part) = package.part(&within(&directory, &chapter))? else { continue };
        let mut bytes = Vec::new();
        part.take(CHAPTER_BYTES_MAX).read_to_end(&mut bytes)?;
        html::push(&plain::decode(&bytes, None), text);
        text.end_line();
        text.end_line();
        if text.is_full() {
            break;
        }
    }
    Ok(())
}

/// The path of the package document.
fn root_file(container: impl BufRead) -> Result<String, Unread> {
    let mut path = None;
    xml::read(container, |piece| match piece {
        Piece::Start(element) if element.name() == "rootfile" => {
            path = element.attribute("full-path");
            ControlFlow::Break(())
        }
        Piece::Start(_) | Piece::End(_) | Piece::Text(_) => ControlFlow::Continue(()),
    })?;
    path.ok_or_else(|| Unread::damaged("the e-book does not say where its content is"))
}

/// The chapters' addresses, in reading order.
fn chapters(book: impl BufRead) -> Result<Vec<String>, Unread> {
    let mut addresses = HashMap::new();
    let mut order = Vec::new();
    xml::read(book, |piece| {
        if let Piece::Start(element) = piece {
            match element.name() {
                "item" => {
                    addresses.extend(element.attribute("id").zip(element.attribute("href")));
                }
                "itemref" if order.len() < CHAPTERS_MAX => order.extend(element.attribute("idref")),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(order.iter().filter_map(|id| addresses.get(id).cloned()).collect())
}

/// A chapter's path within the package, whose parts no address can leave.
fn within(directory: &str, address: &str) -> String {
    let address = address.split('#').next().unwrap_or_default();
    let address = percent_decode_str(address).decode_utf8_lossy();
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(address.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: relative addresses are found as a reader of e-books finds them.
    #[test]
    fn addresses_are_resolved_within_the_book() {
        for (directory, address, expected) in [
            ("OEBPS", "text/one.xhtml", "OEBPS/text/one.xhtml"),
            ("OEBPS/package", "../text/a%20b.xhtml#top", "OEBPS/text/a b.xhtml"),
            ("", "one.xhtml", "one.xhtml"),
            ("a", "../../../one.xhtml", "one.xhtml"),
        ] {
            assert_eq!(within(directory, address), expected);
        }
    }
}
