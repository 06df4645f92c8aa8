//! `GET /v1/nodes`: the nodes that run, or hold something: bots, and jobs of workers.

use std::collections::BTreeMap;

use anteroom_core::id::NodeId;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::{bots, no_answer};
use crate::http::HttpState;
use crate::http::problem::Problem;
use crate::store::presence::Present;
use crate::store::views::{Owner, Question, View};

/// Bots of a node that are named; all are counted.
const NAMED_MAX: usize = 100;

/// What is known of a node.
#[derive(Default)]
struct Known {
    /// None of a node that holds something without a word of itself.
    present: Option<Present>,
    bots: Vec<Owner>,
    jobs: u64,
}

/// Lists this node, every other that says that it runs, and every other that holds a bot or a job.
pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let operations = state.operations()?;
    let View::Leases(leases) = operations.look(Question::Leases).await? else {
        return Err(no_answer());
    };
    let View::Nodes(present) = operations.look(Question::Nodes).await? else {
        return Err(no_answer());
    };
    let mut nodes: BTreeMap<NodeId, Known> = BTreeMap::new();
    for present in present.into_iter().chain([operations.present()]) {
        let node_id = present.node.node_id;
        nodes.entry(node_id).or_default().present = Some(present);
    }
    for owner in bots::owners(operations).await?.into_values() {
        nodes.entry(owner.node_id).or_default().bots.push(owner);
    }
    for (worker_id, jobs) in leases {
        nodes.entry(worker_id).or_default().jobs += jobs;
    }
    let here = operations.node.node_id;
    let nodes: Vec<_> = nodes.iter().map(|(id, known)| shown(*id, known, here)).collect();
    Ok(Json(json!({ "nodes": nodes })))
}

fn shown(node_id: NodeId, Known { present, bots, jobs }: &Known, here: NodeId) -> Value {
    let named = bots.iter().take(NAMED_MAX).map(|owner| {
        json!({ "bot_id": owner.bot_id, "epoch": owner.epoch, "remaining_ms": owner.remaining })
    });
    let said = present.as_ref();
    json!({
        "node_id": node_id,
        "here": node_id == here,
        "role": said.map(|said| &said.node.role),
        "listen": said.map(|said| &said.node.listen),
        "version": said.map(|said| &said.node.version),
        "up_ms": said.map(|said| said.up),
        "silent_ms": said.map(|said| said.silent),
        "bots": bots.len(),
        "bot_leases": named.collect::<Vec<_>>(),
        "job_leases": jobs,
    })
}
