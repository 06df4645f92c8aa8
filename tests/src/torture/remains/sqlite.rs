//! What is left in the embedded store.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;
use uuid::Uuid;

use super::{Archived, LeftJob, Remains};

/// Reads a data directory whose node has ended.
///
/// # Errors
/// When it cannot be read.
pub fn read(data_directory: &Path) -> Result<Remains> {
    let file = data_directory.join("anteroom.sqlite3");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(&file, flags)
        .with_context(|| format!("cannot open {}", file.display()))?;
    let unreadable = "SELECT source || ': ' || reason FROM quarantine";
    Ok(Remains {
        archive: archive(&store).context("the archive")?,
        jobs: jobs(&store).context("the jobs")?,
        failed: all(&store, "SELECT media_id FROM failed", |row| media_id(row, 0))?,
        unreadable: all(&store, unreadable, |row| row.get(0))?,
        ..Remains::default()
    })
}

fn archive(store: &Connection) -> Result<Vec<Archived>> {
    let sql =
        "SELECT bot_id, provider_name, correspondent_id, id, provider_message_id, media_id, seq,
            callback, attempts, archived_at, body
         FROM archive ORDER BY bot_id, seq";
    all(store, sql, |row| {
        let body: String = row.get(10)?;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        Ok(Archived {
            bot_id: row.get(0)?,
            provider_name: row.get(1)?,
            correspondent_id: row.get(2)?,
            id: row.get::<_, i64>(3)?.cast_unsigned(),
            provider_message_id: row.get(4)?,
            media_id: match row.get_ref(5)? {
                rusqlite::types::ValueRef::Null => None,
                _ => Some(media_id(row, 5)?),
            },
            seq: row.get::<_, i64>(6)?.cast_unsigned(),
            callback: row.get(7)?,
            attempts: row.get::<_, i64>(8)?.cast_unsigned(),
            archived_at_ms: row.get::<_, i64>(9)?.cast_unsigned(),
            content: body["content"].as_str().unwrap_or_default().to_owned(),
        })
    })
}

fn jobs(store: &Connection) -> Result<Vec<LeftJob>> {
    let sql = "SELECT media_id, provider_message_id, place || ', ' || status FROM jobs";
    all(store, sql, |row| {
        Ok(LeftJob {
            media_id: media_id(row, 0)?,
            provider_message_id: row.get(1)?,
            state: row.get(2)?,
        })
    })
}

fn media_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

fn all<T>(
    store: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = store.prepare(sql)?;
    let rows = statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
    Ok(rows)
}
