//! The process of a node: the driver and its ports, put together as the shipped binary does it, and stopped
//! as it does where consumers do not answer: listeners first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::id::PoolName;
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::BotRecord;
use anteroom_runtime::driver::{self, Node, Ports};
use anteroom_runtime::media::explain::{Corrupt, Unsupported};
use anteroom_runtime::media::processor::Processor;
use anteroom_runtime::store::Store;
use madsim::runtime::Handle;
use madsim::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ports::{NodeClock, Place};
use super::stage::Stage;
use super::store_client::RemoteStore;
use super::{listener, network};
use crate::checker::rule::Rule;
use crate::world::node::Boot;

/// How long a process waits before it asks the store once more for its bots.
const AGAIN: Duration = Duration::from_millis(500);

/// Runs a node from its beginning to its end in order; dying, it just ends.
pub(super) async fn run(stage: Stage, node: usize) {
    let Some(boot) = stage.with(|world| world.process_begins(node)) else { return };
    let incarnation = boot.incarnation;
    let place = Place { stage: stage.clone(), node, incarnation };
    let store = Arc::new(RemoteStore::open(place.clone(), boot.settings.node_id).await);
    let bots = bots(&*store).await;
    let Boot { settings, seed, runs_bots, runs_workers, ahead_ms, stop, .. } = boot;
    let ports = Ports {
        clock: Arc::new(NodeClock { stage: stage.clone(), ahead_ms }),
        store,
        processors: processors(&settings, &place),
        files: Arc::new(place.clone()),
        watch: Arc::new(place.clone()),
    };
    let node_to_run = Node { settings, seed, bots, runs_bots, runs_workers };
    let (handle, mut driver) =
        driver::start(node_to_run, ports).expect("the plan's pools are a routing");
    let stop_listening = CancellationToken::new();
    let listener = listener::listen(place, handle.clone(), stop_listening.clone());
    let listening = tokio::spawn(listener);
    let broke = tokio::select! {
        biased;
        _ = &mut driver => true,
        () = stop.cancelled() => false,
    };
    if broke {
        let what = format!("the driver of node {node} ended by itself");
        return stage.with(|world| world.checker.break_rule(Rule::Panic, what));
    }
    stop_listening.cancel();
    let _ = listening.await;
    handle.shutdown().await;
    let _ = driver.await;
    let tasks = tasks_left(node);
    stage.with(|world| world.process_ended(node, incarnation, tasks));
}

/// Tasks of a node's process besides this one and the one that takes the store's answers.
fn tasks_left(node: usize) -> usize {
    let tasks = Handle::current().metrics().num_tasks_by_node();
    tasks.get(&network::name(node)).map_or(0, |tasks| tasks.saturating_sub(2))
}

async fn bots(store: &dyn Store) -> Vec<BotRecord> {
    loop {
        if let Ok(bots) = store.list_bots().await {
            return bots;
        }
        sleep(AGAIN).await;
    }
}

fn processors(settings: &NodeSettings, place: &Place) -> BTreeMap<PoolName, Arc<dyn Processor>> {
    let of = |pool: &PoolName| -> Arc<dyn Processor> {
        match pool.as_str() {
            "corrupt" => Arc::new(Corrupt),
            "unsupported" => Arc::new(Unsupported),
            _ => Arc::new(place.clone()),
        }
    };
    settings.pools.iter().map(|pool| (pool.name.clone(), of(&pool.name))).collect()
}
