//! What operators ask for is worked on aside, so that it never delays a receipt.
//!
//! Owns the way from a connection's task to the thread that gives way, and back: what is asked and how it is
//! shown is worked out there; a connection waits for its turn and writes the answer itself. `/metrics` is not
//! among it: it takes the locks of the series that the driver counts in.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio_util::task::AbortOnDropHandle;

use super::HttpState;
use super::problem::Problem;

/// Has a request answered aside. One whose connection ends is dropped there as well.
pub(super) async fn aside(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let Some(aside) = &state.aside else { return next.run(request).await };
    match AbortOnDropHandle::new(aside.spawn(next.run(request))).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Problem::stopping().into_response(),
        },
    }
}
