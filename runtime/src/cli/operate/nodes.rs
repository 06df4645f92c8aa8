//! `anteroom nodes`: the nodes, and the bots and jobs that each holds.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::api::{Api, shown};
use super::table::{age, cell, table};
use crate::cli::ClientArgs;
use crate::cli::exit::Exit;
use crate::store::presence::SILENT_MAX;

/// What is done.
#[derive(Debug, Subcommand)]
#[command(after_help = super::EXITS)]
pub(in crate::cli) enum NodesCommand {
    /// The nodes that run, and every other that holds a bot or a job
    List(ListArgs),
}

/// How they are listed.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Print what the server answers
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(in crate::cli) async fn run(command: NodesCommand, client: ClientArgs) -> Exit {
    let NodesCommand::List(args) = command;
    let listing = async { Api::new(client)?.get(&["v1", "nodes"], &[]).await };
    match listing.await {
        Ok(nodes) => shown(args.json, &nodes, |nodes| println!("{}", listed(nodes))),
        Err(exit) => exit,
    }
}

/// The table of nodes.
pub(super) fn listed(nodes: &Value) -> String {
    let none = Vec::new();
    let rows = nodes["nodes"].as_array().unwrap_or(&none).iter().map(|node| {
        vec![
            cell(&node["node_id"]),
            state(node),
            cell(&node["role"]),
            cell(&node["listen"]),
            cell(&node["version"]),
            age(&node["up_ms"]),
            cell(&node["bots"]),
            cell(&node["job_leases"]),
        ]
    });
    let heading = ["NODE", "", "ROLE", "LISTENS AT", "VERSION", "UP", "BOTS", "JOBS HELD"];
    table(&heading, &rows.collect::<Vec<_>>())
}

/// Whether it is the one that answers, or has not been heard of for a while.
fn state(node: &Value) -> String {
    match node["silent_ms"].as_u64() {
        _ if node["here"] == Value::Bool(true) => "asked".to_owned(),
        Some(silent) if silent <= SILENT_MAX.as_ms() => String::new(),
        Some(_) => format!("silent {}", age(&node["silent_ms"])),
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Goal: the node that answers stands out, and so does one that has not been heard of for long.
    #[test]
    fn a_silent_node_stands_out() {
        for (here, silent_ms, expected) in [
            (true, json!(0), "asked"),
            (false, json!(30_000), ""),
            (false, json!(95_000), "silent 1m 35s"),
            (false, Value::Null, "unknown"),
        ] {
            let node = json!({ "here": here, "silent_ms": silent_ms });
            assert_eq!(state(&node), expected);
        }
    }
}
