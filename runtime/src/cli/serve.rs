//! `anteroom serve`: a node, from its arguments to its exit code.

use std::time::Duration;

use clap::Args;

use super::config_args::ConfigArgs;
use super::exit::{Exit, complain};
use super::record::RecordArgs;
use crate::serve::serve;

/// Where to listen, and where to keep things.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    layers: ConfigArgs,
    #[command(flatten)]
    record: RecordArgs,
}

/// How long what still works on the disk may go on once all has ended.
const BLOCKED_MAX: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  anteroom serve
  anteroom serve --listen 127.0.0.1:9000 --data-dir /var/lib/anteroom --log-format json
  anteroom serve --config /etc/anteroom.toml
  anteroom serve --store 'mongodb://127.0.0.1:27017/anteroom?replicaSet=rs0'

More can be chosen in the configuration file and in the environment: anteroom config reference
Prints one line when it is ready: listening on http://127.0.0.1:8787
Ctrl-C or SIGTERM stops it in order, twice at once.
Exit codes: 0 stopped in order, 1 failed, 2 wrong usage, 130 stopped at once";

/// Runs the node until it is told to stop.
pub(super) fn run(args: ServeArgs) -> Exit {
    let config = match args.layers.load() {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            problems.problems().iter().for_each(complain);
            return Exit::Usage;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(format_args!("the system gives no threads: {error}")),
    };
    let served = runtime.block_on(serve(config, args.record.into()));
    // A disk that hangs holds its thread for ever, and is not waited for.
    runtime.shutdown_timeout(BLOCKED_MAX);
    match served {
        Ok(()) => Exit::Done,
        Err(error) => Exit::failed(error),
    }
}
