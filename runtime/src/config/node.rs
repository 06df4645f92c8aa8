//! The keys at the top: where a node listens, where it keeps things, what it logs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anteroom_core::time::Millis;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};

use super::raw::Raw;
use super::section::{Keys, Section};
use super::value::{Value, text_checked, time_or_none, word};
use crate::serve::StorePlace;
use crate::telemetry::{self, LogFormat, LogOptions};

/// The keys at the top.
#[derive(Debug, Clone)]
pub struct NodeSection {
    /// Where to listen. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where media files wait, and where the embedded store is unless `store` says otherwise.
    pub data_dir: PathBuf,
    /// What the node does.
    pub role: Role,
    /// Which store; its address may hold a password.
    pub store: Option<SecretString>,
    /// What is logged.
    pub log: LogOptions,
    /// How long workers may go on with what they have when the node shuts down.
    pub shutdown_grace: Millis,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// It runs bots, and works on media.
    #[default]
    All,
    /// It runs bots.
    Bots,
    /// It works on media.
    Workers,
}

impl Role {
    /// Whether it runs bots.
    pub fn runs_bots(self) -> bool {
        self != Self::Workers
    }

    /// Whether it works on media.
    pub fn runs_workers(self) -> bool {
        self != Self::Bots
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Bots => "bots",
            Self::Workers => "workers",
        }
    }
}

impl Default for NodeSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            data_dir: "./anteroom-data".into(),
            role: Role::All,
            store: None,
            log: LogOptions::default(),
            shutdown_grace: Millis::from_secs(5),
        }
    }
}

const FORMATS: &[(&str, LogFormat)] =
    &[("compact", LogFormat::Compact), ("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];

const ROLES: &[(&str, Role)] = &[
    (Role::All.name(), Role::All),
    (Role::Bots.name(), Role::Bots),
    (Role::Workers.name(), Role::Workers),
];

const LEVELS: &str =
    "error, warn, info, debug, trace, or directives such as \"info,anteroom_runtime=debug\"";

impl Section for NodeSection {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { listen, data_dir, role, store, log, shutdown_grace } = self;
        let LogOptions { format, level } = log;
        keys.key("listen", listen, "Where to listen");
        keys.key("data_dir", data_dir, "Where media files and the embedded store are");
        keys.key(
            "role",
            &mut word(role, ROLES),
            "What the node does: run bots, work on media, or both. Anything but `all` needs MongoDB, and \
             a `media.staging_dir` that the nodes share",
        );
        keys.key(
            "store",
            &mut Store(store),
            "The store; without it, the embedded one in `data_dir`",
        );
        keys.key(
            "log_level",
            &mut text_checked(level, LEVELS, understand_level),
            "What is logged, on standard error; without it, what `RUST_LOG` says, or `info`",
        );
        keys.key(
            "log_format",
            &mut word(format, FORMATS),
            "How log lines look: one line for people, a JSON object for programs, or several lines",
        );
        keys.key(
            "shutdown_grace",
            &mut time_or_none(shutdown_grace),
            "How long workers may go on with what they have when the node stops",
        );
    }
}

fn understand_level(level: &str) -> Result<(), String> {
    telemetry::check_level(level).map_err(|error| error.to_string())
}

/// The address of a store.
struct Store<'a>(&'a mut Option<SecretString>);

impl Value for Store<'_> {
    fn form(&self) -> String {
        "`sqlite:DIRECTORY` or `mongodb://HOST/DATABASE`, whose address is never shown".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        if let Some(text) = raw.text() {
            StorePlace::parse(Some(text), Path::new("")).map_err(|error| error.to_string())?;
        }
        self.0.set(raw)
    }

    fn shown(&self) -> Option<Json> {
        let address = self.0.as_ref()?.expose_secret();
        Some(if address.starts_with("sqlite:") { json!(address) } else { self.0.shown()? })
    }

    fn is_secret(&self) -> bool {
        true
    }
}
