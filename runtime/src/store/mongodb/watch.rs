//! What other nodes do, as it happens: jobs that may be claimed, results that wait.
//!
//! Owns a change stream on the active jobs. Changes that say the same within a moment are told once.
//! While the stream is down, the same is found out by looking, twice a second; looking also covers the
//! gap before a stream is there.
//!
//! A hint is no promise. The node's own changes come back as hints as well; whoever looks finds
//! nothing, and an idle system has no changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::id::{BotId, PoolName};
use futures_util::StreamExt;
use mongodb::bson::{Document, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::options::FullDocumentType;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::claims::claim_order;
use super::collections::ACTIVE;
use super::connection::Connection;
use super::failure::{Answer, explain};
use crate::store::Hint;

/// Hints that may wait to be taken.
const HINTS_MAX: usize = 64;

/// How long changes are gathered before they are told.
const GATHER: Duration = Duration::from_millis(1);

/// How long the server holds a question for changes before it answers that there are none.
const AWAIT_MAX: Duration = Duration::from_secs(10);

/// How long between two looks while the stream is down: half of it, and a random part of the rest.
const LOOK_EVERY_MS: u64 = 500;

/// What is read of a change.
#[derive(Deserialize)]
struct Change {
    #[serde(rename = "fullDocument")]
    job: Option<ChangedJob>,
}

#[derive(Deserialize)]
struct ChangedJob {
    bot_id: BotId,
    pool: String,
    status: String,
}

/// Tells hints until the store is closed or nobody takes them.
pub(super) fn start(
    connection: &Arc<Connection>,
    closing: &CancellationToken,
) -> mpsc::Receiver<Hint> {
    let (sender, receiver) = mpsc::channel(HINTS_MAX);
    let watcher = Watcher { connection: Arc::clone(connection), sender };
    let closing = closing.clone();
    tokio::spawn(async move { closing.run_until_cancelled(watcher.watch()).await });
    receiver
}

struct Watcher {
    connection: Arc<Connection>,
    sender: mpsc::Sender<Hint>,
}

impl Watcher {
    async fn watch(self) {
        let mut is_down = false;
        while !self.sender.is_closed() {
            match self.stream().await {
                Ok(changes) => {
                    if std::mem::take(&mut is_down) {
                        tracing::info!("changes of other nodes are told again");
                    }
                    self.look().await;
                    self.follow(changes).await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_down, true) {
                        let reason = explain(&error);
                        tracing::warn!(reason, "changes are not told: looking for them instead");
                    }
                    self.look().await;
                }
            }
            let random = uuid::Uuid::new_v4().as_u64_pair().1;
            sleep(Duration::from_millis(LOOK_EVERY_MS / 2 + random % (LOOK_EVERY_MS / 2))).await;
        }
    }

    async fn stream(&self) -> mongodb::error::Result<ChangeStream<mongodb::bson::RawDocumentBuf>> {
        let jobs = self.connection.database.collection::<Document>(ACTIVE);
        let watching =
            jobs.watch().pipeline(stages()).full_document(FullDocumentType::UpdateLookup);
        let changes = watching.max_await_time(AWAIT_MAX).await?;
        Ok(changes.with_type())
    }

    /// Tells of changes until the stream breaks or nobody listens.
    async fn follow(&self, mut changes: ChangeStream<mongodb::bson::RawDocumentBuf>) {
        let mut gathered = BTreeSet::new();
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(change)) => {
                        let read = mongodb::bson::deserialize_from_slice(change.as_bytes());
                        gathered.extend(read.ok().and_then(|change| self.hint(change)));
                    }
                    Some(Err(error)) => {
                        tracing::debug!(reason = explain(&error), "the change stream broke");
                        return;
                    }
                    None => return,
                },
                () = sleep(GATHER), if !gathered.is_empty() => {
                    for hint in std::mem::take(&mut gathered) {
                        if self.sender.send(hint).await.is_err() {
                            return;
                        }
                    }
                }
                () = self.sender.closed() => return,
            }
        }
    }

    fn hint(&self, change: Change) -> Option<Hint> {
        let job = change.job?;
        match job.status.as_str() {
            "pending" => Some(Hint::WorkWaiting { pool: job.pool.into() }),
            // Nobody here waits for the results of other bots.
            "completed" if self.connection.known_bots.contains(&job.bot_id) => {
                Some(Hint::ResultsWaiting { bot_id: job.bot_id })
            }
            _ => None,
        }
    }

    /// Finds out without the stream.
    async fn look(&self) {
        match self.try_look().await {
            Ok(hints) => {
                for hint in hints {
                    if self.sender.send(hint).await.is_err() {
                        return;
                    }
                }
            }
            Err(failure) => tracing::debug!(reason = %failure, "nothing could be looked for"),
        }
    }

    /// The first pool behind one that has claimable jobs.
    async fn pool_with_work(&self, behind: Option<&PoolName>) -> Answer<Option<PoolName>> {
        let found = self.connection.aggregate(ACTIVE, next_pool(behind)).await?;
        Ok(found.first().and_then(|job| job.get_str("pool").ok()).map(PoolName::from))
    }

    async fn try_look(&self) -> Answer<Vec<Hint>> {
        let mut hints = Vec::new();
        let mut behind = None;
        while let Some(pool) = self.pool_with_work(behind.as_ref()).await? {
            hints.push(Hint::WorkWaiting { pool: pool.clone() });
            behind = Some(pool);
        }
        let known = self.connection.known_bots.all();
        for found in self.connection.aggregate(ACTIVE, bots_with_results(&known)).await? {
            let Ok(bot_id) = found.get_str("_id").map(BotId::from) else { continue };
            hints.push(Hint::ResultsWaiting { bot_id });
        }
        Ok(hints)
    }
}

/// Which changes are told, and what of them.
fn stages() -> Vec<Document> {
    let statuses = || doc! { "$in": ["pending", "completed"] };
    vec![
        // Judged before the server looks the changed job up: leases are renewed all the time.
        doc! { "$match": { "$or": [
            { "operationType": { "$in": ["insert", "replace"] } },
            { "operationType": "update", "updateDescription.updatedFields.status": statuses() },
        ] } },
        doc! { "$match": { "fullDocument.status": statuses() } },
        doc! { "$project": {
            "fullDocument.bot_id": 1,
            "fullDocument.pool": 1,
            "fullDocument.status": 1,
        } },
    ]
}

/// The stages that find the oldest claimable job of the first pool behind one: one entry of the index.
fn next_pool(behind: Option<&PoolName>) -> Vec<Document> {
    let pools = match behind {
        Some(pool) => doc! { "$gt": pool.as_str() },
        None => doc! { "$gte": "" },
    };
    vec![
        doc! { "$match": { "pool": pools, "status": "pending" } },
        doc! { "$sort": claim_order() },
        doc! { "$limit": 1 },
        doc! { "$project": { "_id": 0, "pool": 1 } },
    ]
}

/// The stages that find which bots have results: an entry of the index each.
fn bots_with_results(bots: &[BotId]) -> Vec<Document> {
    let bots: Vec<&str> = bots.iter().map(BotId::as_str).collect();
    vec![
        doc! { "$match": { "bot_id": { "$in": bots }, "status": "completed" } },
        doc! { "$sort": { "bot_id": 1, "status": 1, "created_at": 1, "_id": 1 } },
        doc! { "$group": { "_id": "$bot_id" } },
    ]
}
