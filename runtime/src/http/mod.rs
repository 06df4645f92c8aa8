//! The listeners: providers, consumers and operators over HTTP, WebSocket and event streams.
//!
//! Owns the wire and nothing else: it reads what comes from outside into the core's types, asks the
//! driver, and writes what the driver answers. It decides nothing, keeps no state of a bot, and knows
//! no store.
//!
//! | file | idea |
//! |---|---|
//! | [`listener`] | accepting connections, their bounds, their orderly end |
//! | [`stall`] | a peer that does not read is let go |
//! | [`guard`] | who may ask: with a token, or from this machine and no foreign web page |
//! | [`pace`] | how fast one connection may talk |
//! | [`aside`] | what operators ask for gives way to everything else |
//! | [`problem`] | errors as problem documents |
//! | [`path`], [`body`] | reading what an address names, and a bounded body |
//! | [`provider`], [`writer`], [`frames`] | `GET /v1/provider`: one provider connection |
//! | [`earlier`] | messages of payload version 0 |
//! | [`media`] | `PUT /v1/media/{media_id}` |
//! | [`messages`] | `POST /v1/bots/{bot}/messages` |
//! | [`callbacks`], [`callback_socket`] | `GET /v1/bots/{bot}/callbacks`, as events or over a WebSocket |
//! | [`acknowledgements`] | `POST /v1/bots/{bot}/callbacks/ack` |
//! | [`sends`] | `POST /v1/bots/{bot}/sends` |
//! | [`operate`] | what operators see and do |
//! | [`health`] | whether the node is there, and ready |
//! | [`metrics`] | `GET /metrics` |
//!
//! **Architecture invariants:** nothing is buffered without a bound; a slow peer delays itself only;
//! what carries a `valid_until` is checked against it right before it is written; every task of a
//! connection ends with the shutdown token.

mod acknowledgements;
mod aside;
mod body;
mod callback_socket;
mod callbacks;
mod earlier;
mod frames;
mod guard;
mod health;
mod listener;
mod media;
mod messages;
mod metrics;
mod operate;
mod pace;
mod path;
mod problem;
mod provider;
mod sends;
mod socket;
mod stall;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use tokio::runtime;
use tokio_util::sync::CancellationToken;

pub use listener::serve;
pub use operate::Operations;
pub use pace::Rate;
use pace::SharedPace;

use crate::driver::Handle;
use crate::media::staging::Staging;
use crate::observe::Vitals;
use crate::tokens::Tokens;

/// What every endpoint needs.
#[derive(Clone)]
pub struct HttpState {
    driver: Handle,
    staging: Arc<Staging>,
    limits: HttpLimits,
    /// Ends streams and sessions, which no graceful shutdown of HTTP would end.
    shutdown: CancellationToken,
    access: Access,
    accepts_v0: bool,
    operations: Option<Arc<Operations>>,
    runs_bots: bool,
    vitals: Option<Vitals>,
    /// Where operators' requests are worked on; without it, where they come in.
    aside: Option<runtime::Handle>,
}

/// The bounds of the listeners.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Connections at once; more wait in the kernel.
    pub connections_max: usize,
    /// How long a request's head may take.
    pub head_time_max: Duration,
    /// How long a request may take, its answer included; streams and uploads are no such requests.
    pub request_time_max: Duration,
    /// How long a peer may read nothing of what is written to it.
    pub write_stall_max: Duration,
    /// How often a silent event stream says that it is alive.
    pub keep_alive_every: Duration,
    /// How long connections may take to end when the node stops.
    pub shutdown_grace: Duration,
    /// Frames of one WebSocket; who talks faster is read more slowly.
    pub frames: Rate,
    /// Requests of one connection; who asks faster is answered more slowly.
    pub requests: Rate,
    /// Requests of all operators together; when they ask faster, each waits for its turn.
    pub operators: Rate,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            head_time_max: Duration::from_secs(15),
            request_time_max: Duration::from_secs(60),
            write_stall_max: Duration::from_secs(60),
            keep_alive_every: Duration::from_secs(15),
            shutdown_grace: Duration::from_secs(5),
            frames: Rate { per_second: 10_000, burst: 20_000 },
            requests: Rate { per_second: 2_000, burst: 4_000 },
            operators: Rate { per_second: 100, burst: 20 },
        }
    }
}

/// Who may use the listener.
#[derive(Debug, Clone)]
enum Access {
    /// Whoever shows a token.
    Tokens(Arc<Tokens>),
    /// Everybody on this machine: it is bound to the loopback interface, and there are no tokens.
    Loopback,
    /// Nobody: it can be reached from elsewhere, and there is no token that could be shown.
    Nobody,
}

impl HttpState {
    /// The state of a listener on the loopback interface, within the default limits.
    pub fn new(driver: Handle, staging: Arc<Staging>) -> Self {
        Self {
            driver,
            staging,
            limits: HttpLimits::default(),
            shutdown: CancellationToken::new(),
            access: Access::Loopback,
            accepts_v0: false,
            operations: None,
            runs_bots: true,
            vitals: None,
            aside: None,
        }
    }

    /// The same for those only who show one of these tokens. Without any, everybody on this machine may use a
    /// loopback listener, and nobody any other.
    pub fn with_tokens(mut self, tokens: Tokens) -> Self {
        if !tokens.is_empty() {
            self.access = Access::Tokens(Arc::new(tokens));
        }
        self
    }

    /// The same that takes messages of payload version 0 too, or not.
    pub fn accepting_v0(mut self, accepts_v0: bool) -> Self {
        self.accepts_v0 = accepts_v0;
        self
    }

    /// The same with what operators need.
    pub fn with_operations(mut self, operations: Operations) -> Self {
        self.operations = Some(Arc::new(operations));
        self
    }

    /// The same of a node that runs bots, or only workers.
    pub fn running_bots(mut self, runs_bots: bool) -> Self {
        self.runs_bots = runs_bots;
        self
    }

    /// The same that shows what the node says of itself.
    pub fn with_vitals(mut self, vitals: Vitals) -> Self {
        self.vitals = Some(vitals);
        self
    }

    /// Whether the node has started and is not told to stop.
    fn takes_messages(&self) -> bool {
        self.driver.is_ready() && !self.shutdown.is_cancelled()
    }

    /// The same within other limits.
    pub fn with_limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// Every endpoint.
pub fn router(state: HttpState) -> Router {
    let operators = SharedPace::new(state.limits.operators);
    let in_turn = from_fn_with_state(operators.clone(), pace::in_turn);
    let requests = Router::new()
        .route("/v1/bots/{bot}/messages", post(messages::post))
        .route("/v1/bots/{bot}/callbacks/ack", post(acknowledgements::post))
        .route("/v1/bots/{bot}/callbacks/resume", post(callbacks::resume))
        .route("/v1/bots/{bot}/sends", post(sends::post))
        .route_layer(from_fn_with_state(state.clone(), guard::in_time));
    let streams = Router::new()
        .route("/v1/provider", get(provider::connect))
        .route("/v1/media/{media_id}", put(media::put))
        .route("/v1/bots/{bot}/callbacks", get(callbacks::stream));
    requests
        .merge(streams)
        .route_layer(from_fn_with_state(state.clone(), guard::where_bots_run))
        .route("/metrics", get(metrics::get).route_layer(in_turn))
        .route_layer(from_fn_with_state(state.clone(), guard::authorized))
        .merge(operate::router(&state, operators))
        .route("/", get(health::hello))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(health::not_found)
        .method_not_allowed_fallback(health::method_not_allowed)
        .with_state(state)
}
