//! The embedded store: one SQLite database in one directory, for one process.
//!
//! Owns the data directory. One thread writes, with **group commit**: requests that wait are executed
//! in one transaction, each in a savepoint of its own, and all are answered after the one commit. One
//! thread reads beside it, and one, which gives way to all others, for operators; a read sees everything that was
//! answered before it was asked. One folds the write-ahead log into the database.
//!
//! | module | holds |
//! |---|---|
//! | `directory`, `opening`, `schema`, `takeover` | opening: the lock, the connections, migrations, what an earlier process left behind |
//! | `prepared`, `line`, `writer`, `reader`, `dispatch` | what is done where it is asked, what waits, the threads, and which function answers which request |
//! | `cache`, `checkpoints` | what the writer keeps in memory, and in its log |
//! | `work`, `columns`, `failure` | a request's view of the database |
//! | `bots`, `jobs`, `claims`, `leases`, `archive`, `revision`, `callbacks`, `sends`, `sweeps`, `operator` | one function a request |
//! | `backlog` | what waits, for those who look |
//! | `views` | what operators look at |
//! | `job_rows`, `archive_rows`, `failed_copies`, `correspondents`, `quarantine` | the tables under them |
//!
//! **Invariants.** A lock on the directory makes its holder the only node, so opening takes over every
//! ownership and every lease. Columns beside a JSON body exist to be searched; where they disagree
//! with the body, the body is right. A record whose body cannot be read is set aside, never in the way.

mod archive;
mod archive_rows;
mod backlog;
mod bots;
mod cache;
mod callbacks;
mod checkpoints;
mod claims;
mod columns;
mod correspondents;
mod directory;
mod dispatch;
mod failed_copies;
mod failure;
mod job_rows;
mod jobs;
mod leases;
mod line;
mod opening;
mod operator;
#[cfg(test)]
mod plans;
mod prepared;
mod quarantine;
mod reader;
mod revision;
mod schema;
mod sends;
mod sweeps;
mod takeover;
mod views;
mod work;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use tokio::sync::{mpsc, oneshot};

use self::checkpoints::Checkpoints;
use self::directory::DirectoryLock;
use self::opening::Connections;
use self::prepared::Prepared;
use self::reader::Read;
use self::writer::Write;
use super::views::{Question, View, Views};
use super::{Backlog, BoxFuture, Clock, Store};
use crate::priority;

pub use self::opening::OpenError;

/// How many requests may wait for each thread.
const QUEUE_REQUESTS_MAX: usize = 256;

/// How the embedded store is kept.
#[derive(Debug, Clone)]
pub struct SqliteSettings {
    /// Where the data lives; made when it is missing. A local disk.
    pub directory: PathBuf,
    /// How long one call may take before it is answered as unavailable.
    pub call_timeout: Duration,
    /// How large the database may grow; beyond it, writes are answered as on a full disk.
    pub size_bytes_max: Option<u64>,
}

impl SqliteSettings {
    /// The defaults, in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            call_timeout: Duration::from_secs(10),
            size_bytes_max: None,
        }
    }
}

/// The embedded store.
pub struct SqliteStore {
    directory: PathBuf,
    clock: Clock,
    call_timeout: Duration,
    /// None once the store is shut down.
    running: Mutex<Option<Running>>,
}

/// What an open store consists of.
struct Running {
    writes: mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
    looks: mpsc::Sender<Read>,
    writer: JoinHandle<()>,
    reader: JoinHandle<()>,
    looker: JoinHandle<()>,
    lock: DirectoryLock,
}

impl SqliteStore {
    /// Opens or makes the database, migrates it, and takes over what an earlier process left: all
    /// bots are free, and every lease is reclaimed as that of a lost worker. Blocks on the disk.
    ///
    /// # Errors
    /// An [`OpenError`] that names the directory or file and says what to do.
    pub fn open(settings: SqliteSettings, clock: Clock) -> Result<Self, OpenError> {
        let lock = directory::lock(&settings.directory)?;
        let Connections { mut write, checkpoint, read, look } = opening::open(&settings, &clock)?;
        let (writes, write_queue) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let (reads, read_queue) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let (looks, look_queue) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let directory = settings.directory.clone();
        let checkpoints = Checkpoints::start(&mut write, checkpoint)
            .map_err(|source| OpenError::Directory { directory: directory.clone(), source })?;
        let [write_clock, read_clock, look_clock] = std::array::from_fn(|_| Clock::clone(&clock));
        let writer = spawn("store-writer", &directory, {
            let directory = directory.clone();
            move || writer::run(write, checkpoints, write_queue, &write_clock, &directory)
        })?;
        let reader = spawn("store-reader", &directory, {
            let directory = directory.clone();
            move || reader::run(&read, read_queue, &read_clock, &directory)
        })?;
        let looker = spawn("store-looker", &directory, {
            let directory = directory.clone();
            move || {
                priority::give_way();
                reader::run(&look, look_queue, &look_clock, &directory);
            }
        })?;
        let running = Running { writes, reads, looks, writer, reader, looker, lock };
        Ok(Self {
            directory,
            clock,
            call_timeout: settings.call_timeout,
            running: Mutex::new(Some(running)),
        })
    }

    /// The queue that `pick` takes of a running store.
    fn queue<T>(&self, pick: impl FnOnce(&Running) -> T) -> Result<T, StoreError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(pick).ok_or_else(|| self.unavailable("it is shut down"))
    }

    /// Puts a task into a thread's queue and waits for its answer, both within the time-out.
    async fn ask<Task, T>(
        &self,
        queue: Result<mpsc::Sender<Task>, StoreError>,
        task: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Task,
    ) -> Result<T, StoreError> {
        let queue = queue?;
        let (answer, answered) = oneshot::channel();
        let exchange = async {
            let gone = || self.unavailable("its thread has ended");
            queue.send(task(answer)).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        };
        match tokio::time::timeout(self.call_timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.unavailable(&format!("no answer within {:?}", self.call_timeout))),
        }
    }

    fn unavailable(&self, what: &str) -> StoreError {
        StoreError::Unavailable { detail: format!("{}: {what}", self.directory.display()) }
    }

    fn take_running(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Store for SqliteStore {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        Box::pin(async move {
            if dispatch::only_reads(&request) {
                let queue = self.queue(|running| running.reads.clone());
                self.ask(queue, |answer| Read::Request { request, answer }).await
            } else {
                let queue = self.queue(|running| running.writes.clone());
                let prepared = Prepared::of(&request, (self.clock)())
                    .map_err(|failure| failure.into_store_error(&self.directory))?;
                self.ask(queue, |answer| Write { request, prepared, after: None, answer }).await
            }
        })
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        Box::pin(async move {
            let queue = self.queue(|running| running.looks.clone());
            self.ask(queue, |answer| Read::ListBots { answer }).await
        })
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Option<Backlog>, StoreError>> {
        Box::pin(async move {
            let queue = self.queue(|running| running.looks.clone());
            self.ask(queue, |answer| Read::Backlog { answer }).await.map(Some)
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(running) = self.take_running() {
                // The threads end once the calls in flight are answered; waiting for them blocks.
                let ended = tokio::task::spawn_blocking(move || running.end()).await;
                if let Err(error) = ended {
                    tracing::error!(%error, "the store's threads could not be waited for");
                }
            }
        })
    }
}

impl Views for SqliteStore {
    fn look(&self, question: Question) -> BoxFuture<'_, Result<View, StoreError>> {
        Box::pin(async move {
            let queue = self.queue(|running| running.looks.clone());
            self.ask(queue, |answer| Read::Look { question, answer }).await
        })
    }
}

impl Drop for SqliteStore {
    /// Gives the directory free before the value is gone. Nothing durable happens here: whoever still
    /// waited for an answer is gone too, and what was not begun is left undone.
    fn drop(&mut self) {
        if let Some(running) = self.take_running() {
            running.end();
        }
    }
}

impl Running {
    /// Closes the queues, waits for the threads, and only then gives the directory free.
    fn end(self) {
        let Self { writes, reads, looks, writer, reader, looker, lock } = self;
        drop((writes, reads, looks));
        for thread in [looker, reader, writer] {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended by a panic");
            }
        }
        drop(lock);
    }
}

fn spawn(
    name: &str,
    directory: &Path,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| OpenError::Directory { directory: directory.to_owned(), source })
}
