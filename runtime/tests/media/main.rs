//! The media processors on real files, real programs and hostile ones of both.

mod command;
mod confined;
mod document;
mod engines;
mod files;
mod hostile;
mod mutants;
mod openai;
mod picture;
mod scan;
mod server;
mod video;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::message::{MediaKind, Outcome};
use anteroom_runtime::media::document::DocumentProcessor;
use anteroom_runtime::media::processor::{Failure, Processor, Work, run_isolated};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The binary whose `extract` subcommand reads documents.
const ANTEROOM: &str = env!("CARGO_BIN_EXE_anteroom");

/// A directory with one file in it.
struct Staged {
    _directory: TempDir,
    path: PathBuf,
}

fn stage(content: &[u8]) -> Staged {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11");
    std::fs::write(&path, content).expect("written");
    Staged { _directory: directory, path }
}

fn work(path: &Path, mime_type: &str) -> Work {
    Work {
        path: path.to_owned(),
        mime_type: mime_type.to_owned(),
        kind: MediaKind::Document,
        filename: None,
        quota_exceeded: false,
        detail: None,
        timeout: Duration::from_secs(60),
        cancel: CancellationToken::new(),
    }
}

/// Reads `content`, declared as `mime_type`, as a worker would.
async fn read(content: &[u8], mime_type: &str) -> Result<Outcome, Failure> {
    let staged = stage(content);
    run_isolated(documents(), work(&staged.path, mime_type)).await
}

fn documents() -> Arc<dyn Processor> {
    Arc::new(DocumentProcessor::new(ANTEROOM.into()))
}

/// The text of an outcome.
fn text(outcome: Result<Outcome, Failure>) -> String {
    match outcome {
        Ok(Outcome::Text(extracted)) => extracted.text,
        other => panic!("no text, but {other:?}"),
    }
}
