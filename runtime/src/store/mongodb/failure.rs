//! Why a request was not answered, inside the adapter.
//!
//! Owns the translation of the driver's and the server's errors into the port's. Only a value that the
//! server cannot store is the request's own fault; everything else may pass.

use anteroom_core::store::StoreError;
use mongodb::bson::Document;
use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

/// What a function of the adapter comes to.
pub(super) type Answer<T> = Result<T, Failure>;

/// A unique key is taken.
const DUPLICATE_KEY: i32 = 11_000;

/// `maxTimeMS` was used up.
const MAX_TIME_EXPIRED: i32 = 50;

/// The user may not do that.
const UNAUTHORIZED: i32 = 13;

/// Codes of values that the server cannot store: bad value, failed to parse, wrong type, validation,
/// too large.
const INVALID: [i32; 7] = [2, 9, 14, 121, 10_334, 17_419, 17_420];

/// What the server says when an index that is named is not there; under the code of a bad value.
const NO_SUCH_HINT: &str = "hint provided does not correspond to an existing index";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The request is refused, and changes nothing.
    #[error(transparent)]
    Refused(#[from] StoreError),
    /// A unique key was taken: what was read before is out of date.
    #[error("a unique key is taken: {0}")]
    Duplicate(String),
    /// What was read before is out of date: it is to be read again.
    #[error("meanwhile changed: {0}")]
    Changed(&'static str),
    /// Other writers were in the way, try after try.
    #[error("{tries} tries met other writers: {last}")]
    Contended {
        /// How many there were.
        tries: u32,
        /// What the last one came to.
        last: String,
    },
    /// The server refused a write.
    #[error("write refused by the server (code {code}): {message}")]
    Write {
        /// The server's code.
        code: i32,
        /// What it said.
        message: String,
    },
    /// The driver failed.
    #[error("{}", explain(.0))]
    Driver(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match code_of(&error) {
            Some(DUPLICATE_KEY) => Self::Duplicate(error.to_string()),
            Some(_) | None => Self::Driver(error),
        }
    }
}

impl From<mongodb::bson::error::Error> for Failure {
    fn from(error: mongodb::bson::error::Error) -> Self {
        Self::invalid(format!("a record cannot be written: {error}"))
    }
}

impl Failure {
    /// A request that makes no sense.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::Refused(StoreError::Invalid { detail: detail.into() })
    }

    /// A request that is to be asked again.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::Refused(StoreError::Unavailable { detail: detail.into() })
    }

    /// The first error in the answer to a write command, which the driver takes for a success.
    pub(super) fn in_reply(reply: &Document) -> Option<Self> {
        let first = reply.get_array("writeErrors").ok().and_then(|errors| errors.first());
        let (error, is_write) = match first.and_then(|error| error.as_document()) {
            Some(error) => (error, true),
            None => (reply.get_document("writeConcernError").ok()?, false),
        };
        let code = error.get_i32("code").unwrap_or_default();
        let message = error.get_str("errmsg").unwrap_or("without a word").to_owned();
        Some(match code {
            DUPLICATE_KEY if is_write => Self::Duplicate(message),
            code if is_write => Self::Write { code, message },
            _ => Self::unavailable(format!("the write is not durable: {message}")),
        })
    }

    /// Whether the transaction did not happen and may be tried again at once.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Driver(error) => error.contains_label(TRANSIENT_TRANSACTION_ERROR),
            Self::Duplicate(_) | Self::Changed(_) => true,
            Self::Refused(_) | Self::Contended { .. } | Self::Write { .. } => false,
        }
    }

    /// Whether a unique key was taken, or something else proved to be not as it was taken to be.
    pub(super) fn is_out_of_date(&self) -> bool {
        matches!(self, Self::Duplicate(_) | Self::Changed(_))
    }

    /// Whether it is unknown whether a commit happened, and asking for it again may tell.
    pub(super) fn is_unknown_commit(&self) -> bool {
        match self {
            Self::Driver(error) => {
                error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
                    && code_of(error) != Some(MAX_TIME_EXPIRED)
            }
            Self::Refused(_)
            | Self::Duplicate(_)
            | Self::Changed(_)
            | Self::Contended { .. }
            | Self::Write { .. } => false,
        }
    }

    /// What the caller is told.
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Contended { .. } => StoreError::Unavailable { detail: self.to_string() },
            Self::Duplicate(detail) => StoreError::Unavailable { detail },
            Self::Changed(what) => StoreError::Unavailable { detail: what.to_owned() },
            Self::Write { code, message } if INVALID.contains(&code) => {
                StoreError::Invalid { detail: message }
            }
            Self::Write { message, .. } => StoreError::Unavailable { detail: message },
            Self::Driver(error) => driver_error(&error),
        }
    }
}

fn driver_error(error: &Error) -> StoreError {
    let detail = explain(error);
    match error.kind.as_ref() {
        ErrorKind::Bson(_) | ErrorKind::InvalidArgument { .. } => StoreError::Invalid { detail },
        // The index that a question names is being made anew: there is nothing wrong with what is asked.
        _ if detail.contains(NO_SUCH_HINT) => StoreError::Unavailable { detail },
        _ if code_of(error).is_some_and(|code| INVALID.contains(&code)) => {
            StoreError::Invalid { detail }
        }
        _ => StoreError::Unavailable { detail },
    }
}

/// What an operator is told of an error: without the driver's own notes on it.
pub(super) fn explain(error: &Error) -> String {
    match error.kind.as_ref() {
        ErrorKind::Command(command) if command.code == UNAUTHORIZED => {
            format!("MongoDB: the user has not the right to do this: {}", command.message)
        }
        ErrorKind::Command(command) => {
            format!("MongoDB: {} ({})", command.message, command.code_name)
        }
        kind => format!("MongoDB: {kind}"),
    }
}

/// The server's code for an error.
pub(super) fn code_of(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        ErrorKind::InsertMany(failed) => {
            let first = failed.write_errors.as_ref().and_then(|errors| errors.first());
            first.map(|error| error.code)
        }
        _ => None,
    }
}

/// Whether the server says that the user may not do that.
pub(super) fn is_unauthorized(error: &Error) -> bool {
    code_of(error) == Some(UNAUTHORIZED)
}
