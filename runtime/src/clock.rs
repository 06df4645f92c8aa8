//! Time for a node: what it is told, and where it comes from.
//!
//! **Invariant:** a clock never steps back. Wall time is read once, when the process starts; from there
//! on time is counted, so that setting the computer's clock neither ends nor prolongs a lease. The
//! count includes the time that the computer was suspended: a node that wakes up must see that its
//! leases have ended.

use anteroom_core::time::Timestamp;

/// Tells a node what time it is.
pub trait Clock: Send + Sync + 'static {
    /// The present moment; never before one that was told earlier.
    fn now(&self) -> Timestamp;
}

/// The computer's clock: wall time at the start, counted on from there.
#[cfg(not(madsim))]
#[derive(Debug, Clone)]
pub struct BootClock {
    started_at: Timestamp,
    count: Count,
}

#[cfg(not(madsim))]
impl BootClock {
    /// A clock that starts at the present wall time.
    pub fn start() -> Self {
        let wall =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let started_at =
            Timestamp::from_ms(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX / 2));
        Self { started_at, count: Count::start() }
    }
}

#[cfg(not(madsim))]
impl Clock for BootClock {
    fn now(&self) -> Timestamp {
        self.started_at + self.count.elapsed()
    }
}

#[cfg(not(madsim))]
use count::Count;

/// Counted by a clock of the system that goes on while the computer is suspended.
#[cfg(all(not(madsim), any(target_os = "linux", target_os = "android")))]
mod count {
    use anteroom_core::time::Millis;
    use rustix::time::{ClockId, Timespec, clock_gettime};

    #[derive(Debug, Clone)]
    pub(super) struct Count(Timespec);

    impl Count {
        pub fn start() -> Self {
            Self(clock_gettime(ClockId::Boottime))
        }

        pub fn elapsed(&self) -> Millis {
            let now = clock_gettime(ClockId::Boottime);
            let nanoseconds = i128::from(now.tv_sec - self.0.tv_sec) * 1_000_000_000
                + i128::from(now.tv_nsec)
                - i128::from(self.0.tv_nsec);
            Millis::from_ms(u64::try_from(nanoseconds / 1_000_000).unwrap_or(0))
        }
    }
}

/// Counted by what the standard library has, where the system offers no more.
#[cfg(all(not(madsim), not(any(target_os = "linux", target_os = "android"))))]
mod count {
    use std::time::Instant;

    use anteroom_core::time::Millis;

    #[derive(Debug, Clone)]
    pub(super) struct Count(Instant);

    impl Count {
        pub fn start() -> Self {
            Self(Instant::now())
        }

        pub fn elapsed(&self) -> Millis {
            Millis::from_ms(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX / 2))
        }
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::*;

    /// Goal: the clock starts at wall time and never steps back. Method: many readings in a row,
    /// compared with each other and with the system's.
    #[test]
    fn the_clock_starts_at_wall_time_and_never_steps_back() {
        let clock = BootClock::start();
        let mut last = clock.started_at;
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the test runs after 1970");
        let wall = Timestamp::from_ms(wall.as_millis() as u64);
        assert!(wall.since(last).as_ms() < 60_000 && last.since(wall).as_ms() < 60_000);
    }
}
