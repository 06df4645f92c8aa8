//! Accepting connections, bounding them, and ending them in order.
//!
//! Owns the accept loop. HTTP/1.1 is driven here rather than by axum's own server, which bounds
//! neither the heads of requests nor connections, nor writes to peers that do not read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower_service::Service;
use tracing::{debug, warn};

use super::pace::SharedPace;
use super::stall::StallGuard;
use super::{Access, HttpLimits, HttpState, router};
use crate::priority::Aside;

/// Bytes that HTTP may buffer of a connection in each direction, a request's head included.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// How long accepting rests when the system has no resources for another connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A place among the connections, held until nothing of the connection is left, its WebSocket and
/// streams included.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _tracked: TaskTrackerToken,
}

/// A place as handlers that outlive their request keep it.
pub(super) type KeptPlace = Option<Extension<Arc<Place>>>;

/// Serves every endpoint on `listener` until `shutdown`, and returns when the connections have ended.
///
/// On shutdown requests in flight are answered, sessions and streams are closed, and whatever is
/// still open after [`HttpLimits::shutdown_grace`] is dropped.
///
/// # Errors
/// When the listener has no address, or the system no thread; single connections never end the listener.
pub async fn serve(
    listener: TcpListener,
    mut state: HttpState,
    shutdown: CancellationToken,
) -> io::Result<()> {
    if !matches!(state.access, Access::Tokens(_)) {
        state.access = access(listener.local_addr()?);
    }
    state.shutdown = shutdown.clone();
    let aside = Aside::start("operators")?;
    state.aside = aside.handle().cloned();
    let connections = Connections {
        limits: state.limits,
        places: Arc::new(Semaphore::new(state.limits.connections_max)),
        open: TaskTracker::new(),
        shutdown,
        abandoned: CancellationToken::new(),
        router: router(state),
    };
    connections.accept_all(&listener).await;
    drop(listener);
    connections.end().await;
    drop(aside);
    Ok(())
}

fn access(address: SocketAddr) -> Access {
    if address.ip().to_canonical().is_loopback() { Access::Loopback } else { Access::Nobody }
}

struct Connections {
    limits: HttpLimits,
    places: Arc<Semaphore>,
    open: TaskTracker,
    shutdown: CancellationToken,
    /// The grace is over: connections are dropped.
    abandoned: CancellationToken,
    router: Router,
}

impl Connections {
    async fn accept_all(&self, listener: &TcpListener) {
        loop {
            let next = async {
                let permit = Arc::clone(&self.places).acquire_owned().await;
                let permit = permit.expect("the semaphore of places is never closed");
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                next = next => next,
            };
            match accepted {
                Ok((stream, _)) => self.open(stream, permit),
                Err(error) if is_of_one_connection(&error) => debug!(%error, "not accepted"),
                Err(error) => {
                    warn!(%error, "connections cannot be accepted; trying on");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn open(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        // Receipts and callbacks are small and awaited: they do not wait for a fuller packet.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "the connection ended before it began");
            return;
        }
        let place = Arc::new(Place { _permit: permit, _tracked: self.open.token() });
        let router = self.router.clone();
        let pace = SharedPace::new(self.limits.requests);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&place));
            let (mut router, pace) = (router.clone(), pace.clone());
            async move {
                pace.step().await;
                router.call(request.map(Body::new)).await
            }
        });
        let connection = TokioIo::new(StallGuard::new(stream, self.limits.write_stall_max));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_time_max)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(connection, service)
            .with_upgrades();
        let (shutdown, abandoned) = (self.shutdown.clone(), self.abandoned.clone());
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                biased;
                () = abandoned.cancelled() => return,
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        biased;
                        () = abandoned.cancelled() => return,
                        ended = connection => ended,
                    }
                }
            };
            if let Err(error) = ended {
                debug!(%error, "a connection broke");
            }
        });
    }

    /// Waits until every connection has ended, or the grace is over.
    async fn end(&self) {
        self.open.close();
        if timeout(self.limits.shutdown_grace, self.open.wait()).await.is_err() {
            warn!(open = self.open.len(), "connections did not end in time and are dropped");
            self.abandoned.cancel();
        }
    }
}

/// Whether an error of `accept` says something of the one connection, not of the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
