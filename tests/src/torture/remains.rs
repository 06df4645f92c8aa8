//! What is left when everything is over: the store's rows and the staging directory's files.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;
use uuid::Uuid;

/// Everything that is left.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    /// The archived messages.
    pub archive: Vec<Archived>,
    /// Media jobs, in words.
    pub jobs: Vec<LeftJob>,
    /// Media whose failed copies are kept, with their files.
    pub failed: Vec<Uuid>,
    /// Records that could not be read, in words.
    pub unreadable: Vec<String>,
    /// The names in the staging directory.
    pub files: Vec<String>,
    /// The names that the sweep for orphans has left there.
    pub unswept: Vec<String>,
    /// What the node complained about, and how it ended otherwise than in order.
    pub complaints: Vec<String>,
}

/// A media job that is left.
#[derive(Debug, Clone)]
pub struct LeftJob {
    /// Which.
    pub media_id: Uuid,
    /// Its message, by its provider's id.
    pub provider_message_id: String,
    /// Where it is and how far.
    pub state: String,
}

/// An archived message.
#[derive(Debug, Clone)]
pub struct Archived {
    /// Whose.
    pub bot_id: String,
    /// The kind of provider.
    pub provider_name: String,
    /// With whom.
    pub correspondent_id: String,
    /// Its id.
    pub id: u64,
    /// The provider's id.
    pub provider_message_id: String,
    /// Its medium.
    pub media_id: Option<Uuid>,
    /// Its place in the bot's archive.
    pub seq: u64,
    /// How far its callback is.
    pub callback: String,
    /// Attempts at its callback.
    pub attempts: u64,
    /// When it was archived, in milliseconds since the epoch.
    pub archived_at_ms: u64,
    /// What it reads.
    pub content: String,
}

impl Remains {
    /// Reads a data directory whose node has ended.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_sqlite(data_directory: &Path) -> Result<Self> {
        let file = data_directory.join("anteroom.sqlite3");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Connection::open_with_flags(&file, flags)
            .with_context(|| format!("cannot open {}", file.display()))?;
        Ok(Self {
            archive: archive(&store).context("the archive")?,
            jobs: jobs(&store).context("the jobs")?,
            failed: all(&store, "SELECT media_id FROM failed", |row| media_id(row, 0))?,
            unreadable: all(&store, "SELECT source || ': ' || reason FROM quarantine", |row| {
                row.get(0)
            })?,
            files: files(data_directory)?,
            unswept: Vec::new(),
            complaints: Vec::new(),
        })
    }

    /// Whether something is under way that time alone may end.
    pub fn is_unfinished(&self) -> bool {
        !self.jobs.is_empty() || self.archive.iter().any(|row| row.callback == "owed")
    }
}

/// The names in the staging directory of a data directory.
///
/// # Errors
/// When it cannot be read.
pub fn files(data_directory: &Path) -> Result<Vec<String>> {
    let staging = data_directory.join("media_store").join("pending_media");
    let entries = std::fs::read_dir(&staging)
        .with_context(|| format!("cannot read {}", staging.display()))?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    let mut names = entries.map(name).collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
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
