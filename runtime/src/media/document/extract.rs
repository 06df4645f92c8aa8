//! The child's side: `anteroom extract --mime TYPE --cpu-seconds N [--languages L] [--still PIXELS] PATH`.
//!
//! It confines itself, reads one file, prints one report and ends with success, whatever it found.
//! Asked for a still, it prints a small JPEG behind the report. Any other end means that it broke, and
//! its parent says so. What a parser prints is thrown away; a
//! panic becomes part of the report.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;

use super::format::{self, Format, Recognised};
use super::report::{Reading, Report, Unread};
use super::text::{CHARACTERS_MAX, Text};
use super::{epub, html, office, open_document, pdf, picture, plain, rtf, workbook};
use crate::media::confine::{self, Confinement, MEMORY_BYTES_MAX};

/// The name of the subcommand.
pub const SUBCOMMAND: &str = "extract";

/// The arguments were not understood.
const USAGE: u8 = 2;

/// The child could not set itself up.
const NOT_CONFINED: u8 = 3;

/// How much of a panic's message is told.
const PANIC_CHARACTERS_MAX: usize = 200;

/// What the child is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The file's text; pictures are read in these languages.
    Text { languages: String },
    /// A JPEG of the picture, its longer side at most so many pixels.
    Still { side_pixels_max: u32 },
}

/// The subcommand and its options; the path follows.
pub(super) fn arguments(mime_type: &str, processor_seconds: u64, wanted: &Wanted) -> [OsString; 7] {
    // A NUL would make the whole command impossible to start.
    let mime_type = mime_type.replace('\0', "");
    let (option, value) = match wanted {
        Wanted::Text { languages } => ("--languages", languages.clone()),
        Wanted::Still { side_pixels_max } => ("--still", side_pixels_max.to_string()),
    };
    [
        SUBCOMMAND.into(),
        "--mime".into(),
        mime_type.into(),
        "--cpu-seconds".into(),
        processor_seconds.to_string().into(),
        option.into(),
        value.into(),
    ]
}

/// Runs the subcommand with the arguments after its name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let Some(request) = Request::parse(arguments.iter().cloned()) else {
        eprintln!(
            "usage: anteroom {SUBCOMMAND} --mime TYPE --cpu-seconds N [--languages L] [--still PIXELS] PATH"
        );
        return ExitCode::from(USAGE);
    };
    let all: Vec<_> = [SUBCOMMAND.into()].into_iter().chain(arguments).collect();
    let mut answer = match confine::be_frugal(&all).and_then(|()| prepare(&request)) {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("the reader could not be confined: {error}");
            return ExitCode::from(NOT_CONFINED);
        }
    };
    let (report, still) = guarded(&request);
    let written = serde_json::to_writer(&mut answer, &report).map_err(io::Error::from);
    match written.and_then(|()| answer.write_all(b"\n")).and_then(|()| answer.write_all(&still)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What is to be read.
struct Request {
    mime_type: String,
    processor_seconds: u64,
    wanted: Wanted,
    path: PathBuf,
}

impl Request {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut arguments = arguments.into_iter();
        let (mut mime_type, mut processor_seconds) = (None, None);
        let mut wanted = Wanted::Text { languages: String::new() };
        let path = loop {
            let argument = arguments.next()?;
            let value = match argument.to_str() {
                Some("--mime" | "--cpu-seconds" | "--languages" | "--still") => arguments.next()?,
                Some(_) | None => break argument.into(),
            };
            match argument.to_str() {
                Some("--mime") => mime_type = Some(value.to_string_lossy().into_owned()),
                Some("--cpu-seconds") => processor_seconds = value.to_str()?.parse().ok(),
                Some("--languages") => {
                    wanted = Wanted::Text { languages: value.to_str()?.to_owned() };
                }
                _ => wanted = Wanted::Still { side_pixels_max: value.to_str()?.parse().ok()? },
            }
        };
        let (mime_type, processor_seconds) = (mime_type?, processor_seconds?);
        let request = Self { mime_type, processor_seconds, wanted, path };
        arguments.next().is_none().then_some(request)
    }
}

/// Sets the limits and takes standard output away from everybody but the report.
fn prepare(request: &Request) -> io::Result<File> {
    let processor_seconds = request.processor_seconds;
    Confinement { processor_seconds, memory_bytes_max: MEMORY_BYTES_MAX }.apply()?;
    let answer = rustix::io::dup(io::stdout())?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(File::from(answer))
}

thread_local! {
    /// What the last panic said.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Reads the file; a panic is a failure like any other.
fn guarded(request: &Request) -> (Report, Vec<u8>) {
    panic::set_hook(Box::new(|panic| {
        let message: String =
            panic.to_string().replace('\n', " ").chars().take(PANIC_CHARACTERS_MAX).collect();
        PANIC.with_borrow_mut(|said| *said = message);
    }));
    panic::catch_unwind(AssertUnwindSafe(|| answer(request))).unwrap_or_else(|_| {
        let reading = Unread::Broke(PANIC.with_borrow(String::clone)).into();
        (Report { reading, actual_type: None }, Vec::new())
    })
}

/// The report, and the picture behind it where one is asked for.
fn answer(request: &Request) -> (Report, Vec<u8>) {
    match &request.wanted {
        Wanted::Text { languages } => (report(request, languages), Vec::new()),
        Wanted::Still { side_pixels_max } => {
            let (reading, still) = match picture::still(&request.path, *side_pixels_max) {
                Ok(still) => (Reading::Still { bytes: still.len() }, still),
                Err(unread) => (unread.into(), Vec::new()),
            };
            (Report { reading, actual_type: None }, still)
        }
    }
}

/// Recognises the file and reads it.
fn report(request: &Request, languages: &str) -> Report {
    let recognised = File::open(&request.path)
        .and_then(|mut file| format::recognise(&mut file, &request.mime_type));
    match recognised {
        Ok(Recognised { format, actual_type }) => {
            let mut text = Text::new(CHARACTERS_MAX);
            let read = read(request, format, languages, &mut text);
            let reading = match read {
                Err(unread) => unread.into(),
                Ok(()) if text.is_empty() => Reading::Nothing,
                Ok(()) => {
                    let (text, truncated) = text.finish();
                    Reading::Text { text, truncated }
                }
            };
            Report { reading, actual_type }
        }
        Err(error) => Report { reading: Unread::from(error).into(), actual_type: None },
    }
}

/// Sends the file to the reader of its format.
fn read(request: &Request, format: Format, languages: &str, text: &mut Text) -> Result<(), Unread> {
    let Request { path, mime_type, .. } = request;
    let file = File::open(path)?;
    match format {
        Format::Empty { is_text: true } => Ok(()),
        Format::Empty { is_text: false } => Err(Unread::damaged("the file is empty")),
        Format::Plain => plain::read(file, mime_type, text),
        Format::Html => html::read(file, mime_type, text),
        Format::Rtf => rtf::read(file, text),
        Format::Pdf => pdf::read(path, text),
        Format::Word => office::read_document(file, text),
        Format::Slides => office::read_slides(file, text),
        Format::OpenDocument => open_document::read(file, text),
        Format::Epub => epub::read(file, text),
        Format::Workbook => workbook::read_xlsx(file, text),
        Format::OldWorkbook => workbook::read_xls(file, text),
        Format::Picture => picture::read(path, languages, text),
        Format::Unknown => Err(Unread::damaged(
            "the file is not of its declared type, nor of another that is known",
        )),
        Format::Other(other) => {
            Err(Unread::Unsupported(format!("the file is {}", other.media_type())))
        }
    }
}
