//! Reading a body of bounded size.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::TryStreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, sink};
use tokio::time::timeout;
use tokio_util::io::StreamReader;

use super::problem::Problem;

/// Bytes of a refused body that are read so that its sender reads the answer.
const DISCARD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long they may take.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);

/// The body, to be read piece by piece.
pub(super) fn reader(body: Body) -> impl AsyncRead + Unpin {
    StreamReader::new(body.into_data_stream().map_err(io::Error::other))
}

/// The body as text, when it has at most `limit_bytes` and is UTF-8.
pub(super) async fn text(body: Body, limit_bytes: usize) -> Result<String, Problem> {
    let mut reader = reader(body);
    let mut bytes = Vec::new();
    let most = limit_bytes as u64;
    (&mut reader).take(most + 1).read_to_end(&mut bytes).await.map_err(|error| broken(&error))?;
    if bytes.len() > limit_bytes {
        discard(&mut reader).await;
        return Err(Problem::too_large(most));
    }
    String::from_utf8(bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8: {}", error.utf8_error());
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
    })
}

/// Reads on for a while: a connection that is closed on unread bytes takes the answer along.
pub(super) async fn discard(content: &mut (impl AsyncRead + Unpin)) {
    let mut rest = content.take(DISCARD_BYTES_MAX);
    let _ = timeout(DISCARD_TIME_MAX, tokio::io::copy(&mut rest, &mut sink())).await;
}

/// The body ended before its end.
pub(super) fn broken(error: &dyn Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken_body", format!("the body broke off: {error}"))
}
