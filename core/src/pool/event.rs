//! What comes from processors and the store, and what workers are told.

use serde::{Deserialize, Serialize};

use crate::id::{BotId, LeaseToken, MediaId, OpId, PoolName};
use crate::message::{FailureKind, MediaKind, Outcome};
use crate::store::{StoreRequest, StoreResult};
use crate::time::Millis;

/// Something that happened to the workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolEvent {
    /// The store answered.
    Store {
        /// Which operation.
        op: OpId,
        /// What.
        result: StoreResult,
    },
    /// A processor has ended, whatever it was told meanwhile. Its slot is free only from here on.
    Ended {
        /// Which job.
        media_id: MediaId,
        /// Under which lease it ran.
        token: LeaseToken,
        /// What came of it.
        result: Result<Outcome, ProcessorFailure>,
    },
    /// Another node made work for a pool.
    WorkWaiting {
        /// Which pool.
        pool: PoolName,
    },
}

/// Why a processor has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessorFailure {
    /// Trying again would not help.
    Permanent {
        /// What kind of failure.
        error: FailureKind,
        /// What the processor said.
        #[serde(serialize_with = "crate::contents::maybe")]
        detail: Option<String>,
    },
    /// The engine could not be reached, or asked for patience.
    Transient {
        /// How long at least.
        retry_after: Option<Millis>,
        /// What the processor said.
        #[serde(serialize_with = "crate::contents::text")]
        detail: String,
    },
    /// It was still at work when its time was used up.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

/// Something for the driver to do for the workers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolEffect {
    /// Ask the store.
    Store {
        /// The operation; its reply carries the same id.
        op: OpId,
        /// What to ask.
        request: StoreRequest,
    },
    /// Run a processor. Its end is reported whatever happens.
    Start(Work),
    /// Tell a processor to end. Its end is still reported.
    Cancel {
        /// Which job.
        media_id: MediaId,
        /// Under which lease it runs.
        token: LeaseToken,
    },
}

/// What a processor is to work on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Which job, and which staged file.
    pub media_id: MediaId,
    /// Whose bot.
    pub bot_id: BotId,
    /// Under which lease.
    pub token: LeaseToken,
    /// Which pool's processor.
    pub pool: PoolName,
    /// The declared MIME type, parameters included.
    pub mime_type: String,
    /// What a person would call it.
    pub kind: MediaKind,
    /// The file name its sender gave it.
    #[serde(serialize_with = "crate::contents::maybe")]
    pub original_filename: Option<String>,
    /// The provider had no space for it (only with a corrupt type).
    pub quota_exceeded: bool,
    /// The provider's reason (only with a corrupt type).
    #[serde(serialize_with = "crate::contents::maybe")]
    pub detail: Option<String>,
    /// How long it may take.
    pub timeout: Millis,
}
