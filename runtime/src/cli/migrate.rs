//! `anteroom migrate`: brings a store into the shape that this version needs, and ends.
//!
//! A node does the same when it starts; this is for those who want it done before, and to see it fail while
//! nothing depends on it.

use clap::Args;

use super::config_args::ConfigArgs;
use super::exit::{Exit, complain};
use crate::serve;

/// Which store.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    layers: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  anteroom migrate
  anteroom migrate --store 'mongodb://127.0.0.1:27017/anteroom?replicaSet=rs0'

The embedded store has one process at a time: stop the node that uses it. Steps that were done before are
not done again.
Exit codes: 0 the store has its shape, 1 it could not be opened or brought into shape, 2 wrong usage";

/// Opens the store, which brings it into shape, and closes it.
pub(super) async fn run(args: MigrateArgs) -> Exit {
    let config = match args.layers.load() {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            problems.problems().iter().for_each(complain);
            return Exit::Usage;
        }
    };
    match serve::migrate(&config).await {
        Ok(bots) => {
            println!(
                "the store has the shape that anteroom {} needs; it knows {bots} bots",
                env!("CARGO_PKG_VERSION")
            );
            Exit::Done
        }
        Err(error) => Exit::failed(error),
    }
}
