//! The `anteroom` command: what people and scripts type.
//!
//! Owns arguments, exit codes and what is printed; results go to stdout, everything else to stderr.
//! `serve` runs the node; `send` and `tail` are clients that know nothing but the wire protocol; `replay`
//! needs neither a node nor a store.

mod answer;
mod back_off;
mod completions;
mod config;
mod config_args;
mod doctor;
mod engines_here;
mod exit;
mod listen;
mod manual;
mod migrate;
mod operate;
mod print;
mod record;
mod replay;
mod seen;
mod send;
mod serve;
mod server_url;
mod tail;
mod token;
mod transcribe;
mod webhook;

use std::env;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use exit::Exit;
use server_url::ServerUrl;

use crate::media::confine;
use crate::media::document::extract;

/// Anteroom stands between chat providers and bots: media wait in it until they have become text.
#[derive(Debug, Parser)]
#[command(name = "anteroom", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  anteroom serve
  anteroom send --bot demo --from alice --file note.pdf --caption \"the invoice\"
  anteroom tail --bot demo
  anteroom transcribe voice.ogg
  anteroom doctor

Exit codes:
  0 done   1 refused or failed   2 wrong usage   3 not reached, or not in time
  4 another consumer took the stream over   130 interrupted
Those of serve and replay are in their own help.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node: listeners, bots and workers in one process
    Serve(serve::ServeArgs),
    /// Check, print or explain the configuration
    Config(config::ConfigCommand),
    /// Play a provider: hand one message over, and wait for its receipt
    Send(send::SendArgs),
    /// Play a consumer: print a bot's callbacks as they come, and acknowledge them
    Tail(tail::TailArgs),
    /// Check a trace that `serve --record` or the simulation wrote, or make a page of it
    Replay(replay::ReplayArgs),
    /// Say which engine each pool would use here, and what would be in a node's way
    Doctor(doctor::DoctorArgs),
    /// Read one file as a node here would, and print what it says
    Transcribe(transcribe::TranscribeArgs),
    /// Play a webhook's receiver: verify, print and acknowledge what is POSTed
    Listen(listen::ListenArgs),
    /// Make webhook secrets; sign and verify requests by hand
    Webhook(webhook::WebhookArgs),
    /// Make a token for a bot or an operator, and the hash that the configuration holds
    Token(token::TokenArgs),
    /// List, add, start and stop bots; show their settings
    #[command(subcommand)]
    Bots(operate::BotsCommand),
    /// Find media jobs; retry and discard them
    #[command(subcommand)]
    Jobs(operate::JobsCommand),
    /// See what consumers are owed; have given-up callbacks made again
    #[command(subcommand)]
    Callbacks(operate::CallbacksCommand),
    /// Tell one message's whole story, and what it waits for
    Explain(operate::ExplainArgs),
    /// See the nodes, and what each holds
    #[command(subcommand)]
    Nodes(operate::NodesCommand),
    /// Watch nodes, jobs and bots
    Top(operate::TopArgs),
    /// Bring a store into the shape that this version needs
    Migrate(migrate::MigrateArgs),
    /// Print what a shell needs to complete the command line
    Completions(completions::CompletionsArgs),
    /// Print the manual's page, or write all pages into a directory
    Man(manual::ManArgs),
}

/// Where the clients find the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Client options (send, tail, and what operators do)")]
struct ClientArgs {
    /// The server
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ANTEROOM_SERVER",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8787"
    )]
    server: ServerUrl,
    /// The bot's token, or an operator's, where the server asks for one
    #[arg(long, global = true, env = "ANTEROOM_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    // Ours alone: the children in which hostile files are read. Their arguments come from strangers
    // and are not for a parser that looks for flags everywhere.
    match arguments.next() {
        Some(first) if first == extract::SUBCOMMAND => return extract::main(arguments),
        Some(first) if first == confine::SUBCOMMAND => return confine::main(arguments),
        Some(_) | None => {}
    }
    let Cli { client, command } = Cli::parse();
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Config(command) => config::run(command),
        Command::Send(args) => on_one_thread(send::run(args, client)),
        Command::Tail(args) => on_one_thread(tail::run(args, client)),
        Command::Replay(args) => replay::run(&args),
        Command::Doctor(args) => on_one_thread(doctor::run(args)),
        Command::Transcribe(args) => on_one_thread(transcribe::run(args)),
        Command::Listen(args) => on_one_thread(listen::run(args)),
        Command::Webhook(args) => webhook::run(args),
        Command::Token(args) => token::run(&args),
        Command::Bots(command) => on_one_thread(operate::bots(command, client)),
        Command::Jobs(command) => on_one_thread(operate::jobs(command, client)),
        Command::Callbacks(command) => on_one_thread(operate::callbacks(command, client)),
        Command::Explain(args) => on_one_thread(operate::explain(args, client)),
        Command::Nodes(command) => on_one_thread(operate::nodes(command, client)),
        Command::Top(args) => on_one_thread(operate::top(args, client)),
        Command::Migrate(args) => on_one_thread(migrate::run(args)),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => manual::run(args, Cli::command()),
    }
    .into()
}

/// Runs a client, which has nothing to do in parallel.
fn on_one_thread(client: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(client),
        Err(error) => Exit::failed(format_args!("the system gives no resources: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the command line is consistent in itself.
    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Goal: the README's first screen is understood as it is written.
    #[test]
    fn the_first_screen_is_understood() {
        for line in [
            "anteroom serve",
            "anteroom serve --config anteroom.toml --listen 127.0.0.1:9 --log-format json",
            "anteroom config check --config anteroom.toml",
            "anteroom config print --json",
            "anteroom config reference",
            "anteroom send --bot demo --from alice --file note.pdf --caption invoice",
            "anteroom send --bot demo --from alice --text hello --server http://127.0.0.1:9",
            "anteroom --server http://127.0.0.1:9 tail --bot demo --json --count 3 --timeout 5",
            "anteroom listen --listen 127.0.0.1:9099 --secret whsec_x --reply hello --count 3",
            "anteroom listen --insecure --json --remember seen.txt",
            "anteroom webhook secret",
            "anteroom webhook sign --secret whsec_x --id demo/alice/1 body.json",
            "anteroom webhook verify --secret whsec_x --id a --timestamp 7 --signature v1,x body.json",
            "anteroom token",
            "anteroom token --hash",
            "anteroom bots list",
            "anteroom bots add wa-7 --provider whatsapp --run always",
            "anteroom bots stop wa-7 --json",
            "anteroom jobs list --state failed --bot wa-7 --reason engine --older-than 10m",
            "anteroom jobs show 8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11",
            "anteroom jobs retry 8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11",
            "anteroom jobs retry --reason timed_out --yes",
            "anteroom jobs discard --state holding --bot wa-7",
            "anteroom callbacks owed --bot wa-7",
            "anteroom callbacks redeliver wa-7/ada/17 --token at_x",
            "anteroom explain wa-7/ada/17",
            "anteroom nodes list --json",
            "anteroom top --once",
            "anteroom migrate --store sqlite:elsewhere",
            "anteroom serve --role workers --log-format pretty",
            "anteroom completions bash",
            "anteroom man --dir pages",
        ] {
            Cli::try_parse_from(line.split(' ')).expect(line);
        }
    }

    /// Goal: what makes no sense is refused before anything is done.
    #[test]
    fn contradictions_are_refused() {
        for line in [
            "anteroom send --bot demo --from alice",
            "anteroom send --bot demo --from alice --text a --file b",
            "anteroom send --bot demo --from alice --text a --caption b",
            "anteroom send --bot demo --from alice --text a --kind audio",
            "anteroom send --from alice --text a",
            "anteroom tail --bot demo --count 0",
            "anteroom tail --bot demo --server https://127.0.0.1",
            "anteroom tail --bot demo --server 127.0.0.1:8787",
            "anteroom tail",
            "anteroom listen --secret whsec_x --insecure",
            "anteroom webhook",
            "anteroom webhook sign",
            "anteroom jobs retry",
            "anteroom jobs retry --yes",
            "anteroom jobs retry x --bot y",
            "anteroom jobs list --state lost",
            "anteroom callbacks redeliver",
            "anteroom explain",
            "anteroom completions",
            "anteroom completions csh",
            "anteroom serve --role everything",
            "anteroom",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
