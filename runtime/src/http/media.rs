//! `PUT /v1/media/{media_id}`: a file on its way into staging.
//!
//! The body is streamed; sizes, quota and free disk are staging's to check. A file that was there
//! under the same id is replaced, so a provider that does not know whether an upload arrived repeats it.

use anteroom_core::draft::{Direction, Draft};
use anteroom_core::id::MediaId;
use anteroom_core::protocol::server::WelcomeMedia;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use tracing::{debug, warn};

use super::HttpState;
use super::body;
use super::path::OfMedia;
use super::problem::Problem;
use crate::media::staging::{Level, Limit, Staging, StagingError};

/// How the types begin that say that there is no file.
const NO_FILE: &str = "media_corrupt_";

/// Where uploads go.
const UPLOAD_URL: &str = "/v1/media";

/// A file that is in staging, durably.
#[derive(Debug, Serialize)]
pub(super) struct Staged {
    media_id: MediaId,
    size_bytes: u64,
}

/// What a provider is told of staging when it is welcomed, and from then on. While it is the disk that is nearly
/// full, the quota is what is used: whoever compares the two knows that nothing fits.
pub(super) fn welcome(staging: &Staging) -> WelcomeMedia {
    let (limits, used_bytes) = (staging.limits(), staging.used_bytes());
    let disk_is_full = staging.level().current() == Level::Full(Limit::Disk);
    WelcomeMedia {
        // A directory whose name is no text cannot be told; there is still the upload.
        staging_dir: staging.directory().to_str().map(str::to_owned),
        upload_url: UPLOAD_URL.to_owned(),
        quota_bytes: if disk_is_full { used_bytes } else { limits.quota_bytes },
        used_bytes,
        max_file_bytes: limits.file_bytes_max,
    }
}

/// Counts the file that a message speaks of, from here on and not from the next scan.
pub(super) async fn expect(staging: &Staging, draft: &Draft) {
    let Some(media) = &draft.media else { return };
    // A medium that could not be brought has no file.
    if draft.direction == Direction::Incoming && !media.mime_type.starts_with(NO_FILE) {
        staging.expect(media.media_id, media.size_bytes).await;
    }
}

/// Takes one file.
pub(super) async fn put(
    State(state): State<HttpState>,
    OfMedia(media_id): OfMedia,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Staged>), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|value| value.parse().ok());
    let mut content = body::reader(body);
    match state.staging.put(media_id, &mut content, announced).await {
        Ok(size_bytes) => {
            debug!(%media_id, size_bytes, "a file was uploaded");
            Ok((StatusCode::CREATED, Json(Staged { media_id, size_bytes })))
        }
        Err(error) => {
            // A client that asked first has sent nothing yet.
            if !headers.contains_key(header::EXPECT) {
                body::discard(&mut content).await;
            }
            Err(refused(media_id, error))
        }
    }
}

fn refused(media_id: MediaId, error: StagingError) -> Problem {
    let (status, code) = match &error {
        StagingError::Upload(broke) => return body::broken(broke),
        StagingError::QuotaExceeded { .. } => (StatusCode::INSUFFICIENT_STORAGE, "quota_exceeded"),
        StagingError::DiskFull { .. } => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        StagingError::FileTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        StagingError::SizeMismatch { .. } => (StatusCode::BAD_REQUEST, "size_mismatch"),
        StagingError::Stalled => (StatusCode::REQUEST_TIMEOUT, "stalled"),
        StagingError::Io(_) => {
            warn!(%media_id, %error, "a file could not be staged");
            (StatusCode::INTERNAL_SERVER_ERROR, "staging_broken")
        }
    };
    Problem::new(status, code, error.to_string())
}
