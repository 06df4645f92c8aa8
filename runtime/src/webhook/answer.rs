//! What a webhook's answer means.
//!
//! A 2xx acknowledges, once it has been read to its end: an answer that breaks off may have held a reply,
//! so it is none, and the callback comes again. 410 says that the webhook is gone. 408, 425, 429, 5xx and
//! everything that is no answer (a redirect among it, for those are not followed) ask for patience. Any other 4xx
//! refuses this very callback.

use std::time::{Duration, SystemTime};

use anteroom_core::bot::event::ConsumerAnswer;
use anteroom_core::protocol::FrameError;
use anteroom_core::protocol::consumer::parse_webhook_answer;
use anteroom_core::protocol::limits::WEBHOOK_ANSWER_BYTES_MAX;
use anteroom_core::time::Millis;
use axum::body::Body;
use futures_util::StreamExt;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Response, StatusCode};

/// How long a webhook may ask to be left alone; what it asks beyond is not heeded.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// A webhook's answer, read.
#[derive(Debug)]
pub(super) struct Answer {
    meaning: ConsumerAnswer,
    /// Why the reply that it may have had is not sent.
    pub spoilt: Option<FrameError>,
}

impl Answer {
    pub fn into_consumer_answer(self) -> ConsumerAnswer {
        self.meaning
    }
}

/// Reads an answer.
///
/// # Errors
/// When it acknowledges and breaks off.
pub(super) async fn read(response: Response<Incoming>) -> Result<Answer, axum::Error> {
    let status = response.status();
    if !status.is_success() {
        let meaning = refusal(status, response.headers(), SystemTime::now());
        return Ok(Answer { meaning, spoilt: None });
    }
    let (reply, spoilt) = match body(response).await? {
        Some(body) => match parse_webhook_answer(&body) {
            Ok(reply) => (reply, None),
            Err(error) => (None, Some(error)),
        },
        None => (None, Some(FrameError::too_large(WEBHOOK_ANSWER_BYTES_MAX as u64 + 1))),
    };
    Ok(Answer { meaning: ConsumerAnswer::Acknowledged { reply }, spoilt })
}

/// The body; none when it is larger than it may be, and then the rest is not read.
async fn body(response: Response<Incoming>) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut chunks = Body::new(response.into_body()).into_data_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > WEBHOOK_ANSWER_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// What a status that is no success means.
fn refusal(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> ConsumerAnswer {
    match status.as_u16() {
        410 => ConsumerAnswer::Gone,
        400..=499 if !matches!(status.as_u16(), 408 | 425 | 429) => ConsumerAnswer::Refused,
        _ => ConsumerAnswer::Unavailable { retry_after: retry_after(headers, now) },
    }
}

/// When the webhook wants to be called again: in so many seconds, or at a time.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Millis> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX).into())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const NOW: Duration = Duration::from_secs(784_111_777);

    fn meaning(status: u16, retry_after: Option<&str>) -> ConsumerAnswer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().expect("a header"));
        }
        refusal(StatusCode::from_u16(status).expect("a status"), &headers, UNIX_EPOCH + NOW)
    }

    fn patience(seconds: Option<u64>) -> ConsumerAnswer {
        ConsumerAnswer::Unavailable { retry_after: seconds.map(Millis::from_secs) }
    }

    /// Goal: each status means what the protocol says, redirects and odd numbers included.
    #[test]
    fn a_status_has_a_meaning() {
        for status in [300, 301, 302, 307, 308, 408, 425, 429, 500, 502, 503, 504, 599, 700, 999] {
            assert_eq!(meaning(status, None), patience(None), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 409, 413, 422, 451, 499] {
            assert_eq!(meaning(status, None), ConsumerAnswer::Refused, "{status}");
        }
        assert_eq!(meaning(410, None), ConsumerAnswer::Gone);
    }

    /// Goal: `Retry-After` is heeded in both of its forms and up to a bound; nonsense is none.
    #[test]
    fn a_webhook_may_ask_for_patience() {
        assert_eq!(meaning(429, Some("7")), patience(Some(7)));
        assert_eq!(meaning(503, Some("Sun, 06 Nov 1994 08:49:47 GMT")), patience(Some(10)));
        assert_eq!(meaning(503, Some("Sun, 06 Nov 1994 08:49:07 GMT")), patience(Some(0)));
        assert_eq!(meaning(503, Some("99999999999999999999")), patience(None));
        assert_eq!(meaning(503, Some("9999999999")), patience(Some(3_600)));
        for nonsense in ["", "-1", "soon", "1.5", "Sun, 99 Nov 1994"] {
            assert_eq!(meaning(503, Some(nonsense)), patience(None), "{nonsense}");
        }
    }
}
