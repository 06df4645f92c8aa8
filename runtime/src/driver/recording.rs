//! What the loop hands over of its steps, for somebody else to write down.
//!
//! **Invariants:** the loop never waits for whoever writes; what waits to be written is bounded, by
//! [`WAITING_BYTES_MAX`] and by [`PIECES_MAX`], and one machine. Steps that come faster than that are left out, and what
//! comes after them begins a new file, with the machine as it is then: no file has a gap.
//!
//! Contents are blanked here, before anything leaves the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::machine::Machine;
use anteroom_core::time::Timestamp;
use anteroom_trace::line::{Contents, Header, When};
use tracing::warn;

/// Bytes of steps that may wait to be written.
const WAITING_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Steps that may wait to be written.
const PIECES_MAX: usize = 8_192;

/// The number of the one node of a recording.
const NODE: u32 = 0;

/// Something to be written.
#[derive(Debug)]
pub enum Piece {
    /// A new file begins with this header and this machine.
    File {
        /// The header.
        header: Header,
        /// When the machine was so.
        when: When,
        /// The machine.
        machine: Box<Machine>,
    },
    /// A step's line.
    Step(Vec<u8>),
}

/// What both sides know of each other.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of steps that are handed over and not written.
    waiting_bytes: AtomicU64,
    /// How large the machine was in the newest file.
    machine_bytes: AtomicU64,
    /// How many files have been begun.
    files: AtomicU64,
    /// Whether nobody writes any more.
    ended: AtomicBool,
}

impl Progress {
    /// A step of so many bytes has been written.
    pub fn written(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes as u64, Ordering::AcqRel);
    }

    /// A machine of so many bytes begins the newest file.
    pub fn begun(&self, bytes: usize) {
        self.machine_bytes.store(bytes as u64, Ordering::Release);
        self.files.fetch_add(1, Ordering::AcqRel);
    }

    /// Nobody writes any more.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// The loop's side of a recording.
#[derive(Debug)]
pub struct Recording {
    contents: Contents,
    file_bytes_max: u64,
    pieces: SyncSender<Piece>,
    progress: Arc<Progress>,
    /// The step's line so far; none when the step is left out.
    line: Option<Vec<u8>>,
    /// How many files have been handed over.
    files: u64,
    /// Bytes of steps in the newest file.
    file_bytes: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next step begins a new file, when what waits has been written. So many are missing.
    Between { missing: u64 },
    /// Steps go into the newest file.
    Within,
    /// Nobody writes any more.
    Over,
}

impl Recording {
    /// A recording whose files have about so many bytes at the most, and what is to be written of it.
    pub fn new(contents: Contents, file_bytes_max: u64) -> (Self, Receiver<Piece>, Arc<Progress>) {
        let (pieces, written) = sync_channel(PIECES_MAX);
        let progress = Arc::new(Progress::default());
        let recording = Self {
            contents,
            file_bytes_max,
            pieces,
            progress: Arc::clone(&progress),
            line: None,
            files: 0,
            file_bytes: 0,
            state: State::Between { missing: 0 },
        };
        (recording, written, progress)
    }

    /// A step is going to be made.
    pub fn before(&mut self, now: Timestamp, event: &Event, machine: &Machine) {
        if self.progress.ended.load(Ordering::Acquire) {
            self.state = State::Over;
        }
        if self.state == State::Within && self.is_file_full() {
            self.state = State::Between { missing: 0 };
        }
        if let State::Between { missing } = self.state {
            self.begin_file(now, machine, missing);
        }
        if self.state == State::Within {
            let mut line = Vec::with_capacity(1_024);
            self.contents.event(&mut line, When::at_node(NODE, now), event);
            self.line = Some(line);
        }
    }

    /// It has been made.
    pub fn after(&mut self, effects: &[Effect]) {
        let Some(mut line) = self.line.take() else { return };
        self.contents.effects(&mut line, effects);
        let bytes = line.len() as u64;
        let waiting = self.progress.waiting_bytes.load(Ordering::Acquire);
        if waiting + bytes > WAITING_BYTES_MAX {
            return self.leave_out();
        }
        self.progress.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        match self.pieces.try_send(Piece::Step(line)) {
            Ok(()) => self.file_bytes += bytes,
            Err(error) => {
                self.progress.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
                self.could_not(&error);
            }
        }
    }

    /// A machine may be as large as the steps of a whole file; then the file has as many steps again.
    fn is_file_full(&self) -> bool {
        let machine_bytes = self.progress.machine_bytes.load(Ordering::Acquire);
        self.is_begun()
            && self.file_bytes + machine_bytes >= self.file_bytes_max
            && self.file_bytes >= machine_bytes
    }

    /// Whether no machine waits to be written; so at most one ever does.
    fn is_begun(&self) -> bool {
        self.progress.files.load(Ordering::Acquire) == self.files
    }

    /// Begins a new file, unless there are missing steps because of what still waits.
    fn begin_file(&mut self, now: Timestamp, machine: &Machine, missing: u64) {
        let waiting = self.progress.waiting_bytes.load(Ordering::Acquire) > 0;
        if missing > 0 && (waiting || !self.is_begun()) {
            self.state = State::Between { missing: missing + 1 };
            return;
        }
        let header = Header { missing, ..Header::new(self.contents) };
        let machine = Box::new(machine.clone());
        match self.pieces.try_send(Piece::File { header, when: When::at_node(NODE, now), machine })
        {
            Ok(()) => {
                self.files += 1;
                self.file_bytes = 0;
                self.state = State::Within;
            }
            Err(error) => self.could_not(&error),
        }
    }

    fn could_not(&mut self, error: &TrySendError<Piece>) {
        match error {
            TrySendError::Full(_) => self.leave_out(),
            TrySendError::Disconnected(_) => self.state = State::Over,
        }
    }

    fn leave_out(&mut self) {
        let missing = match self.state {
            State::Between { missing } => missing,
            State::Within => 0,
            State::Over => return,
        };
        if missing == 0 {
            warn!("steps come faster than the trace is written: some are left out");
        }
        self.state = State::Between { missing: missing + 1 };
    }
}

#[cfg(all(test, not(madsim)))]
mod tests;
