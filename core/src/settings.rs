//! What can be chosen: limits, lengths of time and policies, with the defaults of the design.
//!
//! Owns plain values, already checked by whoever read the configuration; the core never sees a file.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::id::{BotId, CorrespondentId, NodeId, PoolName};
use crate::message::Source;
use crate::time::Millis;

/// What one node needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSettings {
    /// This process.
    pub node_id: NodeId,
    /// How bots are owned.
    pub ownership: OwnershipSettings,
    /// How provider connections are kept.
    pub session: SessionSettings,
    /// The pools, exactly one of which takes everything that no other takes.
    pub pools: Vec<PoolSettings>,
    /// How jobs are leased.
    pub lease: LeaseSettings,
    /// How sweeps are done.
    pub janitor: JanitorSettings,
    /// How long a failed store operation waits before it is asked again, at first and at most.
    pub store_retry: BackOff,
    /// What a bot that is created at its first `hello` gets.
    pub bot_defaults: BotSettings,
    /// Bots with settings of their own.
    pub bots: BTreeMap<BotId, BotSettings>,
    /// How long workers may go on with what they have when the node shuts down.
    pub shutdown_grace: Millis,
}

/// A wait that doubles from `first` to `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackOff {
    /// The first wait.
    pub first: Millis,
    /// The longest wait.
    pub most: Millis,
}

impl BackOff {
    /// The wait after `failures` failures before it.
    pub fn after(self, failures: u32) -> Millis {
        self.first.doubled(failures, self.most)
    }
}

/// How bots are owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipSettings {
    /// How long an ownership lasts unless renewed.
    pub ttl: Millis,
    /// How often it is renewed.
    pub renew_every: Millis,
    /// How long before its end a node that cannot renew stops by itself.
    pub margin: Millis,
}

/// How provider connections are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSettings {
    /// How many messages a provider may have without a receipt.
    pub window: NonZeroU32,
    /// How often a connection is pinged.
    pub ping_every: Millis,
    /// A peer silent for so long is gone.
    pub silence_max: Millis,
    /// How long a connection may take to say `hello`.
    pub hello_timeout: Millis,
    /// How long `welcome` waits for the bot to start.
    pub welcome_timeout: Millis,
    /// How many bots one connection may carry.
    pub bots_max: usize,
    /// Whether an unknown bot is created at its first `hello`.
    pub auto_create_bots: bool,
}

/// One pool of workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSettings {
    /// Its name.
    pub name: PoolName,
    /// The MIME types it takes: `type/subtype`, `type/*`, or `*` for the catch-all.
    pub mime_types: Vec<String>,
    /// How many jobs at a time.
    pub slots: NonZeroU32,
    /// How many claimed jobs may wait for a slot, while the pool's jobs are short.
    pub buffer: u32,
    /// How long one job may take.
    pub timeout: Millis,
    /// How often a transient failure is retried.
    pub transient_retries_max: u32,
    /// How long a transient failure waits.
    pub transient_back_off: BackOff,
}

/// How jobs are leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseSettings {
    /// How long a lease lasts unless renewed.
    pub ttl: Millis,
    /// How often leases in flight are renewed.
    pub renew_every: Millis,
    /// How long a pool waits before it looks for work that nobody told it of.
    pub poll_every: Millis,
}

/// How sweeps are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JanitorSettings {
    /// How often expired leases are taken away.
    pub reclaim_every: Millis,
    /// How often jobs that waited too long are ended.
    pub expire_every: Millis,
    /// How often staged files, failed copies and old archive rows are looked through.
    pub files_every: Millis,
    /// How long a job of a running bot may wait.
    pub active_ttl: Millis,
    /// How long a job of a stopped bot may wait.
    pub holding_ttl: Millis,
    /// How long a file must have been seen unknown before it is an orphan.
    pub orphan_after: Millis,
    /// How long a failed job keeps its file.
    pub failed_media_retention: Millis,
    /// How long an archived message is kept after its callback ended.
    pub archive_retention: Millis,
    /// How many records one sweep operation may change.
    pub batch_max: u32,
}

/// What one bot can choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotSettings {
    /// When it runs.
    pub run: Run,
    /// How long it goes on after its last provider connection ended.
    pub disconnect_grace: Millis,
    /// How much it may hold.
    pub limits: Limits,
    /// Whether callbacks wait for media in front of them.
    pub gating: Gating,
    /// Correspondents with a gating of their own.
    #[serde(default)]
    pub gating_overrides: BTreeMap<CorrespondentId, bool>,
    /// How callbacks are made.
    pub callbacks: CallbackSettings,
}

impl BotSettings {
    /// Whether callbacks of a correspondent wait for media in front of them.
    pub fn is_gated(&self, correspondent_id: &CorrespondentId) -> bool {
        self.gating_overrides.get(correspondent_id).copied().unwrap_or(self.gating.enabled)
    }
}

/// When a bot runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// From its provider's `hello` until a while after its last connection ended.
    WhileConnected,
    /// From the node's start to its end.
    Always,
}

/// How much a bot may hold. Characters are Unicode scalar values; counts are per correspondent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Entries of a queue.
    pub max_messages: usize,
    /// Characters of a queue.
    pub max_characters: u64,
    /// Characters of a text or caption; what is longer is cut.
    pub max_characters_single_message: u64,
    /// Characters of a message whose media has become text.
    pub max_characters_media_text: u64,
    /// How old a message may be that the store has not taken.
    pub max_age: Millis,
    /// Open placeholders of a queue.
    pub max_placeholders: usize,
    /// What happens over a limit when nothing can be evicted.
    pub overflow: Overflow,
    /// Messages remembered for telling resends apart without asking the store.
    pub dedupe_window: usize,
    /// Messages that may wait for a correspondent's first id to be read.
    pub max_waiting_for_id: usize,
    /// Correspondents in memory at once.
    pub max_correspondents: usize,
    /// How long a correspondent must have been silent to be released from memory.
    pub silent_after: Millis,
    /// Messages in one archive batch.
    pub archive_batch_messages: usize,
    /// Bytes of content in one archive batch.
    pub archive_batch_bytes: usize,
    /// Jobs in one insert.
    pub insert_batch_jobs: usize,
}

/// What happens over a limit when nothing can be evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "policy")]
pub enum Overflow {
    /// The message is rejected.
    Reject,
    /// So much is accepted above the limit, with a notice; then messages are rejected.
    Bounded {
        /// Entries above `max_messages`.
        messages: usize,
        /// Characters above `max_characters`.
        characters: u64,
    },
}

impl Overflow {
    /// Entries that may stand above the limit.
    pub fn messages(self) -> usize {
        match self {
            Self::Reject => 0,
            Self::Bounded { messages, .. } => messages,
        }
    }

    /// Characters that may stand above the limit.
    pub fn characters(self) -> u64 {
        match self {
            Self::Reject => 0,
            Self::Bounded { characters, .. } => characters,
        }
    }
}

/// Whether a message's callback waits while a placeholder with a lower id is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gating {
    /// Whether it does.
    pub enabled: bool,
    /// How long at the most, from the later of the placeholder's acceptance and the bot's start.
    pub max_wait: Millis,
}

/// How callbacks are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackSettings {
    /// Which messages owe one.
    pub sources: Vec<Source>,
    /// How long an acknowledgement may take.
    pub ack_timeout: Millis,
    /// Open callbacks of a bot.
    pub max_in_flight: usize,
    /// Owed callbacks of a bot in memory.
    pub outbox_window: usize,
    /// Owed callbacks of one correspondent in memory.
    pub correspondent_window: usize,
    /// Waits between attempts while the consumer is unavailable.
    pub unavailable_back_off: BackOff,
    /// Waits between attempts at a message that the consumer refuses.
    pub refused_back_off: BackOff,
    /// Refusals after which a message is undeliverable.
    pub refusals_max: u32,
    /// Whether messages of one correspondent that come in a burst travel together.
    #[serde(default)]
    pub debounce: Option<Debounce>,
}

/// How messages of one correspondent that come in a burst are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debounce {
    /// How long nothing must have come for a burst to be over.
    pub window: Millis,
    /// How long the first message of a burst waits at the most.
    pub max_wait: Millis,
    /// How many messages travel together at the most. What is in memory of a correspondent, and what a
    /// bot may have open, are bounds too.
    pub max_messages: NonZeroU32,
}

impl Default for OwnershipSettings {
    fn default() -> Self {
        Self {
            ttl: Millis::from_secs(15),
            renew_every: Millis::from_secs(5),
            margin: Millis::from_secs(5),
        }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            window: NonZeroU32::MIN.saturating_add(255),
            ping_every: Millis::from_secs(20),
            silence_max: Millis::from_secs(60),
            hello_timeout: Millis::from_secs(20),
            welcome_timeout: Millis::from_secs(5),
            bots_max: 256,
            auto_create_bots: false,
        }
    }
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self {
            ttl: Millis::from_secs(60),
            renew_every: Millis::from_secs(20),
            poll_every: Millis::from_secs(5),
        }
    }
}

impl Default for JanitorSettings {
    fn default() -> Self {
        Self {
            reclaim_every: Millis::from_secs(10),
            expire_every: Millis::from_minutes(5),
            files_every: Millis::from_hours(1),
            active_ttl: Millis::from_hours(3),
            holding_ttl: Millis::from_hours(7 * 24),
            orphan_after: Millis::from_hours(4),
            failed_media_retention: Millis::from_hours(24),
            archive_retention: Millis::from_hours(30 * 24),
            batch_max: 500,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_messages: 200,
            max_characters: 20_000,
            max_characters_single_message: 700,
            max_characters_media_text: 4_000,
            max_age: Millis::from_hours(48),
            max_placeholders: 64,
            overflow: Overflow::Bounded { messages: 20, characters: 2_000 },
            dedupe_window: 1_024,
            max_waiting_for_id: 256,
            max_correspondents: 100_000,
            silent_after: Millis::from_minutes(10),
            archive_batch_messages: 500,
            archive_batch_bytes: 1 << 20,
            insert_batch_jobs: 100,
        }
    }
}

impl Default for Gating {
    fn default() -> Self {
        Self { enabled: false, max_wait: Millis::from_minutes(10) }
    }
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self {
            sources: vec![Source::User],
            ack_timeout: Millis::from_secs(30),
            max_in_flight: 64,
            outbox_window: 1_000,
            correspondent_window: 16,
            unavailable_back_off: BackOff {
                first: Millis::from_secs(1),
                most: Millis::from_minutes(5),
            },
            refused_back_off: BackOff {
                first: Millis::from_secs(1),
                most: Millis::from_minutes(5),
            },
            refusals_max: 20,
            debounce: None,
        }
    }
}

impl Default for Debounce {
    fn default() -> Self {
        Self {
            window: Millis::from_secs(2),
            max_wait: Millis::from_secs(10),
            max_messages: NonZeroU32::MIN.saturating_add(9),
        }
    }
}

impl CallbackSettings {
    /// How many callbacks of one correspondent may be open at once: one, or a burst.
    pub fn together_max(&self) -> usize {
        let Some(debounce) = self.debounce else { return 1 };
        let most = usize::try_from(debounce.max_messages.get()).unwrap_or(usize::MAX);
        most.min(self.correspondent_window).min(self.max_in_flight).max(1)
    }

    /// How long a stopping bot waits for the store and for open callbacks.
    pub fn drain_timeout(&self) -> Millis {
        Millis::from_ms(self.ack_timeout.as_ms().saturating_add(5_000))
    }
}

impl Default for BotSettings {
    fn default() -> Self {
        Self {
            run: Run::WhileConnected,
            disconnect_grace: Millis::from_secs(60),
            limits: Limits::default(),
            gating: Gating::default(),
            gating_overrides: BTreeMap::new(),
            callbacks: CallbackSettings::default(),
        }
    }
}

impl Default for BackOff {
    fn default() -> Self {
        Self { first: Millis::from_ms(100), most: Millis::from_secs(5) }
    }
}

impl NodeSettings {
    /// The defaults for one node, with the pools of the design.
    pub fn new(node_id: NodeId) -> Self {
        Self {
            node_id,
            ownership: OwnershipSettings::default(),
            session: SessionSettings::default(),
            pools: default_pools(),
            lease: LeaseSettings::default(),
            janitor: JanitorSettings::default(),
            store_retry: BackOff::default(),
            bot_defaults: BotSettings::default(),
            bots: BTreeMap::new(),
            shutdown_grace: Millis::from_secs(5),
        }
    }
}

/// The pools of the design.
pub fn default_pools() -> Vec<PoolSettings> {
    let pool = |name: &str, mime_types: &[&str], slots: u32, timeout_secs: u64| PoolSettings {
        name: name.into(),
        mime_types: mime_types.iter().map(|&mime_type| mime_type.to_owned()).collect(),
        slots: NonZeroU32::MIN.saturating_add(slots.saturating_sub(1)),
        buffer: 4,
        timeout: Millis::from_secs(timeout_secs),
        transient_retries_max: 3,
        transient_back_off: BackOff { first: Millis::from_secs(2), most: Millis::from_minutes(1) },
    };
    vec![
        pool("audio", &["audio/*"], 2, 300),
        pool("video", &["video/*"], 1, 600),
        pool("image", &["image/*"], 3, 120),
        pool("document", DOCUMENT_TYPES, 2, 120),
        pool("corrupt", CORRUPT_TYPES, 1, 10),
        pool("unsupported", &["*"], 1, 10),
    ]
}

/// What the document processor reads.
const DOCUMENT_TYPES: &[&str] = &[
    "application/pdf",
    "text/plain",
    "text/html",
    "text/markdown",
    "text/csv",
    "text/tab-separated-values",
    "text/xml",
    "text/rtf",
    "application/rtf",
    "application/json",
    "application/xml",
    "application/xhtml+xml",
    "application/epub+zip",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
];

/// What a provider reports when it could not download or store a medium.
const CORRUPT_TYPES: &[&str] = &[
    "media_corrupt_image",
    "media_corrupt_audio",
    "media_corrupt_video",
    "media_corrupt_document",
    "media_corrupt_sticker",
];
