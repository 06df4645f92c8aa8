//! Who may ask, and for how long.
//!
//! Without tokens everybody on this machine may ask, but not every web page that is open on it: a
//! browser lets any page send requests to 127.0.0.1, and opens WebSockets to it without asking. So a
//! request from a page of another origin is refused, and so is one whose `Host` is no loopback name
//! (a foreign name that was made to resolve to 127.0.0.1).

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::problem::Problem;
use super::{Access, HttpState};

/// Lets a request through when its sender may ask.
pub(super) async fn authorized(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    match judge(state.access, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Ends a request that takes too long, its body included.
pub(super) async fn in_time(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    match timeout(state.limits.request_time_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timed_out",
            "the request took too long; repeat it: whatever happened, it happens once",
        )
        .into_response(),
    }
}

fn judge(access: Access, headers: &HeaderMap) -> Result<(), Problem> {
    match access {
        Access::Nobody => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "this listener can be reached from other machines and has no tokens; listen on 127.0.0.1",
        )),
        Access::Loopback => from_this_machine(headers),
    }
}

fn from_this_machine(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    let Some(host) = host.filter(|host| is_loopback(host.host())) else {
        let detail = "without tokens, only requests to 127.0.0.1, [::1] or localhost are served";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_host", detail));
    };
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    if origin.as_ref().and_then(Uri::authority) == Some(&host) {
        return Ok(());
    }
    let detail = "without tokens, web pages of other origins are not served";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn judged(host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        judge(Access::Loopback, &headers).is_ok()
    }

    /// Goal: programs on this machine and our own pages may ask, foreign pages and names may not.
    #[test]
    fn only_this_machine_may_ask_without_a_token() {
        for (host, origin) in [
            ("127.0.0.1:8787", None),
            ("localhost:8787", None),
            ("[::1]:8787", None),
            ("127.0.0.1:8787", Some("http://127.0.0.1:8787")),
        ] {
            assert!(judged(host, origin), "{host} {origin:?}");
        }
        for (host, origin) in [
            ("evil.example:8787", None),
            ("192.168.1.5:8787", None),
            ("127.0.0.1:8787", Some("http://evil.example")),
            ("127.0.0.1:8787", Some("http://127.0.0.1:3000")),
            ("127.0.0.1:8787", Some("null")),
            ("evil.example:8787", Some("http://evil.example:8787")),
        ] {
            assert!(!judged(host, origin), "{host} {origin:?}");
        }
    }

    /// Goal: a listener that others can reach, without tokens, serves nobody.
    #[test]
    fn a_listener_for_everybody_without_tokens_serves_nobody() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8787"));
        assert!(judge(Access::Nobody, &headers).is_err());
    }
}
