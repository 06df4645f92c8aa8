//! `/v1/jobs…`: media jobs, found by filters, retried and discarded, one by one or many at once.
//!
//! What becomes of a job is decided by the table of jobs in the store, as for everybody else; then the node
//! is told where to look. Doing something twice does it once.

use std::collections::BTreeMap;

use anteroom_core::id::MediaId;
use anteroom_core::job::Rejection;
use anteroom_core::store::{OperatorAnswer, StoreReply, StoreRequest};
use anteroom_core::time::Timestamp;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::access::{Actor, audit};
use super::query::{self, Asked, FILTER};
use super::show;
use super::{Operations, no_answer, unanswered};
use crate::http::HttpState;
use crate::http::path::OfMedia;
use crate::http::problem::Problem;
use crate::store::views::{JobFilter, JobQuery, JobState, Kept, ListedJob, Question, View};

const STATES: [(&str, JobState); 3] =
    [("active", JobState::Active), ("holding", JobState::Holding), ("failed", JobState::Failed)];

/// `GET /v1/jobs`: a page of jobs.
pub(super) async fn list(State(state): State<HttpState>, uri: Uri) -> Result<Json<Value>, Problem> {
    let operations = state.operations()?;
    let known = [&FILTER[..], &["state", "order", "after", "limit"]].concat();
    let asked = Asked::in_address(&uri, &known)?;
    let now = state.driver.now();
    let place = asked.one_of("state", &STATES)?.unwrap_or(JobState::Active);
    let newest_first = asked.one_of("order", &[("newest", true), ("oldest", false)])?;
    let query = JobQuery {
        filter: asked.job_filter(place, now)?,
        newest_first: newest_first.unwrap_or(place == JobState::Failed),
        after: asked.text("after").map(query::read_job_cursor).transpose()?,
        limit: asked.limit()?,
    };
    let (jobs, more) = page(operations, query).await?;
    let next = jobs.last().filter(|_| more).map(cursor);
    let jobs: Vec<_> = jobs.iter().map(|job| show::job(job, now)).collect();
    Ok(Json(json!({ "jobs": jobs, "next": next })))
}

/// `GET /v1/jobs/count`: how many jobs there are.
pub(super) async fn count(
    State(state): State<HttpState>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let asked = Asked::in_address(&uri, &[&FILTER[..], &["state"]].concat())?;
    let place = asked.one_of("state", &STATES)?.unwrap_or(JobState::Active);
    let filter = asked.job_filter(place, state.driver.now())?;
    let matched = matched(state.operations()?, filter).await?;
    Ok(Json(json!({ "matched": matched })))
}

async fn matched(operations: &Operations, filter: JobFilter) -> Result<u64, Problem> {
    match operations.look(Question::Count(filter)).await? {
        View::Count(matched) => Ok(matched),
        _ => Err(no_answer()),
    }
}

/// `GET /v1/jobs/{media_id}`: one job: the open one, and the copy that failed before it.
pub(super) async fn show(
    State(state): State<HttpState>,
    OfMedia(media_id): OfMedia,
) -> Result<Json<Value>, Problem> {
    let operations = state.operations()?;
    let View::Medium(Kept { open, failed, archived }) =
        operations.look(Question::Medium(media_id)).await?
    else {
        return Err(no_answer());
    };
    let now = state.driver.now();
    let is_known = open.is_some() || failed.is_some() || archived.is_some();
    if !is_known {
        return Err(unknown(media_id));
    }
    let open = open.map(|job| ListedJob { job, failed_at: None });
    let failed = failed.map(|copy| ListedJob { job: copy.job, failed_at: Some(copy.failed_at) });
    let path = state.staging.path(media_id);
    Ok(Json(json!({
        "media_id": media_id,
        "open": open.as_ref().map(|job| show::job(job, now)),
        "failed": failed.as_ref().map(|job| show::job(job, now)),
        "archived": archived.as_ref().map(|row| show::archived(row, now)),
        "file_is_here": tokio::fs::try_exists(path).await.unwrap_or(false),
    })))
}

/// `POST /v1/jobs/{media_id}/retry`: a failed job begins anew, as the next revision of its message.
pub(super) async fn retry(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    OfMedia(media_id): OfMedia,
) -> Result<Json<Value>, Problem> {
    let outcome = do_to(&state, Deed::Retry, media_id).await?;
    audit!(actor, "retry_job", media_id = %media_id, outcome = outcome.name());
    answer(media_id, Deed::Retry, outcome)
}

/// `POST /v1/jobs/{media_id}/discard`: an open job ends without text.
pub(super) async fn discard(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    OfMedia(media_id): OfMedia,
) -> Result<Json<Value>, Problem> {
    let outcome = do_to(&state, Deed::Discard, media_id).await?;
    audit!(actor, "discard_job", media_id = %media_id, outcome = outcome.name());
    answer(media_id, Deed::Discard, outcome)
}

/// `POST /v1/jobs/retry`: a page of failed jobs, or their count.
pub(super) async fn retry_many(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let known = [&FILTER[..], &["dry_run", "after", "limit"]].concat();
    let asked = Asked::in_body(body, &known).await?;
    many(&state, &actor, Deed::Retry, JobState::Failed, &asked).await
}

/// `POST /v1/jobs/discard`: a page of open jobs, or their count.
pub(super) async fn discard_many(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let known = [&FILTER[..], &["state", "dry_run", "after", "limit"]].concat();
    let asked = Asked::in_body(body, &known).await?;
    let place = asked.one_of("state", &STATES[..2])?.unwrap_or(JobState::Active);
    many(&state, &actor, Deed::Discard, place, &asked).await
}

/// What an operator does to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Retry,
    Discard,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    AsAsked,
    Refused(Rejection),
    NotFound,
}

impl Done {
    /// As it is counted and logged.
    fn name(self) -> &'static str {
        match self {
            Self::AsAsked => "done",
            Self::NotFound => "not_found",
            Self::Refused(Rejection::Stale) => "stale",
            Self::Refused(Rejection::WrongState) => "wrong_state",
            Self::Refused(Rejection::TooEarly) => "too_early",
            Self::Refused(Rejection::WrongRevision) => "wrong_revision",
            Self::Refused(Rejection::FileGone) => "file_gone",
            Self::Refused(Rejection::NotCalledBack) => "not_called_back",
        }
    }
}

/// Does it to a page of what the filter finds, oldest first, or counts what it would be done to.
async fn many(
    state: &HttpState,
    actor: &Actor,
    deed: Deed,
    place: JobState,
    asked: &Asked,
) -> Result<Json<Value>, Problem> {
    let operations = state.operations()?;
    let filter = asked.job_filter(place, state.driver.now())?;
    if asked.truth("dry_run")? {
        let matched = matched(operations, filter).await?;
        return Ok(Json(json!({ "dry_run": true, "matched": matched })));
    }
    let query = JobQuery {
        filter,
        newest_first: false,
        after: asked.text("after").map(query::read_job_cursor).transpose()?,
        limit: asked.limit()?,
    };
    let (jobs, more) = page(operations, query).await?;
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for listed in &jobs {
        let outcome = do_to(state, deed, listed.job.media_id).await?;
        *outcomes.entry(outcome.name()).or_default() += 1;
    }
    let done = outcomes.remove("done").unwrap_or_default();
    match deed {
        Deed::Retry => audit!(actor, "retry_jobs", matched = jobs.len(), done),
        Deed::Discard => audit!(actor, "discard_jobs", matched = jobs.len(), done),
    }
    Ok(Json(json!({
        "dry_run": false,
        "matched": jobs.len(),
        "done": done,
        "refused": outcomes,
        "next": jobs.last().filter(|_| more).map(cursor),
    })))
}

/// Asks the store, and tells the node where to look.
async fn do_to(state: &HttpState, deed: Deed, media_id: MediaId) -> Result<Done, Problem> {
    let operations = state.operations()?;
    let request = match deed {
        Deed::Retry => {
            // Nobody but who keeps the files knows whether this one is there.
            let path = state.staging.path(media_id);
            let is_there = tokio::fs::try_exists(path).await.unwrap_or(false);
            if !is_there && is_failed(operations, media_id).await? {
                return Ok(Done::Refused(Rejection::FileGone));
            }
            StoreRequest::RetryJob { media_id, routing: operations.routing.clone() }
        }
        Deed::Discard => StoreRequest::DiscardJob { media_id },
    };
    let reply = operations.store.execute(request).await.map_err(unanswered)?;
    let (StoreReply::RetryJob(answer) | StoreReply::DiscardJob(answer)) = reply else {
        return Err(no_answer());
    };
    match answer {
        OperatorAnswer::Done { bot_id, pool } => {
            let told = match deed {
                Deed::Retry => state.driver.work_waits(pool).await,
                Deed::Discard => state.driver.results_wait(bot_id).await,
            };
            told.map_err(|_| Problem::stopping())?;
            Ok(Done::AsAsked)
        }
        OperatorAnswer::Rejected(rejection) => Ok(Done::Refused(rejection)),
        OperatorAnswer::NotFound => Ok(Done::NotFound),
    }
}

async fn is_failed(operations: &Operations, media_id: MediaId) -> Result<bool, Problem> {
    match operations.look(Question::Medium(media_id)).await? {
        View::Medium(kept) => Ok(kept.failed.is_some()),
        _ => Err(no_answer()),
    }
}

async fn page(operations: &Operations, query: JobQuery) -> Result<(Vec<ListedJob>, bool), Problem> {
    match operations.look(Question::Jobs(query)).await? {
        View::Jobs(jobs, more) => Ok((jobs, more)),
        _ => Err(no_answer()),
    }
}

fn cursor(job: &ListedJob) -> String {
    let at: Timestamp = job.at();
    query::job_cursor(at, job.job.media_id)
}

fn answer(media_id: MediaId, deed: Deed, outcome: Done) -> Result<Json<Value>, Problem> {
    let done = match deed {
        Deed::Retry => "retried",
        Deed::Discard => "discarded",
    };
    match outcome {
        Done::AsAsked => Ok(Json(json!({ "media_id": media_id, "outcome": done }))),
        Done::NotFound => Err(unknown(media_id)),
        Done::Refused(rejection) => {
            let detail = match rejection {
                Rejection::FileGone => {
                    "the media file is not on this node: it is kept no longer, or another node has it"
                        .to_owned()
                }
                Rejection::NotCalledBack => {
                    "the message's last callback has not ended: wait for the consumer, or see `explain`"
                        .to_owned()
                }
                Rejection::Stale
                | Rejection::WrongState
                | Rejection::TooEarly
                | Rejection::WrongRevision => rejection.to_string(),
            };
            Err(Problem::new(StatusCode::CONFLICT, outcome.name(), detail))
        }
    }
}

fn unknown(media_id: MediaId) -> Problem {
    let detail =
        format!("nothing is kept of the medium {media_id}, or nothing that this could be done to");
    Problem::new(StatusCode::NOT_FOUND, "unknown_job", detail)
}
