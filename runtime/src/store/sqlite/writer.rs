//! The one thread that writes.
//!
//! Owns the writing connection and group commit. **Invariant:** nobody is answered before the commit
//! of what they asked for; when that fails, everybody in the group is told that the store is
//! unavailable, because it is not known what is durable. A request that is refused is rolled back
//! alone.

use std::path::Path;
use std::time::{Duration, Instant};

use anteroom_core::store::{StoreError, StoreRequest, StoreResult};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::Clock;
use super::dispatch;
use super::failure::{Answer, Failure, store_error};
use super::work::Work;

/// How many requests one transaction may hold.
const GROUP_REQUESTS_MAX: usize = 256;

/// How long requests are added to a transaction before it is committed.
const GROUP_TIME_MAX: Duration = Duration::from_millis(20);

/// A request that waits for the writer.
pub(super) struct Write {
    pub(super) request: StoreRequest,
    pub(super) answer: oneshot::Sender<StoreResult>,
}

/// An executed request whose caller waits for the commit.
struct Executed {
    result: StoreResult,
    answer: oneshot::Sender<StoreResult>,
}

impl Write {
    /// The request, answered without having been executed.
    fn refused(self, error: StoreError) -> Executed {
        Executed { result: Err(error), answer: self.answer }
    }
}

/// Serves the queue until all its senders are gone.
pub(super) fn run(
    connection: Connection,
    mut queue: mpsc::Receiver<Write>,
    clock: &Clock,
    directory: &Path,
) {
    while let Some(first) = queue.blocking_recv() {
        // A caller that has given up does not expect the operation to happen.
        if first.answer.is_closed() {
            continue;
        }
        if let Err(error) = begin(&connection) {
            answer_all(vec![first.refused(store_error(&error, directory))]);
            continue;
        }
        let mut group = Vec::new();
        match execute_group(&connection, first, &mut queue, &mut group, clock, directory) {
            Ok(()) => answer_all(group),
            Err(failure) => {
                roll_back(&connection);
                refuse_all(group, &failure.into_store_error(directory));
            }
        }
    }
    // Leaves one file instead of three; what is in the log is durable with or without this.
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the write-ahead log could not be folded into the database");
    }
}

/// Executes `first` and what waits behind it in the transaction that has begun, and commits it.
/// `group` holds the callers, also when that fails.
fn execute_group(
    connection: &Connection,
    first: Write,
    queue: &mut mpsc::Receiver<Write>,
    group: &mut Vec<Executed>,
    clock: &Clock,
    directory: &Path,
) -> Answer<()> {
    let begun_at = Instant::now();
    let mut next = Some(first);
    while let Some(write) = next.take() {
        if !write.answer.is_closed() {
            let work = Work { connection, now: clock() };
            let (result, transaction) = execute(&work, write.request, directory);
            group.push(Executed { result, answer: write.answer });
            transaction?;
        }
        if group.len() < GROUP_REQUESTS_MAX && begun_at.elapsed() < GROUP_TIME_MAX {
            next = queue.try_recv().ok();
        }
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    Ok(())
}

/// Executes one request in a savepoint. The second result is an error when the whole transaction is
/// lost with it.
fn execute(work: &Work<'_>, request: StoreRequest, directory: &Path) -> (StoreResult, Answer<()>) {
    let executed = work
        .run("SAVEPOINT request", [])
        .and_then(|_| dispatch::execute(work, request))
        .and_then(|reply| work.run("RELEASE request", []).map(|_| reply));
    match executed {
        Ok(reply) => (Ok(reply), Ok(())),
        Err(failure) => {
            let undone = undo(work);
            (Err(failure.into_store_error(directory)), undone)
        }
    }
}

/// Rolls back one request. Some errors make SQLite roll back the whole transaction by itself.
fn undo(work: &Work<'_>) -> Answer<()> {
    if work.connection.is_autocommit() {
        let detail = "the transaction was lost with another request".to_owned();
        return Err(Failure::Refused(StoreError::Unavailable { detail }));
    }
    work.run("ROLLBACK TO request", [])?;
    work.run("RELEASE request", [])?;
    Ok(())
}

fn roll_back(connection: &Connection) {
    if connection.is_autocommit() {
        return;
    }
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::error!(%error, "a failed transaction could not be rolled back");
    }
}

/// Tells everybody. Who does not listen has timed out, and will ask again.
fn answer_all(group: Vec<Executed>) {
    for Executed { result, answer } in group {
        let _ = answer.send(result);
    }
}

/// Tells everybody that nothing is known. That holds for refusals too: what a request was refused for
/// may have been another one of the same group.
fn refuse_all(group: Vec<Executed>, error: &StoreError) {
    for Executed { result, answer } in group {
        let _ = answer.send(match result {
            Err(own @ StoreError::Unavailable { .. }) => Err(own),
            Ok(_) | Err(StoreError::Fenced | StoreError::Invalid { .. }) => Err(error.clone()),
        });
    }
}
