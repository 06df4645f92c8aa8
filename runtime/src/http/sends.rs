//! `POST /v1/bots/{bot}/sends`: a message for a correspondent, made durable before it is answered.

use anteroom_core::id::SendId;
use anteroom_core::protocol::limits::FRAME_BYTES_MAX;
use anteroom_core::protocol::parse_posted_send;
use anteroom_core::store::EnqueueAnswer;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::HttpState;
use super::body;
use super::path::OfBot;
use super::problem::Problem;

/// What became of the message.
#[derive(Debug, Serialize)]
pub(super) struct Enqueued {
    send_id: SendId,
    outcome: &'static str,
}

/// Takes one message to be sent.
pub(super) async fn post(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
    body: Body,
) -> Result<(StatusCode, Json<Enqueued>), Problem> {
    let text = body::text(body, FRAME_BYTES_MAX).await?;
    let send = parse_posted_send(&text).map_err(Problem::invalid)?;
    let send_id = send.send_id.clone();
    let answer = state.driver.enqueue_send(bot_id, send).await;
    match answer.map_err(|_| Problem::stopping())? {
        Some(EnqueueAnswer::Enqueued) => {
            Ok((StatusCode::ACCEPTED, Json(Enqueued { send_id, outcome: "enqueued" })))
        }
        Some(EnqueueAnswer::AlreadyPresent) => {
            Ok((StatusCode::OK, Json(Enqueued { send_id, outcome: "already_present" })))
        }
        Some(EnqueueAnswer::Conflict) => Err(Problem::new(
            StatusCode::CONFLICT,
            "send_id_in_use",
            "the send_id belongs to a message with another text or correspondent",
        )),
        None => Err(Problem::not_durable("the message")),
    }
}
