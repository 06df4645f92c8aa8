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
    // To its end, for a program that nobody listens to dies of its next warning.
    let listening = thread::spawn(move || {
        stderr.map(|mut stderr| {
            let head = read_head(&mut stderr, STDERR_BYTES_MAX);
            let _ = io::copy(&mut stderr, &mut io::sink());
            head
        })
    });
    let mut kept = stdout.map(|stdout| read_head(stdout, stdout_bytes_max + 1)).unwrap_or_default();
    let was_cut = kept.len() as u64 > stdout_bytes_max;
    if was_cut {
        kept.truncate(usize::try_from(stdout_bytes_max).unwrap_or(usize::MAX));
        child.kill()?;
    }
    let status = child.wait()?;
    let _ = feeding.join();
    let stderr = listening.join().ok().flatten().unwrap_or_default();
    let stderr = String::from_utf8_lossy(&stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Captured { status, stdout: kept, was_cut, stderr })
}

/// The first bytes of a stream. What cannot be read is taken for its end.
fn read_head(stream: impl Read, bytes_max: u64) -> Vec<u8> {
    let mut head = Vec::new();
    let _ = stream.take(bytes_max).read_to_end(&mut head);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a program that warns of much, and then says what it was asked for, is heard out. Method: more
    /// warnings than are kept and than a pipe holds.
    #[test]
    fn a_program_that_warns_of_much_is_heard_out() {
        const WARN_THEN_SPEAK: &str = "i=0; while [ $i -lt 5000 ]; do echo \"bad object $i\" >&2; \
             i=$((i+1)); done; echo 42 EUR";
        let mut shell = Command::new("sh");
        shell.args(["-c", WARN_THEN_SPEAK]);
        let captured = capture(shell, Vec::new(), 100).expect("a shell");
        assert!(captured.status.success(), "{:?}", captured.status);
        assert_eq!(captured.stdout, b"42 EUR\n");
        assert!(captured.stderr.starts_with("bad object 0 bad object 1 "), "{}", captured.stderr);
        assert!(captured.stderr.len() as u64 <= STDERR_BYTES_MAX);
    }
}
