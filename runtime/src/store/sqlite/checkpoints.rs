//! When the write-ahead log is folded into the database, and by whom: *checkpoints*, in SQLite's words.
//!
//! Owns the thread that does most of it, with a connection of its own, while the writer goes on. A log begins
//! anew only once it is folded whole, which one that grows meanwhile never is: the little that is left, the
//! writer folds between two transactions. **Invariant:** a log that grows faster than it is folded makes the
//! writer slow and never stops it: from [`LOG_PAGES_MAX`] on it waits behind each transaction, a while.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How many pages the log has before it is folded: a page that changes often is folded once for all its
/// changes.
const LOG_PAGES: u32 = 4_000;

/// From how many pages on the writer waits for the thread.
const LOG_PAGES_MAX: u32 = 4 * LOG_PAGES;

/// How long it waits behind each transaction: bots are renewed between them.
const WAIT: Duration = Duration::from_millis(500);

/// How often the thread folds what has been added meanwhile, before it leaves the rest to the writer.
const PASSES_MAX: usize = 4;

/// How often is said that the log cannot be folded.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// The checkpoints of a database, as its writer sees them.
pub(super) struct Checkpoints {
    log: Log,
    asks: Option<Sender<()>>,
    ends: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    under_way: bool,
}

/// How many pages the log had after the last commit.
#[derive(Clone, Default)]
struct Log(Arc<AtomicU32>);

impl Log {
    /// Follows the commits of a connection, which makes no checkpoints by itself from then on.
    fn of(writer: &mut Connection) -> rusqlite::Result<Self> {
        let log = Self::default();
        let pages = Arc::clone(&log.0);
        writer.wal_hook(Some(move |_: &mut _, now| {
            pages.store(u32::try_from(now).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(log)
    }

    fn pages(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Checkpoints {
    /// Those of the database that `writer` writes, made by `other` for the most part.
    ///
    /// # Errors
    /// The system gives no thread, or SQLite no hook.
    pub(super) fn start(writer: &mut Connection, other: Connection) -> io::Result<Self> {
        let log = Log::of(writer).map_err(io::Error::other)?;
        let (asks, asked) = channel();
        let (end, ends) = channel();
        let thread = thread::Builder::new().name("store-checkpoint".to_owned()).spawn({
            let log = log.clone();
            move || fold_when_asked(&other, &log, &asked, &end)
        })?;
        Ok(Self { log, asks: Some(asks), ends, thread: Some(thread), under_way: false })
    }

    /// Does what is due after a commit of the writer.
    pub(super) fn follow(&mut self, writer: &Connection) {
        let pages = self.log.pages();
        let is_due = if self.under_way {
            self.has_ended(pages >= LOG_PAGES_MAX)
        } else {
            // Without the thread all is the writer's to fold.
            pages >= LOG_PAGES && !self.ask()
        };
        if is_due && let Err(error) = fold(writer) {
            tracing::debug!(%error, "the rest of the write-ahead log could not be folded");
        }
    }

    /// Asks the thread for a checkpoint, if it is there.
    fn ask(&mut self) -> bool {
        self.under_way = self.asks.as_ref().is_some_and(|asks| asks.send(()).is_ok());
        self.under_way
    }

    /// Whether the thread has ended what it was asked for, or is gone; waits for that for a while if it is to.
    fn has_ended(&mut self, waits: bool) -> bool {
        let wait = if waits { WAIT } else { Duration::ZERO };
        let has_ended = self.ends.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
        self.under_way = !has_ended;
        has_ended
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.asks = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that makes checkpoints ended by a panic");
        }
    }
}

/// Serves the writer until it is gone.
fn fold_when_asked(connection: &Connection, log: &Log, asked: &Receiver<()>, end: &Sender<()>) {
    let mut complained_at: Option<Instant> = None;
    while asked.recv().is_ok() {
        for _ in 0..PASSES_MAX {
            match fold(connection) {
                // Not while the writer waits.
                Ok(folded) if folded < log.pages() && log.pages() < LOG_PAGES_MAX => {}
                Ok(_) => break,
                Err(error) => {
                    if complained_at.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                        complained_at = Some(Instant::now());
                        // Nothing is lost: the log is durable by itself, and grows until it can be folded.
                        tracing::warn!(%error, "the write-ahead log could not be folded into the database");
                    }
                    break;
                }
            }
        }
        if end.send(()).is_err() {
            break;
        }
    }
}

/// Folds what can be folded without waiting for anybody, and tells how much of the log is folded. What is
/// folded is made durable before the log begins anew.
fn fold(connection: &Connection) -> rusqlite::Result<u32> {
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
    let folded: i64 = statement.query_one([], |row| row.get(2))?;
    Ok(u32::try_from(folded).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A database with its checkpoints.
    struct World {
        directory: TempDir,
        writer: Connection,
        checkpoints: Checkpoints,
    }

    impl World {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut writer = connection(&directory);
            writer.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, body BLOB)").unwrap();
            let checkpoints = Checkpoints::start(&mut writer, connection(&directory)).unwrap();
            Self { directory, writer, checkpoints }
        }

        /// Writes until something is so.
        fn write_until(&mut self, is_so: impl Fn(&Self) -> bool) {
            let deadline = Instant::now() + Duration::from_secs(60);
            while !is_so(self) {
                assert!(Instant::now() < deadline, "{} pages", self.checkpoints.log.pages());
                let body = "INSERT INTO t (body) VALUES (zeroblob(200000))";
                self.writer.execute(body, []).unwrap();
                self.checkpoints.follow(&self.writer);
            }
        }

        fn pages(&self) -> u32 {
            self.checkpoints.log.pages()
        }
    }

    fn connection(directory: &TempDir) -> Connection {
        let connection = Connection::open(directory.path().join("db")).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection
    }

    /// Goal: a log that is written to without rest begins anew, again and again, and is whole in the database
    /// then.
    #[test]
    fn a_log_under_load_begins_anew() {
        let mut world = World::new();
        for _ in 0..3 {
            world.write_until(|world| world.pages() >= LOG_PAGES);
            world.write_until(|world| world.pages() < LOG_PAGES);
        }
        let log = std::fs::metadata(world.directory.path().join("db-wal")).unwrap().len();
        let longest = u64::from(LOG_PAGES_MAX + 100) * 5_000;
        assert!(log < longest, "{log} bytes");
    }

    /// Goal: whoever reads an old state lets the log grow and holds nobody up, and once that has ended the log
    /// begins anew.
    #[test]
    fn a_long_question_holds_nobody_up() {
        let mut world = World::new();
        let reader = connection(&world.directory);
        let begun = reader.unchecked_transaction().unwrap();
        let rows = || reader.query_one("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows(), Ok(0));
        world.write_until(|world| world.pages() >= LOG_PAGES_MAX + LOG_PAGES);
        assert_eq!(rows(), Ok(0));
        drop(begun);
        world.write_until(|world| world.pages() < LOG_PAGES);
    }
}
