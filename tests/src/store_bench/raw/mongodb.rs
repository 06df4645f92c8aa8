//! The writes by the official MongoDB driver.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anteroom_core::id::MediaId;
use anteroom_core::job::Job;
use anyhow::Result;
use mongodb::bson::{Bson, Document, Uuid, doc, serialize_to_document};
use mongodb::options::{Acknowledgment, WriteConcern};
use mongodb::{Client, ClientSession, Collection, Database};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Archived, Batch, Claim, Writes};
use crate::frames;

/// Prepared writes, and the held jobs they begin with stored.
pub(super) struct Ready {
    restores: Vec<Bot>,
    bots: Vec<Bot>,
    claims: Claims,
}

/// The claims of the one claimer there is.
struct Claims {
    database: Database,
    updates: Vec<(Vec<Uuid>, Document)>,
    /// How many have been made.
    made: watch::Sender<usize>,
}

impl Ready {
    /// Prepares the writes in an empty database.
    ///
    /// # Errors
    /// When the server does not take the held jobs.
    pub(super) async fn new(writes: Writes, uri: &str, database: &str) -> Result<Self> {
        let client = Client::with_uri_str(uri).await?;
        let database = client.database(database);
        let bots = writes.bots.keys().chain(writes.restored.keys());
        for bot_id in bots.collect::<BTreeSet<_>>() {
            let fence = doc! { "_id": bot_id, "epoch": 1_i64, "n": 0_i64 };
            database.collection::<Document>("fences").insert_one(fence).await?;
        }
        let (made, claimed) = watch::channel(0);
        let mut restores = Vec::new();
        for (bot_id, pages) in writes.restored {
            let mut batches = Vec::new();
            for page in pages {
                let held = |job| job_document(&bot_id, job, "pending");
                let held = page.iter().map(held).collect::<Result<Vec<_>>>()?;
                let holding = database.collection::<Document>("media_processing_jobs_holding");
                holding.insert_many(held).await?;
                let status =
                    |job: &Job| if job.lease().is_some() { "processing" } else { "pending" };
                let job = |job| job_document(&bot_id, job, status(job));
                let jobs = page.iter().map(job).collect::<Result<Vec<_>>>()?;
                batches.push(Prepared::Restore(jobs, ids(page.iter().map(|job| job.media_id))));
            }
            restores.push(Bot::new(&client, &database, bot_id, batches, claimed.clone()).await?);
        }
        let claims = writes
            .claimed
            .iter()
            .zip(1..)
            .flat_map(|(claim, nth)| claim.jobs.iter().map(move |job| (job.media_id, nth)));
        let claims: BTreeMap<MediaId, usize> = claims.collect();
        let mut bots = Vec::new();
        for (bot_id, batches) in writes.bots {
            let mut seq = 0;
            let batches: Result<Vec<_>> = batches
                .iter()
                .map(|batch| Prepared::of(&bot_id, &mut seq, batch, &claims))
                .collect();
            bots.push(Bot::new(&client, &database, bot_id, batches?, claimed.clone()).await?);
        }
        let updates = writes.claimed.iter().map(claim_update).collect();
        Ok(Self { restores, bots, claims: Claims { database, updates, made } })
    }

    /// Makes the writes, the bots side by side.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(super) async fn make(self) -> Result<Duration> {
        let begun = Instant::now();
        all(self.restores.into_iter().map(Bot::write).collect()).await?;
        let mut writing: JoinSet<Result<()>> = self.bots.into_iter().map(Bot::write).collect();
        writing.spawn(self.claims.write());
        all(writing).await?;
        Ok(begun.elapsed())
    }
}

async fn all(mut set: JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = set.join_next().await {
        ended??;
    }
    Ok(())
}

impl Claims {
    async fn write(self) -> Result<()> {
        let jobs = self.database.collection::<Document>("media_processing_jobs");
        for (ids, change) in self.updates {
            let these = doc! { "_id": { "$in": ids } };
            jobs.update_many(these, change).write_concern(durable()).await?;
            self.made.send_modify(|made| *made += 1);
        }
        Ok(())
    }
}

fn claim_update(claim: &Claim) -> (Vec<Uuid>, Document) {
    let token = Uuid::from_bytes(claim.token.as_uuid().into_bytes());
    let change = doc! {
        "$set": { "status": "processing", "lease": lease(token) },
        "$inc": { "claims": 1_i64 },
    };
    (ids(claim.jobs.iter().map(|job| job.media_id)), change)
}

fn lease(token: Uuid) -> Document {
    let now = mongodb::bson::DateTime::now();
    doc! { "worker_id": token, "token": token, "claimed_at": now, "expires_at": now }
}

fn ids(media_ids: impl Iterator<Item = MediaId>) -> Vec<Uuid> {
    media_ids.map(id).collect()
}

fn id(media_id: MediaId) -> Uuid {
    Uuid::from_bytes(media_id.as_uuid().into_bytes())
}

fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

struct Bot {
    bot_id: String,
    database: Database,
    session: ClientSession,
    batches: Vec<Prepared>,
    claimed: watch::Receiver<usize>,
}

/// A batch as the driver takes it.
enum Prepared {
    Restore(Vec<Document>, Vec<Uuid>),
    Insert(Vec<Document>),
    /// Messages, the jobs that end with them, and how many claims it took until all of these were leased.
    Archive(Vec<Document>, Vec<Uuid>, usize),
    Mark(Vec<Bson>),
}

impl Bot {
    async fn new(
        client: &Client,
        database: &Database,
        bot_id: String,
        batches: Vec<Prepared>,
        claimed: watch::Receiver<usize>,
    ) -> Result<Self> {
        let session = client.start_session().await?;
        Ok(Self { bot_id, database: database.clone(), session, batches, claimed })
    }

    async fn write(mut self) -> Result<()> {
        for batch in std::mem::take(&mut self.batches) {
            if let Prepared::Archive(_, _, claims) = &batch {
                self.claimed.wait_for(|made| made >= claims).await?;
            }
            // Bots side by side may touch the same page of an index; the driver asks for a repetition then.
            while let Err(error) = self.write_batch(&batch).await {
                if !error.contains_label(mongodb::error::TRANSIENT_TRANSACTION_ERROR) {
                    return Err(error.into());
                }
                let _ = self.session.abort_transaction().await;
            }
        }
        Ok(())
    }

    async fn write_batch(&mut self, batch: &Prepared) -> mongodb::error::Result<()> {
        match batch {
            Prepared::Restore(jobs, restored) => {
                self.begin().await?;
                let these = doc! { "_id": { "$in": restored } };
                let holding = self.collection("media_processing_jobs_holding");
                holding.delete_many(these).session(&mut self.session).await?;
                let active = self.collection("media_processing_jobs");
                active.insert_many(jobs).session(&mut self.session).await?;
            }
            Prepared::Insert(jobs) => {
                self.begin().await?;
                let collection = self.collection("media_processing_jobs");
                collection.insert_many(jobs).session(&mut self.session).await?;
            }
            Prepared::Archive(messages, ended, _) => {
                self.begin().await?;
                let collection = self.collection("queues");
                collection.insert_many(messages).session(&mut self.session).await?;
                let ended = doc! { "_id": { "$in": ended } };
                let collection = self.collection("media_processing_jobs");
                collection.delete_many(ended).session(&mut self.session).await?;
            }
            // Rows say under which epoch they may be marked, so there is no fence to pass.
            Prepared::Mark(positions) => {
                let which = doc! { "_id": { "$in": positions }, "callback.epoch": 1_i64 };
                let ended = doc! { "$set": {
                    "callback.state": "acknowledged", "ended_at": mongodb::bson::DateTime::now(),
                } };
                let rows = self.collection("queues");
                let marked = rows.update_many(which, ended).write_concern(durable()).await;
                return marked.map(|_| ());
            }
        }
        self.session.commit_transaction().await
    }

    /// Begins a transaction that passes the bot's fence.
    async fn begin(&mut self) -> mongodb::error::Result<()> {
        self.session.start_transaction().write_concern(durable()).await?;
        let fence = doc! { "_id": &self.bot_id, "epoch": 1_i64 };
        let step = doc! { "$inc": { "n": 1_i64 } };
        self.collection("fences").update_one(fence, step).session(&mut self.session).await?;
        Ok(())
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }
}

impl Prepared {
    fn of(
        bot_id: &str,
        seq: &mut i64,
        batch: &Batch,
        claims: &BTreeMap<MediaId, usize>,
    ) -> Result<Self> {
        Ok(match batch {
            Batch::Insert(jobs) => {
                let job = |job| job_document(bot_id, job, "processing");
                Self::Insert(jobs.iter().map(job).collect::<Result<_>>()?)
            }
            Batch::Archive(items) => {
                let claim = |item: &Archived| claims.get(&item.job?).copied();
                let claims = items.iter().filter_map(claim).max().unwrap_or_default();
                let ended = ids(items.iter().filter_map(|item| item.job));
                let mut message = |item| {
                    *seq += 1;
                    message_document(bot_id, *seq, item)
                };
                let messages = items.iter().map(&mut message).collect::<Result<_>>()?;
                Self::Archive(messages, ended, claims)
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

fn job_document(bot_id: &str, job: &Job, status: &str) -> Result<Document> {
    let message = &job.placeholder_message;
    let now = mongodb::bson::DateTime::now();
    let media_id = id(job.media_id);
    let mut document = doc! {
        "_id": media_id,
        "bot_id": bot_id,
        "correspondent_id": job.correspondent_id.as_str(),
        "provider_name": job.provider_name.as_str(),
        "message_id": message.id.get().cast_signed(),
        "provider_message_id": message.provider_message_id.as_str(),
        "mime_type": &job.mime_type,
        "pool": job.pool.as_str(),
        "status": status,
        "created_at": now,
        "active_since": now,
        "revision": 0,
        "placeholder_message": serialize_to_document(message)?,
    };
    if status == "processing" {
        document.insert("lease", lease(media_id));
    }
    Ok(document)
}

fn message_document(bot_id: &str, seq: i64, item: &Archived) -> Result<Document> {
    let message = &*item.message;
    let correspondent_id = item.correspondent_id.as_str();
    let now = mongodb::bson::DateTime::now();
    let worker_id = item.job.map(id);
    Ok(doc! {
        "_id": position(bot_id, correspondent_id, message.id.get()),
        "bot_id": bot_id,
        "provider_name": frames::PROVIDER_NAME,
        "correspondent_id": correspondent_id,
        "id": message.id.get().cast_signed(),
        "provider_message_id": message.provider_message_id.as_str(),
        "archive_seq": seq,
        "callback": {
            "state": "owed", "attempts": 1, "failures": 0, "revision": 0, "epoch": 1_i64,
        },
        "archived_at": now,
        "retention": "due",
        "worked": { "worker_id": worker_id, "claimed_at": now, "ended_at": now },
        "message": serialize_to_document(message)?,
    })
}
