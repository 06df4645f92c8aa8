//! `/v1/callbacks…`: what is owed, what was given up, and making it again.

use std::collections::BTreeMap;

use anteroom_core::id::{Attempt, CallbackId};
use anteroom_core::store::RedeliverAnswer;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::access::{Actor, audit};
use super::query::{self, Asked};
use super::{no_answer, show};
use crate::http::HttpState;
use crate::http::problem::Problem;
use crate::store::views::{Archived, CallbackFilter, CallbackQuery, Question, View};

/// `GET /v1/callbacks/owed`: a page of owed callbacks, by bot and place.
pub(super) async fn owed(State(state): State<HttpState>, uri: Uri) -> Result<Json<Value>, Problem> {
    list(&state, &uri, CallbackFilter::Owed).await
}

/// `GET /v1/callbacks/undeliverable`: a page of those that were given up.
pub(super) async fn undeliverable(
    State(state): State<HttpState>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    list(&state, &uri, CallbackFilter::Undeliverable).await
}

async fn list(state: &HttpState, uri: &Uri, which: CallbackFilter) -> Result<Json<Value>, Problem> {
    let asked = Asked::in_address(uri, &["bot", "after", "limit"])?;
    let (rows, more) = page(state, which, &asked).await?;
    let now = state.driver.now();
    let callbacks: Vec<_> = rows.iter().map(|row| show::archived(row, now)).collect();
    Ok(Json(json!({ "callbacks": callbacks, "next": next(&rows, more) })))
}

/// `POST /v1/callbacks/{callback_id}/redeliver`: a callback that was given up is owed anew.
pub(super) async fn redeliver(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    Path(callback_id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let callback_id = query::callback_id(&callback_id)?;
    let unknown = || {
        let detail = format!("nothing is kept of the callback {callback_id}");
        Problem::new(StatusCode::NOT_FOUND, "unknown_callback", detail)
    };
    let attempts = attempts(&state, &callback_id).await?.ok_or_else(unknown)?;
    let answer = ask(&state, &callback_id, attempts).await?;
    audit!(actor, "redeliver", callback_id = %callback_id, outcome = name(answer));
    match answer {
        Some(RedeliverAnswer::Owed { .. }) => {
            Ok(Json(json!({ "callback_id": callback_id, "outcome": "owed" })))
        }
        Some(RedeliverAnswer::Settled) => {
            let detail = "the consumer took it, it owes no callback, or it has been made again meanwhile: \
                          there is nothing to make again";
            Err(Problem::new(StatusCode::CONFLICT, "settled", detail))
        }
        Some(RedeliverAnswer::NotFound) => Err(unknown()),
        None => Err(Problem::not_durable("the callback")),
    }
}

/// `POST /v1/callbacks/redeliver`: a page of those that were given up, or their count within a page.
pub(super) async fn redeliver_many(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let asked = Asked::in_body(body, &["bot", "dry_run", "after", "limit"]).await?;
    let (rows, more) = page(&state, CallbackFilter::Undeliverable, &asked).await?;
    let next = next(&rows, more);
    if asked.truth("dry_run")? {
        return Ok(Json(json!({ "dry_run": true, "matched": rows.len(), "next": next })));
    }
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &rows {
        let answer = ask(&state, &show::callback_id(row), Attempt(row.attempts)).await?;
        *outcomes.entry(name(answer)).or_default() += 1;
    }
    let done = outcomes.remove("owed").unwrap_or_default();
    audit!(actor, "redeliver_many", matched = rows.len(), done);
    Ok(Json(json!({
        "dry_run": false, "matched": rows.len(), "done": done, "refused": outcomes, "next": next,
    })))
}

/// The last attempt of a callback; none when nothing is kept of it.
async fn attempts(state: &HttpState, callback_id: &CallbackId) -> Result<Option<Attempt>, Problem> {
    let CallbackId { bot_id, key } = callback_id.clone();
    let question = Question::Message(bot_id, key.correspondent_id, key.message_id);
    match state.operations()?.look(question).await? {
        View::Message(kept) => Ok(kept.archived.map(|row| Attempt(row.attempts))),
        _ => Err(no_answer()),
    }
}

/// Owes a callback anew, unless it has been attempted since it was looked at.
async fn ask(
    state: &HttpState,
    callback_id: &CallbackId,
    attempts: Attempt,
) -> Result<Option<RedeliverAnswer>, Problem> {
    let CallbackId { bot_id, key } = callback_id.clone();
    state.driver.redeliver(bot_id, key, attempts).await.map_err(|_| Problem::stopping())
}

fn name(answer: Option<RedeliverAnswer>) -> &'static str {
    match answer {
        Some(RedeliverAnswer::Owed { .. }) => "owed",
        Some(RedeliverAnswer::Settled) => "settled",
        Some(RedeliverAnswer::NotFound) => "not_found",
        None => "not_running_here",
    }
}

async fn page(
    state: &HttpState,
    which: CallbackFilter,
    asked: &Asked,
) -> Result<(Vec<Archived>, bool), Problem> {
    let query = CallbackQuery {
        state: which,
        bot_id: asked.bot()?,
        after: asked.text("after").map(query::read_callback_cursor).transpose()?,
        limit: asked.limit()?,
    };
    match state.operations()?.look(Question::Callbacks(query)).await? {
        View::Callbacks(rows, more) => Ok((rows, more)),
        _ => Err(no_answer()),
    }
}

fn next(rows: &[Archived], more: bool) -> Option<String> {
    rows.last().filter(|_| more).map(|row| query::callback_cursor(&row.bot_id, row.seq))
}
