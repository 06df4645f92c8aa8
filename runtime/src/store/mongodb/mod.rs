//! The distributed store: one MongoDB replica set, shared by all nodes.
//!
//! ```text
//! bot side     ─▶ a transaction that writes the bot's fence ─▶ commit, majority and journal
//! worker side  ─▶ one command guarded by the lease's token  ─▶ what it misses: a transaction
//! sweeps       ─▶ a transaction over what is due
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `opening`, `open_error`, `migrations`, `indexes`, `collections` | what must hold of the server and the shape of the database |
//! | `connection`, `transaction`, `statements`, `turns`, `unsettled`, `failure` | how the server is asked |
//! | `store_time`, `values`, `pages` | time, ids and sizes in documents |
//! | `fence`, `abandoned` | the one document that all transactions of a bot write, and what a killed process leaves of them |
//! | `job_documents`, `job_changes`, `archive_documents`, `failed_copies`, `quarantine` | the collections |
//! | `bots`, `inserts`, `archive`, `archive_new`, `moves`, `claims`, `leases`, `revision`, `redelivery`, `callbacks`, `sends`, `next_id`, `sweeps`, `retention`, `operator` | one function a request |
//! | `backlog` | what waits, for those who look |
//! | `views`, `presence` | what operators look at; which nodes run |
//! | `watch` | what other nodes do, as it happens |
//!
//! **Invariants.** What is answered is durable on a majority of the nodes. Leases end by the server's
//! clock. A transaction that met another writer is tried again, a bounded number of times; every call
//! ends within its time-out. A document that cannot be read is set aside, never in the way.

mod abandoned;
mod archive;
mod archive_documents;
mod archive_new;
mod backlog;
mod bots;
mod callbacks;
mod claims;
mod collections;
mod connection;
mod dispatch;
mod failed_copies;
mod failure;
mod fence;
mod given;
mod indexes;
mod inserts;
mod job_changes;
mod job_documents;
mod known_bots;
mod leases;
mod migrations;
mod moves;
mod next_id;
mod open_error;
mod opening;
mod operator;
mod pages;
mod presence;
mod quarantine;
mod redelivery;
mod retention;
mod revision;
mod sends;
mod statements;
mod store_time;
mod sweeps;
mod transaction;
mod turns;
mod unsettled;
mod values;
mod views;
mod watch;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::id::NodeId;
use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connection;
use self::failure::Answer;
use super::presence::Presence;
use super::views::{Question, View, Views};
use super::{Backlog, BoxFuture, Hint, Store};

pub use self::open_error::OpenError;
pub use self::store_time::StoreTime;

/// How the distributed store is reached.
#[derive(Clone)]
pub struct MongoSettings {
    /// A MongoDB connection string; it may name the database.
    pub uri: String,
    /// How long one call may take before it is answered as unavailable.
    pub call_timeout: Duration,
    /// How long a server is looked for.
    pub selection_timeout: Duration,
    /// How many connections are open at the most.
    pub connections_max: u32,
}

impl MongoSettings {
    /// The defaults, at `uri`.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            call_timeout: Duration::from_secs(10),
            selection_timeout: Duration::from_secs(5),
            connections_max: 32,
        }
    }
}

impl fmt::Debug for MongoSettings {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoSettings")
            .field("call_timeout", &self.call_timeout)
            .field("selection_timeout", &self.selection_timeout)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// The distributed store.
pub struct MongoStore {
    connection: Arc<Connection>,
    closing: CancellationToken,
    /// The calls under way; closed once the store is shut down.
    calls: TaskTracker,
}

impl MongoStore {
    /// Connects, checks what must hold of the server, and brings the database into shape.
    ///
    /// # Errors
    /// An [`OpenError`] that says what is missing and what to do.
    pub async fn open(settings: MongoSettings, time: StoreTime) -> Result<Self, OpenError> {
        let connection = opening::open(&settings, time).await?;
        let connection = Arc::new(connection);
        let (closing, calls) = (CancellationToken::new(), TaskTracker::new());
        Ok(Self { connection, closing, calls })
    }

    /// Makes one call, within its time.
    async fn call<T>(&self, call: impl Future<Output = Answer<T>>) -> Result<T, StoreError> {
        let under_way = self.calls.token();
        if self.calls.is_closed() {
            return Err(StoreError::Unavailable { detail: "MongoDB: it is shut down".to_owned() });
        }
        let timeout = self.connection.call_timeout;
        let answer = tokio::time::timeout(timeout, call).await;
        drop(under_way);
        match answer {
            Ok(answer) => answer.map_err(failure::Failure::into_store_error),
            Err(_) => {
                let detail = format!("MongoDB: no answer within {timeout:?}");
                Err(StoreError::Unavailable { detail })
            }
        }
    }
}

impl Drop for MongoStore {
    /// Nobody is told of other nodes any more.
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl Store for MongoStore {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        Box::pin(async move {
            // A bot may have any number of jobs, so each part of its move is a call with its own time.
            if let StoreRequest::HoldBot(fence) = &request {
                while self.call(moves::hold_some(&self.connection, fence)).await? {}
            }
            self.call(dispatch::execute(&self.connection, request)).await
        })
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        Box::pin(self.call(bots::list(&self.connection)))
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Option<Backlog>, StoreError>> {
        Box::pin(async move { self.call(backlog::count(&self.connection)).await.map(Some) })
    }

    fn hints(&self) -> Option<mpsc::Receiver<Hint>> {
        Some(watch::start(&self.connection, &self.closing))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.closing.cancel();
            self.calls.close();
            self.calls.wait().await;
            self.connection.client.clone().shutdown().await;
        })
    }
}

impl Views for MongoStore {
    fn look(&self, question: Question) -> BoxFuture<'_, Result<View, StoreError>> {
        Box::pin(self.call(views::look(&self.connection, question)))
    }

    fn sign_in(&self, node: Presence) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.call(presence::sign_in(&self.connection, node)))
    }

    fn sign_out(&self, node_id: NodeId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.call(presence::sign_out(&self.connection, node_id)))
    }
}
