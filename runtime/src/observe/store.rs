//! The store as a node uses it, seen on the way: what is asked, how long that takes, and what it says.
//!
//! Owns nothing but the wall around another store; it changes neither questions nor answers.

use std::sync::Arc;
use std::time::Instant;

use anteroom_core::id::{LeaseToken, MediaId, PoolName};
use anteroom_core::job::Job;
use anteroom_core::store::{
    ArchiveAnswer, ArchiveItem, BotRecord, InsertAnswer, NewJob, StoreError, StoreReply,
    StoreRequest, StoreResult,
};
use anteroom_core::time::Timestamp;
use tokio::sync::mpsc;
use tracing::{Level, debug, enabled};

use super::labels::{self, OfOperation, OfPool};
use super::series::{self, Series};
use super::stalls::{Duty, Stalls};
use crate::clock::Clock;
use crate::store::{Backlog, BoxFuture, Hint, Store};

/// A store that is looked at.
pub(super) struct Observed {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub series: Option<Arc<Series>>,
    pub stalls: Arc<Stalls>,
}

impl Store for Observed {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        Box::pin(async move {
            let duty = Duty::of(&request).map(|duty| self.stalls.asks(duty));
            let result = match &self.series {
                Some(series) => self.measured(series, request).await,
                None => self.store.execute(request).await,
            };
            if let Some(duty) = duty {
                duty.ends(&result);
            }
            result
        })
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        self.store.list_bots()
    }

    fn hints(&self) -> Option<mpsc::Receiver<Hint>> {
        self.store.hints()
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Option<Backlog>, StoreError>> {
        self.store.backlog()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.store.shutdown()
    }
}

impl Observed {
    async fn measured(&self, series: &Series, request: StoreRequest) -> StoreResult {
        let operation = labels::operation(&request);
        let asked = Asked::of(&request);
        let begun = Instant::now();
        let result = self.store.execute(request).await;
        let of = OfOperation { operation, result: labels::answered(&result) };
        series::observe(&series.store.get_or_create(&of), begun.elapsed());
        if let Ok(reply) = &result {
            asked.answered(series, self.clock.now(), reply);
        }
        result
    }
}

/// What of a question matters to its answer.
enum Asked {
    /// For jobs, some of them leased at once.
    Jobs(Vec<Leased>),
    /// For messages to be archived.
    Messages(Vec<Archived>),
    /// For jobs to be restored, some of them under these leases.
    Places(Vec<LeaseToken>),
    Else,
}

/// A job that is to be inserted, leased or not.
struct Leased {
    pool: PoolName,
    media_id: MediaId,
    created_at: Timestamp,
}

/// A message that is to be archived.
struct Archived {
    accepted_at: Timestamp,
    is_media: bool,
    /// Kept only where they are shown.
    item: Option<Box<ArchiveItem>>,
}

impl Asked {
    fn of(request: &StoreRequest) -> Self {
        match request {
            StoreRequest::InsertJobs { jobs, .. } => {
                Self::Jobs(jobs.iter().map(|NewJob { job, .. }| Leased::of(job)).collect())
            }
            StoreRequest::Archive { items, .. } => {
                let are_shown = enabled!(Level::DEBUG);
                let archived = |item: &ArchiveItem| Archived {
                    accepted_at: item.message.accepted_time,
                    is_media: item.message.media.is_some(),
                    item: are_shown.then(|| Box::new(item.clone())),
                };
                Self::Messages(items.iter().map(archived).collect())
            }
            StoreRequest::RestoreBot { offers, .. } => {
                Self::Places(offers.iter().map(|offer| offer.lease.token).collect())
            }
            _ => Self::Else,
        }
    }

    fn answered(self, series: &Series, now: Timestamp, reply: &StoreReply) {
        match (self, reply) {
            (Self::Jobs(jobs), StoreReply::InsertJobs(answers)) => {
                for (job, answer) in jobs.iter().zip(answers) {
                    let leased = matches!(answer, InsertAnswer::Inserted { leased: true });
                    debug!(media_id = %job.media_id, pool = job.pool.as_str(), leased, "job made");
                    if leased {
                        claimed(series, &job.pool, now, job.created_at);
                    }
                }
            }
            (Self::Messages(messages), StoreReply::Archive(answers)) => {
                for (message, answer) in messages.iter().zip(answers) {
                    if matches!(answer, ArchiveAnswer::Stored { .. }) {
                        message.stored(series, now);
                    }
                }
            }
            (_, StoreReply::Claim(answer)) => {
                answer.jobs.iter().for_each(|job| job_claimed(series, now, job));
            }
            (Self::Places(tokens), StoreReply::RestoreBot(page)) => {
                let is_new = |job: &&Job| job.lease().is_some_and(|it| tokens.contains(&it.token));
                page.jobs.iter().filter(is_new).for_each(|job| job_claimed(series, now, job));
            }
            _ => {}
        }
    }
}

impl Leased {
    fn of(job: &Job) -> Self {
        let (pool, media_id) = (job.pool.clone(), job.media_id);
        Self { pool, media_id, created_at: job.created_at }
    }
}

impl Archived {
    fn stored(&self, series: &Series, now: Timestamp) {
        let took = now.since(self.accepted_at).into();
        series::observe(if self.is_media { &series.completion } else { &series.archiving }, took);
        if let Some(item) = &self.item {
            debug!(
                correspondent_id = item.correspondent_id.as_str(),
                message_id = item.message.id.get(),
                media_id = item.message.media_id().map(tracing::field::display),
                "message archived"
            );
        }
    }
}

fn job_claimed(series: &Series, now: Timestamp, job: &Job) {
    debug!(
        bot_id = job.bot_id.as_str(),
        media_id = %job.media_id,
        pool = job.pool.as_str(),
        "job claimed"
    );
    claimed(series, &job.pool, now, job.created_at);
}

fn claimed(series: &Series, pool: &PoolName, now: Timestamp, created_at: Timestamp) {
    let claim = series.claim.get_or_create(&OfPool::from(pool));
    series::observe(&claim, now.since(created_at).into());
}
