//! The one thread that writes.
//!
//! Owns the writing connection and group commit. **Invariant:** nobody is answered before the commit
//! of what they asked for; when that fails, everybody in the group is told that the store is
//! unavailable, because it is not known what is durable. A request that is refused is undone alone. One that is
//! large does a piece of its work in each transaction, so that others are answered in between.

use std::path::Path;
use std::time::{Duration, Instant};

use anteroom_core::store::{JobCursor, StoreError, StoreReply, StoreRequest, StoreResult};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::Clock;
use super::cache::Cache;
use super::checkpoints::Checkpoints;
use super::correspondents::Correspondents;
use super::dispatch::{self, Step};
use super::failure::{Answer, Failure, store_error};
use super::line::Line;
use super::prepared::Prepared;
use super::work::Work;

/// How many requests one transaction may hold.
const GROUP_REQUESTS_MAX: usize = 256;

/// How long requests are added to a transaction before it is committed.
const GROUP_TIME_MAX: Duration = Duration::from_millis(20);

/// A request that waits for the writer.
pub(super) struct Write {
    pub(super) request: StoreRequest,
    pub(super) prepared: Prepared,
    /// What the last piece of its work ended with.
    pub(super) after: Option<JobCursor>,
    pub(super) answer: oneshot::Sender<StoreResult>,
}

impl Write {
    /// Whether it is not to be done: a caller that has given up does not expect it to happen. What has begun goes on,
    /// for whoever asked for it may never ask again.
    fn is_given_up(&self) -> bool {
        self.answer.is_closed() && self.after.is_none()
    }
}

/// A request of the transaction, and what it came to.
struct Executed {
    write: Write,
    result: Result<Step, StoreError>,
}

impl Executed {
    /// Whether a bot has got jobs back.
    fn has_restored(&self) -> bool {
        matches!(&self.result, Ok(Step::Done(StoreReply::RestoreBot(page))) if !page.jobs.is_empty())
    }
}

/// Serves the queue until all its senders are gone.
pub(super) fn run(
    connection: Connection,
    mut checkpoints: Checkpoints,
    queue: mpsc::Receiver<Write>,
    clock: &Clock,
    directory: &Path,
) {
    let mut line = Line::new(queue);
    let correspondents = Correspondents::default();
    let mut cache = Cache::default();
    while let Some(first) = line.wait() {
        if first.is_given_up() {
            continue;
        }
        if let Err(error) = begin(&connection) {
            let _ = first.answer.send(Err(store_error(&error, directory)));
            continue;
        }
        let mut group = Group {
            connection: &connection,
            correspondents: &correspondents,
            clock,
            directory,
            members: Vec::new(),
            guarded: false,
        };
        match group.execute(first, &mut line) {
            Ok(()) => {
                let has_restored = group.members.iter().any(Executed::has_restored);
                answer_all(group.members, &mut line);
                checkpoints.follow(&connection);
                if let Err(error) = cache.follow(&connection, has_restored, Instant::now()) {
                    tracing::warn!(%error, "the size of the database's cache could not be changed");
                }
            }
            Err(failure) => {
                roll_back(&connection);
                // A log that cannot grow begins anew once it is folded.
                checkpoints.follow(&connection);
                correspondents.forget();
                refuse_all(group.members, &failure.into_store_error(directory));
            }
        }
    }
    drop(checkpoints);
    // Leaves one file instead of three; what is in the log is durable with or without this.
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the write-ahead log could not be folded into the database");
    }
}

/// The requests of one transaction.
///
/// A refused request has nearly always changed nothing yet, and savepoints would make all others pay
/// for the one that has. So the first one that has changed something makes the group begin again, with
/// savepoints.
struct Group<'c> {
    connection: &'c Connection,
    correspondents: &'c Correspondents,
    clock: &'c Clock,
    directory: &'c Path,
    members: Vec<Executed>,
    /// Each request has a savepoint of its own.
    guarded: bool,
}

impl Group<'_> {
    /// Executes `first` and what waits behind it in the transaction that has begun, and commits it.
    fn execute(&mut self, first: Write, line: &mut Line) -> Answer<()> {
        let begun_at = Instant::now();
        let mut next = Some(first);
        while let Some(write) = next.take() {
            if !write.is_given_up() {
                self.add(write)?;
            }
            if self.members.len() < GROUP_REQUESTS_MAX && begun_at.elapsed() < GROUP_TIME_MAX {
                next = line.next();
            }
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Executes one more request.
    fn add(&mut self, write: Write) -> Answer<()> {
        if self.guarded {
            let (result, transaction) = self.guarded(&write);
            self.members.push(Executed { write, result });
            return transaction;
        }
        let changes_before = self.connection.total_changes();
        let result = self.step(&self.work(), &write);
        let result = result.map_err(|failure| failure.into_store_error(self.directory));
        let refused = result.is_err();
        self.members.push(Executed { write, result });
        match refused {
            true if self.connection.is_autocommit() => Err(lost()),
            true if self.connection.total_changes() != changes_before => self.begin_again(),
            true | false => Ok(()),
        }
    }

    /// Undoes everything and executes it again, each request in a savepoint.
    fn begin_again(&mut self) -> Answer<()> {
        self.guarded = true;
        self.connection.execute_batch("ROLLBACK")?;
        self.correspondents.forget();
        begin(self.connection)?;
        for at in 0..self.members.len() {
            let (result, transaction) = self.guarded(&self.members[at].write);
            self.members[at].result = result;
            transaction?;
        }
        Ok(())
    }

    /// Executes one request in a savepoint. The second result is an error when the whole transaction
    /// is lost with it.
    fn guarded(&self, write: &Write) -> (Result<Step, StoreError>, Answer<()>) {
        let work = self.work();
        let executed = work
            .run("SAVEPOINT request", [])
            .and_then(|_| self.step(&work, write))
            .and_then(|reply| work.run("RELEASE request", []).map(|_| reply));
        match executed {
            Ok(reply) => (Ok(reply), Ok(())),
            Err(failure) => {
                let undone = undo(&work);
                (Err(failure.into_store_error(self.directory)), undone)
            }
        }
    }

    fn step(&self, work: &Work<'_>, write: &Write) -> Answer<Step> {
        dispatch::execute(work, &write.request, &write.prepared, write.after)
    }

    fn work(&self) -> Work<'_> {
        Work {
            connection: self.connection,
            correspondents: self.correspondents,
            now: (self.clock)(),
        }
    }
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    Ok(())
}

/// Rolls back one request. Some errors make SQLite roll back the whole transaction by itself.
fn undo(work: &Work<'_>) -> Answer<()> {
    if work.connection.is_autocommit() {
        return Err(lost());
    }
    work.run("ROLLBACK TO request", [])?;
    work.correspondents.forget();
    work.run("RELEASE request", [])?;
    Ok(())
}

fn lost() -> Failure {
    let detail = "the transaction was lost with another request".to_owned();
    Failure::Refused(StoreError::Unavailable { detail })
}

fn roll_back(connection: &Connection) {
    if connection.is_autocommit() {
        return;
    }
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::error!(%error, "a failed transaction could not be rolled back");
    }
}

/// Tells everybody; what has more to do goes on later. Who does not listen has timed out, and will ask again.
fn answer_all(group: Vec<Executed>, line: &mut Line) {
    for Executed { write, result } in group {
        let answer = match result {
            Ok(Step::Piece(after)) => {
                line.again(Write { after, ..write });
                continue;
            }
            Ok(Step::Done(reply)) => Ok(reply),
            Err(error) => Err(error),
        };
        let _ = write.answer.send(answer);
    }
}

/// Tells everybody that nothing is known. That holds for refusals too: what a request was refused for
/// may have been another one of the same group.
fn refuse_all(group: Vec<Executed>, error: &StoreError) {
    for Executed { write, result } in group {
        let _ = write.answer.send(match result {
            Err(own @ StoreError::Unavailable { .. }) => Err(own),
            Ok(_) | Err(StoreError::Fenced | StoreError::Invalid { .. }) => Err(error.clone()),
        });
    }
}
