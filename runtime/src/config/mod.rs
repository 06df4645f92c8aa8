//! The configuration: what a node is told, in layers, with errors that say what to do.
//!
//! Defaults < file (`anteroom.toml`) < environment (`ANTEROOM_…`) < flags. Owns keys, their forms and
//! defaults; it starts nothing.
//!
//! | file | idea |
//! |---|---|
//! | [`section`] | what a section is: its keys, described once |
//! | [`value`] | what may stand behind a key, and how it is written |
//! | [`raw`] | what was written, and where |
//! | [`layers`] | file, environment and flags, one over the other |
//! | [`reading`] | setting the values, and finding what is wrong |
//! | [`problem`] | what is wrong, and the nearest key |
//! | [`listing`], [`print`], [`reference`](mod@reference) | every key, for people |
//! | [`named`] | sections that have names |
//! | the others | one section each |
//!
//! To add a section: a struct with the defaults, `impl Section` for it in a file of its own, a field of
//! [`Config`] (or of [`Bot`], for what each bot chooses) and one line in its `visit`; then
//! `anteroom config reference > docs/configuration.md`. Sections that have names are a map by name, shown
//! through [`Named`]. A secret is an `Option<SecretString>`, and its `…_file` is known by itself.
//!
//! **Architecture invariants:** a key is described in one place, [`Section::visit`]; the defaults are
//! the values before reading; every problem is found in one run; a secret is never shown.

mod bots;
mod debounce;
mod engines;
mod http;
mod janitor;
mod layers;
mod lease;
mod listing;
mod media;
pub mod named;
mod node;
mod observe;
mod ownership;
mod pools;
mod print;
mod problem;
mod protocol;
mod raw;
mod reading;
mod reference;
pub mod section;
mod session;
#[cfg(test)]
mod tests;
mod tokens;
pub mod value;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use anteroom_core::id::{BotId, NodeId, PoolName};
use anteroom_core::settings::{
    BackOff, JanitorSettings, LeaseSettings, NodeSettings, OwnershipSettings,
};
use anteroom_core::time::Millis;

pub use bots::{Bot, Bots};
pub use layers::{DEFAULT_FILE, Flag, Sources};
pub use node::{NodeSection, Role};
pub use pools::Pool;
pub use problem::{ConfigError, Problem};
pub use raw::{Origin, Raw};

use self::named::Named;
use self::pools::Pools;
use self::reading::{Findings, Origins};
use self::section::{Keys, Section};
use crate::http::HttpLimits;
use crate::media::engines::PoolChoice;
use crate::media::scratch::Scratch;
use crate::media::settings::{EngineSettings, EngineTable};
use crate::media::staging::StagingLimits;
use crate::observe::ObserveOptions;
use crate::tokens::Tokens;
use crate::webhook::{Webhook, WebhookError};

/// Everything that can be chosen.
#[derive(Debug, Clone)]
pub struct Config {
    /// The keys at the top.
    pub node: NodeSection,
    /// The bounds of the listeners.
    pub http: HttpLimits,
    /// How provider connections are kept.
    pub session: session::Session,
    /// Which versions of the protocol are spoken.
    pub protocol: protocol::ProtocolSection,
    /// Who may do everything.
    pub tokens: tokens::TokensSection,
    /// What the node says of itself.
    pub observe: ObserveOptions,
    /// Where media files wait, and how much of them.
    pub media: media::Media,
    /// The pools.
    pub pools: Vec<Pool>,
    /// The engines that pools may use.
    pub engines: EngineTable,
    /// How jobs are leased.
    pub lease: LeaseSettings,
    /// How bots are owned.
    pub ownership: OwnershipSettings,
    /// How sweeps are done.
    pub janitor: JanitorSettings,
    /// How long a failed store operation waits before it is asked again.
    pub store_retry: BackOff,
    /// What a bot has that has nothing of its own.
    pub bot_defaults: Bot,
    /// Bots with something of their own.
    pub bots: Bots,
}

impl Default for Config {
    fn default() -> Self {
        // The node's id is no setting: each process draws its own.
        let settings = NodeSettings::new(NodeId::from(uuid::Uuid::nil()));
        Self {
            node: NodeSection::default(),
            http: HttpLimits::default(),
            session: session::Session::default(),
            protocol: protocol::ProtocolSection::default(),
            tokens: tokens::TokensSection::default(),
            observe: ObserveOptions::default(),
            media: media::Media::default(),
            pools: settings.pools.into_iter().map(Pool::from).collect(),
            engines: EngineTable::new(),
            // A node hears of all work, its own and that of others: looking is only a safety net.
            lease: LeaseSettings { poll_every: Millis::from_minutes(1), ..settings.lease },
            ownership: settings.ownership,
            janitor: settings.janitor,
            store_retry: settings.store_retry,
            bot_defaults: Bot { settings: settings.bot_defaults, ..Bot::default() },
            bots: Bots::new(),
        }
    }
}

impl Section for Config {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self {
            node,
            http,
            session,
            protocol,
            tokens,
            observe,
            media,
            pools,
            engines,
            lease,
            ownership,
            janitor,
            store_retry,
            bot_defaults,
            bots,
        } = self;
        node.visit(keys);
        keys.section("http", http, "The bounds of the listeners");
        keys.section("session", session, "How provider connections are kept");
        keys.section("protocol", protocol, "Which versions of the protocol are spoken");
        keys.section(
            "tokens",
            tokens,
            "Who may do everything. With any token, here or of a bot, whoever asks has to show one; a \
             listener that others reach needs an operator's",
        );
        keys.section("observe", observe, "What the node says of itself");
        keys.section("media", media, "Where media files wait, and how much of them");
        keys.sections(
            "pools",
            &mut Pools(pools),
            "The pools of workers, each for its MIME types. A pool with a new name is added to the \
             ones below",
        );
        let engine = EngineSettings::default();
        keys.sections(
            "engines",
            &mut Named::new("ENGINE", engines, &engine),
            "What turns media into text. Which keys matter depends on the processor, which stands before \
             each. Without a section there are `corrupt`, `document`, `pocketsphinx`, `tesseract`, \
             `unsupported`, `video`, and `openai` where the environment names a server; a section of \
             such a name takes its place",
        );
        keys.section("lease", lease, "How jobs are leased to workers");
        keys.section("ownership", ownership, "How bots are owned by nodes");
        keys.section("janitor", janitor, "How the sweeps of the store and of staging are done");
        keys.section(
            "store_retry",
            store_retry,
            "How long a failed operation of the store waits before it is asked again",
        );
        keys.section(
            "bot_defaults",
            bot_defaults,
            "What every bot has that has nothing of its own in `[bots.BOT]`",
        );
        let mut named = Named::new("BOT", bots, bot_defaults).inheriting("bot_defaults");
        keys.sections(
            "bots",
            &mut named,
            "Bots with values of their own. The name is the bot's id; in a variable only one of \
             small letters, digits and single underscores can be written, or one that the file names",
        );
    }
}

/// A configuration, and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    origins: Origins,
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// Every problem that there is.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut config = Self::default();
        let mut found = Findings::default();
        let (tree, file) = layers::merged(sources, &mut found.problems);
        let all = listing::described(&mut Self::default());
        reading::read(&mut config, &tree, &all, &mut found);
        let Findings { problems, origins } = found;
        problems.into_result()?;
        Ok(Loaded { config, file, origins })
    }

    /// What the core needs to know of it.
    pub fn node_settings(&self, node_id: NodeId) -> NodeSettings {
        let is_loopback = self.node.listen.ip().to_canonical().is_loopback();
        // With tokens, only a bot that has one in the configuration is ever asked for.
        let may_create_bots = is_loopback || !self.tokens().is_empty();
        NodeSettings {
            node_id,
            ownership: self.ownership,
            session: self.session.settings(may_create_bots),
            pools: self.pools.iter().map(|pool| pool.settings.clone()).collect(),
            lease: self.lease,
            janitor: self.janitor,
            store_retry: self.store_retry,
            bot_defaults: self.bot_defaults.settings.clone(),
            bots: bots::settings(&self.bots),
            shutdown_grace: self.node.shutdown_grace,
        }
    }

    /// The tokens that open the listeners.
    pub fn tokens(&self) -> Tokens {
        let mut tokens = Tokens::default();
        for hash in &self.tokens.operators {
            tokens.allow_operator(hash.clone());
        }
        for hash in &self.tokens.readers {
            tokens.allow_reader(hash.clone());
        }
        for (id, bot) in &self.bots {
            for hash in &bot.tokens {
                tokens.allow_bot(BotId::from(id.as_str()), hash.clone());
            }
        }
        tokens
    }

    /// The webhooks of the bots that have one.
    ///
    /// # Errors
    /// When one of them cannot be called.
    pub fn webhooks(&self) -> Result<Vec<(BotId, Webhook)>, WebhookError> {
        let mut webhooks = Vec::new();
        for (id, bot) in &self.bots {
            let webhook = bot.webhook.webhook()?;
            webhooks.extend(webhook.map(|webhook| (BotId::from(id.as_str()), webhook)));
        }
        Ok(webhooks)
    }

    /// How much staging may use.
    pub fn staging_limits(&self) -> StagingLimits {
        self.media.limits
    }

    /// The pools, and how many processors of each may work at once.
    pub fn pool_slots(&self) -> Vec<(PoolName, u32)> {
        let slots = |pool: &Pool| (pool.settings.name.clone(), pool.settings.slots.get());
        self.pools.iter().map(slots).collect()
    }

    /// The pools, and the engines that they name.
    pub fn pool_choices(&self) -> Vec<PoolChoice> {
        let choice = |pool: &Pool| (pool.settings.name.clone(), pool.engine.clone());
        self.pools.iter().map(choice).collect()
    }

    /// Where engines put what they make on the way.
    pub fn scratch_directory(&self) -> PathBuf {
        Scratch::default_directory(&self.node.data_dir)
    }

    /// Where media files wait.
    pub fn staging_directory(&self) -> PathBuf {
        self.media.directory(&self.node.data_dir)
    }

    /// How long stopping may take: the listeners' grace with lines open and closed, a bot's drain, and the
    /// workers' grace.
    pub fn stop_max(&self) -> Duration {
        let bots = self.bots.values().chain([&self.bot_defaults]);
        let drain = bots.map(|bot| bot.settings.callbacks.drain_timeout()).max();
        let drain = Duration::from(drain.unwrap_or_default());
        2 * self.http.shutdown_grace + drain + Duration::from(self.node.shutdown_grace)
    }
}

impl Loaded {
    /// The effective values and where each came from, as a file that could be read.
    pub fn print(&self) -> String {
        print::toml(&mut self.config.clone(), &self.origins)
    }

    /// The same as one JSON object, by whole keys: `{"lease.ttl": {"value": "1m", "from": "default"}}`.
    pub fn print_json(&self) -> serde_json::Value {
        print::json(&mut self.config.clone(), &self.origins)
    }
}

/// The reference of all keys, as a page of Markdown.
pub fn reference() -> String {
    reference::markdown(&mut Config::default())
}
