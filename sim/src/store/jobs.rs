//! Media jobs, and the one way in which they change.
//!
//! Owns the jobs of both places and the failed copies. A stored job changes only through
//! [`Jobs::apply`], which is the core's table and writes the failed copy in the same step; the only
//! other ways in and out are a new job and the end of a duplicate's.

use std::collections::BTreeMap;
use std::sync::Arc;

use anteroom_core::id::MediaId;
use anteroom_core::job::{Command, Job, Rejection};
use anteroom_core::time::Timestamp;

use super::failed_copies::FailedCopies;
use super::job_indices::JobIndices;

/// All jobs and failed copies.
#[derive(Debug, Clone, Default)]
pub(super) struct Jobs {
    jobs: BTreeMap<MediaId, Arc<Job>>,
    pub(super) indices: JobIndices,
    pub(super) failed: FailedCopies,
}

/// Jobs are the same when the records are: the indices follow from them, but for back-offs that a
/// claim has looked at and another has not.
impl PartialEq for Jobs {
    fn eq(&self, other: &Self) -> bool {
        self.jobs == other.jobs && self.failed == other.failed
    }
}

impl Eq for Jobs {}

impl Jobs {
    /// The job of a media.
    pub(super) fn get(&self, media_id: MediaId) -> Option<&Arc<Job>> {
        self.jobs.get(&media_id)
    }

    /// All jobs, in the order of their media.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().map(Arc::as_ref)
    }

    /// Writes a job, in place of an earlier state of it.
    pub(super) fn put(&mut self, job: Arc<Job>) {
        self.indices.add(&job);
        let media_id = job.media_id;
        debug_assert!(!self.jobs.contains_key(&media_id), "an earlier state was removed before");
        self.jobs.insert(media_id, job);
    }

    /// Removes a job, when it is there.
    pub(super) fn remove(&mut self, media_id: MediaId) {
        if let Some(job) = self.jobs.remove(&media_id) {
            self.indices.remove(&job);
        }
    }

    /// Applies a command to a stored job: the job as it is afterwards, none when it is gone.
    pub(super) fn apply(
        &mut self,
        job: &Job,
        command: &Command,
        now: Timestamp,
    ) -> Result<Option<Arc<Job>>, Rejection> {
        let applied = job.apply(command, now)?;
        if let Some(copy) = applied.failed_copy {
            self.failed.put(copy);
        }
        self.remove(job.media_id);
        let changed = applied.job.map(Arc::new);
        if let Some(changed) = &changed {
            self.put(Arc::clone(changed));
        }
        Ok(changed)
    }
}
