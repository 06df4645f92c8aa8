//! `GET /v1/nodes`: the nodes that hold something: bots, and jobs of workers.

use std::collections::BTreeMap;

use anteroom_core::id::NodeId;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::{bots, no_answer};
use crate::http::HttpState;
use crate::http::problem::Problem;
use crate::store::views::{Owner, Question, View};

/// Bots of a node that are named; all are counted.
const NAMED_MAX: usize = 100;

/// Lists this node, and every other that holds a bot or a job.
pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let operations = state.operations()?;
    let View::Leases(leases) = operations.look(Question::Leases).await? else {
        return Err(no_answer());
    };
    let mut nodes: BTreeMap<NodeId, (Vec<Owner>, u64)> = BTreeMap::new();
    nodes.entry(state.driver.node_id()).or_default();
    for owner in bots::owners(operations).await?.into_values() {
        nodes.entry(owner.node_id).or_default().0.push(owner);
    }
    for (worker_id, jobs) in leases {
        nodes.entry(worker_id).or_default().1 += jobs;
    }
    let nodes: Vec<_> = nodes.iter().map(|(node_id, held)| shown(&state, *node_id, held)).collect();
    Ok(Json(json!({ "nodes": nodes })))
}

fn shown(state: &HttpState, node_id: NodeId, (bots, jobs): &(Vec<Owner>, u64)) -> Value {
    let named = bots.iter().take(NAMED_MAX).map(|owner| {
        json!({ "bot_id": owner.bot_id, "epoch": owner.epoch, "remaining_ms": owner.remaining })
    });
    json!({
        "node_id": node_id,
        "here": node_id == state.driver.node_id(),
        "bots": bots.len(),
        "bot_leases": named.collect::<Vec<_>>(),
        "job_leases": jobs,
    })
}
