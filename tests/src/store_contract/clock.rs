//! A clock that moves only when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anteroom_core::time::{Millis, Timestamp};
use anteroom_runtime::store::Clock;

/// The store's time, in the hands of a test.
#[derive(Debug, Clone)]
pub struct TestClock {
    now_ms: Arc<AtomicU64>,
}

impl Default for TestClock {
    /// Some moment far from zero, so that lengths of time can be taken off it.
    fn default() -> Self {
        Self { now_ms: Arc::new(AtomicU64::new(1_700_000_000_000)) }
    }
}

impl TestClock {
    /// What the store takes for the time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.now_ms.load(Ordering::SeqCst))
    }

    /// Lets time pass.
    pub fn advance(&self, length: Millis) {
        self.now_ms.fetch_add(length.as_ms(), Ordering::SeqCst);
    }

    /// The clock as a store takes it.
    pub fn as_clock(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}
