//! The collections, by their names.

/// Media jobs whose bots are running.
pub(super) const ACTIVE: &str = "media_processing_jobs";
/// Media jobs whose bots are stopped.
pub(super) const HOLDING: &str = "media_processing_jobs_holding";
/// Copies of failed jobs, kept for an operator.
pub(super) const FAILED: &str = "media_processing_jobs_failed";
/// The archive of messages, which is also the outbox.
pub(super) const ARCHIVE: &str = "queues";
/// Outgoing messages.
pub(super) const SENDS: &str = "sends";
/// Bots and their owners.
pub(super) const BOTS: &str = "bots";
/// What every bot-side transaction writes, so that two owners cannot both commit.
pub(super) const FENCES: &str = "fences";
/// Names that one node has for a while.
pub(super) const SINGLETONS: &str = "singletons";
/// The nodes that run, as they say.
pub(super) const NODES: &str = "nodes";
/// Documents that cannot be read.
pub(super) const QUARANTINE: &str = "quarantine";
/// The steps that led to the present shape.
pub(super) const MIGRATIONS: &str = "schema_migrations";

/// All of them.
pub(super) const ALL: [&str; 11] = [
    ACTIVE, HOLDING, FAILED, ARCHIVE, SENDS, BOTS, FENCES, SINGLETONS, NODES, QUARANTINE,
    MIGRATIONS,
];
