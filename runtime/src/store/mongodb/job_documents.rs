//! Media jobs as documents.
//!
//! Owns the shape of the documents in `media_processing_jobs` and `media_processing_jobs_holding`;
//! which of the two a document is in is the job's place. A pending job that is in back-off has a
//! status of its own, so that claims do not meet it.

use std::borrow::Cow;

use anteroom_core::id::{
    BotId, CorrespondentId, MediaId, PoolName, ProviderMessageId, ProviderName,
};
use anteroom_core::job::{Job, Lease, Place, Status, Worked};
use anteroom_core::message::{MediaKind, Message, Outcome};
use mongodb::bson::{
    Bson, DateTime, Document, RawDocument, RawDocumentBuf, Uuid, deserialize_from_slice, doc,
    serialize_to_raw_document_buf,
};
use serde::{Deserialize, Serialize};

use super::collections;
use super::failure::Answer;
use super::values::{AsUuid, date, id_of, message_number, timestamp};

/// Which collection a job is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shelf {
    /// Its bot is running.
    Active,
    /// Its bot is stopped.
    Holding,
}

impl Shelf {
    /// The place of a job.
    pub(super) fn of(job: &Job) -> Self {
        match job.place {
            Place::Active => Self::Active,
            Place::Holding { .. } => Self::Holding,
        }
    }

    /// The collection's name.
    pub(super) fn collection(self) -> &'static str {
        match self {
            Self::Active => collections::ACTIVE,
            Self::Holding => collections::HOLDING,
        }
    }
}

/// How far a job is, as it is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StatusName {
    Pending,
    BackingOff,
    Processing,
    Completed,
}

/// The statuses of jobs that wait for a worker.
pub(super) const WAITING: [&str; 2] = ["pending", "backing_off"];

/// The filter for jobs that nobody works on: the condition of their indexes, so whoever goes by one of those
/// asks by it.
pub(super) fn unleased() -> Document {
    doc! { "status": { "$in": ["pending", "backing_off", "completed"] } }
}

/// The filter for jobs that are worked on. There are as many as workers' slots (and results that wait under
/// their leases while a bot is restored), so all are looked through. The end of a lease is in it to name
/// their index to the server, and excludes nothing: a document that has none is found, and set aside.
pub(super) fn leased() -> Document {
    doc! { "status": "processing", "lease.expires_at": { "$gte": Bson::MinKey } }
}

#[derive(Debug, Serialize, Deserialize)]
struct LeaseDocument {
    worker_id: Uuid,
    token: Uuid,
    claimed_at: DateTime,
    expires_at: DateTime,
}

/// Who worked on a job, and when.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct WorkedDocument {
    worker_id: Uuid,
    claimed_at: DateTime,
    ended_at: DateTime,
}

#[derive(Debug, Serialize, Deserialize)]
struct JobDocument<'j> {
    #[serde(rename = "_id")]
    media_id: Uuid,
    bot_id: BotId,
    correspondent_id: CorrespondentId,
    provider_name: ProviderName,
    /// The placeholder's, beside it to be searched.
    message_id: i64,
    /// The placeholder's, beside it to be searched.
    provider_message_id: ProviderMessageId,
    mime_type: Cow<'j, str>,
    kind: MediaKind,
    pool: PoolName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_filename: Option<Cow<'j, str>>,
    #[serde(default)]
    quota_exceeded: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'j, str>>,
    status: StatusName,
    created_at: DateTime,
    active_since: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_at: Option<DateTime>,
    #[serde(default)]
    claims: u32,
    #[serde(default)]
    lost: u32,
    #[serde(default)]
    transient: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<DateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<LeaseDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Cow<'j, Outcome>>,
    /// The lease that the result was stored under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed_token: Option<Uuid>,
    /// Whose work the result is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worked: Option<WorkedDocument>,
    #[serde(default)]
    revision: u32,
    placeholder_message: Cow<'j, Message>,
}

/// A job as a document.
pub(super) fn write(job: &Job) -> Answer<RawDocumentBuf> {
    Ok(serialize_to_raw_document_buf(&document(job)?)?)
}

fn document(job: &Job) -> Answer<JobDocument<'_>> {
    let status = match &job.status {
        Status::Pending if job.not_before.is_some() => StatusName::BackingOff,
        Status::Pending => StatusName::Pending,
        Status::Processing { .. } => StatusName::Processing,
        Status::Completed { .. } => StatusName::Completed,
    };
    let completed_token = match &job.status {
        Status::Completed { token, .. } => token.map(|token| token.stored()),
        Status::Pending | Status::Processing { .. } => None,
    };
    let held_at = match job.place {
        Place::Active => None,
        Place::Holding { held_at } => Some(date(held_at)),
    };
    Ok(JobDocument {
        media_id: job.media_id.stored(),
        bot_id: job.bot_id.clone(),
        correspondent_id: job.correspondent_id.clone(),
        provider_name: job.provider_name.clone(),
        message_id: message_number(job.placeholder_message.id)?,
        provider_message_id: job.placeholder_message.provider_message_id.clone(),
        mime_type: Cow::Borrowed(&job.mime_type),
        kind: job.kind,
        pool: job.pool.clone(),
        original_filename: job.original_filename.as_deref().map(Cow::Borrowed),
        quota_exceeded: job.quota_exceeded,
        detail: job.detail.as_deref().map(Cow::Borrowed),
        status,
        created_at: date(job.created_at),
        active_since: date(job.active_since),
        held_at,
        claims: job.claims,
        lost: job.lost,
        transient: job.transient,
        not_before: job.not_before.map(date),
        lease: job.lease().map(lease_document),
        outcome: job.outcome().map(Cow::Borrowed),
        completed_token,
        worked: job.worked().as_ref().map(WorkedDocument::from),
        revision: job.revision,
        placeholder_message: Cow::Borrowed(&job.placeholder_message),
    })
}

fn lease_document(lease: &Lease) -> LeaseDocument {
    LeaseDocument {
        worker_id: lease.worker_id.stored(),
        token: lease.token.stored(),
        claimed_at: date(lease.claimed_at),
        expires_at: date(lease.expires_at),
    }
}

/// The job in a document of a collection, or why it cannot be read.
pub(super) fn read(shelf: Shelf, document: &RawDocument) -> Result<Job, String> {
    let document: JobDocument<'static> =
        deserialize_from_slice(document.as_bytes()).map_err(|error| error.to_string())?;
    let status = match document.status {
        StatusName::Pending | StatusName::BackingOff => Status::Pending,
        StatusName::Processing => {
            let lease = document.lease.ok_or("it is being processed and has no lease")?;
            Status::Processing { lease: lease_of(&lease) }
        }
        StatusName::Completed => {
            let outcome = document.outcome.ok_or("it is completed and has no outcome")?;
            let token = document.completed_token.map(id_of);
            let worked = document.worked.map(Worked::from);
            Status::Completed { outcome: outcome.into_owned(), token, worked }
        }
    };
    let place = match shelf {
        Shelf::Active => Place::Active,
        Shelf::Holding => {
            let held_at = document.held_at.ok_or("it is held and does not say since when")?;
            Place::Holding { held_at: timestamp(held_at) }
        }
    };
    Ok(Job {
        media_id: id_of::<MediaId>(document.media_id),
        bot_id: document.bot_id,
        correspondent_id: document.correspondent_id,
        provider_name: document.provider_name,
        placeholder_message: document.placeholder_message.into_owned(),
        mime_type: document.mime_type.into_owned(),
        kind: document.kind,
        pool: document.pool,
        original_filename: document.original_filename.map(Cow::into_owned),
        quota_exceeded: document.quota_exceeded,
        detail: document.detail.map(Cow::into_owned),
        place,
        status,
        created_at: timestamp(document.created_at),
        active_since: timestamp(document.active_since),
        claims: document.claims,
        lost: document.lost,
        transient: document.transient,
        not_before: document.not_before.map(timestamp),
        revision: document.revision,
    })
}

fn lease_of(lease: &LeaseDocument) -> Lease {
    Lease {
        worker_id: id_of(lease.worker_id),
        token: id_of(lease.token),
        claimed_at: timestamp(lease.claimed_at),
        expires_at: timestamp(lease.expires_at),
    }
}

impl From<&Worked> for WorkedDocument {
    fn from(worked: &Worked) -> Self {
        Self {
            worker_id: worked.worker_id.stored(),
            claimed_at: date(worked.claimed_at),
            ended_at: date(worked.ended_at),
        }
    }
}

impl From<WorkedDocument> for Worked {
    fn from(document: WorkedDocument) -> Self {
        Self {
            worker_id: id_of(document.worker_id),
            claimed_at: timestamp(document.claimed_at),
            ended_at: timestamp(document.ended_at),
        }
    }
}
