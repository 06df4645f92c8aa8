//! `POST /v1/bots/{bot}/callbacks/ack`, and acknowledgements on a stream: both are answered when durable.

use anteroom_core::bot::event::AckAnswer;
use anteroom_core::id::{BotId, CallbackId};
use anteroom_core::protocol::consumer::AckRequest;
use anteroom_core::protocol::limits::ACK_BODY_BYTES_MAX;
use anteroom_core::protocol::{AckResponse, parse_ack};
use axum::Json;
use axum::body::Body;
use axum::extract::State;

use super::HttpState;
use super::body;
use super::path::OfBot;
use super::problem::Problem;
use crate::driver::{Handle, Stopped};

/// Acknowledges callbacks, and answers once that is durable.
pub(super) async fn post(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
    body: Body,
) -> Result<Json<AckResponse>, Problem> {
    let text = body::text(body, ACK_BODY_BYTES_MAX).await?;
    let request = parse_ack(&text).map_err(Problem::invalid)?;
    match acknowledged(&state.driver, &bot_id, request).await {
        Ok(Some(response)) => Ok(Json(response)),
        Ok(None) => Err(Problem::not_durable("the acknowledgement")),
        Err(Stopped) => Err(Problem::stopping()),
    }
}

/// What became of an acknowledgement, once that is durable; none when it cannot be made so here and now.
pub(super) async fn acknowledged(
    driver: &Handle,
    bot_id: &BotId,
    request: AckRequest,
) -> Result<Option<AckResponse>, Stopped> {
    let mut unknown = request.unknown;
    let (own, foreign): (Vec<CallbackId>, Vec<CallbackId>) =
        request.callback_ids.into_iter().partition(|id| id.bot_id == *bot_id);
    unknown.extend(foreign.iter().map(ToString::to_string));
    let keys: Vec<_> = own.into_iter().map(|id| id.key).collect();
    if keys.is_empty() {
        return Ok(Some(AckResponse { acknowledged: 0, unknown }));
    }
    let answer = driver.acknowledge(bot_id.clone(), keys).await?;
    let Some(AckAnswer { acknowledged, unknown: keys }) = answer else { return Ok(None) };
    let named = |key| CallbackId { bot_id: bot_id.clone(), key }.to_string();
    unknown.extend(keys.into_iter().map(named));
    Ok(Some(AckResponse { acknowledged: acknowledged as u64, unknown }))
}
