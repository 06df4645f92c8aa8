//! `anteroom callbacks`: what consumers are owed, what was given up, and making that again.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::api::{Api, print_json, shown};
use super::table::{age, cell, table};
use crate::cli::ClientArgs;
use crate::cli::exit::Exit;

/// What is done.
#[derive(Debug, Subcommand)]
#[command(after_help = super::EXITS)]
pub(in crate::cli) enum CallbacksCommand {
    /// Callbacks that are owed, or with --undeliverable those that were given up
    Owed(OwedArgs),
    /// Owe given-up callbacks anew, behind everything that is owed already
    Redeliver(RedeliverArgs),
}

/// Which are listed.
#[derive(Debug, Args)]
pub(in crate::cli) struct OwedArgs {
    /// Of one bot
    #[arg(long)]
    bot: Option<String>,
    /// Those that the consumer refused too often
    #[arg(long)]
    undeliverable: bool,
    /// How many at the most
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Print what the server answers
    #[arg(long)]
    json: bool,
}

/// Which are made again.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["callback_ids", "bot", "all"]))]
pub(in crate::cli) struct RedeliverArgs {
    /// Their ids, such as wa-7/ada/17
    #[arg(conflicts_with = "yes")]
    callback_ids: Vec<String>,
    /// All of one bot
    #[arg(long)]
    bot: Option<String>,
    /// All there are
    #[arg(long)]
    all: bool,
    /// Do it; without this their number is printed
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(in crate::cli) async fn run(command: CallbacksCommand, client: ClientArgs) -> Exit {
    let done = async {
        let api = Api::new(client)?;
        match command {
            CallbacksCommand::Owed(args) => owed(&api, args).await,
            CallbacksCommand::Redeliver(args) if args.callback_ids.is_empty() => {
                redeliver_many(&api, args).await
            }
            CallbacksCommand::Redeliver(args) => redeliver(&api, args).await,
        }
    };
    done.await.unwrap_or_else(|exit| exit)
}

async fn owed(api: &Api, args: OwedArgs) -> Result<Exit, Exit> {
    let which = if args.undeliverable { "undeliverable" } else { "owed" };
    let query: Vec<_> = args.bot.map(|bot| ("bot", bot)).into_iter().collect();
    let limit = args.limit.max(1);
    let callbacks = api.list(&["v1", "callbacks", which], &query, "callbacks", limit).await?;
    Ok(shown(args.json, &callbacks, |callbacks| {
        let none = Vec::new();
        let rows = callbacks["callbacks"].as_array().unwrap_or(&none).iter().map(|callback| {
            vec![
                cell(&callback["callback_id"]),
                cell(&callback["state"]),
                cell(&callback["attempts"]),
                cell(&callback["failures"]),
                age(&callback["age_ms"]),
            ]
        });
        let heading = ["CALLBACK", "STATE", "ATTEMPTS", "REFUSALS", "AGE"];
        println!("{}", table(&heading, &rows.collect::<Vec<_>>()));
        if !callbacks["next"].is_null() {
            println!("… there are more: --limit shows more of them");
        }
    }))
}

async fn redeliver(api: &Api, args: RedeliverArgs) -> Result<Exit, Exit> {
    let mut exit = Exit::Done;
    for id in &args.callback_ids {
        match api.post(&["v1", "callbacks", id, "redeliver"], &json!({})).await {
            Ok(answer) => {
                let _ = shown(args.json, &answer, |it| println!("{id} {}", cell(&it["outcome"])));
            }
            Err(Exit::NotReached) => return Err(Exit::NotReached),
            Err(failed) => exit = failed,
        }
    }
    Ok(exit)
}

async fn redeliver_many(api: &Api, args: RedeliverArgs) -> Result<Exit, Exit> {
    let (mut matched, mut done) = (0, 0);
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let mut after = Value::Null;
    loop {
        let body = json!({
            "bot": args.bot, "dry_run": !args.yes, "after": after, "limit": 100,
        });
        let answer = api.post(&["v1", "callbacks", "redeliver"], &body).await?;
        matched += answer["matched"].as_u64().unwrap_or_default();
        done += answer["done"].as_u64().unwrap_or_default();
        for (why, count) in answer["refused"].as_object().into_iter().flatten() {
            *refused.entry(why.clone()).or_default() += count.as_u64().unwrap_or_default();
        }
        after = answer["next"].clone();
        if after.is_null() {
            break;
        }
    }
    let exit = if !args.yes || done == matched { Exit::Done } else { Exit::Refused };
    if args.json {
        let dry_run = !args.yes;
        let told =
            json!({ "dry_run": dry_run, "matched": matched, "done": done, "refused": refused });
        print_json(&told);
    } else if args.yes {
        println!("{done} of {matched} callbacks are owed anew");
        for (why, count) in refused {
            println!("  {count} refused: {why}");
        }
    } else {
        println!("{matched} callbacks would be owed anew; --yes does it");
    }
    Ok(exit)
}
