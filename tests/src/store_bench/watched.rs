//! A store that is looked at: how often it was asked, and for what.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use anteroom_runtime::store::{BoxFuture, Store};

/// A store, and what it was asked.
pub struct Watched {
    store: Arc<dyn Store>,
    operations: AtomicU64,
    /// What was asked, where it is kept.
    kept: Option<Mutex<Vec<StoreRequest>>>,
}

impl Watched {
    /// Counts what `store` is asked.
    pub fn counting(store: Arc<dyn Store>) -> Self {
        Self { store, operations: AtomicU64::new(0), kept: None }
    }

    /// Counts and keeps what `store` is asked.
    pub fn keeping(store: Arc<dyn Store>) -> Self {
        Self { kept: Some(Mutex::default()), ..Self::counting(store) }
    }

    /// How many operations it was asked for.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// What it was asked, in order, and is to keep no longer.
    pub fn take(&self) -> Vec<StoreRequest> {
        let Some(kept) = &self.kept else { return Vec::new() };
        std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for Watched {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        }
        self.store.execute(request)
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        self.store.list_bots()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.store.shutdown()
    }
}
