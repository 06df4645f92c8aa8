//! Who may ask, and for how long.
//!
//! Where there are tokens, whoever shows the bot's own may ask for the bot, and whoever shows an operator's for
//! any; a reader's is enough to see how the node stands; a provider shows its token with its `hello`. Nothing else is asked then.
//!
//! Without tokens everybody on this machine may ask, but not every web page that is open on it: a
//! browser lets any page send requests to 127.0.0.1, and opens WebSockets to it without asking. So a
//! request from a page of another origin is refused, and so is one whose `Host` is no loopback name
//! (a foreign name that was made to resolve to 127.0.0.1).

use std::net::IpAddr;

use anteroom_core::id::BotId;
use anteroom_core::protocol::limits::TOKEN_BYTES_MAX;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::path::OfBot;
use super::problem::Problem;
use super::{Access, HttpState};
use crate::tokens::Tokens;

/// Lets a request through when its sender may ask.
pub(super) async fn authorized(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let judged = match &state.access {
        Access::Tokens(tokens) => {
            let asks = asks(&mut parts, &state).await;
            asks.and_then(|asks| shows_token(tokens, &asks, bearer(&parts.headers)))
        }
        Access::Nobody => Err(unauthorized(
            "this listener can be reached from other machines and has no tokens; listen on 127.0.0.1",
        )),
        Access::Loopback => from_this_machine(&parts.headers),
    };
    match judged {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

/// Where providers connect.
const PROVIDER: &str = "/v1/provider";

/// Where the node's series are.
const METRICS: &str = "/metrics";

/// Where everything is that is for one bot.
const BOTS: &str = "/v1/bots/";

/// What a request is about.
#[derive(Debug)]
enum Asks {
    ForBot(BotId),
    /// Its `hello` will show a token.
    ToSayHello,
    /// A file is for whichever bot's message names it.
    ToBringAFile,
    /// How the node as a whole stands.
    OfTheNode,
}

async fn asks(parts: &mut Parts, state: &HttpState) -> Result<Asks, Problem> {
    if parts.uri.path() == PROVIDER {
        return Ok(Asks::ToSayHello);
    }
    if parts.uri.path() == METRICS {
        return Ok(Asks::OfTheNode);
    }
    if !parts.uri.path().starts_with(BOTS) {
        return Ok(Asks::ToBringAFile);
    }
    let OfBot(bot_id) = OfBot::from_request_parts(parts, state).await?;
    Ok(Asks::ForBot(bot_id))
}

impl Access {
    /// Whether a provider may speak for a bot that shows this token, or none.
    pub(super) fn opens_bot(&self, bot_id: &BotId, token: Option<&str>) -> bool {
        match self {
            Self::Tokens(tokens) => token.is_some_and(|token| tokens.opens_bot(bot_id, token)),
            Self::Loopback => true,
            Self::Nobody => false,
        }
    }
}

/// The token of an `Authorization: Bearer` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let is_token = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    (is_token && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

fn shows_token(tokens: &Tokens, asks: &Asks, shown: Option<&str>) -> Result<(), Problem> {
    let opens = |token| match asks {
        Asks::ForBot(bot_id) => tokens.opens_bot(bot_id, token) || tokens.opens_everything(token),
        Asks::ToSayHello => true,
        Asks::OfTheNode => tokens.role(token).is_some(),
        Asks::ToBringAFile => tokens.opens_any_bot(token) || tokens.opens_everything(token),
    };
    if matches!(asks, Asks::ToSayHello) || shown.is_some_and(opens) {
        return Ok(());
    }
    Err(unauthorized("the bot is not known here, or `Authorization: Bearer …` has another token"))
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

/// Sends away from a node without bots what is for one: nobody here would ever answer it.
pub(super) async fn where_bots_run(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    if state.runs_bots {
        return next.run(request).await;
    }
    let detail = "this node works on media and runs no bots: ask one whose role is all or bots";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "no_bots_here", detail).into_response()
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

pub(super) fn from_this_machine(headers: &HeaderMap) -> Result<(), Problem> {
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

    use crate::tokens::TokenHash;

    use super::*;

    fn judged(host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        from_this_machine(&headers).is_ok()
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

    /// Goal: a token is the bot's own or an operator's; a file may be brought with any bot's; a provider
    /// shows its token later.
    #[test]
    fn a_token_is_shown_for_what_it_opens() {
        let mut tokens = Tokens::default();
        tokens.allow_bot("wa".into(), TokenHash::of("one"));
        tokens.allow_bot("wa-7".into(), TokenHash::of("seven"));
        tokens.allow_operator(TokenHash::of("root"));
        let shows = |asks: &Asks, token| shows_token(&tokens, asks, token).is_ok();
        let wa = Asks::ForBot("wa".into());
        for (asks, token, opens) in [
            (&wa, Some("one"), true),
            (&wa, Some("root"), true),
            (&wa, Some("seven"), false),
            (&wa, None, false),
            (&Asks::ToBringAFile, Some("seven"), true),
            (&Asks::ToBringAFile, Some("root"), true),
            (&Asks::ToBringAFile, Some("two"), false),
            (&Asks::ToBringAFile, None, false),
            (&Asks::ToSayHello, None, true),
        ] {
            assert_eq!(shows(asks, token), opens, "{asks:?} {token:?}");
        }
        let access = Access::Tokens(tokens.into());
        assert!(access.opens_bot(&"wa".into(), Some("one")));
        // An operator plays no provider: a `hello` may create its bot.
        assert!(!access.opens_bot(&"wa".into(), Some("root")));
        assert!(!access.opens_bot(&"wa".into(), None));
    }

    /// Goal: a bearer token is read whatever the scheme's letters; what is none is none.
    #[test]
    fn a_bearer_token_is_read() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bearer  abc ").as_deref(), Some("abc"));
        for none in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    /// Goal: a listener that others can reach, without tokens, serves nobody.
    #[test]
    fn a_listener_for_everybody_without_tokens_serves_nobody() {
        assert!(!Access::Nobody.opens_bot(&"wa".into(), Some("one")));
    }
}
