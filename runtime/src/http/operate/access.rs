//! Who may look, who may change, and who did.
//!
//! Where there are tokens, a reader's opens what is read and an operator's everything; a bot's opens nothing
//! here, for what operators see is of all bots. Without tokens everybody on this machine is an operator, as
//! everywhere else.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::guard::{bearer, from_this_machine};
use crate::http::problem::Problem;
use crate::http::{Access, HttpState};
use crate::tokens::{Role, TokenHash};

/// Who asks, as audit lines name them.
#[derive(Debug, Clone)]
pub(super) struct Actor(pub(super) String);

/// Lets a request through when its sender may ask.
pub(super) async fn authorized(
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Response {
    let changes = request.method() != Method::GET && request.method() != Method::HEAD;
    match judge(&state.access, &request, changes) {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn judge(access: &Access, request: &Request, changes: bool) -> Result<Actor, Problem> {
    let tokens = match access {
        Access::Tokens(tokens) => tokens,
        Access::Loopback => {
            from_this_machine(request.headers())?;
            return Ok(Actor("this machine".to_owned()));
        }
        Access::Nobody => {
            return Err(unauthorized(
                "this listener can be reached from other machines and has no tokens",
            ));
        }
    };
    let token = bearer(request.headers())
        .ok_or_else(|| unauthorized("operators show a token: `Authorization: Bearer …`"))?;
    match tokens.role(token) {
        Some(Role::Reader) if changes => {
            Err(forbidden("the token may only look; an operator's changes things"))
        }
        Some(Role::Operator | Role::Reader) => Ok(Actor(named(token))),
        None if tokens.opens_any_bot(token) => Err(forbidden(
            "the token is a bot's; what is asked for takes an operator's or a reader's",
        )),
        None => Err(unauthorized("the token is not known here")),
    }
}

/// A token's name: the beginning of its hash, as the configuration holds it.
fn named(token: &str) -> String {
    TokenHash::of(token).to_string().chars().take("sha256:".len() + 8).collect()
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "wrong_role", detail)
}

/// One line of what an operator changed.
macro_rules! audit {
    ($actor:expr, $action:literal, $($field:tt)*) => {
        tracing::info!(target: "audit", actor = $actor.0.as_str(), action = $action, $($field)*)
    };
}

pub(super) use audit;
