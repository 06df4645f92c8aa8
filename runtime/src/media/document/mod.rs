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
mod confine;
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
mod text;
mod workbook;
mod xml;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anteroom_core::message::{Extracted, Outcome};
use tokio::process::Command;

use self::report::{Reading, Report};
use super::child::{self, End, Finished};
use super::processor::{BoxFuture, Failure, Processor, Work, require_staged_file};

/// How many bytes a report may have: the text's characters at four bytes each, and room for escapes.
const REPORT_BYTES_MAX: usize = 8 * text::CHARACTERS_MAX + 16 * 1024;

/// The environment that the child keeps: where programs and their data are, and nothing secret.
const VARIABLES_KEPT: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "TESSDATA_PREFIX"];

/// Reads documents, and pictures where an engine for them is installed.
#[derive(Debug, Clone)]
pub struct DocumentProcessor {
    name: &'static str,
    program: PathBuf,
}

/// What became of a file, and what it turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What was found.
    pub outcome: Outcome,
    /// The real type, when it is not the declared one.
    pub actual_type: Option<String>,
}

impl DocumentProcessor {
    /// Reads documents through `program`, which is this project's own binary.
    pub fn new(program: PathBuf) -> Self {
        Self { name: "document", program }
    }

    /// The same, under the name of the engine that reads pictures.
    pub fn for_pictures(program: PathBuf) -> Self {
        Self { name: "tesseract", program }
    }

    /// Reads one file. A real type that is not the declared one is told beside the outcome.
    ///
    /// # Errors
    /// `Permanent`: the file is missing or unreadable, or the reader broke on it. `Transient`: the
    /// child could not be started. `Cancelled`.
    pub async fn read(&self, work: &Work) -> Result<Document, Failure> {
        require_staged_file(&work.path).await?;
        let finished = child::run(self.command(work), REPORT_BYTES_MAX, &work.cancel)
            .await
            .map_err(|error| child::start_failure(&self.program.display().to_string(), &error))?;
        document(finished)
    }

    fn command(&self, work: &Work) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("OMP_THREAD_LIMIT", "1");
        for name in VARIABLES_KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.args(extract::arguments(&work.mime_type, processor_seconds(work.timeout)));
        command.arg(absolute(&work.path));
        command
    }
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

/// Reads the end of the child.
fn document(finished: Finished) -> Result<Document, Failure> {
    let status = match finished.end {
        End::Cancelled => return Err(Failure::Cancelled),
        End::SaidTooMuch => return Err(Failure::engine("the reader's report was too long")),
        End::Exited(status) => status,
    };
    if !status.success() {
        return Err(Failure::engine(broke(status, &finished.stderr)));
    }
    let report: Report = serde_json::from_slice(&finished.stdout)
        .map_err(|error| Failure::engine(format!("the reader's report is none: {error}")))?;
    let outcome = match report.reading {
        Reading::Text { text, truncated } => {
            Outcome::Text(Extracted { text, truncated, ..Extracted::default() })
        }
        Reading::Nothing => Outcome::Nothing,
        Reading::Unsupported { detail } => Outcome::Unsupported { detail: Some(detail) },
        Reading::Failed { error, detail } => return Err(Failure::Permanent { error, detail }),
    };
    Ok(Document { outcome, actual_type: report.actual_type })
}

/// What is said of a child that did not get to its report: it broke, or met one of its limits.
fn broke(status: ExitStatus, stderr: &[u8]) -> String {
    format!("the reader broke on the file: {}", child::last_words(status, stderr))
}
