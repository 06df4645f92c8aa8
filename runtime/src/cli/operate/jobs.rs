//! `anteroom jobs`: media jobs, found by filters, retried and discarded.
//!
//! Many at once are done only with `--yes`; without it their number is printed, and nothing is changed.

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::api::{Api, PAGE_MAX, print_json, shown};
use super::table::{age, cell, table, time};
use crate::cli::ClientArgs;
use crate::cli::exit::Exit;

/// What is done.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) enum JobsCommand {
    /// Jobs, the oldest first; failed ones the latest first
    List(ListArgs),
    /// One job, and the copy that failed before it
    Show(ShowArgs),
    /// Begin failed jobs anew; each message is called back again with what comes of it
    Retry(RetryArgs),
    /// End open jobs without text; each message is called back saying so
    Discard(DiscardArgs),
}

const EXAMPLES: &str = "\
Examples:
  anteroom jobs list --state failed --older-than 10m
  anteroom jobs show 8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11
  anteroom jobs retry 8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11
  anteroom jobs retry --bot wa-7 --reason timed_out          prints how many, and changes nothing
  anteroom jobs retry --bot wa-7 --reason timed_out --yes

Exit codes: 0 done, 1 refused, not found, or some of many were refused, 2 wrong usage, 3 no server";

/// Where a job lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Its bot is running
    Active,
    /// Its bot is stopped
    Holding,
    /// It failed
    Failed,
}

/// Where an open job lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OpenState {
    /// Its bot is running
    Active,
    /// Its bot is stopped
    Holding,
}

/// Which jobs.
#[derive(Debug, Args)]
struct Filter {
    /// Of one bot
    #[arg(long)]
    bot: Option<String>,
    /// Of one pool
    #[arg(long)]
    pool: Option<String>,
    /// Made, or failed, longer ago than this, such as 10m or 2h
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    older_than: Option<std::time::Duration>,
}

/// Which jobs are listed, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Where they live
    #[arg(long, default_value = "active")]
    state: State,
    #[command(flatten)]
    filter: Filter,
    /// pending, processing or completed
    #[arg(long)]
    status: Option<String>,
    /// Why they failed: timed_out, expired, file_missing, unreadable, engine, retries_exhausted or
    /// worker_lost
    #[arg(long)]
    reason: Option<String>,
    /// How many at the most
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Print what the server answers
    #[arg(long)]
    json: bool,
}

/// Which job is shown.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// Its media id
    media_id: String,
    /// Print what the server answers
    #[arg(long)]
    json: bool,
}

/// Which jobs are retried.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["media_ids", "bot", "pool", "older_than", "reason", "all"]))]
pub(in crate::cli) struct RetryArgs {
    /// Their media ids
    #[arg(conflicts_with_all = ["bot", "pool", "older_than", "reason", "all", "yes"])]
    media_ids: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Why they failed
    #[arg(long)]
    reason: Option<String>,
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

/// Which jobs are discarded.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["media_ids", "bot", "pool", "older_than", "all"]))]
pub(in crate::cli) struct DiscardArgs {
    /// Their media ids
    #[arg(conflicts_with_all = ["bot", "pool", "older_than", "all", "yes"])]
    media_ids: Vec<String>,
    /// Where they live
    #[arg(long, default_value = "active")]
    state: OpenState,
    #[command(flatten)]
    filter: Filter,
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
pub(in crate::cli) async fn run(command: JobsCommand, client: ClientArgs) -> Exit {
    let done = async {
        let api = Api::new(client)?;
        match command {
            JobsCommand::List(args) => list(&api, args).await,
            JobsCommand::Show(args) => {
                let job = api.get(&["v1", "jobs", &args.media_id], &[]).await?;
                Ok(shown(args.json, &job, |job| println!("{}", one(job))))
            }
            JobsCommand::Retry(args) => {
                let RetryArgs { media_ids, filter, reason, all: _, yes, json } = args;
                let mut body = filter.body();
                body.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
                change(&api, "retry", &media_ids, body, yes, json).await
            }
            JobsCommand::Discard(args) => {
                let DiscardArgs { media_ids, state, filter, all: _, yes, json } = args;
                let mut body = filter.body();
                let state = match state {
                    OpenState::Active => "active",
                    OpenState::Holding => "holding",
                };
                body.insert("state".to_owned(), json!(state));
                change(&api, "discard", &media_ids, body, yes, json).await
            }
        }
    };
    done.await.unwrap_or_else(|exit| exit)
}

impl Filter {
    fn body(self) -> Map<String, Value> {
        let mut body = Map::new();
        body.extend(self.bot.map(|bot| ("bot".to_owned(), json!(bot))));
        body.extend(self.pool.map(|pool| ("pool".to_owned(), json!(pool))));
        body.extend(self.older_than.map(|age| {
            let ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            ("older_than_ms".to_owned(), json!(ms))
        }));
        body
    }
}

async fn list(api: &Api, args: ListArgs) -> Result<Exit, Exit> {
    let state = match args.state {
        State::Active => "active",
        State::Holding => "holding",
        State::Failed => "failed",
    };
    let mut query = vec![("state", state.to_owned())];
    let body = args.filter.body();
    for name in ["bot", "pool", "older_than_ms"] {
        query.extend(body.get(name).map(|value| (name, cell(value))));
    }
    query.extend(args.status.map(|status| ("status", status)));
    query.extend(args.reason.map(|reason| ("reason", reason)));
    let jobs = api.list(&["v1", "jobs"], &query, "jobs", args.limit.max(1)).await?;
    Ok(shown(args.json, &jobs, |jobs| {
        let none = Vec::new();
        let rows = jobs["jobs"].as_array().unwrap_or(&none).iter().map(row);
        let heading = ["MEDIA", "BOT", "CORRESPONDENT", "MESSAGE", "POOL", "STATUS", "AGE"];
        println!("{}", table(&heading, &rows.collect::<Vec<_>>()));
        if !jobs["next"].is_null() {
            println!("… there are more: --limit shows more of them");
        }
    }))
}

fn row(job: &Value) -> Vec<String> {
    let status = match &job["reason"] {
        Value::Null => cell(&job["status"]),
        reason => cell(reason),
    };
    let mut cells: Vec<_> = ["media_id", "bot_id", "correspondent_id", "message_id", "pool"]
        .iter()
        .map(|name| cell(&job[name]))
        .collect();
    cells.extend([status, age(&job["age_ms"])]);
    cells
}

/// One job in full, a member a line.
fn one(job: &Value) -> String {
    let mut lines = Vec::new();
    for name in ["open", "failed", "archived"] {
        let Some(members) = job[name].as_object() else { continue };
        lines.push(format!("{name}:"));
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let shown = match name.as_str() {
                name if name.ends_with("_at") || name == "active_since" || name == "not_before" => {
                    time(value)
                }
                "age_ms" => age(value),
                _ => cell(value),
            };
            lines.push(format!("  {name:<20}{shown}"));
        }
    }
    let file =
        if job["file_is_here"] == json!(true) { "is on this node" } else { "is not on this node" };
    lines.push(format!("the media file {file}"));
    lines.join("\n")
}

/// Does something to some jobs by their ids, or to all that a filter finds.
async fn change(
    api: &Api,
    deed: &str,
    media_ids: &[String],
    filter: Map<String, Value>,
    yes: bool,
    as_json: bool,
) -> Result<Exit, Exit> {
    if media_ids.is_empty() {
        return change_many(api, deed, filter, yes, as_json).await;
    }
    let mut exit = Exit::Done;
    for media_id in media_ids {
        match api.post(&["v1", "jobs", media_id, deed], &json!({})).await {
            Ok(answer) => {
                let _ =
                    shown(as_json, &answer, |it| println!("{media_id} {}", cell(&it["outcome"])));
            }
            Err(Exit::NotReached) => return Err(Exit::NotReached),
            Err(failed) => exit = failed,
        }
    }
    Ok(exit)
}

async fn change_many(
    api: &Api,
    deed: &str,
    filter: Map<String, Value>,
    yes: bool,
    as_json: bool,
) -> Result<Exit, Exit> {
    let asked = |members: &[(&str, Value)]| {
        let mut body = filter.clone();
        body.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Value::Object(body)
    };
    if !yes {
        let answer = api.post(&["v1", "jobs", deed], &asked(&[("dry_run", json!(true))])).await?;
        return Ok(shown(as_json, &answer, |answer| {
            let matched = cell(&answer["matched"]);
            let done = if deed == "retry" { "retried" } else { "discarded" };
            println!("{matched} jobs would be {done}; --yes does it");
        }));
    }
    let (mut matched, mut done) = (0, 0);
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let mut after = Value::Null;
    loop {
        let page = [("after", after.take()), ("limit", json!(PAGE_MAX.min(100)))];
        let answer = api.post(&["v1", "jobs", deed], &asked(&page)).await?;
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
    let exit = if done == matched { Exit::Done } else { Exit::Refused };
    if as_json {
        print_json(&json!({ "matched": matched, "done": done, "refused": refused }));
        return Ok(exit);
    }
    println!("{done} of {matched} jobs: {deed} done");
    for (why, count) in refused {
        println!("  {count} refused: {why}");
    }
    Ok(exit)
}
