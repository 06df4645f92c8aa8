//! `GET …/explain`: one message's whole story, by its own id, its callback's or its medium's.
//!
//! Owns what the story is put together from: what the store keeps, what this node remembers of late, and what
//! is in memory right now. [`story`](super::story) tells it.

use anteroom_core::id::{BotId, CallbackId, CallbackKey, CorrespondentId, MessageId};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use super::story::{Story, Whose};
use super::{bots, no_answer, query};
use crate::driver::About;
use crate::http::HttpState;
use crate::http::path::OfMedia;
use crate::http::problem::Problem;
use crate::store::views::{Kept, Question, View};

/// Callbacks and messages of its correspondent that are looked through.
const LOOKED_THROUGH_MAX: usize = 1_000;

/// The story of a message, by its id or its callback's.
pub(super) async fn of_callback(
    State(state): State<HttpState>,
    Path(callback_id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let CallbackId { bot_id, key } = query::callback_id(&callback_id)?;
    let CallbackKey { correspondent_id, message_id, .. } = key;
    let question = Question::Message(bot_id.clone(), correspondent_id.clone(), message_id);
    let View::Message(kept) = state.operations()?.look(question).await? else {
        return Err(no_answer());
    };
    tell(&state, Whose { bot_id, correspondent_id, message_id }, kept).await
}

/// The story of the message that brought a medium.
pub(super) async fn of_media(
    State(state): State<HttpState>,
    OfMedia(media_id): OfMedia,
) -> Result<Json<Value>, Problem> {
    let View::Medium(kept) = state.operations()?.look(Question::Medium(media_id)).await? else {
        return Err(no_answer());
    };
    let job = kept.open.as_ref().or(kept.failed.as_ref().map(|copy| &copy.job));
    let of_job = job
        .map(|job| (job.bot_id.clone(), job.correspondent_id.clone(), job.placeholder_message.id));
    let of_row = kept.archived.as_ref();
    let of_row =
        of_row.map(|row| (row.bot_id.clone(), row.correspondent_id.clone(), row.message.id));
    let whose: Option<(BotId, CorrespondentId, MessageId)> = of_job.or(of_row);
    let Some((bot_id, correspondent_id, message_id)) = whose else {
        let detail = format!(
            "nothing is known of the medium {media_id}: its message never came, was evicted, or was \
             kept long enough"
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_media", detail));
    };
    tell(&state, Whose { bot_id, correspondent_id, message_id }, kept).await
}

async fn tell(state: &HttpState, whose: Whose, kept: Kept) -> Result<Json<Value>, Problem> {
    let Whose { bot_id, correspondent_id, message_id } = &whose;
    let stopping = |_| Problem::stopping();
    let view = bots::view(state, bot_id).await?;
    let owner = bots::owners(state.operations()?).await?.remove(bot_id);
    let asking = state.driver.correspondent_view(
        bot_id.clone(),
        correspondent_id.clone(),
        LOOKED_THROUGH_MAX,
    );
    let memory = asking.await.map_err(stopping)?;
    let about = About {
        media_id: kept.media_id(),
        message: Some((bot_id.clone(), correspondent_id.clone(), *message_id)),
    };
    let remembered = state.driver.recall(about).await.map_err(stopping)?;
    let now = state.driver.now();
    let node_id = state.driver.node_id();
    let story = Story { whose: &whose, kept, remembered, view, memory, owner, now, node_id };
    story.told().map(Json).ok_or_else(|| {
        let id = story.id();
        let detail = format!(
            "nothing is known of {id}: there was no such message, it was evicted, or it was kept long enough"
        );
        Problem::new(StatusCode::NOT_FOUND, "unknown_message", detail)
    })
}
