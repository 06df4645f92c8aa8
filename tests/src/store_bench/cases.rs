//! The cases of the store benchmark, each on a store of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom_runtime::store::Store;
use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::bed::{Bed, Ground};
use super::load::{Provider, bot, consume, messages};
use super::node::Node;
use super::raw::Writes;
use super::watched::Watched;
use crate::process;

/// Bots that share a load.
pub const BOTS: usize = 8;

/// How long an idle node is watched.
const IDLE: Duration = Duration::from_secs(20);

/// Jobs that arrive while the node works.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// From the first message to the last acknowledgement.
    pub jobs_a_second: f64,
    /// The same writes without Anteroom.
    pub raw_jobs_a_second: f64,
    /// Jobs in one of its batches, on average.
    pub batch: f64,
    /// Processor time of everything in this process, a job, in microseconds.
    pub processor_micros: f64,
}

/// Gives a node `jobs` new jobs, as fast as its window takes them; then makes the same durable writes
/// without it.
///
/// # Errors
/// When the node does not do them.
pub async fn live(ground: &Ground, jobs: usize) -> Result<Live> {
    let bed = ground.bed()?;
    let store = Arc::new(Watched::keeping(bed.open().await?));
    let node = Node::start(Arc::clone(&store) as Arc<dyn Store>, true).await?;
    let mut providers = Vec::new();
    for number in 0..BOTS {
        let provider = Provider::connect(&node.handle, &bot(number)).await?;
        providers.push((provider, messages(jobs / BOTS)));
    }
    store.take();
    let begun = Instant::now();
    let used = process::cpu_time(std::process::id());
    let consumers = consumers(&node, jobs);
    let sending: JoinSet<Result<Provider>> = providers
        .into_iter()
        .map(|(mut provider, messages)| async move {
            provider.send(messages).await?;
            Ok(provider)
        })
        .collect();
    let providers = all(sending).await?;
    all(consumers).await?;
    let took = begun.elapsed();
    let used = process::cpu_time(std::process::id()) - used;
    let writes = Writes::of(store.take());
    drop(providers);
    node.stop().await?;
    bed.clear().await?;

    let batch = jobs as f64 * 3.0 / writes.batches() as f64;
    let bed = ground.bed()?;
    let raw = writes.make(&bed).await?;
    bed.clear().await?;
    let rate = |took: Duration| jobs as f64 / took.as_secs_f64();
    Ok(Live {
        jobs_a_second: rate(took),
        raw_jobs_a_second: rate(raw),
        batch,
        processor_micros: used.as_secs_f64() * 1e6 / jobs as f64,
    })
}

/// Starts a node on `jobs` jobs that wait for it, and returns how many it does a second, from its
/// start to the last acknowledgement.
///
/// # Errors
/// When the node does not do them.
pub async fn backlog(ground: &Ground, jobs: usize) -> Result<f64> {
    let bed = ground.bed()?;
    fill(&bed, jobs, BOTS.min(jobs / 50)).await?;
    let store = bed.open().await?;
    let begun = Instant::now();
    let node = Node::start(store, true).await?;
    let bots = BOTS.min(jobs / 50);
    let consumers: JoinSet<Result<()>> =
        (0..bots).map(|number| consume(node.handle.clone(), bot(number), jobs / bots)).collect();
    let mut providers = Vec::new();
    for number in 0..bots {
        providers.push(Provider::connect(&node.handle, &bot(number)).await?);
    }
    all(consumers).await?;
    let took = begun.elapsed();
    drop(providers);
    node.stop().await?;
    bed.clear().await?;
    Ok(jobs as f64 / took.as_secs_f64())
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

/// Store operations a second of a node that has worked, has clients, and nothing to do.
///
/// # Errors
/// When the node cannot be run.
pub async fn idle(ground: &Ground) -> Result<f64> {
    let bed = ground.bed()?;
    let store = Arc::new(Watched::counting(bed.open().await?));
    let node = Node::start(Arc::clone(&store) as Arc<dyn Store>, true).await?;
    let mut provider = Provider::connect(&node.handle, &bot(0)).await?;
    let consumer = tokio::spawn(consume(node.handle.clone(), bot(0), 101));
    provider.send(messages(100)).await?;
    sleep(Duration::from_secs(2)).await;
    let before = store.operations();
    sleep(IDLE).await;
    let operations = store.operations() - before;
    consumer.abort();
    drop(provider);
    node.stop().await?;
    bed.clear().await?;
    Ok(operations as f64 / IDLE.as_secs_f64())
}

/// Has a node without workers take jobs and stop: they are held.
async fn fill(bed: &Bed, jobs: usize, bots: usize) -> Result<()> {
    let node = Node::start(bed.open().await?, false).await?;
    let mut filling = JoinSet::new();
    for number in 0..bots {
        let mut provider = Provider::connect(&node.handle, &bot(number)).await?;
        let messages = messages(jobs / bots);
        filling.spawn(async move {
            provider.send(messages).await?;
            Ok(provider)
        });
    }
    drop(all(filling).await?);
    node.stop().await
}

fn consumers(node: &Node, jobs: usize) -> JoinSet<Result<()>> {
    let consumer = |number| consume(node.handle.clone(), bot(number), jobs / BOTS);
    (0..BOTS).map(consumer).collect()
}

/// What all of a set return.
async fn all<T: 'static>(mut set: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut returned = Vec::with_capacity(set.len());
    while let Some(ended) = set.join_next().await {
        returned.push(ended??);
    }
    Ok(returned)
}
