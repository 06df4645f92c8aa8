//! Whether the node is there, and what to say to those who ask for nothing.

use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};

use super::HttpState;
use super::problem::Problem;
use crate::observe::Vitals;

/// `GET /`: what this is.
pub(super) async fn hello() -> &'static str {
    concat!(
        "anteroom ",
        env!("CARGO_PKG_VERSION"),
        "\n\n",
        "GET  /v1/provider                    a provider's connection (WebSocket)\n",
        "PUT  /v1/media/{media_id}            a media file, before the message that names it\n",
        "POST /v1/bots/{bot}/messages         a message, without a connection\n",
        "GET  /v1/bots/{bot}/callbacks        the bot's callbacks (server-sent events, WebSocket)\n",
        "POST /v1/bots/{bot}/callbacks/ack    acknowledge callbacks\n",
        "POST /v1/bots/{bot}/callbacks/resume call a webhook again that was gone\n",
        "POST /v1/bots/{bot}/sends            send a message\n",
        "GET  /openapi.json                   all of it, operators' endpoints included\n",
        "GET  /healthz, /readyz               is it there, is it ready\n",
        "GET  /metrics                        the node's series, for Prometheus\n",
    )
}

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the node takes messages, and what it has to do gets on.
pub(super) async fn ready(State(state): State<HttpState>) -> Result<&'static str, Problem> {
    if !state.takes_messages() {
        let detail = "the node is starting or stopping";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail));
    }
    match state.vitals.as_ref().and_then(Vitals::stall) {
        None => Ok("ready\n"),
        Some(stall) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stalled", stall.to_string()))
        }
    }
}

/// Any path that is none.
pub(super) async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; GET / lists what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

/// Any method that the path does not take.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}; GET / lists what does", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
