//! Where a benchmark's stores come from: each is empty, durable, and gone with its bed.

use std::sync::Arc;

use anteroom_runtime::clock::{BootClock, Clock};
use anteroom_runtime::store::Store;
#[cfg(unix)]
use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, StoreTime};
use anteroom_runtime::store::sqlite::{SqliteSettings, SqliteStore};
use anyhow::Result;
#[cfg(unix)]
use mongodb::{Client, Database};
use tempfile::TempDir;

#[cfg(unix)]
use crate::mongod::{Mongod, SharedMongod};

/// A kind of store, and what it needs to run.
#[derive(Debug)]
pub enum Ground {
    /// The embedded one, `synchronous=FULL`.
    Sqlite,
    /// A MongoDB of one node, majority and journal.
    #[cfg(unix)]
    Mongodb(Box<Mongod>),
}

/// An empty store of a kind, opened as often as it is needed.
#[derive(Debug)]
pub enum Bed {
    /// A directory.
    Sqlite(TempDir),
    /// A database.
    #[cfg(unix)]
    Mongodb {
        /// Its address.
        uri: String,
        /// Its name.
        database: String,
    },
}

impl Ground {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            #[cfg(unix)]
            Self::Mongodb(_) => "MongoDB",
        }
    }

    /// A new store.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn bed(&self) -> Result<Bed> {
        match self {
            Self::Sqlite => {
                // Beside the program, for temporary directories may be in memory.
                let program = std::env::current_exe()?;
                let beside = program.parent().unwrap_or(&program);
                Ok(Bed::Sqlite(tempfile::tempdir_in(beside)?))
            }
            #[cfg(unix)]
            Self::Mongodb(mongod) => {
                let database = SharedMongod::fresh_database();
                Ok(Bed::Mongodb { uri: mongod.uri(&database), database })
            }
        }
    }
}

impl Bed {
    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(&self) -> Result<Arc<dyn Store>> {
        match self {
            Self::Sqlite(directory) => {
                let clock = BootClock::start();
                let settings = SqliteSettings::new(directory.path().to_owned());
                Ok(Arc::new(SqliteStore::open(settings, Arc::new(move || clock.now()))?))
            }
            #[cfg(unix)]
            Self::Mongodb { uri, .. } => {
                let store = MongoStore::open(MongoSettings::new(uri.as_str()), StoreTime::Server);
                Ok(Arc::new(store.await?))
            }
        }
    }

    /// Takes a store that is no longer needed out of the way.
    ///
    /// # Errors
    /// When that fails.
    pub async fn clear(self) -> Result<()> {
        match self {
            Self::Sqlite(directory) => Ok(directory.close()?),
            #[cfg(unix)]
            Self::Mongodb { uri, database } => {
                Ok(database_at(&uri, &database).await?.drop().await?)
            }
        }
    }
}

/// A database, past the store's adapter.
///
/// # Errors
/// When its address is none.
#[cfg(unix)]
pub async fn database_at(uri: &str, database: &str) -> Result<Database> {
    Ok(Client::with_uri_str(uri).await?.database(database))
}
