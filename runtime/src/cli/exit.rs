//! How a command ends, for scripts.

use std::fmt::Display;
use std::process::ExitCode;

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// What was asked for is done.
    Done,
    /// The server refused it, or it failed.
    Refused,
    /// The arguments make no sense.
    Usage,
    /// The server was not reached, or not in time.
    NotReached,
    /// Another consumer took the stream over.
    Replaced,
    /// Ctrl-C came before it was done.
    Interrupted,
}

impl Exit {
    /// Says on stderr what went wrong, and ends with [`Exit::Refused`].
    pub(super) fn failed(why: impl Display) -> Self {
        complain(why);
        Self::Refused
    }
}

/// Says something on stderr, in the one form that all commands use.
pub(super) fn complain(what: impl Display) {
    eprintln!("anteroom: {what}");
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::NotReached => 3,
            Exit::Replaced => 4,
            Exit::Interrupted => 130,
        })
    }
}
