//! The store's port: one entry point, because requests and replies are data.
//!
//! Owns the [`Store`] trait and the clock that stores judge expiry by. What each request means is
//! written in `anteroom_core::store`; every implementation passes the same contract suite
//! (`anteroom-tests`, `store_contract`).
//!
//! **Architecture invariant:** an adapter makes no decision about jobs. It loads a job, applies
//! `anteroom_core::job::Job::apply` by its own clock, and writes the result back in one atomic step.

mod backlog;
mod clock;
#[cfg(not(madsim))]
pub mod mongodb;
pub mod presence;
#[cfg(not(madsim))]
pub mod sqlite;
pub mod views;

use std::future::Future;
use std::pin::Pin;

use anteroom_core::id::{BotId, PoolName};
use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use tokio::sync::mpsc;

pub use backlog::{Backlog, Waiting};
pub use clock::{Clock, system_clock};

/// A future on the heap, so that the port can be used as `dyn Store`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What another node may have done that somebody here waits for. It may be wrong: whoever gets it looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// There may be jobs to claim.
    WorkWaiting {
        /// In which pool.
        pool: PoolName,
    },
    /// There may be results to apply.
    ResultsWaiting {
        /// Of which bot.
        bot_id: BotId,
    },
}

/// Where everything durable lives.
///
/// Calls are made within a tokio runtime that has its timer. Every call ends within the implementation's time-out; one that does not is answered with
/// [`StoreError::Unavailable`], and may or may not have happened. Dropping a returned future does not
/// undo the call.
pub trait Store: Send + Sync + 'static {
    /// Executes one request. A successful reply is the variant of the same name as the request, and
    /// what it tells is durable.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: ask again. [`StoreError::Fenced`]: the bot has another owner.
    /// [`StoreError::Invalid`]: never ask again; nothing was changed.
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult>;

    /// Every bot that was ever registered, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store does not answer.
    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>>;

    /// What other nodes do, as it happens; it ends with the store. None from a store that has one
    /// node, which knows what it did itself.
    fn hints(&self) -> Option<mpsc::Receiver<Hint>> {
        None
    }

    /// What waits in the store, of all nodes; none from a store that does not count. Linear in what waits,
    /// without reading it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store does not answer.
    fn backlog(&self) -> BoxFuture<'_, Result<Option<Backlog>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Ends what was asked before, then closes the store. Later calls are answered with
    /// [`StoreError::Unavailable`]; a second shutdown does nothing.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}
