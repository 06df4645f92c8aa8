//! PDF: through `pdftotext` where it is installed, else through a library.
//!
//! `pdftotext` reads more files, and reads them better. The library panics on some damaged files; that
//! ends in the child's report like any other panic. Both try the empty password. A PDF without text, a
//! scan for example, is read successfully and holds nothing.

use std::io;
use std::path::Path;
use std::process::Command;

use pdf_extract::{Document, PlainTextOutput, output_doc};

use super::capture::capture;
use super::report::Unread;
use super::text::{CHARACTERS_MAX, Text};
use crate::media::programs;

/// How much of `pdftotext`'s output is read: the kept characters in the widest encoding.
const OUTPUT_BYTES_MAX: u64 = 4 * CHARACTERS_MAX as u64 + 4;

/// How large a file the library may load.
const LIBRARY_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Reads a PDF file.
pub(super) fn read(path: &Path, text: &mut Text) -> Result<(), Unread> {
    match programs::find("pdftotext") {
        Some(program) => with_program(&program, path, text),
        None => with_library(path, text),
    }
}

fn with_program(program: &Path, path: &Path, text: &mut Text) -> Result<(), Unread> {
    let mut command = Command::new(program);
    command.args(["-enc", "UTF-8", "-eol", "unix"]).arg(path).arg("-");
    let said = capture(command, Vec::new(), OUTPUT_BYTES_MAX)
        .map_err(|error| Unread::Broke(format!("pdftotext could not be run: {error}")))?;
    text.push(&String::from_utf8_lossy(&said.stdout));
    if said.was_cut || said.status.success() && !(text.is_empty() && has_errors(&said.stderr)) {
        return Ok(());
    }
    match said.status.code() {
        Some(_) => Err(Unread::damaged(format!("not a readable PDF: {}", said.stderr))),
        None => Err(Unread::Broke(format!("pdftotext: {}: {}", said.status, said.stderr))),
    }
}

/// Whether `pdftotext` found the file itself, and not only a detail, to be wrong.
fn has_errors(stderr: &str) -> bool {
    stderr.contains("Error")
}

fn with_library(path: &Path, text: &mut Text) -> Result<(), Unread> {
    if path.metadata()?.len() > LIBRARY_BYTES_MAX {
        return Err(Unread::damaged("the PDF is too large to be read without pdftotext"));
    }
    let mut document = Document::load(path).map_err(not_readable)?;
    if document.is_encrypted() {
        document.decrypt("").map_err(not_readable)?;
    }
    let mut sink = Sink { text };
    let sink: &mut dyn io::Write = &mut sink;
    let written = output_doc(&document, &mut PlainTextOutput::new(sink));
    match written {
        Err(_) if text.is_full() => Ok(()),
        written => written.map_err(not_readable),
    }
}

fn not_readable(error: impl std::fmt::Display) -> Unread {
    Unread::damaged(format!("not a readable PDF: {error}"))
}

/// Lets the library write into the text until it is full.
struct Sink<'a> {
    text: &'a mut Text,
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.push(&String::from_utf8_lossy(bytes));
        match self.text.is_full() {
            true => Err(io::Error::other("enough")),
            false => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
