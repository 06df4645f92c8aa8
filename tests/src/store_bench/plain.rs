//! A plain queue on SQLite: what this machine does with the least that a job can cost.
//!
//! The design's targets stand beside a figure of this shape: a job is inserted, claimed, completed and
//! deleted, a hundred of them in a transaction, `synchronous=FULL`. No message, no callback, one index. It
//! says how fast the machine is, so that a rate can be compared with one of another machine.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use rusqlite::{Connection, params};

use super::bed::{Bed, Ground};

/// Jobs in a transaction.
const AT_ONCE: usize = 100;

/// How long a job's body is, as those of media jobs are.
const BODY_BYTES: usize = 600;

/// How many jobs a second pass through the queue; none on a store that has no file.
///
/// # Errors
/// When they do not.
pub async fn jobs_a_second(ground: &Ground, jobs: usize) -> Result<Option<f64>> {
    let bed = ground.bed()?;
    let Bed::Sqlite(directory) = &bed else { return Ok(None) };
    let file = directory.path().join("plain.sqlite3");
    let rate = tokio::task::spawn_blocking(move || through(&file, jobs)).await??;
    bed.clear().await?;
    Ok(Some(rate))
}

fn through(file: &Path, jobs: usize) -> Result<f64> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT NOT NULL, body TEXT NOT NULL);
         CREATE INDEX jobs_status ON jobs (status, id);",
    )?;
    let body = "x".repeat(BODY_BYTES);
    let batches = jobs / AT_ONCE;
    let begun = Instant::now();
    for _ in 0..batches {
        insert(&connection, &body)?;
    }
    for _ in 0..batches {
        work(&connection)?;
    }
    let took = begun.elapsed();
    let left: i64 = connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))?;
    ensure!(left == 0, "{left} jobs are left");
    Ok((batches * AT_ONCE) as f64 / took.as_secs_f64())
}

fn insert(connection: &Connection, body: &str) -> Result<()> {
    let transaction = connection.unchecked_transaction()?;
    let mut insert =
        connection.prepare_cached("INSERT INTO jobs (status, body) VALUES ('pending', ?1)")?;
    for _ in 0..AT_ONCE {
        insert.execute([body])?;
    }
    Ok(transaction.commit()?)
}

/// Claims, completes and deletes, each durably.
fn work(connection: &Connection) -> Result<()> {
    let claimed: Vec<i64> = connection
        .prepare_cached(
            "UPDATE jobs SET status = 'processing' WHERE id IN
                (SELECT id FROM jobs WHERE status = 'pending' ORDER BY id LIMIT ?1) RETURNING id",
        )?
        .query_map([i64::try_from(AT_ONCE)?], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for sql in
        ["UPDATE jobs SET status = 'completed' WHERE id = ?1", "DELETE FROM jobs WHERE id = ?1"]
    {
        let transaction = connection.unchecked_transaction()?;
        let mut statement = connection.prepare_cached(sql)?;
        for id in &claimed {
            statement.execute(params![id])?;
        }
        transaction.commit()?;
    }
    Ok(())
}
