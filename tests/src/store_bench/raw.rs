//! The same durable writes without Anteroom: what the store's own driver does with them.
//!
//! Taken from what a node's store did: the same records in the same batches, prepared beforehand, so
//! that what is left is writing them durably. A bot's batches follow one another, as they do in a node.
//! The tables, collections and indexes are those that the store itself has made. [`sqlite`]: one
//! transaction a batch. [`mongodb`]: one transaction a batch that also writes the bot's fence, the bots
//! side by side.

#[cfg(unix)]
mod mongodb;
mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::id::{CorrespondentId, LeaseToken, MediaId, MessageId};
use anteroom_core::job::Job;
use anteroom_core::message::Message;
use anteroom_core::store::{StoreReply, StoreRequest};
use anyhow::Result;

use super::bed::{Bed, Ground};
use super::watched::Done;

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

/// Jobs that were leased together.
#[derive(Debug)]
struct Claim {
    token: LeaseToken,
    jobs: Vec<Job>,
}

/// Durable writes, ready to be made: first the held jobs become active, bot by bot in pages, then
/// everything else.
#[derive(Debug, Default)]
pub struct Writes {
    restored: BTreeMap<String, Vec<Vec<Job>>>,
    claimed: Vec<Claim>,
    bots: BTreeMap<String, Batches>,
}

/// What the writes took.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// Of time.
    pub took: Duration,
    /// Of processor time of this process and the server's.
    pub used: Duration,
}

impl Writes {
    /// The durable writes among what a store did.
    pub fn of(done: Vec<Done>) -> Self {
        let mut writes = Self::default();
        for (request, reply) in done {
            writes.add(request, reply);
        }
        writes
    }

    fn add(&mut self, request: StoreRequest, reply: StoreReply) {
        let (fence, batch) = match (request, reply) {
            (StoreRequest::InsertJobs { fence, jobs }, _) => {
                (fence, Batch::Insert(jobs.into_iter().map(|new| new.job).collect()))
            }
            (StoreRequest::Archive { fence, items }, _) => {
                let archived = items.into_iter().map(|item| Archived {
                    correspondent_id: item.correspondent_id,
                    message: item.message,
                    job: item.job.map(|job| job.media_id),
                });
                (fence, Batch::Archive(archived.collect()))
            }
            (StoreRequest::MarkCalledBack { fence, marks }, _) => {
                let keys = marks.into_iter().map(|mark| mark.key);
                let keys = keys.map(|key| (key.correspondent_id, key.message_id));
                (fence, Batch::Mark(keys.collect()))
            }
            (StoreRequest::RestoreBot { fence, .. }, StoreReply::RestoreBot(page)) => {
                if !page.jobs.is_empty() {
                    let bot_id = fence.bot_id.as_str().to_owned();
                    self.restored.entry(bot_id).or_default().push(page.jobs);
                }
                return;
            }
            (StoreRequest::Claim { lease, .. }, StoreReply::Claim(claimed)) => {
                if !claimed.jobs.is_empty() {
                    self.claimed.push(Claim { token: lease.token, jobs: claimed.jobs });
                }
                return;
            }
            // What is asked besides is not what a job's durability costs.
            _ => return,
        };
        self.bots.entry(fence.bot_id.as_str().to_owned()).or_default().push(batch);
    }

    /// How many batches there are of new jobs, archived messages and ended callbacks.
    pub fn batches(&self) -> usize {
        self.bots.values().map(Vec::len).sum()
    }

    /// Makes them in an empty bed, and says what that took.
    ///
    /// # Errors
    /// When one cannot be made.
    pub async fn make(self, ground: &Ground, bed: &Bed) -> Result<Made> {
        bed.open().await?.shutdown().await;
        match bed {
            Bed::Sqlite(directory) => {
                let file = directory.path().join("anteroom.sqlite3");
                let meter = ground.meter().await?;
                let took =
                    tokio::task::spawn_blocking(move || sqlite::make(&self, &file)).await??;
                Ok(Made { took, used: ground.used_since(meter).await?.total() })
            }
            #[cfg(unix)]
            Bed::Mongodb { uri, database } => {
                let ready = mongodb::Ready::new(self, uri, database).await?;
                bed.settle().await?;
                let meter = ground.meter().await?;
                let took = ready.make().await?;
                Ok(Made { took, used: ground.used_since(meter).await?.total() })
            }
        }
    }
}
