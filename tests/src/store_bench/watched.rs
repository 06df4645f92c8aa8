//! A store that is looked at: how often it was asked, and what it was given to write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anteroom_core::store::{BotRecord, StoreError, StoreReply, StoreRequest, StoreResult};
use anteroom_runtime::store::{BoxFuture, Hint, Store};
use tokio::sync::mpsc;

/// A request that was carried out, and its answer.
pub type Done = (StoreRequest, StoreReply);

/// A store, and what it was asked.
pub struct Watched {
    store: Arc<dyn Store>,
    operations: AtomicU64,
    /// What was done, where it is kept.
    kept: Option<Mutex<Vec<Done>>>,
}

impl Watched {
    /// Counts what `store` is asked.
    pub fn counting(store: Arc<dyn Store>) -> Self {
        Self { store, operations: AtomicU64::new(0), kept: None }
    }

    /// Counts what `store` is asked and keeps what it did.
    pub fn keeping(store: Arc<dyn Store>) -> Self {
        Self { kept: Some(Mutex::default()), ..Self::counting(store) }
    }

    /// How many operations it was asked for.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// What it did, in the order in which that ended, and is to keep no longer.
    pub fn take(&self) -> Vec<Done> {
        let Some(kept) = &self.kept else { return Vec::new() };
        std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for Watched {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        let Some(kept) = &self.kept else { return self.store.execute(request) };
        Box::pin(async move {
            let reply = self.store.execute(request.clone()).await?;
            kept.lock().unwrap_or_else(PoisonError::into_inner).push((request, reply.clone()));
            Ok(reply)
        })
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        self.store.list_bots()
    }

    fn hints(&self) -> Option<mpsc::Receiver<Hint>> {
        self.store.hints()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.store.shutdown()
    }
}
