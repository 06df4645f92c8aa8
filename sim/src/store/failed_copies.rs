//! Failed jobs, kept with their files for a while.
//!
//! **Invariant:** one copy a media; a later failure of the same media takes the place of the earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anteroom_core::id::MediaId;
use anteroom_core::job::FailedCopy;
use anteroom_core::time::Timestamp;

/// All failed copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FailedCopies {
    copies: BTreeMap<MediaId, Arc<FailedCopy>>,
    by_age: BTreeSet<(Timestamp, MediaId)>,
}

impl FailedCopies {
    /// Writes a copy, in place of an earlier one.
    pub(super) fn put(&mut self, copy: FailedCopy) {
        let media_id = copy.job.media_id;
        self.remove(media_id);
        self.by_age.insert((copy.failed_at, media_id));
        self.copies.insert(media_id, Arc::new(copy));
    }

    /// Drops a copy, when it is there.
    pub(super) fn remove(&mut self, media_id: MediaId) {
        if let Some(copy) = self.copies.remove(&media_id) {
            self.by_age.remove(&(copy.failed_at, media_id));
        }
    }

    /// The copy of a media.
    pub(super) fn get(&self, media_id: MediaId) -> Option<&Arc<FailedCopy>> {
        self.copies.get(&media_id)
    }

    /// The media of copies from before a moment, oldest first.
    pub(super) fn before(&self, moment: Timestamp) -> impl Iterator<Item = MediaId> {
        let old = self.by_age.iter().take_while(move |(failed_at, _)| *failed_at < moment);
        old.map(|(_, media_id)| *media_id)
    }

    /// All copies, in the order of their media.
    pub(super) fn iter(&self) -> impl Iterator<Item = &FailedCopy> {
        self.copies.values().map(Arc::as_ref)
    }
}
