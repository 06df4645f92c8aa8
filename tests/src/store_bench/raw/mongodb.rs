//! The writes by the official MongoDB driver.

use std::time::{Duration, Instant};

use anyhow::Result;
use mongodb::bson::{Bson, Document, Uuid, doc, serialize_to_document};
use mongodb::options::{Acknowledgment, WriteConcern};
use mongodb::{Client, ClientSession, Collection, Database};
use tokio::task::JoinSet;

use super::{Archived, Batch, Writes};
use crate::frames;

/// Makes the writes in an empty database, the bots side by side.
///
/// # Errors
/// When one cannot be made.
pub(super) async fn make(writes: Writes, uri: &str, database: &str) -> Result<Duration> {
    let client = Client::with_uri_str(uri).await?;
    let mut ready = Vec::new();
    for (bot_id, batches) in writes.bots {
        let database = client.database(database);
        let fence = doc! { "_id": &bot_id, "epoch": 1_i64, "n": 0_i64 };
        database.collection::<Document>("fences").insert_one(fence).await?;
        let mut seq = 0;
        let batches: Result<Vec<_>> =
            batches.iter().map(|batch| Prepared::of(&bot_id, &mut seq, batch)).collect();
        let session = client.start_session().await?;
        ready.push(Bot { bot_id, database, session, batches: batches? });
    }
    let begun = Instant::now();
    let mut bots: JoinSet<Result<()>> = ready.into_iter().map(Bot::write).collect();
    while let Some(ended) = bots.join_next().await {
        ended??;
    }
    Ok(begun.elapsed())
}

struct Bot {
    bot_id: String,
    database: Database,
    session: ClientSession,
    batches: Vec<Prepared>,
}

/// A batch as the driver takes it.
enum Prepared {
    Insert(Vec<Document>),
    Archive(Vec<Document>, Vec<Uuid>),
    Mark(Vec<Bson>),
}

impl Bot {
    async fn write(mut self) -> Result<()> {
        let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        for batch in std::mem::take(&mut self.batches) {
            self.session.start_transaction().write_concern(durable.clone()).await?;
            let fence = doc! { "_id": &self.bot_id, "epoch": 1_i64 };
            let step = doc! { "$inc": { "n": 1_i64 } };
            self.collection("fences").update_one(fence, step).session(&mut self.session).await?;
            self.write_batch(batch).await?;
            self.session.commit_transaction().await?;
        }
        Ok(())
    }

    async fn write_batch(&mut self, batch: Prepared) -> Result<()> {
        match batch {
            Prepared::Insert(jobs) => {
                let collection = self.collection("media_processing_jobs");
                collection.insert_many(jobs).session(&mut self.session).await?;
            }
            Prepared::Archive(messages, ended) => {
                let collection = self.collection("queues");
                collection.insert_many(messages).session(&mut self.session).await?;
                let ended = doc! { "_id": { "$in": ended } };
                let collection = self.collection("media_processing_jobs");
                collection.delete_many(ended).session(&mut self.session).await?;
            }
            Prepared::Mark(positions) => {
                let which = doc! { "_id": { "$in": positions } };
                let ended = doc! { "$set": {
                    "callback.state": "acknowledged", "ended_at": mongodb::bson::DateTime::now(),
                } };
                let collection = self.collection("queues");
                collection.update_many(which, ended).session(&mut self.session).await?;
            }
        }
        Ok(())
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }
}

impl Prepared {
    fn of(bot_id: &str, seq: &mut i64, batch: &Batch) -> Result<Self> {
        Ok(match batch {
            Batch::Insert(jobs) => {
                let job = |job| job_document(bot_id, job);
                Self::Insert(jobs.iter().map(job).collect::<Result<_>>()?)
            }
            Batch::Archive(items) => {
                let ended = items.iter().filter_map(|item| item.job);
                let ended = ended.map(|id| Uuid::from_bytes(id.as_uuid().into_bytes())).collect();
                let mut message = |item| {
                    *seq += 1;
                    message_document(bot_id, *seq, item)
                };
                Self::Archive(items.iter().map(&mut message).collect::<Result<_>>()?, ended)
            }
            Batch::Mark(keys) => Self::Mark(
                keys.iter()
                    .map(|(correspondent_id, id)| {
                        position(bot_id, correspondent_id.as_str(), id.get())
                    })
                    .collect(),
            ),
        })
    }
}

/// Where an archived message is.
fn position(bot_id: &str, correspondent_id: &str, id: u64) -> Bson {
    Bson::String(format!("{bot_id}/{correspondent_id}/{id}"))
}

fn job_document(bot_id: &str, job: &anteroom_core::job::Job) -> Result<Document> {
    let message = &job.placeholder_message;
    let now = mongodb::bson::DateTime::now();
    let media_id = Uuid::from_bytes(job.media_id.as_uuid().into_bytes());
    Ok(doc! {
        "_id": media_id,
        "bot_id": bot_id,
        "correspondent_id": job.correspondent_id.as_str(),
        "provider_name": job.provider_name.as_str(),
        "message_id": message.id.get().cast_signed(),
        "provider_message_id": message.provider_message_id.as_str(),
        "mime_type": &job.mime_type,
        "pool": job.pool.as_str(),
        "status": "processing",
        "created_at": now,
        "active_since": now,
        "lease": { "worker_id": media_id, "token": media_id, "claimed_at": now, "expires_at": now },
        "revision": 0,
        "placeholder_message": serialize_to_document(message)?,
    })
}

fn message_document(bot_id: &str, seq: i64, item: &Archived) -> Result<Document> {
    let message = &*item.message;
    let correspondent_id = item.correspondent_id.as_str();
    Ok(doc! {
        "_id": position(bot_id, correspondent_id, message.id.get()),
        "bot_id": bot_id,
        "provider_name": frames::PROVIDER_NAME,
        "correspondent_id": correspondent_id,
        "id": message.id.get().cast_signed(),
        "provider_message_id": message.provider_message_id.as_str(),
        "archive_seq": seq,
        "callback": { "state": "owed", "attempts": 1, "failures": 0, "revision": 0 },
        "archived_at": mongodb::bson::DateTime::now(),
        "message": serialize_to_document(message)?,
    })
}
