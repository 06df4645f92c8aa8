//! `anteroom config`: what a node would be told, and whether it makes sense.

use std::fmt::Display;

use clap::{Args, Subcommand};

use super::completions::print;
use super::config_args::ConfigArgs;
use super::exit::{Exit, complain};
use crate::config::{self, ConfigError};
use crate::serve;

/// What to do with a configuration.
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say everything that is wrong with the configuration; ends with 1 when something is
    Check {
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Print the effective values and where each came from; secrets are only said to be set
    Print {
        #[command(flatten)]
        layers: ConfigArgs,
        /// One JSON object, by whole keys
        #[arg(long)]
        json: bool,
    },
    /// Print the reference of all keys, as Markdown
    Reference,
}

/// Does it.
pub(super) fn run(command: ConfigCommand) -> Exit {
    match command.what {
        What::Check { layers } => match layers.load() {
            Ok(loaded) => match (serve::check(&loaded.config), loaded.file) {
                (Err(error), _) => Exit::failed(error),
                (Ok(_), Some(file)) => say(format_args!("{}: no problem\n", file.display())),
                (Ok(_), None) => say("no configuration file, and no problem\n"),
            },
            Err(error) => refuse(&error),
        },
        What::Print { layers, json } => match layers.load() {
            Ok(loaded) if json => say(format_args!("{:#}\n", loaded.print_json())),
            Ok(loaded) => say(loaded.print()),
            Err(error) => refuse(&error),
        },
        What::Reference => say(config::reference()),
    }
}

/// Says every problem.
fn refuse(error: &ConfigError) -> Exit {
    error.problems().iter().for_each(complain);
    Exit::Refused
}

/// Writes a result.
fn say(result: impl Display) -> Exit {
    print(result.to_string().as_bytes())
}
