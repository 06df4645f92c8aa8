//! Staged files that are not needed, deleted in batches.
//!
//! Owns the files that wait to be deleted while a batch is under way. Bounded: what finds no room, or
//! cannot be deleted, is left to the janitor's sweep for orphans.

use std::sync::Arc;

use anteroom_core::id::MediaId;
use tracing::{debug, warn};

use super::ports::StagedFiles;
use super::tasks::{Completion, Tasks};

/// Files that may wait.
const WAITING_MAX: usize = 10_000;

/// Deletes staged files, one batch at a time.
pub(super) struct Deletions {
    files: Arc<dyn StagedFiles>,
    waiting: Vec<MediaId>,
    under_way: bool,
}

impl Deletions {
    pub fn new(files: Arc<dyn StagedFiles>) -> Self {
        Self { files, waiting: Vec::new(), under_way: false }
    }

    /// Has a file deleted soon.
    pub fn add(&mut self, tasks: &mut Tasks, media_id: MediaId) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(media_id);
        } else {
            debug!(%media_id, "a staged file is left to the sweep for orphans");
        }
        self.go_on(tasks);
    }

    /// A batch has ended.
    pub fn ended(&mut self, tasks: &mut Tasks) {
        self.under_way = false;
        self.go_on(tasks);
    }

    fn go_on(&mut self, tasks: &mut Tasks) {
        if self.under_way || self.waiting.is_empty() {
            return;
        }
        self.under_way = true;
        let media_ids = std::mem::take(&mut self.waiting);
        let files = Arc::clone(&self.files);
        let deleting = async move {
            for (media_id, error) in files.delete(media_ids).await {
                warn!(%media_id, %error, "a staged file could not be deleted");
            }
            Completion::Deleted
        };
        tasks.spawn(deleting, Completion::Deleted);
    }
}
