//! The same durable writes without Anteroom: what the store's own driver does with them.
//!
//! Taken from what a node asked its store for: the same records in the same batches, prepared
//! beforehand, so that what is left is writing them durably. A bot's batches follow one another, as
//! they do in a node. The tables, collections and indexes are those that the store itself has made.
//! [`sqlite`]: one transaction a batch. [`mongodb`]: one transaction a batch that also writes the bot's
//! fence, the bots side by side.

#[cfg(unix)]
mod mongodb;
mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::id::{CorrespondentId, MediaId, MessageId};
use anteroom_core::job::Job;
use anteroom_core::message::Message;
use anteroom_core::store::StoreRequest;
use anyhow::Result;

use super::bed::Bed;

/// The batches of one bot, in order.
type Batches = Vec<Batch>;

/// Records that are written together.
#[derive(Debug)]
enum Batch {
    /// New jobs.
    Insert(Vec<Job>),
    /// Archived messages, and the jobs that end with them.
    Archive(Vec<Archived>),
    /// Ends of callbacks.
    Mark(Vec<(CorrespondentId, MessageId)>),
}

#[derive(Debug)]
struct Archived {
    correspondent_id: CorrespondentId,
    message: Arc<Message>,
    job: Option<MediaId>,
}

/// Durable writes, ready to be made.
#[derive(Debug, Default)]
pub struct Writes {
    bots: BTreeMap<String, Batches>,
}

impl Writes {
    /// The durable writes among requests.
    pub fn of(requests: Vec<StoreRequest>) -> Self {
        let mut writes = Self::default();
        for request in requests {
            let (fence, batch) = match request {
                StoreRequest::InsertJobs { fence, jobs } => {
                    (fence, Batch::Insert(jobs.into_iter().map(|new| new.job).collect()))
                }
                StoreRequest::Archive { fence, items } => {
                    let archived = items.into_iter().map(|item| Archived {
                        correspondent_id: item.correspondent_id,
                        message: item.message,
                        job: item.job.map(|job| job.media_id),
                    });
                    (fence, Batch::Archive(archived.collect()))
                }
                StoreRequest::MarkCalledBack { fence, marks } => {
                    let keys = marks.into_iter().map(|mark| mark.key);
                    let keys = keys.map(|key| (key.correspondent_id, key.message_id));
                    (fence, Batch::Mark(keys.collect()))
                }
                // What is asked besides is not what a job's durability costs.
                _ => continue,
            };
            writes.bots.entry(fence.bot_id.as_str().to_owned()).or_default().push(batch);
        }
        writes
    }

    /// How many batches there are.
    pub fn batches(&self) -> usize {
        self.bots.values().map(Vec::len).sum()
    }

    /// Makes them in an empty bed, and says how long that took.
    ///
    /// # Errors
    /// When one cannot be made.
    pub async fn make(self, bed: &Bed) -> Result<Duration> {
        bed.open().await?.shutdown().await;
        match bed {
            Bed::Sqlite(directory) => {
                let file = directory.path().join("anteroom.sqlite3");
                tokio::task::spawn_blocking(move || sqlite::make(self, &file)).await?
            }
            #[cfg(unix)]
            Bed::Mongodb { uri, database } => mongodb::make(self, uri, database).await,
        }
    }
}
