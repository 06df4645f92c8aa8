//! What the child tells its parent: one line of JSON on standard output.

use anteroom_core::message::FailureKind;
use serde::{Deserialize, Serialize};

/// The whole report.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    /// What was found.
    pub reading: Reading,
    /// The real type, when it is not the declared one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_type: Option<String>,
}

/// What was found in a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Reading {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// There was more.
        truncated: bool,
    },
    /// It was read and holds no words.
    Nothing,
    /// A picture: a JPEG of so many bytes follows the report.
    Still {
        /// How many.
        bytes: usize,
    },
    /// It is of a type that is not read.
    Unsupported {
        /// Which type.
        detail: String,
    },
    /// It could not be read.
    Failed {
        /// What kind of failure.
        error: FailureKind,
        /// What was wrong.
        detail: String,
    },
}

/// Why a reader gave up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// The file is not there.
    #[error("the file is not there")]
    Missing,
    /// The file is damaged, encrypted or not what it claims to be.
    #[error("{0}")]
    Damaged(String),
    /// Nothing here reads this type.
    #[error("{0}")]
    Unsupported(String),
    /// The reader broke.
    #[error("{0}")]
    Broke(String),
}

impl Unread {
    /// A damaged file, with what the parser said.
    pub fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Damaged(what.to_string())
    }
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            _ => Self::damaged(error),
        }
    }
}

impl From<Unread> for Reading {
    fn from(unread: Unread) -> Self {
        let detail = unread.to_string();
        let error = match unread {
            Unread::Unsupported(detail) => return Self::Unsupported { detail },
            Unread::Missing => FailureKind::FileMissing,
            Unread::Damaged(_) => FailureKind::Unreadable,
            Unread::Broke(_) => FailureKind::Engine,
        };
        Self::Failed { error, detail }
    }
}
