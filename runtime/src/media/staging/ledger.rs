//! Who uses how much of staging: the files that are there, and what uploads in flight were promised.
//!
//! Invariants: a byte is written only after it was reserved; a reservation that ends without a file
//! gives back what it took; `stored` is at every moment the sum of `files`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anteroom_core::id::MediaId;

use super::StagingError;

/// The shared ledger of one staging directory.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedLedger(Arc<Mutex<Ledger>>);

/// What is used, and by whom.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    files: BTreeMap<MediaId, u64>,
    stored: u64,
    reserved: u64,
    /// How much of `reserved` is on the disk already.
    written: u64,
    /// While a scan runs: the files that were put or deleted since it began.
    changed: Option<BTreeSet<MediaId>>,
}

/// What may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub quota_bytes: u64,
    pub min_free_bytes: u64,
}

impl SharedLedger {
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
    /// Bytes that are stored or promised.
    pub fn used(&self) -> u64 {
        self.stored.saturating_add(self.reserved)
    }

    /// Notes that a file is there.
    pub fn insert(&mut self, media_id: MediaId, bytes: u64) {
        let before = self.files.insert(media_id, bytes).unwrap_or(0);
        self.stored = self.stored.saturating_sub(before).saturating_add(bytes);
        self.note_change(media_id);
    }

    /// Notes that a file is gone.
    pub fn remove(&mut self, media_id: MediaId) {
        let before = self.files.remove(&media_id).unwrap_or(0);
        self.stored = self.stored.saturating_sub(before);
        self.note_change(media_id);
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
    }

    fn note_change(&mut self, media_id: MediaId) {
        if let Some(changed) = &mut self.changed {
            changed.insert(media_id);
        }
    }

    /// Whether `bytes` more fit, with `free_bytes` free on the disk.
    fn require_room(&self, bytes: u64, free_bytes: u64, room: Room) -> Result<(), StagingError> {
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
        room: Room,
        free_bytes: impl FnOnce() -> Result<u64, StagingError>,
    ) -> Result<(), StagingError> {
        let mut ledger = self.ledger.lock();
        ledger.require_room(bytes, free_bytes()?, room)?;
        ledger.reserved += bytes;
        self.reserved += bytes;
        Ok(())
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
