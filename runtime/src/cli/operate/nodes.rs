//! `anteroom nodes`: the nodes, and the bots and jobs that each holds.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::api::{Api, shown};
use super::table::{cell, table};
use crate::cli::ClientArgs;
use crate::cli::exit::Exit;

/// What is done.
#[derive(Debug, Subcommand)]
#[command(after_help = super::EXITS)]
pub(in crate::cli) enum NodesCommand {
    /// The node that is asked, and every other that holds a bot or a job
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
        let here = if node["here"] == Value::Bool(true) { "asked" } else { "" };
        vec![
            cell(&node["node_id"]),
            here.to_owned(),
            cell(&node["bots"]),
            cell(&node["job_leases"]),
        ]
    });
    table(&["NODE", "", "BOTS", "JOBS HELD"], &rows.collect::<Vec<_>>())
}
