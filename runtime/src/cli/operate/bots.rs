//! `anteroom bots`: which there are, how each stands, starting and stopping.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::api::{Api, print_json, shown};
use super::table::{cell, table};
use crate::cli::ClientArgs;
use crate::cli::exit::{Exit, complain};

/// What is done.
#[derive(Debug, Subcommand)]
#[command(after_help = super::EXITS)]
pub(in crate::cli) enum BotsCommand {
    /// Every bot, who owns it, and how it stands on the node that is asked
    List(ListArgs),
    /// Make a bot known before its provider comes
    Add(AddArgs),
    /// Start a bot that was stopped
    Start(OneArgs),
    /// Stop a bot in order, and keep it from starting until it is started again or the node restarts
    Stop(OneArgs),
    /// What is in force for a bot on this node; it is changed in the configuration
    Settings(SettingsArgs),
}

/// How to list them.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Print what the server answers
    #[arg(long)]
    json: bool,
}

/// Which bot is new.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddArgs {
    /// Its id
    bot: String,
    /// The one provider that it is connected through
    #[arg(long, value_name = "NAME")]
    provider: String,
    /// When it runs [default: as the configuration says]
    #[arg(long)]
    run: Option<Run>,
    /// Print what the server answers
    #[arg(long)]
    json: bool,
}

/// When a bot runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Run {
    /// From its provider's connection to a while after its end
    WhileConnected,
    /// From its node's start
    Always,
}

/// Which bot.
#[derive(Debug, Args)]
pub(in crate::cli) struct OneArgs {
    /// Its id
    bot: String,
    /// Do not wait until it is so
    #[arg(long)]
    no_wait: bool,
    /// Print the bot as the server shows it
    #[arg(long)]
    json: bool,
}

/// Whose settings.
#[derive(Debug, Args)]
pub(in crate::cli) struct SettingsArgs {
    /// Its id
    bot: String,
    /// Print them as JSON, as they are printed anyway
    #[arg(long)]
    json: bool,
}

/// Bots that are listed at the most.
const LISTED_MAX: usize = 100_000;

/// How long a bot may take to start or to stop.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How often is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Does it.
pub(in crate::cli) async fn run(command: BotsCommand, client: ClientArgs) -> Exit {
    let done = async {
        let api = Api::new(client)?;
        match command {
            BotsCommand::List(args) => {
                let bots = api.list(&["v1", "bots"], &[], "bots", LISTED_MAX).await?;
                Ok(shown(args.json, &bots, |bots| println!("{}", listed(bots))))
            }
            BotsCommand::Add(args) => add(&api, args).await,
            BotsCommand::Start(args) => start(&api, args).await,
            BotsCommand::Stop(args) => stop(&api, args).await,
            BotsCommand::Settings(SettingsArgs { bot, json: _ }) => {
                Ok(print_json(&api.get(&["v1", "bots", &bot, "settings"], &[]).await?))
            }
        }
    };
    done.await.unwrap_or_else(|exit| exit)
}

/// The table of bots.
pub(super) fn listed(bots: &Value) -> String {
    let none = Vec::new();
    let bots = bots["bots"].as_array().unwrap_or(&none);
    let row = |bot: &Value| {
        let owner = &bot["owner"];
        let owner = match owner["here"].as_bool() {
            Some(true) => "here".to_owned(),
            Some(false) => cell(&owner["node_id"]),
            None => "-".to_owned(),
        };
        vec![
            cell(&bot["bot_id"]),
            cell(&bot["provider_name"]),
            phase(bot),
            owner,
            cell(&bot["connections"]),
            cell(&bot["placeholders"]),
            consumer(bot),
            cell(&bot["owed_in_memory"]),
        ]
    };
    let heading = ["BOT", "PROVIDER", "PHASE", "OWNER", "CONN", "WAITING", "CONSUMER", "OWED"];
    table(&heading, &bots.iter().map(row).collect::<Vec<_>>())
}

fn phase(bot: &Value) -> String {
    let by_hand = if bot["stopped_by_operator"] == json!(true) { " (by hand)" } else { "" };
    format!("{}{by_hand}", cell(&bot["phase"]))
}

fn consumer(bot: &Value) -> String {
    match bot["circuit"]["is"].as_str() {
        Some("open" | "probing") => "unavailable".to_owned(),
        Some(_) | None => cell(&bot["consumer"]),
    }
}

async fn add(api: &Api, args: AddArgs) -> Result<Exit, Exit> {
    let run = args.run.map(|run| match run {
        Run::WhileConnected => "while_connected",
        Run::Always => "always",
    });
    let body = json!({ "bot_id": args.bot, "provider_name": args.provider, "run": run });
    let answer = api.post(&["v1", "bots"], &body).await?;
    let known = async |_: &Api| {
        let bots = api.list(&["v1", "bots"], &[], "bots", LISTED_MAX).await?;
        let is_it = |bot: &Value| bot["bot_id"] == json!(args.bot);
        Ok(bots["bots"].as_array().is_some_and(|bots| bots.iter().any(is_it)))
    };
    if !until(api, known).await? {
        complain(format_args!("{} is not known yet: does the store answer?", args.bot));
        return Ok(Exit::NotReached);
    }
    Ok(shown(args.json, &answer, |answer| {
        let is_new = answer["outcome"] != json!("already_known");
        println!("{} {}", args.bot, if is_new { "is known" } else { "was known already" });
    }))
}

async fn start(api: &Api, args: OneArgs) -> Result<Exit, Exit> {
    api.post(&["v1", "bots", &args.bot, "start"], &json!({})).await?;
    let bot = &args.bot;
    let running = async |api: &Api| {
        let found = show(api, bot).await?;
        // Without a connection such a bot waits for its provider.
        let waits = found["run"] == json!("while_connected") && found["connections"] == json!(0);
        Ok(found["phase"] == json!("running") || waits)
    };
    settle(api, &args, running).await
}

async fn stop(api: &Api, args: OneArgs) -> Result<Exit, Exit> {
    api.post(&["v1", "bots", &args.bot, "stop"], &json!({})).await?;
    let bot = &args.bot;
    let stopped = async |api: &Api| Ok(show(api, bot).await?["phase"] == json!("stopped"));
    let exit = settle(api, &args, stopped).await?;
    let owner = &show(api, bot).await?["owner"];
    if exit == Exit::Done && owner["here"] == json!(false) {
        let node = cell(&owner["node_id"]);
        return Ok(Exit::failed(format_args!(
            "{bot} runs on node {node}: it has to be stopped there, too"
        )));
    }
    Ok(exit)
}

async fn show(api: &Api, bot: &str) -> Result<Value, Exit> {
    api.get(&["v1", "bots", bot], &[]).await
}

async fn settle(
    api: &Api,
    args: &OneArgs,
    settled: impl AsyncFn(&Api) -> Result<bool, Exit>,
) -> Result<Exit, Exit> {
    let in_time = args.no_wait || until(api, settled).await?;
    let bot = show(api, &args.bot).await?;
    let exit = shown(args.json, &bot, |bot| println!("{}: {}", args.bot, phase(bot)));
    if !in_time {
        complain(format_args!("{} is not there yet after {WAIT_MAX:?}", args.bot));
        return Ok(Exit::NotReached);
    }
    Ok(exit)
}

/// Whether something comes to be in time.
async fn until(api: &Api, settled: impl AsyncFn(&Api) -> Result<bool, Exit>) -> Result<bool, Exit> {
    let deadline = Instant::now() + WAIT_MAX;
    while !settled(api).await? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(true)
}
