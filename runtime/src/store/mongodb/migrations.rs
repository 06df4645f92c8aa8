//! The steps that led to the present shape of the documents.
//!
//! Each step is safe to run twice, and by two nodes at once: it looks for what has the old shape, changes
//! it in small transactions, and is recorded in `schema_migrations` once it has found nothing left. A
//! database with a step unknown here is refused and left as it is.
//!
//! Steps 2 to 4 take over what the earlier backend wrote; its shape is read in [`earlier`].

mod changed_indexes;
mod earlier;
mod earlier_jobs;
mod earlier_messages;

use mongodb::bson::{Document, doc};

use super::collections::MIGRATIONS;
use super::connection::Connection;
use super::failure::{Answer, Failure};

/// Why the database was not brought to the present shape.
#[derive(Debug)]
pub(super) enum Failed {
    /// A newer version was here.
    Newer { found: i32, known: i32 },
    /// A step did not end.
    Step { name: &'static str, failure: Failure },
}

/// A step.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Nothing but the record that the database is ours.
    Begin,
    /// Jobs get their media id as `_id`, dates, a pool and the present statuses.
    EarlierJobs,
    /// Archived messages get a callback that has ended and a place in the archive.
    EarlierMessages,
    /// Where the earlier backend has a message twice, the first one stands.
    EarlierDuplicates,
    /// Indexes that have another shape now are dropped; start-up makes them anew.
    ChangedIndexes,
}

/// All steps, in their order.
const STEPS: [(i32, &str, Step); 8] = [
    (1, "first shape", Step::Begin),
    (2, "jobs of the earlier backend", Step::EarlierJobs),
    (3, "messages of the earlier backend", Step::EarlierMessages),
    (4, "what the earlier backend has twice", Step::EarlierDuplicates),
    (5, "indexes without leased jobs", Step::ChangedIndexes),
    (6, "indexes of leases that tell whose they are", Step::ChangedIndexes),
    (7, "pages of a bot by the age of its jobs", Step::ChangedIndexes),
    (8, "pages of held jobs in one range", Step::ChangedIndexes),
];

/// Brings the database to the newest shape.
pub(super) async fn migrate(store: &Connection) -> Result<(), Failed> {
    let failed = |name| move |failure: Failure| Failed::Step { name, failure };
    let found = latest(store).await.map_err(failed("what was done before"))?;
    let known = STEPS.iter().map(|(version, ..)| *version).max().unwrap_or_default();
    if found > known {
        return Err(Failed::Newer { found, known });
    }
    for (version, name, step) in STEPS.into_iter().filter(|(version, ..)| *version > found) {
        let changed = run_among_others(store, name, step).await.map_err(failed(name))?;
        record(store, version, name).await.map_err(failed(name))?;
        tracing::info!(version, name, changed, "database migrated");
    }
    Ok(())
}

async fn latest(store: &Connection) -> Answer<i32> {
    let records = store.database.collection::<Document>(MIGRATIONS);
    let latest = records.find_one(doc! {}).sort(doc! { "_id": -1 }).await?;
    Ok(latest.and_then(|record| record.get_i32("_id").ok()).unwrap_or_default())
}

/// Runs a step. Where another node is at it already, goes on when that one lets it: whatever is done then is
/// not done again.
async fn run_among_others(store: &Connection, name: &str, step: Step) -> Answer<u64> {
    loop {
        match run(store, step).await {
            Err(Failure::Contended { last, .. }) => {
                tracing::warn!(
                    name,
                    %last,
                    "this migration is held up, by another node that is at it or by what the reason says: trying again"
                );
            }
            ended => return ended,
        }
    }
}

/// Runs a step, and tells how many documents or indexes it changed.
async fn run(store: &Connection, step: Step) -> Answer<u64> {
    match step {
        Step::Begin => Ok(0),
        Step::EarlierJobs => earlier_jobs::migrate(store).await,
        Step::EarlierMessages => earlier_messages::migrate(store).await,
        Step::EarlierDuplicates => {
            let messages = earlier_messages::set_duplicates_aside(store).await?;
            Ok(messages + earlier_jobs::set_duplicates_aside(store).await?)
        }
        Step::ChangedIndexes => changed_indexes::drop_former(store).await,
    }
}

async fn record(store: &Connection, version: i32, name: &str) -> Answer<()> {
    let record = || {
        vec![doc! { "$set": {
            "name": name,
            "applied_at": { "$ifNull": ["$applied_at", "$$NOW"] },
        } }]
    };
    let mut recorded = store.put::<Document>(MIGRATIONS, version, record()).await;
    if recorded.as_ref().is_err_and(Failure::is_out_of_date) {
        // Another node recorded it at this moment.
        recorded = store.put(MIGRATIONS, version, record()).await;
    }
    recorded.map(|_| ())
}
