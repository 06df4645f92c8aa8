//! What series are told apart by: words of the code, and the names of pools.

use std::fmt;

use anteroom_core::id::PoolName;
use anteroom_core::message::FailureKind;
use anteroom_core::notice::Notice;
use anteroom_core::receipt::{EvictReason, Receipt, RejectReason};
use anteroom_core::store::{StoreError, StoreRequest};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// A pool's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfPool {
    pub pool: Pool,
}

/// A pool's, by how something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfPoolResult {
    pub pool: Pool,
    pub result: &'static str,
}

/// By what came of something, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfOutcome {
    pub outcome: &'static str,
    pub reason: &'static str,
}

/// By why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfReason {
    pub reason: &'static str,
}

/// By what was done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfAction {
    pub action: &'static str,
}

/// By a consumer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfAnswer {
    pub answer: &'static str,
}

/// By the name of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfNotice {
    pub notice: &'static str,
}

/// By what the store was asked, and whether it answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfOperation {
    pub operation: &'static str,
    pub result: &'static str,
}

/// By the version of the binary.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfVersion {
    pub version: &'static str,
}

/// A pool's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pool(pub PoolName);

impl EncodeLabelValue for Pool {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.0.as_str(), encoder)
    }
}

impl From<&PoolName> for OfPool {
    fn from(name: &PoolName) -> Self {
        Self { pool: Pool(name.clone()) }
    }
}

/// Names every variant of an enum, and lists the names.
macro_rules! names {
    ($(#[$doc:meta])* $list:ident, $name:ident($of:ident) { $($variant:ident => $word:literal,)* }) => {
        $(#[$doc])*
        pub(super) const $list: &[&str] = &[$($word),*];

        /// The name among them.
        pub(super) fn $name(of: &$of) -> &'static str {
            match of {
                $($of::$variant { .. } => $word,)*
            }
        }
    };
}

names! {
    /// The names of all notices.
    NOTICES, notice(Notice) {
        BotStarted => "bot_started",
        BotStopped => "bot_stopped",
        BotFenced => "bot_fenced",
        BotHeldElsewhere => "bot_held_elsewhere",
        ProviderStatus => "provider_status",
        MessageEvicted => "message_evicted",
        MessageRejected => "message_rejected",
        OverflowEntered => "overflow_entered",
        DuplicateMessage => "duplicate_message",
        MediaEnded => "media_ended",
        LeaseReclaimed => "lease_reclaimed",
        LeaseLost => "lease_lost",
        StaleResult => "stale_result",
        TransientFailure => "transient_failure",
        ProcessorTimedOut => "processor_timed_out",
        JobExpired => "job_expired",
        ArchiveRetried => "archive_retried",
        StoreRetried => "store_retried",
        StoreRefused => "store_refused",
        CallbackUndeliverable => "callback_undeliverable",
        CircuitOpened => "circuit_opened",
        CircuitClosed => "circuit_closed",
        ConsumerGone => "consumer_gone",
        GatingReleased => "gating_released",
        OrphanFileDeleted => "orphan_file_deleted",
        RecordSkipped => "record_skipped",
        UnexpectedEvent => "unexpected_event",
    }
}

names! {
    /// The names of all operations of the store.
    #[cfg_attr(not(test), expect(dead_code, reason = "operations appear as they are asked for"))]
    OPERATIONS, operation(StoreRequest) {
        RegisterBot => "register_bot",
        AcquireBot => "acquire_bot",
        RenewBots => "renew_bots",
        ReleaseBot => "release_bot",
        RestoreBot => "restore_bot",
        NextId => "next_id",
        InsertJobs => "insert_jobs",
        Archive => "archive",
        Revise => "revise",
        CompletedJobs => "completed_jobs",
        OwedCallbacks => "owed_callbacks",
        RaiseAttempts => "raise_attempts",
        MarkCalledBack => "mark_called_back",
        EnqueueSend => "enqueue_send",
        OwedSends => "owed_sends",
        MarkSent => "mark_sent",
        HoldBot => "hold_bot",
        Claim => "claim",
        Renew => "renew",
        Release => "release",
        Complete => "complete",
        AcquireSingleton => "acquire_singleton",
        ReclaimLeases => "reclaim_leases",
        ExpireJobs => "expire_jobs",
        KnownMedia => "known_media",
        ForgetFailed => "forget_failed",
        ForgetArchived => "forget_archived",
        DiscardJob => "discard_job",
        RetryJob => "retry_job",
        Redeliver => "redeliver",
    }
}

names! {
    /// The reasons of rejections.
    REJECTIONS, rejection(RejectReason) {
        Overflow => "overflow",
        PlaceholderLimit => "placeholder_limit",
        BotNotRunning => "bot_not_running",
        RetryLater => "retry_later",
        Invalid => "invalid",
    }
}

names! {
    /// The reasons of evictions.
    EVICTIONS, eviction(EvictReason) {
        Age => "age",
        Characters => "characters",
        Count => "count",
    }
}

names! {
    /// The kinds of failures.
    FAILURES, failure(FailureKind) {
        FileMissing => "file_missing",
        Unreadable => "unreadable",
        Engine => "engine",
        RetriesExhausted => "retries_exhausted",
        WorkerLost => "worker_lost",
    }
}

/// What a provider was told.
pub(super) fn receipt(receipt: &Receipt) -> OfOutcome {
    let (outcome, reason) = match receipt {
        Receipt::Accepted { .. } => ("accepted", ""),
        Receipt::Duplicate { .. } => ("duplicate", ""),
        Receipt::Rejected { reason, .. } => ("rejected", rejection(reason)),
        Receipt::Evicted { reason, .. } => ("evicted", eviction(reason)),
    };
    OfOutcome { outcome, reason }
}

/// Whether the store answered.
pub(super) fn answered<T>(result: &Result<T, StoreError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(StoreError::Unavailable { .. }) => "unavailable",
        Err(StoreError::Fenced) => "fenced",
        Err(StoreError::Invalid { .. }) => "invalid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names are given once. Method: all of them.
    #[test]
    fn names_are_given_once() {
        for list in [NOTICES, OPERATIONS, REJECTIONS, EVICTIONS, FAILURES] {
            let mut names = list.to_vec();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), list.len(), "{list:?}");
        }
    }
}
