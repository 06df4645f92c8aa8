//! Who uses how much of staging: the files that are there, what uploads in flight were promised, and
//! what providers said they would bring.
//!
//! Invariants: a byte is written only after it was reserved; a reservation that ends without a file
//! gives back what it took; `stored` is at every moment the sum of `files`, and `announced_bytes` that
//! of `announced`; nothing is counted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anteroom_core::id::MediaId;

use super::StagingError;
use super::space::{Levels, Space};

/// How many announcements are kept; those beyond are not counted until their files are there.
const ANNOUNCED_MAX: usize = 10_000;

/// How many scans an announcement outlives whose file does not come.
const ANNOUNCED_SCANS_MAX: u8 = 2;

/// The shared ledger of one staging directory.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedLedger(Arc<Mutex<Ledger>>);

/// What is used, and by whom.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    room: Room,
    space: Space,
    files: BTreeMap<MediaId, u64>,
    stored: u64,
    reserved: u64,
    /// How much of `reserved` is on the disk already.
    written: u64,
    /// Files that were spoken of and are not there: their sizes, and the scans that did not see them.
    announced: BTreeMap<MediaId, (u64, u8)>,
    announced_bytes: u64,
    /// While a scan runs: the files that were put or deleted since it began.
    changed: Option<BTreeSet<MediaId>>,
}

/// What may be used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    pub quota_bytes: u64,
    pub min_free_bytes: u64,
}

impl SharedLedger {
    /// The ledger of an empty directory.
    pub fn new(room: Room) -> Self {
        let ledger = Self::default();
        ledger.lock().room = room;
        ledger
    }

    /// Nothing that is done under the lock leaves the ledger half changed, so a panic elsewhere in
    /// the process does not make it unusable.
    pub fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reservation of nothing, to be grown.
    pub fn reservation(&self) -> Reservation {
        Reservation { ledger: self.clone(), reserved: 0, written: 0 }
    }
}

impl Ledger {
    /// Bytes that are stored, promised or announced.
    pub fn used(&self) -> u64 {
        self.stored.saturating_add(self.reserved).saturating_add(self.announced_bytes)
    }

    /// How staging stands, as it changes.
    pub fn watch(&self) -> Levels {
        self.space.watch()
    }

    /// Notes how much of the disk is free.
    pub fn look_at_disk(&mut self, free_bytes: u64) {
        let promised = self.reserved.saturating_sub(self.written);
        self.space.disk_is_full(free_bytes.saturating_sub(promised) < self.room.min_free_bytes);
        self.look();
    }

    fn look(&mut self) {
        self.space.look(self.used(), self.room.quota_bytes);
    }

    /// Notes that a file is to come, unless it is there.
    pub fn announce(&mut self, media_id: MediaId, bytes: u64) {
        if self.files.contains_key(&media_id) || self.announced.len() >= ANNOUNCED_MAX {
            return;
        }
        self.forget_announcement(media_id);
        self.announced.insert(media_id, (bytes, 0));
        self.announced_bytes = self.announced_bytes.saturating_add(bytes);
        self.look();
    }

    /// The file has come, is on its way under a reservation, or will not come.
    pub fn forget_announcement(&mut self, media_id: MediaId) {
        if self.announced.remove(&media_id).is_some() {
            self.sum_announced();
        }
    }

    fn sum_announced(&mut self) {
        let sizes = self.announced.values().map(|(bytes, _)| *bytes);
        self.announced_bytes = sizes.fold(0, u64::saturating_add);
    }

    /// Notes that a file is there.
    pub fn insert(&mut self, media_id: MediaId, bytes: u64) {
        self.forget_announcement(media_id);
        let before = self.files.insert(media_id, bytes).unwrap_or(0);
        self.stored = self.stored.saturating_sub(before).saturating_add(bytes);
        self.note_change(media_id);
        self.look();
    }

    /// Notes that a file is gone.
    pub fn remove(&mut self, media_id: MediaId) {
        self.forget_announcement(media_id);
        let before = self.files.remove(&media_id).unwrap_or(0);
        self.stored = self.stored.saturating_sub(before);
        self.note_change(media_id);
        self.look();
    }

    /// A scan of the directory begins.
    pub fn begin_scan(&mut self) {
        self.changed = Some(BTreeSet::new());
    }

    /// A scan failed: what was known stays known.
    pub fn abandon_scan(&mut self) {
        self.changed = None;
    }

    /// A scan has ended: what it saw is true, but for files that changed while it looked.
    pub fn end_scan(&mut self, mut seen: BTreeMap<MediaId, u64>) {
        for media_id in self.changed.take().unwrap_or_default() {
            match self.files.get(&media_id) {
                Some(bytes) => seen.insert(media_id, *bytes),
                None => seen.remove(&media_id),
            };
        }
        self.stored = seen.values().fold(0, |sum, bytes| sum.saturating_add(*bytes));
        self.files = seen;
        let files = &self.files;
        self.announced.retain(|media_id, (_, scans)| {
            *scans += 1;
            !files.contains_key(media_id) && *scans < ANNOUNCED_SCANS_MAX
        });
        self.sum_announced();
        self.look();
    }

    fn note_change(&mut self, media_id: MediaId) {
        if let Some(changed) = &mut self.changed {
            changed.insert(media_id);
        }
    }

    /// Whether `bytes` more fit, with `free_bytes` free on the disk.
    fn require_room(&self, bytes: u64, free_bytes: u64) -> Result<(), StagingError> {
        let room = self.room;
        if self.used().saturating_add(bytes) > room.quota_bytes {
            return Err(StagingError::QuotaExceeded {
                used_bytes: self.used(),
                quota_bytes: room.quota_bytes,
            });
        }
        let promised = self.reserved.saturating_sub(self.written).saturating_add(bytes);
        if free_bytes.saturating_sub(promised) < room.min_free_bytes {
            return Err(StagingError::DiskFull { free_bytes, min_free_bytes: room.min_free_bytes });
        }
        Ok(())
    }
}

/// Space that one upload was promised; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    ledger: SharedLedger,
    reserved: u64,
    written: u64,
}

impl Reservation {
    /// Bytes that may still be written.
    pub fn left(&self) -> u64 {
        self.reserved - self.written
    }

    /// Takes `bytes` more, or nothing. The free space is asked for under the lock, so that no two
    /// uploads are promised the same bytes.
    pub fn grow(
        &mut self,
        bytes: u64,
        free_bytes: impl FnOnce() -> Result<u64, StagingError>,
    ) -> Result<(), StagingError> {
        let mut ledger = self.ledger.lock();
        let enough = ledger.require_room(bytes, free_bytes()?);
        match &enough {
            Ok(()) => {
                ledger.reserved += bytes;
                self.reserved += bytes;
            }
            // What this upload holds itself is given back, and frees nothing for others.
            Err(StagingError::QuotaExceeded { used_bytes, .. }) => {
                ledger.space.refused(used_bytes.saturating_sub(self.reserved));
            }
            Err(StagingError::DiskFull { .. }) => ledger.space.disk_is_full(true),
            Err(_) => {}
        }
        ledger.look();
        enough
    }

    /// Notes that `bytes` of the reservation are on the disk.
    pub fn note_written(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.left(), "written before it was reserved");
        self.ledger.lock().written += bytes;
        self.written += bytes;
    }

    /// The upload has become a file.
    pub fn settle(mut self, ledger: &mut Ledger, media_id: MediaId) -> u64 {
        let bytes = self.written;
        self.release(ledger);
        ledger.insert(media_id, bytes);
        bytes
    }

    fn release(&mut self, ledger: &mut Ledger) {
        ledger.reserved = ledger.reserved.saturating_sub(std::mem::take(&mut self.reserved));
        ledger.written = ledger.written.saturating_sub(std::mem::take(&mut self.written));
        ledger.look();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.reserved > 0 {
            let shared = self.ledger.clone();
            self.release(&mut shared.lock());
        }
    }
}
