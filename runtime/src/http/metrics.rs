//! `GET /metrics`: the node's series, for Prometheus.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::problem::Problem;

/// Every series, with what waits in the store counted as newly as that is due.
pub(super) async fn get(State(state): State<HttpState>) -> Response {
    let exposition = match &state.vitals {
        Some(vitals) => vitals.exposition(state.takes_messages()).await,
        None => None,
    };
    match exposition {
        Some(exposition) => {
            let kind = [(header::CONTENT_TYPE, exposition.content_type)];
            (kind, exposition.text).into_response()
        }
        None => {
            let detail = "this node keeps no series: observe.metrics is false";
            Problem::new(StatusCode::NOT_FOUND, "no_metrics", detail).into_response()
        }
    }
}
