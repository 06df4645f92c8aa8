//! A request's view of the database.
//!
//! Owns how statements are run: always prepared and kept, always within the transaction that the
//! thread has begun.

use anteroom_core::time::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::correspondents::Correspondents;
use super::failure::Answer;

/// How many records one page, claim or sweep may hold, whatever was asked for.
const PAGE_RECORDS_MAX: u32 = 10_000;

/// What a request is executed with.
pub(super) struct Work<'c> {
    /// The connection, within a transaction.
    pub(super) connection: &'c Connection,
    /// What the connection has met.
    pub(super) correspondents: &'c Correspondents,
    /// The store's time.
    pub(super) now: Timestamp,
}

impl<'c> Work<'c> {
    /// Runs a statement and returns how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Answer<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }

    /// A statement that a request runs for each of its records: looking it up takes as long as a small
    /// part of running it.
    pub(super) fn prepare(&self, sql: &str) -> Answer<CachedStatement<'c>> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// The first row of a query.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Answer<Option<T>> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// All rows of a query; the query bounds them.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Answer<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether a query has a row.
    pub(super) fn exists(&self, sql: &str, params: impl Params) -> Answer<bool> {
        Ok(self.connection.prepare_cached(sql)?.exists(params)?)
    }
}

/// The size of a page, bounded.
pub(super) fn page_size(limit: u32) -> usize {
    limit.min(PAGE_RECORDS_MAX) as usize
}

/// The rows to read for a page of `size`: one more tells whether there are more.
pub(super) fn rows_to_read(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1)
}
