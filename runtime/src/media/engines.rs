//! What each pool uses on this machine when nothing is configured.
//!
//! Documents are always read, pictures where `tesseract` is installed. The speech engines that may be
//! installed need a model or a conversion that nobody can guess, so they are only named in the hint. A
//! pool without an engine is not dead: its jobs end as *unsupported* with the reason, and the start-up
//! log and `doctor` say the same in one line a pool.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::id::PoolName;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::child::{self, End};
use super::document::DocumentProcessor;
use super::explain::{Corrupt, Unconfigured, Unsupported};
use super::processor::Processor;
use super::programs;

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of it is read.
const VERSION_BYTES_MAX: usize = 4 * 1024;

/// The processors of the default pools, and what to tell about them.
#[derive(Clone)]
pub struct Engines {
    /// One processor a pool.
    pub processors: BTreeMap<PoolName, Arc<dyn Processor>>,
    /// One line a pool, for people: `image: tesseract 5.3.0`.
    pub lines: Vec<String>,
}

impl Engines {
    fn add(&mut self, pool: &str, processor: impl Processor + 'static, line: String) {
        self.lines.push(format!("{pool}: {line}"));
        self.processors.insert(pool.into(), Arc::new(processor));
    }

    fn add_none(&mut self, pool: &str, hint: Option<&str>) {
        let unconfigured = Unconfigured { what: pool.to_owned() };
        let line = match hint {
            None => format!("none ({})", unconfigured.reason()),
            Some(hint) => format!("none ({}; {hint})", unconfigured.reason()),
        };
        self.add(pool, unconfigured, line);
    }
}

/// Looks for engines on `PATH`. `own_program` is this project's binary, whose `extract` subcommand
/// reads documents.
pub async fn detect(own_program: PathBuf) -> Engines {
    let mut engines = Engines { processors: BTreeMap::new(), lines: Vec::new() };
    detect_audio(&mut engines);
    engines.add_none("video", None);
    detect_image(&mut engines, own_program.clone()).await;
    detect_document(&mut engines, own_program).await;
    engines.add("corrupt", Corrupt, "says why there is no file".to_owned());
    engines.add("unsupported", Unsupported, "says that nothing reads the type".to_owned());
    engines
}

fn detect_audio(engines: &mut Engines) {
    let found = ["whisper-cli", "pocketsphinx_continuous", "pocketsphinx"]
        .into_iter()
        .find(|name| programs::find(name).is_some());
    let hint =
        found.map(|name| format!("{name} is installed, but needs a command to be configured"));
    engines.add_none("audio", hint.as_deref());
}

async fn detect_image(engines: &mut Engines, own_program: PathBuf) {
    match programs::find("tesseract") {
        Some(program) => {
            let line = with_version("tesseract", &program, "--version").await;
            engines.add("image", DocumentProcessor::for_pictures(own_program), line);
        }
        None => engines.add_none("image", Some("tesseract is not installed")),
    }
}

async fn detect_document(engines: &mut Engines, own_program: PathBuf) {
    let pdf = match programs::find("pdftotext") {
        Some(program) => with_version("pdftotext", &program, "-v").await,
        None => "the built-in reader, pdftotext is not installed".to_owned(),
    };
    engines.add("document", DocumentProcessor::new(own_program), format!("built in (PDF: {pdf})"));
}

/// The program's name and, if it says one, its version.
async fn with_version(name: &str, program: &Path, option: &str) -> String {
    match version(program, option).await {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    }
}

/// The first word of a program's first line that starts with a digit.
async fn version(program: &Path, option: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.arg(option);
    let stop = CancellationToken::new();
    let said = {
        let run = child::run(command, VERSION_BYTES_MAX, &stop);
        tokio::pin!(run);
        tokio::select! {
            biased;
            said = &mut run => said,
            () = tokio::time::sleep(VERSION_TIMEOUT) => {
                stop.cancel();
                run.await
            }
        }
    };
    let said = said.ok().filter(|said| matches!(said.end, End::Exited(_)))?;
    // Some programs say it on standard error.
    let words = [said.stdout, said.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    let mut words = words.lines().next()?.split_whitespace();
    words.find(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
}
