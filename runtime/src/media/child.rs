//! Child processes: bounded in what they say, ended as a group, always waited for.
//!
//! Owns the only place of the media code that starts a process for a job. Invariants: a child has no
//! standard input and a process group of its own; of its output at most a fixed amount is kept; when
//! [`run`] returns, the child has been waited for and its group has been killed; when the future of
//! [`run`] is dropped, the group is killed at once and the runtime waits for the child.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::processor::Failure;

/// How much of the end of a child's standard error is kept.
const STDERR_BYTES_MAX: usize = 2 * 1024;

/// How much is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// How long output is still read after the child has ended and its group was killed: a grandchild
/// that left the group may hold the pipe open for ever.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// How a child ended, and what it said.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Why it ended.
    pub end: End,
    /// The beginning of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

/// Why a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, or by a signal that was not ours.
    Exited(ExitStatus),
    /// It said more than is kept, and was killed.
    SaidTooMuch,
    /// It was told to stop, and was killed.
    Cancelled,
}

/// Runs `command` to its end, or until `cancel` is cancelled, keeping at most `stdout_bytes_max` of
/// what it says.
///
/// # Errors
/// The program could not be started, or not be waited for.
pub(crate) async fn run(
    mut command: Command,
    stdout_bytes_max: usize,
    cancel: &CancellationToken,
) -> io::Result<Finished> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut group = Group::led_by(&child);
    let mut head = Head { bytes: Vec::new(), limit: stdout_bytes_max };
    let mut tail = Tail { bytes: Vec::new() };
    let end = listen(&mut child, &mut group, &mut head, &mut tail, cancel).await?;
    Ok(Finished { end, stdout: head.bytes, stderr: tail.bytes })
}

/// Reads what the child says until it ends, or until it must be ended.
async fn listen(
    child: &mut Child,
    group: &mut Group,
    head: &mut Head,
    tail: &mut Tail,
    cancel: &CancellationToken,
) -> io::Result<End> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let listening = async { tokio::try_join!(head.fill(stdout), tail.fill(stderr)).map(|_| ()) };
    tokio::pin!(listening);
    let mut heard_all = false;
    let end = loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break End::Cancelled,
            heard = &mut listening, if !heard_all => match heard {
                Ok(()) => heard_all = true,
                Err(SaidTooMuch) => break End::SaidTooMuch,
            },
            status = child.wait() => break End::Exited(status?),
        }
    };
    group.kill();
    child.wait().await?;
    group.is_over();
    let may_still_speak = matches!(end, End::Exited(_)) && !heard_all;
    if may_still_speak
        && let Ok(Err(SaidTooMuch)) = tokio::time::timeout(DRAIN_MAX, listening).await
    {
        return Ok(End::SaidTooMuch);
    }
    Ok(end)
}

/// The failure of a program that could not be started.
pub(crate) fn start_failure(program: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::engine(format!("program not found: {program}")),
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => {
            Failure::engine(format!("program cannot be started: {program}: {error}"))
        }
        // What is left is a machine that is short of something: memory, processes, descriptors.
        _ => Failure::Transient {
            retry_after: None,
            detail: format!("program could not be started: {program}: {error}"),
        },
    }
}

/// What an operator reads about a child that did not succeed: its status and its last words.
pub(crate) fn last_words(status: ExitStatus, stderr: &[u8]) -> String {
    let words = String::from_utf8_lossy(stderr);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.is_empty() {
        true => format!("{status}"),
        false => format!("{status}: {words}"),
    }
}

/// The child's process group, killed when this value is dropped before the group is over.
struct Group {
    leader: Option<Pid>,
}

impl Group {
    fn led_by(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self { leader: id.and_then(Pid::from_raw) }
    }

    /// Kills whoever is left in the group; that nobody is left is no error.
    fn kill(&self) {
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    /// The leader was waited for: its number may come to mean somebody else.
    fn is_over(&mut self) {
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The child said more than is kept.
struct SaidTooMuch;

/// The beginning of a stream.
struct Head {
    bytes: Vec<u8>,
    limit: usize,
}

impl Head {
    async fn fill(&mut self, stream: Option<impl AsyncRead + Unpin>) -> Result<(), SaidTooMuch> {
        let Some(mut stream) = stream else { return Ok(()) };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            // A pipe that cannot be read has nothing more to say.
            let length = stream.read(&mut chunk).await.unwrap_or(0);
            if length == 0 {
                return Ok(());
            }
            let room = self.limit - self.bytes.len();
            self.bytes.extend_from_slice(&chunk[..length.min(room)]);
            if length > room {
                return Err(SaidTooMuch);
            }
        }
    }
}

/// The end of a stream.
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    async fn fill(&mut self, stream: Option<impl AsyncRead + Unpin>) -> Result<(), SaidTooMuch> {
        let Some(mut stream) = stream else { return Ok(()) };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = stream.read(&mut chunk).await.unwrap_or(0);
            if length == 0 {
                return Ok(());
            }
            self.bytes.extend_from_slice(&chunk[..length]);
            let surplus = self.bytes.len().saturating_sub(STDERR_BYTES_MAX);
            self.bytes.drain(..surplus);
        }
    }
}
