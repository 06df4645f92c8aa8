//! Every index, with its name and its reason.
//!
//! Made at start-up where they are missing. An index that only some documents need is partial, so that
//! the others do not pay for it: a job that enters already leased and is finished on its node is in
//! four, by its media id, its provider's message, its place among its bot's and the end of its lease.

use std::time::Duration;

use anteroom_core::time::Millis;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;

use super::collections::{ACTIVE, ARCHIVE, FAILED, HOLDING, NODES, QUARANTINE, SENDS};
use super::job_documents::{WAITING, unleased};
use super::views::{
    FAILED_INDEX, FAILED_OF_BOT_INDEX, JOBS_INDEX, LEASE_INDEX, MEDIA_INDEX, UNDELIVERABLE_INDEX,
};
use crate::store::presence::KEPT_FOR;

/// The index that knows a message by its provider's id, in the archive and among jobs.
pub(super) const OWED_INDEX: &str = "bot_id_callback_state_archive_seq";
pub(super) const PROVIDER_MESSAGE_INDEX: &str = "bot_id_correspondent_id_provider_message_id";

/// The index of the pages of a bot's jobs. Among held ones it has no status any more, but the name by which nodes
/// of earlier versions go, that may run beside.
pub(super) const BOT_PAGE_INDEX: &str = "bot_id_status";

/// The names of those of [`CHANGED`] that nobody goes by.
const MIME_TYPE_INDEX: &str = "status_mime_type_created_at";
const CLAIM_INDEX: &str = "pool_status_bot_id_created_at";

/// The indexes of jobs whose shape has changed since they were first made.
pub(super) const CHANGED: [(&str, &str); 8] = [
    (ACTIVE, LEASE_INDEX),
    (HOLDING, LEASE_INDEX),
    (ACTIVE, MIME_TYPE_INDEX),
    (ACTIVE, CLAIM_INDEX),
    (ACTIVE, BOT_PAGE_INDEX),
    (HOLDING, BOT_PAGE_INDEX),
    (ACTIVE, JOBS_INDEX),
    (HOLDING, JOBS_INDEX),
];

/// One index.
pub(super) struct Index {
    pub(super) collection: &'static str,
    pub(super) name: &'static str,
    pub(super) keys: Document,
    kind: Kind,
    /// The documents that are in it; none when all are.
    pub(super) only: Option<Document>,
    /// How long after its time the server deletes a document; none when it deletes nothing.
    delete_after: Option<Millis>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Unique,
}

impl Index {
    /// The index as the driver takes it.
    pub(super) fn model(self) -> IndexModel {
        let mut options = IndexOptions::default();
        options.name = Some(self.name.to_owned());
        options.unique = (self.kind == Kind::Unique).then_some(true);
        options.partial_filter_expression = self.only;
        options.expire_after = self.delete_after.map(Duration::from);
        IndexModel::builder().keys(self.keys).options(options).build()
    }
}

fn all(collection: &'static str, name: &'static str, keys: Document) -> Index {
    Index { collection, name, keys, kind: Kind::Ordinary, only: None, delete_after: None }
}

fn some(collection: &'static str, name: &'static str, keys: Document, only: Document) -> Index {
    Index { only: Some(only), ..all(collection, name, keys) }
}

fn unique(
    collection: &'static str,
    name: &'static str,
    keys: Document,
    only: Option<Document>,
) -> Index {
    Index { kind: Kind::Unique, only, ..all(collection, name, keys) }
}

/// All indexes but those on `_id`.
pub(super) fn indexes() -> Vec<Index> {
    let mut indexes = of_active();
    indexes.extend(of_holding());
    indexes.extend(of_failed());
    indexes.extend(of_archive());
    indexes.extend(of_others());
    indexes
}

fn waiting() -> Document {
    doc! { "status": { "$in": WAITING.to_vec() } }
}

fn leased() -> Document {
    doc! { "status": "processing" }
}

/// One job waits for a provider's message: a resend under another media id is known. Retries of
/// archived messages are not the message itself.
fn provider_message(collection: &'static str) -> Index {
    let keys = doc! { "bot_id": 1, "correspondent_id": 1, "provider_message_id": 1 };
    unique(collection, PROVIDER_MESSAGE_INDEX, keys, Some(doc! { "revision": 0 }))
}

/// The sweep for lost workers, and what is held under a token, which stands in the entries, so that the jobs of
/// others are not read.
fn lease_end(collection: &'static str) -> Index {
    let keys = doc! { "lease.expires_at": 1, "_id": 1, "lease.token": 1 };
    some(collection, LEASE_INDEX, keys, leased())
}

/// Operators' lists: jobs by their age; what else is filtered by stands in the entries.
fn listed(collection: &'static str) -> Index {
    let keys = doc! { "created_at": 1, "_id": 1, "bot_id": 1, "pool": 1, "status": 1 };
    all(collection, JOBS_INDEX, keys)
}

fn of_active() -> Vec<Index> {
    vec![
        // Operators' lists: what waits, by type and age.
        some(
            ACTIVE,
            MIME_TYPE_INDEX,
            doc! { "status": 1, "mime_type": 1, "created_at": 1 },
            waiting(),
        ),
        // Claims: the next bot's oldest job is the next entry, whatever waits in front of it, and
        // candidates are read from the index alone.
        some(
            ACTIVE,
            CLAIM_INDEX,
            doc! { "pool": 1, "status": 1, "bot_id": 1, "created_at": 1, "_id": 1 },
            waiting(),
        ),
        // When the next back-off of a pool ends.
        some(
            ACTIVE,
            "pool_not_before",
            doc! { "pool": 1, "status": 1, "not_before": 1 },
            doc! { "status": "backing_off" },
        ),
        // Leased jobs are found by the ends of their leases instead.
        Index { only: Some(unleased()), ..listed(ACTIVE) },
        // Pages of a bot's jobs or results, the oldest first: restore, hold, results.
        all(ACTIVE, BOT_PAGE_INDEX, doc! { "bot_id": 1, "status": 1, "created_at": 1, "_id": 1 }),
        provider_message(ACTIVE),
        lease_end(ACTIVE),
        // The sweep for jobs that waited too long since their bot was restored.
        some(
            ACTIVE,
            "bot_id_active_since",
            doc! { "bot_id": 1, "active_since": 1, "_id": 1 },
            waiting(),
        ),
    ]
}

fn of_holding() -> Vec<Index> {
    vec![
        listed(HOLDING),
        // Pages of a bot's jobs, the oldest first: restore. With a status in front, each page would pass the
        // deleted entries of all pages before it.
        all(HOLDING, BOT_PAGE_INDEX, doc! { "bot_id": 1, "created_at": 1, "_id": 1 }),
        provider_message(HOLDING),
        lease_end(HOLDING),
        // The sweep for jobs that waited too long since their bot was stopped.
        some(HOLDING, "held_at", doc! { "held_at": 1, "_id": 1 }, waiting()),
    ]
}

fn of_failed() -> Vec<Index> {
    vec![
        // The sweep for copies that were kept long enough.
        all(FAILED, "failed_at", doc! { "failed_at": 1, "_id": 1 }),
        // Operators' lists: failures by their time, of all bots and of one; what else is filtered by stands
        // in the entries.
        all(
            FAILED,
            FAILED_INDEX,
            doc! { "failed_at": 1, "_id": 1, "bot_id": 1, "job.pool": 1, "error.kind": 1 },
        ),
        all(
            FAILED,
            FAILED_OF_BOT_INDEX,
            doc! { "bot_id": 1, "failed_at": 1, "_id": 1, "job.pool": 1, "error.kind": 1 },
        ),
        // The same of a kind.
        all(FAILED, "error_kind_failed_at", doc! { "error.kind": 1, "failed_at": 1 }),
    ]
}

fn of_archive() -> Vec<Index> {
    let owed = || doc! { "callback.state": "owed" };
    vec![
        // Exactly once is anchored here; also the highest id of a correspondent.
        unique(
            ARCHIVE,
            "bot_id_provider_name_correspondent_id_id",
            doc! { "bot_id": 1, "provider_name": 1, "correspondent_id": 1, "id": 1 },
            None,
        ),
        // A message that its provider sends again is known.
        unique(
            ARCHIVE,
            PROVIDER_MESSAGE_INDEX,
            doc! { "bot_id": 1, "correspondent_id": 1, "provider_message_id": 1 },
            Some(doc! { "provider_message_id": { "$exists": true } }),
        ),
        // The outbox's pages of a bot; correspondents are left out without reading their messages.
        some(
            ARCHIVE,
            OWED_INDEX,
            doc! { "bot_id": 1, "callback.state": 1, "archive_seq": 1, "correspondent_id": 1 },
            owed(),
        ),
        // The outbox's pages of a correspondent, in archive order. Those in the order of message ids,
        // which gating asks for, sort the correspondent's entries of this index.
        some(
            ARCHIVE,
            "bot_id_correspondent_id_archive_seq",
            doc! { "bot_id": 1, "correspondent_id": 1, "archive_seq": 1, "id": 1 },
            owed(),
        ),
        // The callbacks that were given up, for operators.
        some(
            ARCHIVE,
            UNDELIVERABLE_INDEX,
            doc! { "bot_id": 1, "callback.state": 1, "archive_seq": 1 },
            doc! { "callback.state": "undeliverable" },
        ),
        // The message of a medium whose job has ended, for operators.
        some(
            ARCHIVE,
            MEDIA_INDEX,
            doc! { "media_id": 1 },
            doc! { "media_id": { "$exists": true } },
        ),
        // The sweep for rows that were kept long enough; ending a callback does not touch it.
        some(ARCHIVE, "archived_at", doc! { "archived_at": 1 }, doc! { "retention": "due" }),
        // The rows that it kept as the highest of their correspondents.
        some(
            ARCHIVE,
            "retained",
            doc! { "bot_id": 1, "correspondent_id": 1 },
            doc! { "retention": "highest" },
        ),
    ]
}

fn of_others() -> Vec<Index> {
    vec![
        // A repeated send is known by its key.
        unique(SENDS, "bot_id_send_id", doc! { "bot_id": 1, "send_id": 1 }, None),
        // The sends to be made, oldest first.
        some(
            SENDS,
            "bot_id_enqueued_at",
            doc! { "bot_id": 1, "enqueued_at": 1, "_id": 1 },
            doc! { "state": "owed" },
        ),
        // The sweep for keys that were kept long enough.
        some(SENDS, "sent_at", doc! { "sent_at": 1 }, doc! { "state": "sent" }),
        // The ids of what was set aside stay taken, and its files stay known.
        all(
            QUARANTINE,
            "bot_id_correspondent_id_message_id",
            doc! { "bot_id": 1, "correspondent_id": 1, "message_id": 1 },
        ),
        all(QUARANTINE, "media_id", doc! { "media_id": 1 }),
        // Nodes that went without a word are told of for a while.
        Index { delete_after: Some(KEPT_FOR), ..all(NODES, "seen_at", doc! { "seen_at": 1 }) },
    ]
}
