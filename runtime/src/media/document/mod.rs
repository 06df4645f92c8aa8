//! The document processor: text from files, read in a child of our own binary.
//!
//! Parsers of other people's files panic, recurse and allocate without bound, so none of them runs in
//! the service: [`DocumentProcessor`] starts `anteroom extract`, whose entry is [`extract::main`]. The
//! child limits its own memory and time before it opens the file, reads it as what it *is* rather than
//! as what it was declared to be, and answers with one line, the [`report`].
//!
//! One module a family of formats; each writes into the one bounded [`text`] and knows nothing of the
//! others. None of them uses the network.

mod capture;
mod epub;
pub mod extract;
mod format;
mod html;
mod office;
mod open_document;
mod package;
mod pdf;
mod picture;
mod plain;
mod report;
mod rtf;
mod scans;
mod text;
mod workbook;
mod xml;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anteroom_core::message::{Extracted, Outcome};
use tokio::process::Command;

use self::extract::Wanted;
use self::report::{Reading, Report};
pub use self::scans::{PAGES_MAX, Scans};
use super::child::{self, End, Finished};
use super::confine;
use super::processor::{BoxFuture, Failure, Processor, Work, require_staged_file};

/// How many bytes a report may have: the text's characters at four bytes each, and room for escapes.
const REPORT_BYTES_MAX: usize = 8 * text::CHARACTERS_MAX + 16 * 1024;

/// How many bytes a report and the picture behind it may have.
const STILL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The child, seen from its parent: reads one file a call and nothing in this process.
#[derive(Debug, Clone)]
pub struct Reader {
    program: PathBuf,
}

/// Reads documents, and pictures where an engine for them is installed.
#[derive(Clone)]
pub struct DocumentProcessor {
    name: &'static str,
    reader: Reader,
    languages: String,
    scans: Option<Scans>,
}

/// What became of a file, and what it turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What was found.
    pub outcome: Outcome,
    /// The real type, when it is not the declared one.
    pub actual_type: Option<String>,
}

impl Reader {
    /// A reader whose children run `program`, which is this project's own binary.
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Reads the text of a file; pictures in these languages, as `tesseract` calls them.
    async fn text(&self, work: &Work, languages: &str) -> Result<Document, Failure> {
        let wanted = Wanted::Text { languages: languages.to_owned() };
        document(self.run(work, &wanted, REPORT_BYTES_MAX).await?)
    }

    /// Makes a JPEG of a picture's first frame, its longer side at most `side_pixels_max`.
    ///
    /// # Errors
    /// As [`DocumentProcessor::read`].
    pub(super) async fn still(
        &self,
        work: &Work,
        side_pixels_max: u32,
    ) -> Result<Vec<u8>, Failure> {
        still(self.run(work, &Wanted::Still { side_pixels_max }, STILL_BYTES_MAX).await?)
    }

    async fn run(
        &self,
        work: &Work,
        wanted: &Wanted,
        stdout_bytes_max: usize,
    ) -> Result<Finished, Failure> {
        require_staged_file(&work.path).await?;
        child::run(self.command(work, wanted), stdout_bytes_max, &work.cancel)
            .await
            .map_err(|error| child::start_failure(&self.program.display().to_string(), &error))
    }

    fn command(&self, work: &Work, wanted: &Wanted) -> Command {
        let (allocator, frugal) = confine::FRUGAL;
        let mut command = confine::own_command(&self.program);
        command.env(allocator, frugal);
        command.args(extract::arguments(&work.mime_type, processor_seconds(work.timeout), wanted));
        command.arg(absolute(&work.path));
        command
    }
}

impl DocumentProcessor {
    /// Reads documents through `program`, which is this project's own binary.
    pub fn new(program: PathBuf) -> Self {
        Self {
            name: "document",
            reader: Reader::new(program),
            languages: String::new(),
            scans: None,
        }
    }

    /// The same, under the name of the engine that reads pictures.
    pub fn for_pictures(program: PathBuf) -> Self {
        Self { name: "tesseract", ..Self::new(program) }
    }

    /// Reads pictures in these languages, as `tesseract` calls them (`eng+deu`).
    pub fn with_languages(mut self, languages: impl Into<String>) -> Self {
        self.languages = languages.into();
        self
    }

    /// Reads PDF files without text of their own page by page.
    pub fn with_scans(mut self, scans: Scans) -> Self {
        self.scans = Some(scans);
        self
    }

    /// Reads one file. A real type that is not the declared one is told beside the outcome.
    ///
    /// # Errors
    /// `Permanent`: the file is missing or unreadable, or the reader broke on it. `Transient`: the
    /// child could not be started. `Cancelled`.
    pub async fn read(&self, work: &Work) -> Result<Document, Failure> {
        let document = self.reader.text(work, &self.languages).await?;
        match &self.scans {
            Some(scans) if document.outcome == Outcome::Nothing && is_pdf(work, &document) => {
                Ok(Document { outcome: scans.read(work).await?, ..document })
            }
            Some(_) | None => Ok(document),
        }
    }
}

/// Whether the file is really a PDF.
fn is_pdf(work: &Work, document: &Document) -> bool {
    let mime_type = document.actual_type.as_deref().unwrap_or(&work.mime_type);
    let essence = mime_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/pdf")
}

impl Processor for DocumentProcessor {
    fn name(&self) -> &str {
        self.name
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        let processor = self.clone();
        Box::pin(async move {
            let document = processor.read(&work).await?;
            if let Some(actual_type) = &document.actual_type {
                tracing::info!(
                    path = %work.path.display(),
                    declared_type = %work.mime_type,
                    %actual_type,
                    "the file is not what it was declared to be"
                );
            }
            Ok(document.outcome)
        })
    }
}

/// The path as the child will find it, whatever it starts with.
fn absolute(path: &std::path::Path) -> OsString {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).into_os_string()
}

/// Processor time for a job: a little more than its time by the clock, which ends it first and says
/// so better.
fn processor_seconds(timeout: Duration) -> u64 {
    timeout.as_secs().saturating_add(5)
}

/// Reads the end of the child that was asked for text.
fn document(finished: Finished) -> Result<Document, Failure> {
    let Report { reading, actual_type } = reported(&finished)?.0;
    let outcome = match reading {
        Reading::Text { text, truncated } => {
            Outcome::Text(Extracted { text, truncated, ..Extracted::default() })
        }
        Reading::Nothing => Outcome::Nothing,
        Reading::Unsupported { detail } => Outcome::Unsupported { detail: Some(detail) },
        Reading::Failed { error, detail } => return Err(Failure::Permanent { error, detail }),
        Reading::Still { .. } => return Err(Failure::engine("the reader answers with a picture")),
    };
    Ok(Document { outcome, actual_type })
}

/// Reads the end of the child that was asked for a picture.
fn still(finished: Finished) -> Result<Vec<u8>, Failure> {
    let (report, picture) = reported(&finished)?;
    match report.reading {
        Reading::Still { bytes } if picture.len() == bytes => Ok(picture.to_vec()),
        Reading::Failed { error, detail } => Err(Failure::Permanent { error, detail }),
        Reading::Unsupported { detail } => Err(Failure::unreadable(detail)),
        Reading::Still { .. } | Reading::Text { .. } | Reading::Nothing => {
            Err(Failure::engine("the reader answers without the picture"))
        }
    }
}

/// The report of a child that ended well, and what stands behind it.
fn reported(finished: &Finished) -> Result<(Report, &[u8]), Failure> {
    let status = match finished.end {
        End::Cancelled => return Err(Failure::Cancelled),
        End::SaidTooMuch => return Err(Failure::engine("the reader's report was too long")),
        End::Exited(status) => status,
    };
    if !status.success() {
        return Err(Failure::engine(broke(status, &finished.stderr)));
    }
    let line_end = finished.stdout.iter().position(|byte| *byte == b'\n');
    let (line, rest) = finished.stdout.split_at(line_end.unwrap_or(finished.stdout.len()));
    let report = serde_json::from_slice(line)
        .map_err(|error| Failure::engine(format!("the reader's report is none: {error}")))?;
    Ok((report, rest.get(1..).unwrap_or_default()))
}

/// What is said of a child that did not get to its report: it broke, or met one of its limits.
fn broke(status: ExitStatus, stderr: &[u8]) -> String {
    format!("the reader broke on the file: {}", child::last_words(status, stderr))
}
