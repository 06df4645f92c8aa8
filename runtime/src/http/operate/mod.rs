//! What operators see and do: bots, jobs, callbacks, single messages' stories, notices, nodes.
//!
//! Owns the endpoints under operators' tokens, and nothing that decides: what changes a job is asked of the
//! store's own table of jobs, what changes a bot or a callback is told to the machine. **Invariants:** what
//! anybody wrote is never answered; every list is a page; whatever is changed leaves a line of the target
//! `audit`.
//!
//! | file | idea |
//! |---|---|
//! | [`access`] | who may look, who may change, and who did |
//! | [`query`] | reading what an address or a body asks for |
//! | [`show`] | how jobs and callbacks are shown |
//! | [`bots`], [`jobs`], [`callbacks`], [`nodes`] | the endpoints |
//! | [`explain`], [`story`] | one message's whole story |
//! | [`events`] | notices as they come |
//! | [`openapi`] | all of it, described |

mod access;
mod bots;
mod callbacks;
mod events;
mod explain;
mod jobs;
mod nodes;
mod openapi;
mod query;
mod show;
mod story;

use std::sync::Arc;
use std::time::Instant;

use anteroom_core::id::BotId;
use anteroom_core::pool::routing::Routing;
use anteroom_core::settings::{BotSettings, NodeSettings};
use anteroom_core::store::StoreError;
use anteroom_core::time::Millis;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::pace::{SharedPace, in_turn};
use super::problem::Problem;
use super::{HttpState, aside, guard};
use crate::store::presence::{Presence, Present};
use crate::store::views::{Question, View, Views};

/// What operators' endpoints need beside the driver.
pub struct Operations {
    store: Arc<dyn Views>,
    /// Which pool takes what: none only if the node's pools make no routing, and then it does not start.
    routing: Option<Arc<Routing>>,
    settings: NodeSettings,
    node: Presence,
    started: Instant,
}

impl Operations {
    /// Over this store, of a node with these settings that starts now.
    pub fn new(store: Arc<dyn Views>, settings: NodeSettings, node: Presence) -> Self {
        let routing = Routing::new(&settings.pools).ok().map(Arc::new);
        Self { store, routing, settings, node, started: Instant::now() }
    }

    /// What the node itself says to who asks which nodes there are.
    fn present(&self) -> Present {
        let up = self.started.elapsed().into();
        Present { node: self.node.clone(), up, silent: Millis::ZERO }
    }

    async fn look(&self, question: Question) -> Result<View, Problem> {
        self.store.look(question).await.map_err(unanswered)
    }

    fn settings_of(&self, bot_id: &BotId) -> &BotSettings {
        self.settings.bots.get(bot_id).unwrap_or(&self.settings.bot_defaults)
    }
}

impl HttpState {
    /// What operators' endpoints need; they exist only where it is there.
    fn operations(&self) -> Result<&Operations, Problem> {
        let missing = || {
            let detail = "this listener serves no operators";
            Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
        };
        self.operations.as_deref().ok_or_else(missing)
    }
}

/// The store did not answer an operator.
fn unanswered(error: StoreError) -> Problem {
    match error {
        StoreError::Unavailable { .. } | StoreError::Fenced => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", error.to_string())
                .with_retry_after(Millis::from_secs(1))
        }
        StoreError::Invalid { .. } => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store_refused", error.to_string())
        }
    }
}

/// An answer of the store that is none to the question: a bug of the adapter.
fn no_answer() -> Problem {
    let detail = "the store answered another question";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store_refused", detail)
}

/// Every endpoint of operators, who all take turns at one pace.
pub(super) fn router(state: &HttpState, pace: SharedPace) -> Router<HttpState> {
    if state.operations.is_none() {
        return Router::new();
    }
    let requests = Router::new()
        .route("/v1/bots", get(bots::list).post(bots::add))
        .route("/v1/bots/{bot}", get(bots::show))
        .route("/v1/bots/{bot}/start", post(bots::start))
        .route("/v1/bots/{bot}/stop", post(bots::stop))
        .route("/v1/bots/{bot}/settings", get(bots::settings))
        .route("/v1/bots/{bot}/correspondents/{correspondent}", get(bots::correspondent))
        .route("/v1/jobs", get(jobs::list))
        .route("/v1/jobs/count", get(jobs::count))
        .route("/v1/jobs/retry", post(jobs::retry_many))
        .route("/v1/jobs/discard", post(jobs::discard_many))
        .route("/v1/jobs/{media_id}", get(jobs::show))
        .route("/v1/jobs/{media_id}/retry", post(jobs::retry))
        .route("/v1/jobs/{media_id}/discard", post(jobs::discard))
        .route("/v1/callbacks/owed", get(callbacks::owed))
        .route("/v1/callbacks/undeliverable", get(callbacks::undeliverable))
        .route("/v1/callbacks/redeliver", post(callbacks::redeliver_many))
        .route("/v1/callbacks/{callback_id}/redeliver", post(callbacks::redeliver))
        .route("/v1/callbacks/{callback_id}/explain", get(explain::of_callback))
        .route("/v1/messages/{callback_id}/explain", get(explain::of_callback))
        .route("/v1/media/{media_id}/explain", get(explain::of_media))
        .route("/v1/nodes", get(nodes::list))
        .route_layer(from_fn_with_state(state.clone(), aside::aside))
        .route_layer(from_fn_with_state(state.clone(), guard::in_time));
    let streams = Router::new().route("/v1/events", get(events::stream));
    requests
        .merge(streams)
        .route_layer(from_fn_with_state(pace, in_turn))
        .route_layer(from_fn_with_state(state.clone(), access::authorized))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::page))
}
