//! Programs that the child runs: within the child's limits and process group, bounded in output.

use std::io::{self, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

/// How much of a program's standard error is kept.
const STDERR_BYTES_MAX: u64 = 1024;

/// How a program ended, and what it said.
pub(super) struct Captured {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// It had more to say, and was killed.
    pub was_cut: bool,
    pub stderr: String,
}

/// Runs `command` with `input` as its standard input, keeping `stdout_bytes_max` of its output.
pub(super) fn capture(
    mut command: Command,
    input: Vec<u8>,
    stdout_bytes_max: u64,
) -> io::Result<Captured> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // A program that ends without reading all of its input is no failure by itself.
    let feeding = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let listening = thread::spawn(move || read_head(stderr, STDERR_BYTES_MAX));
    let mut kept = read_head(stdout, stdout_bytes_max + 1);
    let was_cut = kept.len() as u64 > stdout_bytes_max;
    if was_cut {
        kept.truncate(usize::try_from(stdout_bytes_max).unwrap_or(usize::MAX));
        child.kill()?;
    }
    let status = child.wait()?;
    let _ = feeding.join();
    let stderr = listening.join().unwrap_or_default();
    let stderr = String::from_utf8_lossy(&stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Captured { status, stdout: kept, was_cut, stderr })
}

/// The first bytes of a stream. What cannot be read is taken for its end.
fn read_head(stream: Option<impl Read>, bytes_max: u64) -> Vec<u8> {
    let mut head = Vec::new();
    if let Some(stream) = stream {
        let _ = stream.take(bytes_max).read_to_end(&mut head);
    }
    head
}
