//! The sizes of pages, claims and sweeps.

/// How many records one of them may hold, whatever was asked for.
const PAGE_RECORDS_MAX: u32 = 5_000;

/// The size of a page, bounded.
pub(super) fn page_size(limit: u32) -> usize {
    limit.min(PAGE_RECORDS_MAX) as usize
}

/// The same as the server counts. At least one, for the server takes no other limit.
pub(super) fn documents(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX).max(1)
}

/// What to read for a page of `size`: one more tells whether there are more.
pub(super) fn documents_to_read(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1)
}
