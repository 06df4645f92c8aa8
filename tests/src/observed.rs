//! A value that one task writes and tests wait on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// A value with a bell: whoever waits looks again after each change.
#[derive(Debug)]
pub struct Observed<T> {
    value: Mutex<T>,
    changed: watch::Sender<()>,
}

impl<T> Observed<T> {
    /// Starts with `value`.
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: watch::Sender::new(()) }
    }

    /// Changes the value and wakes whoever waits.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    /// Looks at the value.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// A test that fails while it looks leaves the value whole: others may go on with it.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` sees something, or for `patience` at the most.
    pub async fn seen_within<R>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&T) -> Option<R>,
    ) -> Option<R> {
        let mut changes = self.changed.subscribe();
        let watch = async {
            loop {
                if let Some(seen) = self.read(&mut look) {
                    return seen;
                }
                changes.changed().await.expect("the sender lives as long as self");
            }
        };
        tokio::time::timeout(patience, watch).await.ok()
    }

    /// Waits until `look` sees something.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`](crate::PATIENCE), saying `what` was waited for.
    pub async fn seen<R>(&self, what: &str, look: impl FnMut(&T) -> Option<R>) -> R {
        let seen = self.seen_within(crate::PATIENCE, look).await;
        seen.unwrap_or_else(|| panic!("waited {:?} in vain for {what}", crate::PATIENCE))
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// As [`Self::seen`].
    pub async fn until(&self, what: &str, mut condition: impl FnMut(&T) -> bool) {
        self.seen(what, |value| condition(value).then_some(())).await;
    }
}
