//! Why a request was not answered, inside the adapter.
//!
//! Owns the translation of SQLite's errors into the port's. Only a violated constraint, a value of the
//! wrong type and a value too big are the request's own fault; everything else may pass.

use std::path::Path;

use anteroom_core::store::StoreError;
use rusqlite::ErrorCode;

/// What a function of the adapter comes to.
pub(super) type Answer<T> = Result<T, Failure>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The request is refused, and changes nothing.
    #[error(transparent)]
    Refused(#[from] StoreError),
    /// SQLite failed.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

impl Failure {
    /// A request that makes no sense.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::Refused(StoreError::Invalid { detail: detail.into() })
    }

    /// What the caller is told.
    pub(super) fn into_store_error(self, directory: &Path) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Database(error) => store_error(&error, directory),
        }
    }
}

/// What an error of SQLite means to the caller.
pub(super) fn store_error(error: &rusqlite::Error, directory: &Path) -> StoreError {
    let place = directory.display();
    let unavailable = |detail| StoreError::Unavailable { detail };
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
            StoreError::Invalid { detail: error.to_string() }
        }
        Some(ErrorCode::DiskFull) => {
            unavailable(format!("no space left for {place} (disk full, or the size limit reached)"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            unavailable(format!("{place} cannot be written: it has become read-only"))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            unavailable(format!("another process holds the database in {place}"))
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            unavailable(format!("the database in {place} is damaged: {error}"))
        }
        _ => unavailable(format!("{place}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// Goal: whoever is told of trouble learns where, what, and whether to ask again.
    #[test]
    fn errors_say_where_and_whether_to_ask_again() {
        for (code, part) in [
            (ffi::SQLITE_FULL, "no space left for /data"),
            (ffi::SQLITE_READONLY, "/data cannot be written"),
            (ffi::SQLITE_BUSY, "another process holds the database in /data"),
            (ffi::SQLITE_CORRUPT, "the database in /data is damaged"),
            (ffi::SQLITE_IOERR, "/data"),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let told = store_error(&error, Path::new("/data"));
            let StoreError::Unavailable { detail } = told else { panic!("{code}: {told:?}") };
            assert!(detail.contains(part), "{detail}");
        }
        for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_TOOBIG] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let told = store_error(&error, Path::new("/data"));
            assert!(matches!(told, StoreError::Invalid { .. }), "{code}: {told:?}");
        }
    }
}
