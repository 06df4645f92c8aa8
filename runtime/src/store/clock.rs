//! The clock by which a store judges expiry.
//!
//! Owns the wall clock's one correction: it never steps back within a process, because a lease that
//! has ended must not come to life again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anteroom_core::time::Timestamp;

/// Tells the time. A reading is never earlier than one before it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The system's wall clock, held still while the system sets it back.
pub fn system_clock() -> Clock {
    non_decreasing(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    })
}

fn non_decreasing(read_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Clock {
    let latest_ms = AtomicU64::new(0);
    Arc::new(move || {
        let now_ms = read_ms();
        let before_ms = latest_ms.fetch_max(now_ms, Ordering::Relaxed);
        Timestamp::from_ms(now_ms.max(before_ms))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Goal: time stands still while the system's clock is behind, and goes on once it has caught up.
    #[test]
    fn time_never_steps_back() {
        let readings = Mutex::new(vec![7, 6, 3, 5]);
        let clock = non_decreasing(move || readings.lock().unwrap().pop().unwrap());
        let told: Vec<u64> = (0..4).map(|_| clock().as_ms()).collect();
        assert_eq!(told, [5, 5, 6, 7]);
    }
}
