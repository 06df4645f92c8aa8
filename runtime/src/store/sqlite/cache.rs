//! How much of the database the writer keeps in memory.
//!
//! Owns the size of its cache: small while messages come and go, and large while bots that start get their
//! jobs back. Those lie anywhere in the database, for their ids are random, and each is read again when it
//! ends.

use std::time::{Duration, Instant};

use rusqlite::Connection;

/// What is enough for the indexes' pages that new messages fall on.
const SMALL_KIB: i64 = 8 << 10;

/// What holds tens of thousands of jobs.
const LARGE_KIB: i64 = 64 << 10;

/// How long jobs are kept at hand after the last of them came back.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// The cache of a connection; small at first.
#[derive(Default)]
pub(super) struct Cache {
    /// Until when it is large; none while it is small.
    large_until: Option<Instant>,
}

impl Cache {
    /// Fits it to a transaction that has ended, which has restored jobs or not.
    pub(super) fn follow(
        &mut self,
        connection: &Connection,
        has_restored: bool,
        now: Instant,
    ) -> rusqlite::Result<()> {
        if has_restored {
            if self.large_until.is_none() {
                resize(connection, LARGE_KIB)?;
            }
            self.large_until = Some(now + KEPT_FOR);
        } else if self.large_until.is_some_and(|until| until <= now) {
            // What is more than fits is given back at once.
            make_small(connection)?;
            self.large_until = None;
        }
        Ok(())
    }
}

/// Gives a connection the small one.
pub(super) fn make_small(connection: &Connection) -> rusqlite::Result<()> {
    resize(connection, SMALL_KIB)
}

fn resize(connection: &Connection, kib: i64) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -kib)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: jobs that come back are kept at hand, and not for ever.
    #[test]
    fn it_is_large_while_jobs_are_restored() {
        let connection = Connection::open_in_memory().unwrap();
        let size = || {
            let size = connection.pragma_query_value(None, "cache_size", |row| row.get(0));
            -size.unwrap_or(0_i64)
        };
        let start = Instant::now();
        make_small(&connection).unwrap();
        let mut cache = Cache::default();
        let mut after = |seconds, has_restored| {
            let now = start + Duration::from_secs(seconds);
            cache.follow(&connection, has_restored, now).unwrap();
            size()
        };
        assert_eq!(after(0, false), SMALL_KIB);
        assert_eq!(after(1, true), LARGE_KIB);
        assert_eq!(after(20, true), LARGE_KIB, "more come back");
        assert_eq!(after(49, false), LARGE_KIB, "they were given back 29 s ago");
        assert_eq!(after(50, false), SMALL_KIB);
        assert_eq!(after(51, false), SMALL_KIB);
        assert_eq!(after(52, true), LARGE_KIB, "another bot starts");
    }
}
