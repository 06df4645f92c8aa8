//! The data directory and its lock.
//!
//! Owns the lock file. An exclusive lock on it, kept as long as the store is open, makes its holder
//! the only node on the directory; the operating system gives it free when the process ends, however
//! it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use super::OpenError;

/// The lock's file within the data directory.
const LOCK_FILE: &str = "anteroom.lock";

/// The exclusive right to a data directory, until dropped.
pub(super) struct DirectoryLock {
    _file: File,
}

/// Makes the directory when it is missing, and locks it.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock, OpenError> {
    let failed = |source| OpenError::Directory { directory: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join(LOCK_FILE))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
