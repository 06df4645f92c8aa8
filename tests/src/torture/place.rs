//! Where the node under torture keeps what must be durable.
//!
//! Owns what differs between the stores: the node's arguments, what else can be killed, and how what is
//! left is read and swept.

use std::path::Path;
use std::sync::Arc;
#[cfg(unix)]
use std::time::Duration;

use anteroom_runtime::clock::{BootClock, Clock};
use anteroom_runtime::store::Store;
#[cfg(unix)]
use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, StoreTime};
use anteroom_runtime::store::sqlite::{SqliteSettings, SqliteStore};
#[cfg(unix)]
use anyhow::Context;
use anyhow::Result;

#[cfg(unix)]
use crate::mongod::Mongod;
use crate::torture::dice::Dice;
use crate::torture::ledger::{Death, Fact, Ledger, Victim};
use crate::torture::remains::{self, Remains};
use crate::torture::{StoreKind, sweep};

/// The database, on a server of its own.
#[cfg(unix)]
const DATABASE: &str = "anteroom";

/// A store.
#[derive(Debug)]
pub enum Place {
    /// The embedded one, in the node's data directory.
    Sqlite,
    /// A MongoDB of its own.
    #[cfg(unix)]
    Mongodb(Box<Mongod>),
}

impl Place {
    /// Starts what the store needs.
    ///
    /// # Errors
    /// When this machine cannot run it.
    ///
    /// # Panics
    /// When a server does not start.
    pub async fn start(kind: StoreKind) -> Result<Self> {
        match kind {
            StoreKind::Sqlite => Ok(Self::Sqlite),
            #[cfg(unix)]
            StoreKind::Mongodb => Ok(Self::Mongodb(Box::new(Mongod::start().await))),
            #[cfg(not(unix))]
            StoreKind::Mongodb => anyhow::bail!("the tests run MongoDB on Unix only"),
        }
    }

    /// What the node is started with.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Sqlite => Vec::new(),
            #[cfg(unix)]
            Self::Mongodb(mongod) => vec!["--store".to_owned(), mongod.uri(DATABASE)],
        }
    }

    /// Whether the store has a server that can be killed by itself.
    pub fn can_be_killed(&self) -> bool {
        match self {
            Self::Sqlite => false,
            #[cfg(unix)]
            Self::Mongodb(_) => true,
        }
    }

    /// Kills the store's server and starts it again after a while.
    ///
    /// # Panics
    /// When it does not start again.
    pub async fn kill(&mut self, dice: &mut Dice, ledger: &Ledger) {
        match self {
            Self::Sqlite => {}
            #[cfg(unix)]
            Self::Mongodb(mongod) => {
                ledger.record(Fact::Ending(Victim::Store, Death::Killed));
                mongod.kill9().await;
                ledger.record(Fact::Ended(Victim::Store, Death::Killed));
                let rest = if dice.chance(20) { 4_000 } else { 100 };
                tokio::time::sleep(dice.millis(0..rest)).await;
                mongod.restart().await;
                ledger.record(Fact::StoreBack);
            }
        }
    }

    /// What is left, of a node that has ended.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn remains(&self, data_directory: &Path) -> Result<Remains> {
        let remains = match self {
            Self::Sqlite => remains::sqlite::read(data_directory)?,
            #[cfg(unix)]
            Self::Mongodb(mongod) => {
                let client = mongodb::Client::with_uri_str(mongod.uri(DATABASE)).await?;
                remains::mongodb::read(&client.database(DATABASE)).await?
            }
        };
        Ok(Remains { files: remains::files(data_directory)?, ..remains })
    }

    /// Sweeps what is left, and returns the names of the files that are left then.
    ///
    /// # Errors
    /// When no node can be run on it.
    pub async fn sweep(&self, data_directory: &Path) -> Result<Vec<String>> {
        let clock = Arc::new(BootClock::start());
        let store: Arc<dyn Store> = match self {
            Self::Sqlite => {
                let settings = SqliteSettings::new(data_directory.to_owned());
                let now = Arc::clone(&clock);
                Arc::new(SqliteStore::open(settings, Arc::new(move || now.now()))?)
            }
            #[cfg(unix)]
            Self::Mongodb(mongod) => {
                let settings = MongoSettings {
                    call_timeout: Duration::from_secs(10),
                    ..MongoSettings::new(mongod.uri(DATABASE))
                };
                let opened = MongoStore::open(settings, StoreTime::Server).await;
                Arc::new(opened.context("the sweep's store")?)
            }
        };
        let left = sweep::sweep(data_directory, clock, Arc::clone(&store)).await;
        store.shutdown().await;
        left
    }
}
