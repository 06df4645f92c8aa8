//! `POST /v1/bots/{bot}/messages`: a message of a provider that holds no connection.

use anteroom_core::protocol::limits::FRAME_BYTES_MAX;
use anteroom_core::protocol::receipt::EvictionReason;
use anteroom_core::protocol::{
    ErrorCode, FrameError, ReceiptOutcome, Rejection, parse_posted_message,
};
use anteroom_core::time::Millis;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::body;
use super::frames;
use super::path::OfBot;
use super::problem::Problem;

/// Takes one message and answers with its receipt, once that is known.
pub(super) async fn post(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
    body: Body,
) -> Result<Response, Problem> {
    let text = body::text(body, FRAME_BYTES_MAX).await?;
    let frame = parse_posted_message(&text).map_err(invalid)?;
    if frame.bot_id.is_some_and(|named| named != bot_id) {
        return Err(invalid(FrameError {
            code: ErrorCode::InvalidField,
            field: Some("bot_id".to_owned()),
            detail: format!("the message names another bot than its address: {bot_id}"),
            seq: None,
            bot_id: None,
            supported: None,
            fatal: false,
        }));
    }
    super::media::expect(&state.staging, &frame.draft).await;
    let receipt = state.driver.post_message(bot_id, frame.draft).await;
    let receipt =
        receipt.map_err(|_| Problem::stopping().with_receipt("rejected", "retry_later"))?;
    answer(frames::outcome(receipt, None))
}

fn invalid(error: FrameError) -> Problem {
    Problem::invalid(error).with_receipt("rejected", "invalid")
}

/// A receipt as an answer over HTTP.
fn answer(outcome: ReceiptOutcome) -> Result<Response, Problem> {
    let rejection = match outcome {
        ReceiptOutcome::Accepted { .. } | ReceiptOutcome::Duplicate { .. } => {
            return Ok(axum::Json(outcome).into_response());
        }
        ReceiptOutcome::Evicted { reason, retry_after } => {
            return Err(evicted(reason, retry_after));
        }
        ReceiptOutcome::Rejected(rejection) => rejection,
    };
    let retry_after = rejection.retry_after();
    let (status, reason, detail) = match rejection {
        Rejection::Overflow { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "overflow",
            "the correspondent's queue is full".to_owned(),
        ),
        Rejection::PlaceholderLimit { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "placeholder_limit",
            "too many media of the correspondent wait to become text".to_owned(),
        ),
        Rejection::BotNotRunning { .. } => {
            (StatusCode::CONFLICT, "bot_not_running", "the bot is not running".to_owned())
        }
        Rejection::RetryLater { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "retry_later",
            "the bot is starting, or the store does not answer".to_owned(),
        ),
        Rejection::Invalid { field, detail } => {
            let detail = detail.unwrap_or_else(|| "the message can never be taken".to_owned());
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
                .with_field(field)
                .with_receipt("rejected", "invalid"));
        }
    };
    let problem = Problem::new(status, reason, detail).with_receipt("rejected", reason);
    Err(match retry_after {
        Some(retry_after) => problem.with_retry_after(retry_after),
        None => problem,
    })
}

fn evicted(reason: EvictionReason, retry_after: Millis) -> Problem {
    let (reason, detail) = match reason {
        EvictionReason::Age => ("age", "it waited too long for the store"),
        EvictionReason::Characters => {
            ("characters", "the correspondent's queue held too much text")
        }
        EvictionReason::Count => ("count", "the correspondent's queue held too many messages"),
    };
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "evicted", detail)
        .with_receipt("evicted", reason)
        .with_retry_after(retry_after)
}
