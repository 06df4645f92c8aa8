//! `anteroom explain`: one message's whole story, and what it waits for.

use clap::Args;
use serde_json::Value;

use super::api::{Api, shown};
use super::table::{age, cell, table, time};
use crate::cli::ClientArgs;
use crate::cli::exit::Exit;

/// Whose story.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ExplainArgs {
    /// A message's or a callback's id (wa-7/ada/17, wa-7/ada/17/r1), or a medium's (a UUID)
    id: String,
    /// Print what the server answers
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  anteroom explain wa-7/ada/17
  anteroom explain 8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11

What became of a message is known as long as the message is kept. Who worked on it and when it was
called back is remembered by the node that did it, for its last few thousand deeds.
Exit codes: 0 told, 1 not known, 2 wrong usage, 3 no server";

/// Tells it.
pub(in crate::cli) async fn run(args: ExplainArgs, client: ClientArgs) -> Exit {
    let told = async {
        let api = Api::new(client)?;
        let what = if args.id.contains('/') { "callbacks" } else { "media" };
        api.get(&["v1", what, &args.id, "explain"], &[]).await
    };
    match told.await {
        Ok(story) => shown(args.json, &story, |story| println!("{}", told_to_people(story))),
        Err(exit) => exit,
    }
}

fn told_to_people(story: &Value) -> String {
    let none = Vec::new();
    let rows = story["steps"].as_array().unwrap_or(&none).iter().map(|step| {
        let after = match &step["after_ms"] {
            Value::Null => String::new(),
            after => format!("+{}", age(after)),
        };
        vec![time(&step["at"]), after, cell(&step["what"]), detail(&step["detail"])]
    });
    let heading = ["WHEN", "AFTER", "WHAT", ""];
    let mut told = format!("message  {}", cell(&story["id"]));
    if !story["media_id"].is_null() {
        told.push_str(&format!("\nmedium   {}", cell(&story["media_id"])));
    }
    told.push_str(&format!("\n\n{}\n\n", table(&heading, &rows.collect::<Vec<_>>())));
    let now = &story["now"];
    told.push_str(&format!("{}: {}", cell(&now["state"]), cell(&now["text"])));
    if !now["until"].is_null() {
        told.push_str(&format!(" (until {})", time(&now["until"])));
    }
    told
}

fn detail(value: &Value) -> String {
    if value.is_null() { String::new() } else { cell(value) }
}
