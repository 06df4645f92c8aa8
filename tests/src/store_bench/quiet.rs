//! A node with little to do: how long one message takes, and what nothing costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom_core::protocol::ProviderFrame;
use anteroom_runtime::store::Store;
use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::bed::Ground;
use super::load::{MESSAGES_OF_CORRESPONDENT, Provider, bot, messages, next, text};
use super::node::Node;
use super::watched::Watched;

/// How long an idle node is watched.
const IDLE: Duration = Duration::from_secs(20);

/// How long its server is watched before it is there.
const ALONE: Duration = Duration::from_secs(5);

/// How long the node is left alone between two messages.
const PAUSE: Duration = Duration::from_millis(10);

/// Messages before the clock counts.
const WARM_UP: usize = 20;

/// What a single message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Single {
    /// A text.
    Text,
    /// Media, processed in no time.
    Media,
}

/// How long single messages took from their frames on, each in order of length.
pub struct Latency {
    /// To the callback, which its consumer acknowledges at once.
    pub called_back: Vec<Duration>,
    /// To the confirmation that the acknowledgement is durable.
    pub confirmed: Vec<Duration>,
}

/// How long each of `count` messages takes that come one at a time.
///
/// # Errors
/// When the node does not do them.
pub async fn latency(ground: &Ground, single: Single, count: usize) -> Result<Latency> {
    let bed = ground.bed()?;
    let node = Node::start(bed.open().await?, true).await?;
    let mut provider = Provider::connect(&node.handle, &bot(0)).await?;
    let mut stream = node.handle.attach_consumer(bot(0)).await?;
    let frames: Vec<ProviderFrame> = match single {
        Single::Text => (0..WARM_UP + count).map(text).collect(),
        Single::Media => messages(WARM_UP + count, MESSAGES_OF_CORRESPONDENT),
    };
    let (mut called_back, mut confirmed) = (Vec::new(), Vec::new());
    for frame in frames {
        sleep(PAUSE).await;
        let begun = Instant::now();
        provider.say_one(frame).await?;
        let keys = next(&mut stream).await?;
        called_back.push(begun.elapsed());
        let answer = node.handle.acknowledge(bot(0), keys).await?;
        let answer = answer.context("an acknowledgement was not durable")?;
        confirmed.push(begun.elapsed());
        ensure!(answer.acknowledged == 1, "one message, {} callbacks", answer.acknowledged);
        provider.accepted().await?;
    }
    drop((stream, provider));
    node.stop().await?;
    bed.clear().await?;
    Ok(Latency { called_back: in_order(called_back), confirmed: in_order(confirmed) })
}

/// The times after the warm-up, in order of length.
fn in_order(mut times: Vec<Duration>) -> Vec<Duration> {
    times.drain(..WARM_UP);
    times.sort();
    times
}

/// Database operations a second of a node that has worked, has its clients, and nothing to do: counted
/// by the server less what it does anyway; where there is no server, what the store is asked for.
///
/// # Errors
/// When the node cannot be run.
pub async fn idle(ground: &Ground) -> Result<f64> {
    let bed = ground.bed()?;
    let before = ground.server_operations().await?;
    sleep(ALONE).await;
    let alone = rate(before, ground.server_operations().await?, ALONE);
    let store = Arc::new(Watched::counting(bed.open().await?));
    let node = Node::start(Arc::clone(&store) as Arc<dyn Store>, true).await?;
    let mut provider = Provider::connect(&node.handle, &bot(0)).await?;
    let mut stream = node.handle.attach_consumer(bot(0)).await?;
    provider.send(messages(1, 1)).await?;
    let keys = next(&mut stream).await?;
    node.handle.acknowledge(bot(0), keys).await?;
    sleep(Duration::from_secs(2)).await;
    let (asked, before) = (store.operations(), ground.server_operations().await?);
    sleep(IDLE).await;
    let after = ground.server_operations().await?;
    let asked = (store.operations() - asked) as f64 / IDLE.as_secs_f64();
    drop((stream, provider));
    node.stop().await?;
    bed.clear().await?;
    Ok(rate(before, after, IDLE).map_or(asked, |rate| (rate - alone.unwrap_or_default()).max(0.0)))
}

fn rate(before: Option<u64>, after: Option<u64>, meanwhile: Duration) -> Option<f64> {
    Some(after?.saturating_sub(before?) as f64 / meanwhile.as_secs_f64())
}
