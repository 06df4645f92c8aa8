//! Opening the database: connections, their settings, and what can be wrong with the file.
//!
//! Owns [`OpenError`] and the pragmas. The writer's connection is opened first and migrates; the
//! others can never write.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::correspondents::Correspondents;
use super::failure::Failure;
use super::work::Work;
use super::{Clock, SqliteSettings, cache, schema, takeover};

/// The database's file within the data directory.
const DATABASE_FILE: &str = "anteroom.sqlite3";

/// How long a statement waits for another process that holds the database, a backup for example.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// How many prepared statements a connection keeps: more than there are statements.
const STATEMENTS_MAX: usize = 256;

/// How large a page of a new database is: room for several bodies.
const PAGE_BYTES: i64 = 8_192;

/// How much of the write-ahead log is kept on disk between checkpoints.
const LOG_BYTES_MAX: i64 = 64 << 20;

/// Why the embedded store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used.
    #[error("the data directory {} cannot be used: {source}", directory.display())]
    Directory {
        /// Which directory.
        directory: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "the data directory {} is in use by another process: stop it, or give this one a \
         directory of its own",
        directory.display()
    )]
    InUse {
        /// Which directory.
        directory: PathBuf,
    },
    /// The file is damaged, or is none of a database.
    #[error(
        "the database {} is damaged or is no database ({detail}): restore it from a backup, or \
         move it away to begin anew",
        file.display()
    )]
    Corrupt {
        /// Which file.
        file: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The file may not be written.
    #[error("the database {} cannot be written: it is read-only for this user", file.display())]
    ReadOnly {
        /// Which file.
        file: PathBuf,
    },
    /// The database was made by something else.
    #[error("the database {} was not made by Anteroom", file.display())]
    Foreign {
        /// Which file.
        file: PathBuf,
    },
    /// The database was made by a newer version.
    #[error(
        "the database {} has schema version {found}, this version of Anteroom knows {known}: run \
         the newer version that made it",
        file.display()
    )]
    NewerSchema {
        /// Which file.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// Anything else.
    #[error("the database {} could not be opened: {detail}", file.display())]
    Database {
        /// Which file.
        file: PathBuf,
        /// What SQLite said.
        detail: String,
    },
}

/// One for each thread.
pub(super) struct Connections {
    pub write: Connection,
    /// What folds the log into the database.
    pub checkpoint: Connection,
    pub read: Connection,
    /// What operators look through.
    pub look: Connection,
}

/// Opens all connections; the database is migrated and taken over before anybody reads.
pub(super) fn open(settings: &SqliteSettings, clock: &Clock) -> Result<Connections, OpenError> {
    let file = settings.directory.join(DATABASE_FILE);
    let write = open_writer(settings, &file).map_err(|error| explain(&file, error))?;
    schema::migrate(&write, &file, clock())?;
    let correspondents = Correspondents::default();
    let work = Work { connection: &write, correspondents: &correspondents, now: clock() };
    takeover::take_over(&work).map_err(|failure| explain_failure(&file, failure))?;
    let reader = || open_reader(settings, &file).map_err(|error| explain(&file, error));
    let checkpoint = open_checkpoint(settings, &file).map_err(|error| explain(&file, error))?;
    Ok(Connections { read: reader()?, look: reader()?, checkpoint, write })
}

fn open_writer(settings: &SqliteSettings, file: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(settings, file)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    make_durable(&connection)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    cache::make_small(&connection)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Values do not change how a statement is carried out: it would be prepared anew for each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if let Some(size_bytes_max) = settings.size_bytes_max {
        let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(size_bytes_max).unwrap_or(i64::MAX) / page_bytes.max(1);
        connection.pragma_update(None, "max_page_count", pages.max(1))?;
    }
    Ok(connection)
}

/// Nothing is folded by a connection that has not seen yet that there is a log.
fn open_checkpoint(settings: &SqliteSettings, file: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(settings, file)?;
    make_durable(&connection)?;
    connection.pragma_query_value(None, "schema_version", |_| Ok(()))?;
    Ok(connection)
}

/// A commit is answered once it is on the disk, and the log begins anew once the database is.
fn make_durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")
}

fn open_reader(settings: &SqliteSettings, file: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(settings, file)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(settings: &SqliteSettings, file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT_MAX.min(settings.call_timeout / 2))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

fn explain_failure(file: &Path, failure: Failure) -> OpenError {
    match failure {
        Failure::Database(error) => explain(file, error),
        Failure::Refused(error) => {
            OpenError::Database { file: file.to_owned(), detail: error.to_string() }
        }
    }
}

/// What an error of SQLite means to whoever opens the database.
pub(super) fn explain(file: &Path, error: rusqlite::Error) -> OpenError {
    let file = file.to_owned();
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Corrupt { file, detail }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::ReadOnly { file },
        _ => OpenError::Database { file, detail },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anteroom_core::time::Timestamp;

    use super::*;

    /// Goal: whoever writes to the disk waits for it: the writer with each commit, and what folds the log into
    /// the database before the log begins anew.
    #[test]
    fn what_is_written_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let settings = SqliteSettings::new(directory.path());
        let clock: Clock = Arc::new(|| Timestamp::from_ms(0));
        let Connections { write, checkpoint, .. } = open(&settings, &clock).unwrap();
        for connection in [&write, &checkpoint] {
            let value = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
            assert_eq!(value("synchronous"), Ok(2_i64), "FULL");
            let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
            assert_eq!(mode, Ok("wal".to_owned()));
        }
    }
}
