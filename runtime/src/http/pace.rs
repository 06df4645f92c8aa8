//! How fast one connection may talk, and how fast all operators together may ask.
//!
//! Owns nothing but the moment up to which a share has been used. Whoever talks faster is read more slowly:
//! nothing is dropped, and the wait is in the sender's own socket. (The algorithm is the generic cell rate
//! algorithm, ITU-T I.371.)

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How often in a second, for as long as one likes.
    pub per_second: u32,
    /// How often at once, after a pause.
    pub burst: u32,
}

/// The pace of one.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    ahead_max: Duration,
    used_until: Instant,
}

impl Pace {
    pub fn new(rate: Rate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self { interval, ahead_max: interval * rate.burst.max(1), used_until: Instant::now() }
    }

    /// Waits until one more may happen. Whoever stops waiting has used nothing.
    pub async fn step(&mut self) {
        let now = Instant::now();
        let used_until = self.used_until.max(now) + self.interval;
        let allowed_at = used_until.checked_sub(self.ahead_max);
        if let Some(allowed_at) = allowed_at.filter(|at| *at > now) {
            sleep_until(allowed_at).await;
        }
        self.used_until = used_until;
    }
}

/// One pace of many, who take turns in the order in which they come.
#[derive(Debug, Clone)]
pub(super) struct SharedPace(Arc<Mutex<Pace>>);

impl SharedPace {
    pub fn new(rate: Rate) -> Self {
        Self(Arc::new(Mutex::new(Pace::new(rate))))
    }

    /// Waits until one more may happen; see [`Pace::step`].
    pub async fn step(&self) {
        self.0.lock().await.step().await;
    }
}

/// Lets a request through when its turn has come.
pub(super) async fn in_turn(
    State(pace): State<SharedPace>,
    request: Request,
    next: Next,
) -> Response {
    pace.step().await;
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a burst passes at once, what is beyond it at the rate, and a pause brings the burst back.
    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate_holds() {
        let mut pace = Pace::new(Rate { per_second: 10, burst: 5 });
        let begun = Instant::now();
        for _ in 0..5 {
            pace.step().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            pace.step().await;
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..5 {
            pace.step().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        pace.step().await;
        assert_eq!(begun.elapsed(), Duration::from_millis(100));
    }
}
