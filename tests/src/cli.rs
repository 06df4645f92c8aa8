//! The binary's commands, run as a person runs them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

use crate::{PATIENCE, Server, binary};

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Ended {
    /// Asserts that it did what it was asked to.
    ///
    /// # Panics
    /// When it did not.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "the command failed: {self:#?}");
        self
    }

    /// Asserts that it gave up in an orderly way: an exit code of its own and words that contain
    /// each of `fragments`.
    ///
    /// # Panics
    /// When it succeeded, panicked, was killed, or did not say so.
    pub fn failed_saying(self, fragments: &[&str]) -> Self {
        let code = self.code.unwrap_or_else(|| panic!("a signal ended the command: {self:#?}"));
        assert!(code != 0 && code != 101, "it neither failed nor said why: {self:#?}");
        for fragment in fragments {
            assert!(self.stderr.contains(fragment), "nothing said of {fragment:?}: {self:#?}");
        }
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A command against `server`, in `directory`, not yet started.
pub fn command<A: AsRef<OsStr>>(url: &str, directory: &Path, arguments: &[A]) -> Command {
    let mut command = Command::new(binary::anteroom());
    binary::isolate(&mut command)
        .args(arguments)
        .env("ANTEROOM_SERVER", url)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts a command and leaves it running.
///
/// # Panics
/// When it cannot be started.
pub fn start<A: AsRef<OsStr>>(server: &Server, arguments: &[A]) -> Child {
    let child = command(server.url(), server.home(), arguments).spawn();
    child.expect("the binary can be run")
}

/// Waits for a command that was started.
///
/// # Panics
/// When it does not end in time.
pub async fn ended(child: Child) -> Ended {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("a command did not end within {PATIENCE:?}"));
    output.expect("our own child can be waited for").into()
}

/// Runs a command to its end.
///
/// # Panics
/// When it does not end in time.
pub async fn run<A: AsRef<OsStr>>(server: &Server, arguments: &[A]) -> Ended {
    ended(start(server, arguments)).await
}
