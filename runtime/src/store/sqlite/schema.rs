//! The schema, and the steps that lead to it.
//!
//! Owns every table and index. A step runs in a transaction together with its record in
//! `schema_migrations`, so it happens once or not at all; a database with a step unknown here is
//! refused and left as it is.

use std::path::Path;

use anteroom_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::columns::moment;
use super::opening::{OpenError, explain};

/// One step.
struct Migration {
    version: u32,
    name: &'static str,
    sql: &'static str,
}

/// All steps, in their order.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "first schema", sql: include_str!("schema_1.sql") },
    Migration { version: 2, name: "operators' lists", sql: include_str!("schema_2.sql") },
    Migration { version: 3, name: "cheaper writes", sql: include_str!("schema_3.sql") },
    Migration { version: 4, name: "whose work it was", sql: include_str!("schema_4.sql") },
    Migration { version: 5, name: "keys that cost less", sql: include_str!("schema_5.sql") },
    Migration { version: 6, name: "whose a lease is", sql: include_str!("schema_6.sql") },
    Migration { version: 7, name: "pages by age", sql: include_str!("schema_7.sql") },
    Migration { version: 8, name: "first attempts", sql: include_str!("schema_8.sql") },
];

/// Brings the database to the newest schema.
pub(super) fn migrate(
    connection: &Connection,
    file: &Path,
    now: Timestamp,
) -> Result<(), OpenError> {
    let failed = |error| explain(file, error);
    let found = version(connection, file)?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    if found > known {
        return Err(OpenError::NewerSchema { file: file.to_owned(), found, known });
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        let (version, name) = (migration.version, migration.name);
        tracing::info!(version, name, "migrating the schema: a large archive takes its time");
        apply(connection, migration, now).map_err(failed)?;
        tracing::info!(version, name, "schema migrated");
    }
    Ok(())
}

/// The version of the database; 0 when it is empty.
fn version(connection: &Connection, file: &Path) -> Result<u32, OpenError> {
    let failed = |error| explain(file, error);
    let tables = "SELECT count(*), count(*) FILTER (WHERE name = 'schema_migrations') \
                  FROM sqlite_schema WHERE type = 'table'";
    let (all, ours): (u32, u32) =
        connection.query_row(tables, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    if all == 0 {
        return Ok(0);
    }
    if ours == 0 {
        return Err(OpenError::Foreign { file: file.to_owned() });
    }
    let latest = "SELECT version FROM schema_migrations ORDER BY version DESC LIMIT 1";
    let latest = connection.query_row(latest, [], |row| row.get(0)).optional().map_err(failed)?;
    Ok(latest.unwrap_or_default())
}

fn apply(connection: &Connection, migration: &Migration, now: Timestamp) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(migration.sql)?;
    transaction.execute(
        "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?1, ?2, ?3)",
        (migration.version, migration.name, moment(now)),
    )?;
    transaction.commit()
}
