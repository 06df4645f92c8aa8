//! Failed jobs, kept with their files for a while.
//!
//! Owns the shape of the documents in `media_processing_jobs_failed`. A copy is written with the step
//! that fails its job; a later failure of the same media replaces it, so writing one never meets
//! another. `error.kind` is there for operators to sort by.

use anteroom_core::job::FailedCopy;
use mongodb::bson::{
    DateTime, RawDocument, RawDocumentBuf, Uuid, deserialize_from_slice, doc,
    serialize_to_raw_document_buf,
};
use serde::{Deserialize, Serialize};

use super::failure::Answer;
use super::job_documents::{self, Shelf};
use super::statements::Statement;
use super::values::{AsUuid, date, timestamp};
use crate::store::views::reason;

#[derive(Serialize)]
struct CopyDocument<'c> {
    #[serde(rename = "_id")]
    media_id: Uuid,
    bot_id: &'c str,
    correspondent_id: &'c str,
    failed_at: DateTime,
    error: ErrorDocument,
    job: RawDocumentBuf,
}

#[derive(Serialize)]
struct ErrorDocument {
    kind: &'static str,
}

#[derive(Deserialize)]
struct StoredCopy {
    failed_at: DateTime,
    job: RawDocumentBuf,
}

/// Writes a copy, in place of an earlier one of the same media.
pub(super) fn put(copy: &FailedCopy) -> Answer<Statement> {
    let job = &copy.job;
    let document = CopyDocument {
        media_id: job.media_id.stored(),
        bot_id: job.bot_id.as_str(),
        correspondent_id: job.correspondent_id.as_str(),
        failed_at: date(copy.failed_at),
        error: ErrorDocument { kind: reason(job) },
        job: job_documents::write(job)?,
    };
    let document = serialize_to_raw_document_buf(&document)?;
    Statement::put(doc! { "_id": job.media_id.stored() }, document)
}

/// The copy in a document, or why it cannot be read.
pub(super) fn read(document: &RawDocument) -> Result<FailedCopy, String> {
    let stored: StoredCopy =
        deserialize_from_slice(document.as_bytes()).map_err(|error| error.to_string())?;
    let is_held = stored.job.get("held_at").is_ok_and(|held_at| held_at.is_some());
    let shelf = if is_held { Shelf::Holding } else { Shelf::Active };
    let job = job_documents::read(shelf, &stored.job)?;
    Ok(FailedCopy { job, failed_at: timestamp(stored.failed_at) })
}
