//! Where a configuration is written, as the command line says it: the file, and what goes over it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{Config, ConfigError, Flag, Loaded, Sources};

/// The file, and what goes over it.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The configuration file [default: anteroom.toml, if it is there] [env: ANTEROOM_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen; port 0 takes any free one [default: 127.0.0.1:8787] [env: ANTEROOM_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where media files and the embedded store are [default: ./anteroom-data]
    /// [env: ANTEROOM_DATA_DIR]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// What the node does; anything but `all` needs MongoDB [default: all] [env: ANTEROOM_ROLE]
    #[arg(long, value_name = "ROLE")]
    role: Option<RoleArg>,
    /// The store [default: the embedded one, in --data-dir] [env: ANTEROOM_STORE]
    #[arg(long, value_name = "sqlite:DIRECTORY|mongodb://…")]
    store: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or directives as in RUST_LOG
    /// [default: RUST_LOG, or info] [env: ANTEROOM_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How log lines look, on stderr [default: compact] [env: ANTEROOM_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line an event, for people
    Compact,
    /// One JSON object an event, for programs
    Json,
    /// Several lines an event, for people who look for something
    Pretty,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    /// Run bots, and work on media
    All,
    /// Run bots
    Bots,
    /// Work on media
    Workers,
}

impl ConfigArgs {
    /// The configuration of all layers.
    pub(super) fn load(self) -> Result<Loaded, ConfigError> {
        let Self { config, listen, data_dir, role, store, log_level, log_format } = self;
        let log_format = log_format.map(|format| match format {
            Format::Compact => "compact".to_owned(),
            Format::Json => "json".to_owned(),
            Format::Pretty => "pretty".to_owned(),
        });
        let role = role.map(|role| match role {
            RoleArg::All => "all".to_owned(),
            RoleArg::Bots => "bots".to_owned(),
            RoleArg::Workers => "workers".to_owned(),
        });
        let flags = [
            ("--listen", "listen", listen),
            ("--data-dir", "data_dir", data_dir),
            ("--role", "role", role),
            ("--store", "store", store),
            ("--log-level", "log_level", log_level),
            ("--log-format", "log_format", log_format),
        ];
        let given = flags.into_iter().filter_map(|(name, key, value)| Some((name, key, value?)));
        let flags = given.map(|(name, key, value)| Flag { name, key, value }).collect();
        Config::load(&Sources::of_process(config, flags))
    }
}
