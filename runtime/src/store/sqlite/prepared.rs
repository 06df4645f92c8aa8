//! What is made of a request before it waits for the writer.
//!
//! The writer is one thread, and everybody waits for it; who asks runs beside it. So bodies are written where
//! it is asked, and a new job is leased there: its lease counts from then.

use anteroom_core::job::{Command, Job};
use anteroom_core::store::{NewJob, StoreRequest};
use anteroom_core::time::Timestamp;

use super::columns::to_body;
use super::failure::Answer;

/// The records of a request as they will be stored, in its order; of most requests none.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// The jobs of an insert.
    pub(super) jobs: Vec<NewRow>,
    /// The bodies of the messages of an archive.
    pub(super) messages: Vec<String>,
}

/// A new job as it will be stored: leased, if that was asked for and is possible.
#[derive(Debug)]
pub(super) struct NewRow {
    /// The job under its lease; none when it is as it came.
    pub(super) claimed: Option<Job>,
    pub(super) body: String,
}

impl NewRow {
    fn of(new: &NewJob, now: Timestamp) -> Answer<Self> {
        let claimed = new.lease.and_then(|lease| {
            let applied = new.job.apply(&Command::Claim(lease), now).ok()?;
            applied.job
        });
        let body = to_body(claimed.as_ref().unwrap_or(&new.job))?;
        Ok(Self { claimed, body })
    }
}

impl Prepared {
    /// Prepares a request.
    ///
    /// # Errors
    /// When a record of it cannot be written.
    pub(super) fn of(request: &StoreRequest, now: Timestamp) -> Answer<Self> {
        let mut prepared = Self::default();
        match request {
            StoreRequest::InsertJobs { jobs, .. } => {
                let rows = jobs.iter().map(|new| NewRow::of(new, now));
                prepared.jobs = rows.collect::<Answer<_>>()?;
            }
            StoreRequest::Archive { items, .. } => {
                let bodies = items.iter().map(|item| to_body(&*item.message));
                prepared.messages = bodies.collect::<Answer<_>>()?;
            }
            _ => {}
        }
        Ok(prepared)
    }
}
