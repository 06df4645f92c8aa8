//! How jobs and callbacks are shown: ids, times, states and sizes; never what anybody wrote.
//!
//! Times are milliseconds since the epoch, as everywhere on the wire.

use anteroom_core::id::{CallbackId, CallbackKey};
use anteroom_core::job::{Job, Place, Status};
use anteroom_core::time::Timestamp;
use serde_json::{Value, json};

use crate::driver::outcome_kind;
use crate::store::views::{Archived, CallbackProgress, ListedJob, reason};

/// A job of a list, or alone.
pub(super) fn job(listed: &ListedJob, now: Timestamp) -> Value {
    let job = &listed.job;
    let (state, held_at) = match (listed.failed_at, job.place) {
        (Some(_), _) => ("failed", None),
        (None, Place::Active) => ("active", None),
        (None, Place::Holding { held_at }) => ("holding", Some(held_at)),
    };
    let outcome = job.outcome().map(outcome_kind);
    json!({
        "media_id": job.media_id,
        "bot_id": job.bot_id,
        "correspondent_id": job.correspondent_id,
        "provider_name": job.provider_name,
        "message_id": job.placeholder_message.id,
        "callback_id": callback_id_of(job),
        "provider_message_id": job.placeholder_message.provider_message_id,
        "pool": job.pool,
        "kind": job.kind,
        "mime_type": essence(&job.mime_type),
        "state": state,
        "status": status(job),
        "created_at": job.created_at,
        "active_since": job.active_since,
        "held_at": held_at,
        "not_before": job.not_before,
        "age_ms": now.since(listed.at()),
        "claims": job.claims,
        "lost": job.lost,
        "transient": job.transient,
        "revision": job.revision,
        "lease": job.lease().map(|lease| json!({
            "worker_id": lease.worker_id,
            "claimed_at": lease.claimed_at,
            "expires_at": lease.expires_at,
        })),
        "outcome": outcome,
        "reason": listed.failed_at.map(|_| reason(job)),
        "failed_at": listed.failed_at,
    })
}

fn callback_id_of(job: &Job) -> String {
    let key = CallbackKey {
        correspondent_id: job.correspondent_id.clone(),
        message_id: job.placeholder_message.id,
        revision: job.revision,
    };
    CallbackId { bot_id: job.bot_id.clone(), key }.to_string()
}

pub(super) fn status(job: &Job) -> &'static str {
    match &job.status {
        Status::Pending if job.not_before.is_some() => "backing_off",
        Status::Pending => "pending",
        Status::Processing { .. } => "processing",
        Status::Completed { .. } => "completed",
    }
}

/// A type without its parameters, which may hold a file's name.
fn essence(mime_type: &str) -> &str {
    mime_type.split(';').next().unwrap_or_default().trim()
}

/// An archived message and its callback.
pub(super) fn archived(row: &Archived, now: Timestamp) -> Value {
    json!({
        "callback_id": callback_id(row).to_string(),
        "bot_id": row.bot_id,
        "correspondent_id": row.correspondent_id,
        "message_id": row.message.id,
        "revision": row.revision,
        "media_id": row.message.media_id(),
        "provider_message_id": row.message.provider_message_id,
        "message_size": row.message.message_size,
        "state": progress(row.callback),
        "attempts": row.attempts,
        "failures": row.failures,
        "archive_seq": row.seq,
        "archived_at": row.archived_at,
        "ended_at": row.ended_at,
        "age_ms": now.since(row.archived_at),
    })
}

/// The id of the callback of the row's latest revision.
pub(super) fn callback_id(row: &Archived) -> CallbackId {
    let key = CallbackKey {
        correspondent_id: row.correspondent_id.clone(),
        message_id: row.message.id,
        revision: row.revision,
    };
    CallbackId { bot_id: row.bot_id.clone(), key }
}

pub(super) fn progress(callback: CallbackProgress) -> &'static str {
    match callback {
        CallbackProgress::None => "none",
        CallbackProgress::Owed => "owed",
        CallbackProgress::Acknowledged => "acknowledged",
        CallbackProgress::Undeliverable => "undeliverable",
    }
}
