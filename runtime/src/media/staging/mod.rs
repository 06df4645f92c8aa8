//! Staging: the directory in which media files wait for their jobs.
//!
//! One file a medium, named by its id and nothing else; no other name is ever made of what a stranger
//! sent. A file appears whole or not at all: it is written under another name, made durable, and
//! renamed. Quota and free space are reserved *before* a byte is written, so parallel uploads cannot
//! overshoot together, and an upload that fails gives back its space and leaves nothing behind.
//! Providers that share the directory write into it themselves; what they wrote counts from the message
//! on that speaks of it ([`Staging::expect`]), or from the next [`Staging::rescan`].

mod ledger;
mod space;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anteroom_core::id::MediaId;
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use self::ledger::{Ledger, Reservation, Room, SharedLedger};
pub use self::space::{Level, Levels, Limit};

const GIB: u64 = 1024 * 1024 * 1024;

/// How much of an upload is held in memory.
const CHUNK_BYTES: usize = 256 * 1024;

/// What stands between a media id and the random end of an unfinished file's name.
const PART_MARK: &str = ".part-";

/// How much staging may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StagingLimits {
    /// Bytes of all files and uploads together.
    pub quota_bytes: u64,
    /// Bytes that stay free on the disk.
    pub min_free_bytes: u64,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// How long an upload may say nothing.
    pub silence_max: Duration,
    /// How old an unfinished file must be to be known as abandoned.
    pub part_age_max: Duration,
}

impl Default for StagingLimits {
    fn default() -> Self {
        Self {
            quota_bytes: 25 * GIB,
            min_free_bytes: 2 * GIB,
            file_bytes_max: 2 * GIB,
            silence_max: Duration::from_secs(30),
            part_age_max: Duration::from_secs(3600),
        }
    }
}

/// Why a file could not be staged, or staging not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The quota is used up.
    #[error("the media quota is used up ({used_bytes} of {quota_bytes} bytes)")]
    QuotaExceeded {
        /// What is stored and promised.
        used_bytes: u64,
        /// The quota.
        quota_bytes: u64,
    },
    /// The disk is nearly full.
    #[error("the disk is nearly full ({free_bytes} bytes free, {min_free_bytes} must stay)")]
    DiskFull {
        /// What is free.
        free_bytes: u64,
        /// What must stay free.
        min_free_bytes: u64,
    },
    /// The file is larger than any file may be.
    #[error("the file is larger than {file_bytes_max} bytes")]
    FileTooLarge {
        /// The limit.
        file_bytes_max: u64,
    },
    /// The upload ended early, or did not end in time.
    #[error("{expected_bytes} bytes were announced, but {got_bytes} came")]
    SizeMismatch {
        /// What was announced.
        expected_bytes: u64,
        /// What came, at least.
        got_bytes: u64,
    },
    /// The upload said nothing for too long.
    #[error("the upload stalled")]
    Stalled,
    /// The upload broke.
    #[error("the upload broke: {0}")]
    Upload(#[source] io::Error),
    /// The directory could not be used.
    #[error("the staging directory could not be used: {0}")]
    Io(#[from] io::Error),
}

/// The staging directory. Clones share one ledger.
#[derive(Debug, Clone)]
pub struct Staging {
    directory: Arc<Path>,
    limits: StagingLimits,
    ledger: SharedLedger,
    scan: Arc<tokio::sync::Mutex<()>>,
}

impl Staging {
    /// Where staging is unless configured otherwise.
    pub fn default_directory(data_dir: &Path) -> PathBuf {
        data_dir.join("media_store").join("pending_media")
    }

    /// Opens the directory, which is made if it is not there, measures it, and deletes the unfinished
    /// files that an earlier process abandoned.
    ///
    /// # Errors
    /// [`StagingError::Io`].
    pub async fn open(
        directory: impl AsRef<Path>,
        limits: StagingLimits,
    ) -> Result<Self, StagingError> {
        let directory = std::path::absolute(directory)?;
        tokio::fs::create_dir_all(&directory).await?;
        let staging = Self {
            directory: directory.into(),
            limits,
            ledger: SharedLedger::new(Room {
                quota_bytes: limits.quota_bytes,
                min_free_bytes: limits.min_free_bytes,
            }),
            scan: Arc::default(),
        };
        staging.rescan().await?;
        staging.look_at_disk().await?;
        Ok(staging)
    }

    /// The directory, as an absolute path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The limits.
    pub fn limits(&self) -> StagingLimits {
        self.limits
    }

    /// Where the file of `media_id` is, or would be.
    pub fn path(&self, media_id: MediaId) -> PathBuf {
        self.directory.join(media_id.to_string())
    }

    /// Bytes that are stored, or promised to uploads in flight.
    pub fn used_bytes(&self) -> u64 {
        self.ledger.lock().used()
    }

    /// How staging stands, as it changes: whether there is room, and whether files are refused.
    pub fn level(&self) -> Levels {
        self.ledger.lock().watch()
    }

    /// Bytes that this process may still write to the directory's disk. What is learned shows in
    /// [`Self::level`].
    ///
    /// # Errors
    /// [`StagingError::Io`].
    pub async fn look_at_disk(&self) -> Result<u64, StagingError> {
        let (directory, ledger) = (self.directory.clone(), self.ledger.clone());
        blocking(move || {
            let free_bytes = free_bytes(&directory)?;
            ledger.lock().look_at_disk(free_bytes);
            Ok(free_bytes)
        })
        .await
    }

    /// A provider speaks of a file: it is counted if it is there, and otherwise as large as it was
    /// announced to be, until it comes or two scans have not seen it. A size that no file may have is
    /// not believed.
    pub async fn expect(&self, media_id: MediaId, announced_bytes: Option<u64>) {
        let (path, ledger) = (self.path(media_id), self.ledger.clone());
        let announced_bytes = announced_bytes.filter(|&bytes| self.require_allowed(bytes).is_ok());
        let looked = blocking(move || {
            // Under the lock, so that a deletion comes before both or after both.
            let mut ledger = ledger.lock();
            match fs::symlink_metadata(path) {
                Ok(metadata) if metadata.is_file() => ledger.insert(media_id, metadata.len()),
                Ok(_) | Err(_) => {
                    if let Some(bytes) = announced_bytes {
                        ledger.announce(media_id, bytes);
                    }
                }
            }
            Ok(())
        });
        // It cannot fail; what a lost thread did not count, the next scan does.
        let _ = looked.await;
    }

    /// Stages `content` as the file of `media_id` and returns its size. When this returns, the file
    /// is durable; a file that was there before is replaced. `expected_bytes` is reserved at once, if
    /// known.
    ///
    /// # Errors
    /// Any [`StagingError`]. Nothing is left behind then, nor when the future is dropped.
    pub async fn put(
        &self,
        media_id: MediaId,
        content: impl AsyncRead + Unpin,
        expected_bytes: Option<u64>,
    ) -> Result<u64, StagingError> {
        self.ledger.lock().forget_announcement(media_id);
        let mut reservation = self.ledger.reservation();
        if let Some(bytes) = expected_bytes {
            self.require_allowed(bytes)?;
            reservation = self.grow(reservation, bytes).await?;
        }
        let (file, part) = self.create_part(media_id).await?;
        let mut file = tokio::fs::File::from_std(file);
        let reservation = self.receive(content, &mut file, reservation, expected_bytes).await?;
        file.flush().await?;
        file.sync_all().await?;
        self.publish(media_id, part, reservation).await
    }

    /// Deletes the file of `media_id`; that it is gone already is success.
    ///
    /// # Errors
    /// [`StagingError::Io`].
    pub async fn delete(&self, media_id: MediaId) -> Result<(), StagingError> {
        let (path, ledger) = (self.path(media_id), self.ledger.clone());
        blocking(move || {
            let mut ledger = ledger.lock();
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
                Ok(()) | Err(_) => {
                    ledger.remove(media_id);
                    Ok(())
                }
            }
        })
        .await
    }

    /// The media whose files are there, in order; files of any other name are not seen.
    ///
    /// # Errors
    /// [`StagingError::Io`].
    pub async fn list(&self) -> Result<Vec<MediaId>, StagingError> {
        let directory = self.directory.clone();
        blocking(move || Ok(scan(&directory)?.into_keys().collect())).await
    }

    /// Measures the directory anew, deletes abandoned unfinished files, and returns the bytes used.
    ///
    /// # Errors
    /// [`StagingError::Io`]; what was known before stays known.
    pub async fn rescan(&self) -> Result<u64, StagingError> {
        // One scan at a time, each with its own list of what changed meanwhile.
        let guard = self.scan.clone().lock_owned().await;
        let (directory, ledger) = (self.directory.clone(), self.ledger.clone());
        let part_age_max = self.limits.part_age_max;
        blocking(move || {
            let _guard = guard;
            ledger.lock().begin_scan();
            let seen = delete_abandoned(&directory, part_age_max).and_then(|()| scan(&directory));
            let mut ledger = ledger.lock();
            match seen {
                Ok(seen) => ledger.end_scan(seen),
                Err(error) => {
                    ledger.abandon_scan();
                    return Err(error.into());
                }
            }
            Ok(ledger.used())
        })
        .await
    }

    fn require_allowed(&self, bytes: u64) -> Result<(), StagingError> {
        let file_bytes_max = self.limits.file_bytes_max;
        match bytes > file_bytes_max {
            true => Err(StagingError::FileTooLarge { file_bytes_max }),
            false => Ok(()),
        }
    }

    async fn grow(
        &self,
        mut reservation: Reservation,
        bytes: u64,
    ) -> Result<Reservation, StagingError> {
        let directory = self.directory.clone();
        blocking(move || {
            reservation.grow(bytes, || free_bytes(&directory))?;
            Ok(reservation)
        })
        .await
    }

    /// Creates the file that an upload is written to; it deletes itself unless it is renamed.
    async fn create_part(&self, media_id: MediaId) -> Result<(File, TempPath), StagingError> {
        let directory = self.directory.clone();
        blocking(move || {
            let prefix = format!("{media_id}{PART_MARK}");
            let part = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory)?;
            Ok(part.into_parts())
        })
        .await
    }

    /// Writes an upload, reserving what was not announced as it comes.
    async fn receive(
        &self,
        mut content: impl AsyncRead + Unpin,
        file: &mut tokio::fs::File,
        mut reservation: Reservation,
        expected_bytes: Option<u64>,
    ) -> Result<Reservation, StagingError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut got_bytes = 0_u64;
        loop {
            let length = tokio::time::timeout(self.limits.silence_max, content.read(&mut chunk))
                .await
                .map_err(|_| StagingError::Stalled)?
                .map_err(StagingError::Upload)?;
            got_bytes += length as u64;
            if let Some(expected_bytes) = expected_bytes
                && (got_bytes > expected_bytes || length == 0 && got_bytes < expected_bytes)
            {
                return Err(StagingError::SizeMismatch { expected_bytes, got_bytes });
            }
            if length == 0 {
                return Ok(reservation);
            }
            self.require_allowed(got_bytes)?;
            let missing = (length as u64).saturating_sub(reservation.left());
            if missing > 0 {
                reservation = self.grow(reservation, missing).await?;
            }
            file.write_all(&chunk[..length]).await?;
            reservation.note_written(length as u64);
        }
    }

    /// Gives a finished upload its name, durably.
    async fn publish(
        &self,
        media_id: MediaId,
        part: TempPath,
        reservation: Reservation,
    ) -> Result<u64, StagingError> {
        let (directory, path, ledger) =
            (self.directory.clone(), self.path(media_id), self.ledger.clone());
        blocking(move || {
            let bytes = rename(part, &path, &mut ledger.lock(), reservation, media_id)?;
            // A name that may not survive a crash must not be relied upon, so it is taken back.
            if let Err(error) = File::open(directory).and_then(|directory| directory.sync_all()) {
                let mut ledger = ledger.lock();
                let _ = fs::remove_file(path);
                ledger.remove(media_id);
                return Err(error.into());
            }
            Ok(bytes)
        })
        .await
    }
}

/// Renames and settles under one lock, so that a deletion comes before both or after both.
fn rename(
    part: TempPath,
    path: &Path,
    ledger: &mut Ledger,
    reservation: Reservation,
    media_id: MediaId,
) -> Result<u64, StagingError> {
    part.persist(path).map_err(|error| error.error)?;
    Ok(reservation.settle(ledger, media_id))
}

/// The sizes of the files that media ids name. A link or a directory is no media file.
fn scan(directory: &Path) -> io::Result<BTreeMap<MediaId, u64>> {
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(media_id) = name.to_str().and_then(media_id) else { continue };
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                seen.insert(media_id, metadata.len());
            }
            Ok(_) => {}
            // Deleted since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(seen)
}

/// The media id that is exactly this name.
fn media_id(name: &str) -> Option<MediaId> {
    MediaId::parse(name).filter(|media_id| media_id.to_string() == name)
}

/// Deletes unfinished files that nobody has written to for `age_max`.
fn delete_abandoned(directory: &Path, age_max: Duration) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_part = name
            .to_str()
            .and_then(|name| name.split_once(PART_MARK))
            .is_some_and(|(start, _)| media_id(start).is_some());
        if is_part && is_older(&entry, age_max) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

/// Whether a file was last written to longer ago than `age`; not, when that cannot be known.
fn is_older(entry: &fs::DirEntry, age: Duration) -> bool {
    let written = entry.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|since| since >= age))
}

/// Bytes that this process may still write to the directory's disk.
pub(super) fn free_bytes(directory: &Path) -> Result<u64, StagingError> {
    let disk = rustix::fs::statvfs(directory).map_err(io::Error::from)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Runs file system work off the threads that serve others.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StagingError> + Send + 'static,
) -> Result<T, StagingError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StagingError::Io(io::Error::other(error))),
    }
}

/// What stands in a staging directory, for those who only look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// Media files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that may still be written to the directory's disk.
    pub free_bytes: u64,
    /// Whether this process may write into the directory.
    pub is_writable: bool,
}

/// Looks at a staging directory and changes nothing.
///
/// # Errors
/// [`StagingError::Io`]; of a directory that is not there, with that kind.
pub fn inspect(directory: &Path) -> Result<Inspection, StagingError> {
    let seen = scan(directory)?;
    let bytes = seen.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
    let access = rustix::fs::access(directory, rustix::fs::Access::WRITE_OK);
    let free_bytes = free_bytes(directory)?;
    Ok(Inspection { files: seen.len(), bytes, free_bytes, is_writable: access.is_ok() })
}
