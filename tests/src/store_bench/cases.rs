//! Media jobs as they arrive, and as they wait: each on a store of its own, and beside it the same
//! durable writes by the driver alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom_runtime::store::Store;
use anyhow::Result;
use tokio::task::JoinSet;

use super::bed::{Ground, Used};
use super::held::fill;
use super::load::{Provider, bot, consume, messages};
use super::node::Node;
use super::raw::{Made, Writes};
use super::watched::Watched;

/// Bots that share a load.
pub const BOTS: usize = 8;

/// Jobs through a node, and the same writes without it.
#[derive(Debug, Clone, Copy)]
pub struct Jobs {
    count: f64,
    took: Duration,
    used: Used,
    raw: Made,
    batches: usize,
}

impl Jobs {
    /// From the first message, or the node's start, to the last acknowledgement.
    pub fn jobs_a_second(&self) -> f64 {
        self.count / self.took.as_secs_f64()
    }

    /// The driver alone.
    pub fn raw_jobs_a_second(&self) -> f64 {
        self.count / self.raw.took.as_secs_f64()
    }

    /// The node's rate against the driver's.
    pub fn ratio(&self) -> f64 {
        self.raw.took.as_secs_f64() / self.took.as_secs_f64()
    }

    /// The processor time that the driver alone costs, its server's included, against the node's: what
    /// the ratio would be if processors were all that is waited for.
    pub fn processor_ratio(&self) -> f64 {
        self.raw.used.as_secs_f64() / self.used.total().as_secs_f64()
    }

    /// Jobs in one durable write, on average.
    pub fn batch(&self) -> f64 {
        self.count * 3.0 / self.batches as f64
    }

    /// Processor time of everything in this process, a job, in microseconds.
    pub fn here_micros(&self) -> f64 {
        self.used.here.as_secs_f64() * 1e6 / self.count
    }

    /// Processor time of the store's server, a job, in microseconds.
    pub fn server_micros(&self) -> f64 {
        self.used.server.as_secs_f64() * 1e6 / self.count
    }

    /// Processor time of the driver alone and its server, a job, in microseconds.
    pub fn raw_micros(&self) -> f64 {
        self.raw.used.as_secs_f64() * 1e6 / self.count
    }
}

/// How a store is looked at.
type Look = fn(Arc<dyn Store>) -> Watched;

/// What a node took for its jobs, and the durable writes that it made if they were kept.
struct Ran {
    jobs: usize,
    took: Duration,
    used: Used,
    writes: Writes,
}

impl Ran {
    fn jobs_a_second(&self) -> f64 {
        self.jobs as f64 / self.took.as_secs_f64()
    }
}

/// Gives a node `jobs` new jobs, so many of a correspondent, as fast as its window takes them; then makes
/// the same durable writes without it.
///
/// # Errors
/// When the node does not do them.
pub async fn live(ground: &Ground, jobs: usize, of_correspondent: usize) -> Result<Jobs> {
    let run = async |look| run_live(ground, jobs, of_correspondent, look).await;
    beside(ground, run(Watched::counting).await?, run(Watched::keeping).await?).await
}

/// How many new jobs a second a node does, without the driver alone.
///
/// # Errors
/// When it does not do them.
pub async fn live_rate(ground: &Ground, jobs: usize, of_correspondent: usize) -> Result<f64> {
    Ok(run_live(ground, jobs, of_correspondent, Watched::counting).await?.jobs_a_second())
}

async fn run_live(
    ground: &Ground,
    jobs: usize,
    of_correspondent: usize,
    look: Look,
) -> Result<Ran> {
    let bed = ground.bed()?;
    let store = Arc::new(look(bed.open().await?));
    let node = Node::start(Arc::clone(&store) as Arc<dyn Store>, true).await?;
    let mut providers = Vec::new();
    for number in 0..BOTS {
        let provider = Provider::connect(&node.handle, &bot(number)).await?;
        providers.push((provider, messages(jobs / BOTS, of_correspondent)));
    }
    store.take();
    let meter = ground.meter().await?;
    let begun = Instant::now();
    let consumers = consumers(&node, jobs, BOTS);
    let sending: JoinSet<Result<Provider>> = providers
        .into_iter()
        .map(|(mut provider, messages)| async move {
            provider.send(messages).await?;
            Ok(provider)
        })
        .collect();
    let staying = staying(all(sending).await?);
    all(consumers).await?;
    let took = begun.elapsed();
    let used = ground.used_since(meter).await?;
    let writes = Writes::of(store.take());
    drop(staying);
    node.stop().await?;
    bed.clear().await?;
    Ok(Ran { jobs, took, used, writes })
}

/// Starts a node on `jobs` jobs that wait for it: from its start to the last acknowledgement; then makes
/// the same durable writes without it.
///
/// # Errors
/// When the node does not do them.
pub async fn backlog(ground: &Ground, jobs: usize) -> Result<Jobs> {
    let run = async |look| run_backlog(ground, jobs, look).await;
    beside(ground, run(Watched::counting).await?, run(Watched::keeping).await?).await
}

/// How many waiting jobs a second a node does, without the driver alone.
///
/// # Errors
/// When it does not do them.
pub async fn backlog_rate(ground: &Ground, jobs: usize) -> Result<f64> {
    Ok(run_backlog(ground, jobs, Watched::counting).await?.jobs_a_second())
}

async fn run_backlog(ground: &Ground, jobs: usize, look: Look) -> Result<Ran> {
    let bots = BOTS.min(jobs / 50);
    let jobs = jobs / bots * bots;
    let bed = ground.bed()?;
    fill(&bed, jobs, bots).await?;
    let store = Arc::new(look(bed.open().await?));
    let meter = ground.meter().await?;
    let begun = Instant::now();
    let node = Node::start(Arc::clone(&store) as Arc<dyn Store>, true).await?;
    let consumers = consumers(&node, jobs, bots);
    let mut connecting = JoinSet::new();
    for number in 0..bots {
        let handle = node.handle.clone();
        connecting.spawn(async move { Provider::connect(&handle, &bot(number)).await });
    }
    let staying = staying(all(connecting).await?);
    all(consumers).await?;
    let took = begun.elapsed();
    let used = ground.used_since(meter).await?;
    let writes = Writes::of(store.take());
    drop(staying);
    node.stop().await?;
    bed.clear().await?;
    Ok(Ran { jobs, took, used, writes })
}

/// How long a bot with `jobs` held jobs takes to run again, from the node's start to its welcome.
///
/// # Errors
/// When it does not.
pub async fn recovery(ground: &Ground, jobs: usize) -> Result<Duration> {
    let bed = ground.bed()?;
    fill(&bed, jobs, 1).await?;
    let store = bed.open().await?;
    let begun = Instant::now();
    // Without workers, so that nothing but the recovery is measured.
    let node = Node::start(store, false).await?;
    let provider = Provider::connect(&node.handle, &bot(0)).await?;
    let took = begun.elapsed();
    drop(provider);
    node.stop().await?;
    bed.clear().await?;
    Ok(took)
}

/// Makes the same writes without the node. They are those of a second run: keeping every record costs
/// memory and processor time that are not the node's.
async fn beside(ground: &Ground, measured: Ran, kept: Ran) -> Result<Jobs> {
    let Ran { jobs, took, used, .. } = measured;
    let batches = kept.writes.batches();
    let bed = ground.bed()?;
    let raw = kept.writes.make(ground, &bed).await?;
    bed.clear().await?;
    Ok(Jobs { count: jobs as f64, took, used, raw, batches })
}

fn staying(providers: Vec<Provider>) -> JoinSet<Result<()>> {
    providers.into_iter().map(Provider::stay).collect()
}

fn consumers(node: &Node, jobs: usize, bots: usize) -> JoinSet<Result<()>> {
    let consumer = |number| consume(node.handle.clone(), bot(number), jobs / bots);
    (0..bots).map(consumer).collect()
}

/// What all of a set return.
async fn all<T: 'static>(mut set: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut returned = Vec::with_capacity(set.len());
    while let Some(ended) = set.join_next().await {
        returned.push(ended??);
    }
    Ok(returned)
}
