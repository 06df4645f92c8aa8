//! Scratch: where processors put what they make of a file on the way, such as the sound of a video.
//!
//! A directory of its own for each job, gone when the job ends. It lies beside staging and not in the
//! system's temporary directory, which may be memory. What a killed process left is deleted when the
//! next one opens it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::processor::Failure;

/// How old something must be to be known as left behind: no job takes that long.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// What the directories of jobs are called.
const PREFIX: &str = "job-";

/// The directory for what is made on the way.
#[derive(Debug, Clone)]
pub struct Scratch {
    directory: Arc<Path>,
    min_free_bytes: u64,
}

impl Scratch {
    /// Where scratch is unless configured otherwise.
    pub fn default_directory(data_dir: &Path) -> PathBuf {
        data_dir.join("media_store").join("scratch")
    }

    /// Opens the directory, which is made if it is not there, and deletes what was left behind in it.
    /// Nothing is made in it while less than `min_free_bytes` are free on its disk.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(directory: impl AsRef<Path>, min_free_bytes: u64) -> io::Result<Self> {
        let directory = std::path::absolute(directory)?;
        fs::create_dir_all(&directory)?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
            if is_ours && is_left_behind(&entry) {
                // Somebody else may be deleting it, too.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(Self { directory: directory.into(), min_free_bytes })
    }

    /// A directory for one job.
    ///
    /// # Errors
    /// Transient: the disk is nearly full, or cannot be written to.
    pub(super) fn take(&self) -> Result<TempDir, Failure> {
        let later = |detail: String| Failure::Transient { retry_after: None, detail };
        let free_bytes = super::staging::free_bytes(&self.directory)
            .map_err(|error| later(error.to_string()))?;
        if free_bytes < self.min_free_bytes {
            return Err(later(format!("the disk is nearly full ({free_bytes} bytes free)")));
        }
        tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&self.directory)
            .map_err(|error| later(format!("no scratch directory could be made: {error}")))
    }
}

fn is_left_behind(entry: &fs::DirEntry) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age >= AGE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a job's directory is gone with the job, and a full disk is not filled further.
    #[test]
    fn a_directory_is_there_for_its_job() {
        let home = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::open(home.path().join("scratch"), 0).expect("opened");
        let job = scratch.take().expect("there is room");
        let path = job.path().to_owned();
        assert!(path.is_dir());
        drop(job);
        assert!(!path.exists());
        let full = Scratch::open(home.path(), u64::MAX).expect("opened");
        assert!(matches!(full.take(), Err(Failure::Transient { .. })));
    }

    /// Goal: what a killed process left is deleted, and nothing else.
    #[test]
    fn what_was_left_behind_is_deleted() {
        let home = tempfile::tempdir().expect("a directory");
        let long_ago = SystemTime::now() - AGE_MAX - Duration::from_secs(60);
        for name in ["job-old", "job-new", "notes"] {
            fs::create_dir(home.path().join(name)).expect("made");
        }
        for name in ["job-old", "notes"] {
            let directory = fs::File::open(home.path().join(name)).expect("opened");
            directory.set_modified(long_ago).expect("dated back");
        }
        Scratch::open(home.path(), 0).expect("opened");
        let exists = |name: &str| home.path().join(name).exists();
        assert_eq!([exists("job-old"), exists("job-new"), exists("notes")], [false, true, true]);
    }
}
