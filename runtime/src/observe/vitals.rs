//! What is asked when somebody looks: is the node ready, and what do its series say.
//!
//! Owns the last count of what waits in the store. It is counted when somebody looks, so a node that nobody
//! looks at asks nothing of its store, and at most once in [`BACKLOG_EVERY`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom_core::id::PoolName;
use anteroom_core::time::Timestamp;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;

use super::labels::OfPool;
use super::series::Series;
use super::stalls::{Stall, Stalls};
use super::steps::Steps;
use super::store::Observed;
use crate::clock::Clock;
use crate::media::staging::Staging;
use crate::store::{Backlog, Store, Waiting};

/// What waits in the store is counted so often at the most.
const BACKLOG_EVERY: Duration = Duration::from_secs(5);

/// How long somebody who looks waits for a count.
const BACKLOG_PATIENCE: Duration = Duration::from_secs(2);

/// Whether a node is looked at, and how patiently.
#[derive(Debug, Clone, Copy)]
pub struct ObserveOptions {
    /// Whether series are kept.
    pub metrics: bool,
    /// How long claims and archives may be asked for in vain before the node is not ready.
    pub stalled_after: Duration,
}

impl Default for ObserveOptions {
    fn default() -> Self {
        Self { metrics: true, stalled_after: Duration::from_secs(30) }
    }
}

/// What a node says of itself. Clones are the same.
#[derive(Clone)]
pub struct Vitals(Arc<Inner>);

struct Inner {
    series: Option<Arc<Series>>,
    stalls: Arc<Stalls>,
    clock: Arc<dyn Clock>,
    /// Past the wall, so that to look is not seen.
    store: Arc<dyn Store>,
    staging: Arc<Staging>,
    counted: Mutex<Counted>,
}

struct Counted {
    asked_at: Option<Instant>,
    /// The node's start, while nothing has been counted.
    counted_at: Instant,
    /// The pools that something is said of.
    pools: BTreeSet<PoolName>,
}

/// Series as text, and how that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposition {
    /// The text.
    pub text: String,
    /// Its MIME type.
    pub content_type: &'static str,
}

impl Vitals {
    /// What a node with these pools says of itself, and its store, to be used instead of the one given.
    pub fn of(
        options: ObserveOptions,
        pools: &[(PoolName, u32)],
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        staging: Arc<Staging>,
    ) -> (Self, Arc<dyn Store>) {
        let series = options.metrics.then(|| Arc::new(Series::new(pools)));
        let stalls = Arc::new(Stalls::new(options.stalled_after));
        let observed = Observed {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            series: series.clone(),
            stalls: Arc::clone(&stalls),
        };
        let pools = pools.iter().map(|(pool, _)| pool.clone()).collect();
        let counted = Counted { asked_at: None, counted_at: Instant::now(), pools };
        let counted = Mutex::new(counted);
        let inner = Inner { series, stalls, clock, store, staging, counted };
        (Self(Arc::new(inner)), Arc::new(observed))
    }

    /// Who looks on while the machine is stepped; nobody, where no series are kept.
    pub fn steps(&self) -> Option<Steps> {
        self.0.series.clone().map(Steps::new)
    }

    /// What does not get on, if anything.
    pub fn stall(&self) -> Option<Stall> {
        self.0.stalls.worst()
    }

    /// The series, with what waits in the store counted anew where that is due and possible; none where no
    /// series are kept.
    pub async fn exposition(&self, is_ready: bool) -> Option<Exposition> {
        let series = self.0.series.as_ref()?;
        series.ready.set(i64::from(is_ready && self.stall().is_none()));
        series.staging_bytes.set(gauge(self.0.staging.used_bytes()));
        series.staging_quota_bytes.set(gauge(self.0.staging.limits().quota_bytes));
        self.count_backlog(series).await;
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Some(Exposition { text: series.text(), content_type })
    }

    /// Counts what waits in the store. What cannot be counted stays as it was, and its age tells.
    async fn count_backlog(&self, series: &Series) {
        let mut counted = self.0.counted.lock().await;
        let is_due = counted.asked_at.is_none_or(|at| at.elapsed() >= BACKLOG_EVERY);
        if is_due {
            counted.asked_at = Some(Instant::now());
            match timeout(BACKLOG_PATIENCE, self.0.store.backlog()).await {
                Ok(Ok(Some(backlog))) => {
                    counted.pools.extend(backlog.jobs.keys().cloned());
                    self.enter(series, &counted.pools, &backlog);
                    counted.counted_at = Instant::now();
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => debug!(%error, "what waits in the store could not be counted"),
                Err(_) => debug!("what waits in the store could not be counted in time"),
            }
        }
        series.backlog_measured.set(counted.counted_at.elapsed().as_secs_f64());
    }

    fn enter(&self, series: &Series, pools: &BTreeSet<PoolName>, backlog: &Backlog) {
        let now = self.0.clock.now();
        for pool in pools {
            let waiting = backlog.jobs.get(pool).copied().unwrap_or_default();
            let pool = OfPool::from(pool);
            series.waiting_jobs.get_or_create(&pool).set(gauge(waiting.count));
            series.oldest_job.get_or_create(&pool).set(age(now, waiting));
        }
        series.callbacks_owed.set(gauge(backlog.callbacks.count));
        series.oldest_callback.set(age(now, backlog.callbacks));
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn age(now: Timestamp, waiting: Waiting) -> f64 {
    let age = waiting.oldest.map(|oldest| Duration::from(now.since(oldest)));
    age.unwrap_or_default().as_secs_f64()
}
