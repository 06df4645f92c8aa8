//! Errors over HTTP: problem documents (RFC 9457) with a stable machine code.
//!
//! Owns the one shape in which any endpoint refuses a request. `type` is
//! `urn:anteroom:problem:<code>`; a message that was not taken also carries its receipt's members.

use anteroom_core::protocol::FrameError;
use anteroom_core::time::Millis;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A request that was not served, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem(Box<Document>);

/// A problem document's members, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    #[serde(serialize_with = "status_as_number")]
    status: StatusCode,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(rename = "retry_after_ms", skip_serializing_if = "Option::is_none")]
    retry_after: Option<Millis>,
}

fn status_as_number<S: serde::Serializer>(
    status: &StatusCode,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with this machine code; `detail` says to people what to do about it.
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Document {
            kind: format!("urn:anteroom:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Unknown"),
            status,
            detail: detail.into(),
            outcome: None,
            reason: None,
            field: None,
            retry_after: None,
        }))
    }

    /// What a message's receipt would have said.
    pub(super) fn with_receipt(mut self, outcome: &'static str, reason: &'static str) -> Self {
        self.0.outcome = Some(outcome);
        self.0.reason = Some(reason);
        self
    }

    /// Where in the body the problem is, as a path such as `media.media_id`.
    pub(super) fn with_field(mut self, field: Option<String>) -> Self {
        self.0.field = field;
        self
    }

    /// When the request may be repeated.
    pub(super) fn with_retry_after(mut self, retry_after: Millis) -> Self {
        self.0.retry_after = Some(retry_after);
        self
    }

    /// A body that does not say what it must.
    pub(super) fn invalid(error: FrameError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.code.as_str(), error.detail)
            .with_field(error.field)
    }

    /// The node is stopping, and answers nothing any more.
    pub(super) fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "this node is stopping; repeat the request once it, or another, is up",
        )
        .with_retry_after(Millis::from_secs(1))
    }

    /// The bot cannot make it durable here and now.
    pub(super) fn not_durable(what: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "retry_later",
            format!("{what} cannot be made durable just now: the bot is not running here, or its store does not answer; repeat the request"),
        )
        .with_retry_after(Millis::from_secs(1))
    }

    /// The body is larger than this request may have.
    pub(super) fn too_large(limit_bytes: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is larger than {limit_bytes} bytes"),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0)
            .expect("a problem is an object of strings and numbers: JSON can write it");
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(retry_after) = self.0.retry_after {
            let secs = retry_after.as_ms().div_ceil(1_000);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}
