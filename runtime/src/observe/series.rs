//! Every series: its name, its meaning, its buckets.
//!
//! Owns the registry. Series whose labels are known beforehand are there from the start, with zeros, so
//! that a first failure is seen as a rise. `docs/metrics.md` describes each; a test compares it with what a
//! running node says.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anteroom_core::id::PoolName;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::labels::{
    self, OfAction, OfAnswer, OfNotice, OfOperation, OfOutcome, OfPool, OfPoolResult, OfReason,
    OfVersion,
};

/// How long the store takes, in seconds.
const STORE_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How long things wait or take that may wait for hours, in seconds.
const WAIT_BUCKETS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0,
    3_600.0, 10_800.0,
];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;
type Seconds = Gauge<f64, AtomicU64>;

fn waits() -> Histogram {
    Histogram::new(WAIT_BUCKETS)
}

fn of_store() -> Histogram {
    Histogram::new(STORE_BUCKETS)
}

/// What a node counts and measures.
pub(super) struct Series {
    registry: Registry,
    pub receipts: Family<OfOutcome, Counter>,
    pub evictions: Family<OfReason, Counter>,
    pub overflow: Family<OfAction, Counter>,
    pub notices: Family<OfNotice, Counter>,
    pub outcomes: Family<OfOutcome, Counter>,
    pub lease_reclaims: Counter,
    pub stale_results: Counter,
    pub waiting_jobs: Family<OfPool, Gauge>,
    pub oldest_job: Family<OfPool, Seconds>,
    pub claim: Histograms<OfPool>,
    pub processing: Histograms<OfPoolResult>,
    pub completion: Histogram,
    pub archiving: Histogram,
    pub busy: Family<OfPool, Gauge>,
    pub slots: Family<OfPool, Gauge>,
    pub callbacks_owed: Gauge,
    pub oldest_callback: Seconds,
    pub callback_attempts: Counter,
    pub callback_answers: Family<OfAnswer, Counter>,
    pub callback: Histogram,
    pub message: Histogram,
    pub staging_bytes: Gauge,
    pub staging_quota_bytes: Gauge,
    pub store: Histograms<OfOperation>,
    pub backlog_measured: Seconds,
    pub ready: Gauge,
    pub bots_running: Gauge,
    pub provider_connections: Gauge,
    pub consumers: Gauge,
    /// The room that the last text took.
    text_bytes: Mutex<usize>,
}

impl Series {
    /// All series, with zeros where the labels are known, for pools of so many slots.
    pub fn new(pools: &[(PoolName, u32)]) -> Self {
        let series = registered();
        series.begin(pools);
        series
    }

    /// Everything, in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut size = self.text_bytes.lock().expect("nothing panics while it holds the size");
        let mut text = String::with_capacity(*size + 1_024);
        text::encode(&mut text, &self.registry).expect("a text takes every line");
        *size = text.len();
        text
    }

    fn begin(&self, pools: &[(PoolName, u32)]) {
        for (pool, slots) in pools {
            let pool = OfPool::from(pool);
            self.slots.get_or_create(&pool).set(i64::from(*slots));
            drop(self.busy.get_or_create(&pool));
            drop(self.waiting_jobs.get_or_create(&pool));
            drop(self.oldest_job.get_or_create(&pool));
            drop(self.claim.get_or_create(&pool));
            let result = "done";
            drop(self.processing.get_or_create(&OfPoolResult { pool: pool.pool, result }));
        }
        for outcome in ["accepted", "duplicate"] {
            drop(self.receipts.get_or_create(&OfOutcome { outcome, reason: "" }));
        }
        for &reason in labels::REJECTIONS {
            drop(self.receipts.get_or_create(&OfOutcome { outcome: "rejected", reason }));
        }
        for &reason in labels::EVICTIONS {
            drop(self.receipts.get_or_create(&OfOutcome { outcome: "evicted", reason }));
            drop(self.evictions.get_or_create(&OfReason { reason }));
        }
        for action in ["entered", "rejected"] {
            drop(self.overflow.get_or_create(&OfAction { action }));
        }
        for &notice in labels::NOTICES {
            drop(self.notices.get_or_create(&OfNotice { notice }));
        }
        for &outcome in crate::driver::OUTCOME_KINDS.iter().filter(|kind| **kind != "failed") {
            drop(self.outcomes.get_or_create(&OfOutcome { outcome, reason: "" }));
        }
        for &reason in labels::FAILURES {
            drop(self.outcomes.get_or_create(&OfOutcome { outcome: "failed", reason }));
        }
        for answer in ["acknowledged", "refused", "unavailable", "gone"] {
            drop(self.callback_answers.get_or_create(&OfAnswer { answer }));
        }
    }
}

/// Everything, registered.
fn registered() -> Series {
    let mut all = Registry::with_prefix("anteroom");
    let registry = &mut all;
    let version = Family::<OfVersion, Gauge>::default();
    version.get_or_create(&OfVersion { version: env!("CARGO_PKG_VERSION") }).set(1);
    add(registry, "build_info", "Always 1: which version this is", version);
    Series {
        receipts: counted(
            registry,
            "receipts",
            "What providers were told of their messages, by outcome and, where they keep the message, \
             by reason",
        ),
        evictions: counted(
            registry,
            "evictions",
            "Messages given up while the store could not keep up, by the limit; their providers keep \
             them",
        ),
        overflow: counted(
            registry,
            "overflow",
            "Messages above a correspondent's limit, accepted (entered) or rejected",
        ),
        notices: counted(registry, "notices", "Notices, by name; each is also a line of the log"),
        outcomes: counted(
            registry,
            "media_outcomes",
            "Media jobs of this node's bots that ended, by outcome and, where they failed, by reason",
        ),
        lease_reclaims: counted(
            registry,
            "lease_reclaims",
            "Jobs that this node's sweep took away from workers that did not renew their lease",
        ),
        stale_results: counted(
            registry,
            "stale_results",
            "Results that were dropped because their lease was not the current one",
        ),
        waiting_jobs: counted(
            registry,
            "pool_waiting_jobs",
            "Active jobs in the store that nobody works on; every node says the same",
        ),
        oldest_job: counted(
            registry,
            "pool_oldest_waiting_seconds",
            "Age of the oldest active job in the store that nobody works on, 0 without one; every node \
             says the same",
        ),
        claim: measured(
            registry,
            "claim_seconds",
            "From the making of a job to its claim by this node",
            waits,
        ),
        processing: measured(
            registry,
            "processing_seconds",
            "How long processors of this node worked on a job, by how that ended",
            waits,
        ),
        completion: one(
            registry,
            "completion_seconds",
            "From the acceptance of a message with media to its archiving with the text",
            waits(),
        ),
        archiving: one(
            registry,
            "archiving_seconds",
            "From the acceptance of a text to its archiving, which is when its provider is told",
            waits(),
        ),
        busy: counted(registry, "pool_busy", "Processors of this node at work"),
        slots: counted(registry, "pool_slots", "Processors of this node that may work at once"),
        callbacks_owed: counted(
            registry,
            "callbacks_owed",
            "Callbacks in the store that are owed; every node says the same",
        ),
        oldest_callback: counted(
            registry,
            "callbacks_oldest_seconds",
            "How long ago the oldest message whose callback is owed was archived, 0 without one; every \
             node says the same",
        ),
        callback_attempts: counted(
            registry,
            "callback_attempts",
            "Callbacks handed to consumers, repetitions included",
        ),
        callback_answers: counted(
            registry,
            "callback_answers",
            "What consumers made of callbacks, repetitions included",
        ),
        callback: one(
            registry,
            "callback_seconds",
            "From handing a callback to its consumer to the acknowledgement of that attempt or a later \
             one",
            waits(),
        ),
        message: one(
            registry,
            "message_seconds",
            "From the acceptance of a message to the acknowledgement of its callback",
            waits(),
        ),
        staging_bytes: counted(
            registry,
            "staging_bytes",
            "Bytes of media files and uploads in staging",
        ),
        staging_quota_bytes: counted(
            registry,
            "staging_quota_bytes",
            "Bytes that media files and uploads may take together",
        ),
        store: measured(
            registry,
            "store_seconds",
            "How long the store took to answer, by operation and result",
            of_store,
        ),
        backlog_measured: counted(
            registry,
            "backlog_measured_seconds",
            "How long ago it was last counted what waits in the store",
        ),
        ready: counted(registry, "ready", "Whether the node is ready, as /readyz says it"),
        bots_running: counted(registry, "bots_running", "Bots that run on this node"),
        provider_connections: counted(
            registry,
            "provider_connections",
            "Connections of providers to this node",
        ),
        consumers: counted(registry, "consumers", "Consumers that take callbacks from this node"),
        text_bytes: Mutex::new(0),
        registry: all,
    }
}

/// A metric, or a family of them, that begins with nothing.
fn counted<M: Metric + Default + Clone>(registry: &mut Registry, name: &str, about: &str) -> M {
    let metric = M::default();
    add(registry, name, about, metric.clone());
    metric
}

fn measured<L>(
    registry: &mut Registry,
    name: &str,
    about: &str,
    make: fn() -> Histogram,
) -> Histograms<L>
where
    L: Clone + std::hash::Hash + Eq,
    Histograms<L>: Metric,
{
    let family = Histograms::<L>::new_with_constructor(make);
    add(registry, name, about, family.clone());
    family
}

fn one(registry: &mut Registry, name: &str, about: &str, histogram: Histogram) -> Histogram {
    add(registry, name, about, histogram.clone());
    histogram
}

fn add(registry: &mut Registry, name: &str, about: &str, metric: impl Metric) {
    registry.register(name, about, metric);
}

/// Enters a length of time.
pub(super) fn observe(histogram: &Histogram, length: Duration) {
    histogram.observe(length.as_secs_f64());
}
