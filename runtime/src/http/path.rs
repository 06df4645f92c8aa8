//! What an address names: a bot, or a medium.
//!
//! Whatever comes in a path is as strange as whatever comes in a frame, and is held to the same rules.

use anteroom_core::id::{BotId, MediaId};
use anteroom_core::protocol::limits::ID_BYTES_MAX;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::problem::Problem;

/// The bot in `/v1/bots/{bot}/…`.
pub(super) struct OfBot(pub(super) BotId);

/// The medium in `/v1/media/{media_id}`.
pub(super) struct OfMedia(pub(super) MediaId);

impl<S: Send + Sync> FromRequestParts<S> for OfBot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let bot = text(parts, state).await.filter(|bot| {
            !bot.is_empty() && bot.len() <= ID_BYTES_MAX && !bot.chars().any(char::is_control)
        });
        let detail = "a bot id is UTF-8, at most 512 bytes, without control characters";
        let invalid = || Problem::new(StatusCode::BAD_REQUEST, "invalid_bot_id", detail);
        Ok(Self(BotId::from(bot.ok_or_else(invalid)?)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfMedia {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let media_id = text(parts, state).await.and_then(|text| MediaId::parse(&text));
        let detail = "a media id is a UUID such as 8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11";
        let invalid = || Problem::new(StatusCode::BAD_REQUEST, "invalid_media_id", detail);
        media_id.map(Self).ok_or_else(invalid)
    }
}

/// The one parameter of the path, decoded; none when it is no text.
async fn text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    let Path(text) = Path::<String>::from_request_parts(parts, state).await.ok()?;
    Some(text)
}
