//! `anteroom serve`: a node, from its arguments to its exit code.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::record::RecordArgs;
use crate::serve::{ServeOptions, serve};
use crate::telemetry::{LogFormat, LogOptions};

/// Where to listen, and where to keep things.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", env = "ANTEROOM_LISTEN", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// Where media files and the embedded store are
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "ANTEROOM_DATA_DIR",
        default_value = "./anteroom-data"
    )]
    data_dir: PathBuf,
    /// The store [default: the embedded one, in --data-dir]
    #[arg(
        long,
        value_name = "sqlite:DIRECTORY|mongodb://…",
        env = "ANTEROOM_STORE",
        hide_env_values = true
    )]
    store: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or directives as in RUST_LOG
    /// [default: RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL", env = "ANTEROOM_LOG_LEVEL")]
    log_level: Option<String>,
    /// How log lines look, on stderr
    #[arg(long, value_name = "FORMAT", env = "ANTEROOM_LOG_FORMAT", default_value = "compact")]
    log_format: Format,
    #[command(flatten)]
    record: RecordArgs,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line an event, for people
    Compact,
    /// One JSON object an event, for programs
    Json,
}

const EXAMPLES: &str = "\
Examples:
  anteroom serve
  anteroom serve --listen 127.0.0.1:9000 --data-dir /var/lib/anteroom --log-format json
  anteroom serve --store 'mongodb://127.0.0.1:27017/anteroom?replicaSet=rs0'

Prints one line when it is ready: listening on http://127.0.0.1:8787
Ctrl-C or SIGTERM stops it in order, twice at once.
Exit codes: 0 stopped in order, 1 failed, 2 wrong usage, 130 stopped at once";

impl From<ServeArgs> for ServeOptions {
    fn from(args: ServeArgs) -> Self {
        let format = match args.log_format {
            Format::Compact => LogFormat::Compact,
            Format::Json => LogFormat::Json,
        };
        Self {
            listen: args.listen,
            data_dir: args.data_dir,
            store: args.store,
            log: LogOptions { format, level: args.log_level },
            record: args.record.into(),
        }
    }
}

/// Runs the node until it is told to stop.
pub(super) fn run(args: ServeArgs) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(format_args!("the system gives no threads: {error}")),
    };
    match runtime.block_on(serve(args.into())) {
        Ok(()) => Exit::Done,
        Err(error) => Exit::failed(error),
    }
}
