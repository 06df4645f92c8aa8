//! Scans: PDF files that are pictures of pages, read page by page by the engine for pictures.

use std::path::PathBuf;
use std::sync::Arc;

use anteroom_core::message::{Extracted, Outcome};

use crate::media::child::{self, End};
use crate::media::confine::{Confinement, MEMORY_BYTES_MAX};
use crate::media::ffmpeg::pictures;
use crate::media::parts::Parts;
use crate::media::processor::{Failure, Processor, Work};
use crate::media::scratch::Scratch;

/// How many pages are read unless configured otherwise.
pub const PAGES_MAX: u32 = 10;

/// How long the longer side of a page becomes: about 190 dots an inch on ordinary paper.
const SIDE_PIXELS: &str = "2200";

/// What is read past of standard output; nothing is expected there.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Reads scans through the engine for pictures.
#[derive(Clone)]
pub struct Scans {
    pdftoppm: PathBuf,
    own_program: PathBuf,
    scratch: Scratch,
    engine: Arc<dyn Processor>,
    pages_max: u32,
}

impl Scans {
    /// Draws pages with `pdftoppm`, confined by `own_program`, and has `engine` read them.
    pub fn new(
        pdftoppm: PathBuf,
        own_program: PathBuf,
        scratch: Scratch,
        engine: Arc<dyn Processor>,
    ) -> Self {
        Self { pdftoppm, own_program, scratch, engine, pages_max: PAGES_MAX }
    }

    /// Reads so many pages.
    pub fn with_pages_max(mut self, pages_max: u32) -> Self {
        self.pages_max = pages_max;
        self
    }

    /// Reads a PDF that has no text of its own.
    pub(super) async fn read(&self, work: &Work) -> Result<Outcome, Failure> {
        let directory = self.scratch.take()?;
        self.draw(work, directory.path()).await?;
        let mut pages = pictures(directory.path()).await;
        let mut parts = Parts::of(work);
        if pages.len() > self.pages_max as usize {
            parts.leave_out();
            pages.truncate(self.pages_max as usize);
        }
        let mut texts = Vec::new();
        for path in pages {
            if !parts.has_time() {
                parts.leave_out();
                break;
            }
            let page = parts.read_picture(&self.engine, work, path).await?;
            texts.extend(page.map(|page| page.text));
        }
        parts.finish(texts.join("\n\n"), Extracted::default())
    }

    /// Draws the pages, and one more than are read, to know whether there is one.
    async fn draw(&self, work: &Work, directory: &std::path::Path) -> Result<(), Failure> {
        let confinement = Confinement {
            processor_seconds: work.timeout.as_secs().saturating_add(5),
            memory_bytes_max: MEMORY_BYTES_MAX,
        };
        let mut command = confinement.command(&self.own_program, &self.pdftoppm);
        let last = self.pages_max.saturating_add(1).to_string();
        command.args(["-f", "1", "-l", &last, "-scale-to", SIDE_PIXELS, "-gray", "-png"]);
        command.arg(super::absolute(&work.path)).arg(directory.join("page"));
        let finished = child::run(command, OUTPUT_BYTES_MAX, &work.cancel)
            .await
            .map_err(|error| child::start_failure("pdftoppm", &error))?;
        match finished.end {
            End::Cancelled => Err(Failure::Cancelled),
            End::Exited(status) if !status.success() && pictures(directory).await.is_empty() => {
                let words = child::last_words(status, &finished.stderr);
                Err(Failure::unreadable(format!("no page could be drawn: {words}")))
            }
            End::Exited(_) | End::SaidTooMuch => Ok(()),
        }
    }
}
