//! The thread that writes: pieces in, bytes out.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use anteroom_trace::line::Contents;
use tracing::{debug, error, warn};

use super::files::Files;
use crate::driver::recording::{Piece, Progress};

pub(super) struct Writer {
    files: Files,
    contents: Contents,
    pieces: Receiver<Piece>,
    progress: Arc<Progress>,
}

impl Writer {
    pub fn new(
        files: Files,
        contents: Contents,
        pieces: Receiver<Piece>,
        progress: Arc<Progress>,
    ) -> Self {
        Self { files, contents, pieces, progress }
    }

    /// Writes until nothing more comes, or nothing more can be written.
    pub fn run(mut self) {
        if let Err(error) = self.write_all() {
            error!(%error, "the trace cannot be written: the recording ends, the service goes on");
        }
        self.progress.end();
    }

    fn write_all(&mut self) -> io::Result<()> {
        loop {
            let piece = match self.pieces.try_recv() {
                Ok(piece) => piece,
                Err(TryRecvError::Disconnected) => return self.files.flush(),
                Err(TryRecvError::Empty) => {
                    // Whoever looks at the file finds all that has happened so far.
                    self.files.flush()?;
                    match self.pieces.recv() {
                        Ok(piece) => piece,
                        Err(_) => return Ok(()),
                    }
                }
            };
            self.write(piece)?;
        }
    }

    fn write(&mut self, piece: Piece) -> io::Result<()> {
        match piece {
            Piece::Step(line) => {
                self.files.current().write_all(&line)?;
                self.progress.written(line.len());
            }
            Piece::File { header, when, machine } => {
                if header.missing > 0 {
                    warn!(steps = header.missing, "the trace goes on; these steps are not in it");
                }
                self.files.turn()?;
                let mut line = Vec::new();
                self.contents.machine(&mut line, when, &machine);
                debug!(bytes = line.len(), "the trace begins a new file");
                let file = self.files.current();
                file.write_all(&header.to_line())?;
                file.write_all(&line)?;
                self.progress.begun(line.len());
            }
        }
        Ok(())
    }
}
