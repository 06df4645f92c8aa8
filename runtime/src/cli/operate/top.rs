//! `anteroom top`: nodes, jobs and bots, looked at again and again.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::sleep;

use super::api::Api;
use super::table::{cell, table};
use super::{bots, nodes};
use crate::cli::ClientArgs;
use crate::cli::exit::Exit;

/// How often.
#[derive(Debug, Args)]
#[command(after_help = super::EXITS)]
pub(in crate::cli) struct TopArgs {
    /// Look once, and end
    #[arg(long)]
    once: bool,
    /// How long to wait in between
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = humantime::parse_duration)]
    every: Duration,
}

/// Bots that are shown.
const BOTS_SHOWN: usize = 500;

/// Looks, until it is told to end.
pub(in crate::cli) async fn run(args: TopArgs, client: ClientArgs) -> Exit {
    let watching = async {
        let api = Api::new(client)?;
        loop {
            let seen = look(&api).await?;
            if !args.once && io::stdout().is_terminal() {
                // Clears the screen and begins at its top.
                print!("\u{1b}[2J\u{1b}[H");
            }
            println!("{seen}");
            if args.once {
                return Ok(Exit::Done);
            }
            sleep(args.every.max(Duration::from_millis(100))).await;
        }
    };
    tokio::select! {
        biased;
        ended = watching => ended.unwrap_or_else(|exit| exit),
        _ = tokio::signal::ctrl_c() => Exit::Done,
    }
}

async fn look(api: &Api) -> Result<String, Exit> {
    let nodes_seen = api.get(&["v1", "nodes"], &[]).await?;
    let mut counts = Vec::new();
    for (state, status) in [
        ("active", Some("pending")),
        ("active", Some("processing")),
        ("active", Some("completed")),
        ("holding", None),
        ("failed", None),
    ] {
        let mut query = vec![("state", state.to_owned())];
        query.extend(status.map(|status| ("status", status.to_owned())));
        let counted = api.get(&["v1", "jobs", "count"], &query).await?;
        counts.push(cell(&counted["matched"]));
    }
    let heading = ["JOBS PENDING", "PROCESSING", "COMPLETED", "HELD", "FAILED"];
    let bots_seen = api.list(&["v1", "bots"], &[], "bots", BOTS_SHOWN).await?;
    let more = if bots_seen["next"] == json!(null) { "" } else { "\n… there are more" };
    let (nodes, jobs) = (nodes::listed(&nodes_seen), table(&heading, &[counts]));
    Ok(format!("{nodes}\n\n{jobs}\n\n{}{more}", bots::listed(&bots_seen)))
}
