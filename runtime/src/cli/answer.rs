//! Asking the server over HTTP, and reading its answer, a problem document included.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;

use super::ClientArgs;
use crate::tls;

/// How long a connection may take to be there.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a server may be silent in the middle of an answer; a silent stream is kept alive oftener.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long a connection is kept for the next request; less than the server keeps it.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Bytes of a problem document that are read.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answered {
    /// It was done.
    Well(Response),
    /// It was refused, and why.
    Badly {
        status: StatusCode,
        detail: String,
        /// When to ask again, if the server says.
        retry_after: Option<Duration>,
    },
    /// There was no answer.
    Not(reqwest::Error),
}

/// What people are told of a problem document.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

/// A client that goes straight to the server.
pub(super) fn http_client() -> Result<Client, reqwest::Error> {
    tls::plain_client_builder()
        .no_proxy()
        .connect_timeout(CONNECT_TIME_MAX)
        .read_timeout(SILENCE_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

/// Sends the request and reads why, when it is refused.
pub(super) async fn answered(request: RequestBuilder) -> Answered {
    let mut response = match request.send().await {
        Ok(response) if response.status().is_success() => return Answered::Well(response),
        Ok(response) => response,
        Err(error) => return Answered::Not(error),
    };
    let status = response.status();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > PROBLEM_BYTES_MAX {
            break;
        }
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(Problem { detail, retry_after_ms }) => Answered::Badly {
            status,
            detail,
            retry_after: retry_after_ms.map(Duration::from_millis),
        },
        Err(_) => {
            let detail = format!("the server answers {status}");
            Answered::Badly { status, detail, retry_after: None }
        }
    }
}

impl ClientArgs {
    /// The request with the token, if there is one.
    pub(super) fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}
