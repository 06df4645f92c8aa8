//! The steps that led to the present shape of the documents.
//!
//! Each step is safe to run twice, and by two nodes at once: it changes only what has the old shape, a
//! document at a time, and is recorded in `schema_migrations` once it has found nothing left. A
//! database with a step unknown here is refused and left as it is.

use mongodb::bson::{Document, doc};

use super::collections::MIGRATIONS;
use super::connection::Connection;
use super::failure::Failure;

/// Why the database was not brought to the present shape.
#[derive(Debug)]
pub(super) enum Failed {
    /// A newer version was here.
    Newer { found: i32, known: i32 },
    /// A step did not end.
    Step { name: &'static str, failure: Failure },
}

/// All steps, in their order: a version and a name.
const STEPS: [(i32, &str); 1] = [(1, "first shape")];

/// Brings the database to the newest shape.
pub(super) async fn migrate(store: &Connection) -> Result<(), Failed> {
    let records = store.database.collection::<Document>(MIGRATIONS);
    let at =
        |name| move |error: mongodb::error::Error| Failed::Step { name, failure: error.into() };
    let latest = records.find_one(doc! {}).sort(doc! { "_id": -1 }).await;
    let latest = latest.map_err(at("what was done before"))?;
    let found = latest.and_then(|record| record.get_i32("_id").ok()).unwrap_or_default();
    let known = STEPS.iter().map(|(version, _)| *version).max().unwrap_or_default();
    if found > known {
        return Err(Failed::Newer { found, known });
    }
    for (version, name) in STEPS.into_iter().filter(|(version, _)| *version > found) {
        let record = vec![doc! { "$set": { "name": name, "applied_at": "$$NOW" } }];
        let recorded = store.put::<Document>(MIGRATIONS, version, record).await;
        recorded.map_err(|failure| Failed::Step { name, failure })?;
        tracing::info!(version, name, "database migrated");
    }
    Ok(())
}
