//! Where a benchmark's stores come from: each is empty, durable, and gone with its bed.

use std::sync::Arc;
use std::time::Duration;

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
use crate::process;

/// A kind of store, and what it needs to run.
#[derive(Debug)]
pub enum Ground {
    /// The embedded one, `synchronous=FULL`.
    Sqlite,
    /// A MongoDB of one node, majority and journal.
    #[cfg(unix)]
    Mongodb(Box<Mongod>),
}

/// What was used of processors so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    /// By this process.
    pub here: Duration,
    /// By the store's server, where there is one.
    pub server: Duration,
}

impl Used {
    /// By both.
    pub fn total(self) -> Duration {
        self.here + self.server
    }
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

    /// The processor time used so far.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn meter(&self) -> Result<Used> {
        let server = match self {
            Self::Sqlite => Duration::ZERO,
            #[cfg(unix)]
            Self::Mongodb(mongod) => {
                let status = status(mongod).await?;
                let of = status.get_document("extra_info")?;
                let micros = of.get_i64("user_time_us")? + of.get_i64("system_time_us")?;
                Duration::from_micros(micros.unsigned_abs())
            }
        };
        Ok(Used { here: process::cpu_time(std::process::id()), server })
    }

    /// The processor time used since.
    ///
    /// # Errors
    /// As [`Self::meter`].
    pub async fn used_since(&self, meter: Used) -> Result<Used> {
        let Used { here, server } = self.meter().await?;
        Ok(Used {
            here: here.saturating_sub(meter.here),
            server: server.saturating_sub(meter.server),
        })
    }

    /// How many operations the server has executed, of whomever; none where there is no server.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn server_operations(&self) -> Result<Option<u64>> {
        match self {
            Self::Sqlite => Ok(None),
            #[cfg(unix)]
            Self::Mongodb(mongod) => {
                let status = status(mongod).await?;
                let mut operations = 0;
                for (_, count) in status.get_document("opcounters")? {
                    operations +=
                        count.as_i64().or_else(|| count.as_i32().map(i64::from)).unwrap_or(0);
                }
                Ok(Some(operations.unsigned_abs()))
            }
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

    /// Waits until what was written so far is in the database itself and no longer only in its log, so that
    /// whatever is measured next does not pay for what it was prepared with.
    ///
    /// # Errors
    /// When the server does not write it.
    pub async fn settle(&self) -> Result<()> {
        match self {
            // Closing the store has done so.
            Self::Sqlite(_) => Ok(()),
            #[cfg(unix)]
            Self::Mongodb { uri, .. } => {
                let database = database_at(uri, "admin").await?;
                database.run_command(mongodb::bson::doc! { "fsync": 1 }).await?;
                Ok(())
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

/// What the server says of itself.
#[cfg(unix)]
async fn status(mongod: &Mongod) -> Result<mongodb::bson::Document> {
    let database = database_at(&mongod.uri("admin"), "admin").await?;
    Ok(database.run_command(mongodb::bson::doc! { "serverStatus": 1 }).await?)
}

/// A database, past the store's adapter.
///
/// # Errors
/// When its address is none.
#[cfg(unix)]
pub async fn database_at(uri: &str, database: &str) -> Result<Database> {
    Ok(Client::with_uri_str(uri).await?.database(database))
}
