//! Recording a node: its trace, in files that are bounded in number and, but for the machine that each
//! begins with, in size.
//!
//! The driver's loop hands its steps over ([`crate::driver::Recording`]) and a thread of its own
//! writes them. A disk that is slow costs steps of the trace, which is said in the log and in the next
//! file; one that is full, or fails, ends the recording with an error in the log. Neither stops the
//! service. What is written is with the operating system as soon as nothing more waits; it is not
//! forced to the disk.

mod files;
mod writer;

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anteroom_trace::line::Contents;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use self::files::Files;
use self::writer::Writer;
use crate::driver::Recording;

/// How long the last steps may take to be written.
const END_MAX: Duration = Duration::from_secs(5);

/// What is to be recorded, and where.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// The current file; older ones stand beside it, as `FILE.1`, `FILE.2` and so on.
    pub file: PathBuf,
    /// How many bytes a file has about at the most.
    pub file_bytes_max: u64,
    /// How many files there are at the most, the current one included.
    pub files_max: u32,
    /// Whether what people wrote is recorded.
    pub contents: Contents,
}

/// The trace cannot be written where it should be.
#[derive(Debug, thiserror::Error)]
#[error("cannot record into {file}: {source}", file = file.display())]
pub struct RecordError {
    file: PathBuf,
    source: io::Error,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Recorder {
    ended: oneshot::Receiver<()>,
}

/// Begins a recording: makes its first file, and returns what the driver is to be given.
///
/// # Errors
/// When the file cannot be made, or the files that are there cannot be moved out of its way.
pub fn start(options: RecordOptions) -> Result<(Recording, Recorder), RecordError> {
    let RecordOptions { file, file_bytes_max, files_max, contents } = options;
    let failed = |source| RecordError { file: file.clone(), source };
    let files = Files::begin(file.clone(), files_max).map_err(failed)?;
    let (recording, pieces, progress) = Recording::new(contents, file_bytes_max);
    let (end, ended) = oneshot::channel();
    let writer = Writer::new(files, contents, pieces, progress);
    let work = move || {
        writer.run();
        // Whoever waits for the end may have left.
        let _ = end.send(());
    };
    thread::Builder::new().name("recorder".to_owned()).spawn(work).map_err(failed)?;
    match contents {
        Contents::Blanked => info!(file = %file.display(), "recording, without contents"),
        Contents::Kept => warn!(file = %file.display(), "recording what people write, as it is"),
    }
    Ok((recording, Recorder { ended }))
}

impl Recorder {
    /// Waits until everything is written. The driver must have ended.
    pub async fn finish(self) {
        if timeout(END_MAX, self.ended).await.is_err() {
            warn!("the last steps of the trace could not be written in time");
        }
    }
}
