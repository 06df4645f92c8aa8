//! The embedded store: the store contract, and what is its own: its directory, its one writer, and
//! what it does about damage.

use anteroom_runtime::store::sqlite::{OpenError, SqliteSettings, SqliteStore};
use anteroom_runtime::store::{Clock, Store};
use anteroom_tests::store_contract::{TestClock, backlog};
use rusqlite::Connection;
use tempfile::TempDir;

#[path = "store_sqlite/keys.rs"]
mod keys;
#[path = "store_sqlite/opening.rs"]
mod opening;
#[path = "store_sqlite/quarantine.rs"]
mod quarantine;
#[path = "store_sqlite/writing.rs"]
mod writing;

mod contract {
    use super::fresh;

    anteroom_tests::store_contract!(fresh);
}

/// A store in a directory of its own.
struct Home {
    store: SqliteStore,
    _directory: TempDir,
}

impl AsRef<dyn Store> for Home {
    fn as_ref(&self) -> &(dyn Store + 'static) {
        &self.store
    }
}

async fn fresh(clock: Clock) -> Home {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let store = SqliteStore::open(SqliteSettings::new(directory.path()), clock)
        .expect("an empty directory can be opened");
    Home { store, _directory: directory }
}

/// A directory in which stores are opened one after another.
struct Place {
    directory: TempDir,
    clock: TestClock,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        Self { directory, clock: TestClock::default() }
    }

    fn settings(&self) -> SqliteSettings {
        SqliteSettings::new(self.directory.path())
    }

    fn try_open(&self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(self.settings(), self.clock.as_clock())
    }

    fn open(&self) -> SqliteStore {
        self.try_open().expect("the directory can be opened")
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("anteroom.sqlite3")
    }

    /// The database, past the store.
    fn database(&self) -> Connection {
        Connection::open(self.file()).expect("the database can be opened")
    }

    /// Runs statements on the database, past the store.
    fn tamper(&self, sql: &str) {
        self.database().execute_batch(sql).expect("the statement is valid");
    }

    /// A number that a query finds in the database.
    fn count(&self, sql: &str) -> i64 {
        self.database().query_row(sql, [], |row| row.get(0)).expect("the query finds a number")
    }
}

/// Why a store does not open.
fn refusal(place: &Place) -> OpenError {
    match place.try_open() {
        Ok(_) => panic!("the directory is not to be opened"),
        Err(error) => error,
    }
}

/// Goal and method: those of the two cases.
#[tokio::test]
async fn what_waits_is_counted() {
    for case in ["jobs", "callbacks"] {
        let clock = TestClock::default();
        let home = fresh(clock.as_clock()).await;
        match case {
            "jobs" => backlog::waiting_jobs_are_counted_by_pool(home.as_ref(), &clock).await,
            _ => backlog::owed_callbacks_are_counted(home.as_ref(), &clock).await,
        }
        home.as_ref().shutdown().await;
    }
}
