//! What operators should know: every notice becomes one log line and one metric.

use serde::{Deserialize, Serialize};

use crate::id::{BotId, CallbackKey, CorrespondentId, Epoch, MediaId, MessageId};
use crate::message::Outcome;
use crate::protocol::ProviderStatus;
use crate::receipt::{EvictReason, RejectReason};

/// Something that an operator can find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// A bot is running.
    BotStarted {
        /// Which.
        bot_id: BotId,
        /// Under which ownership.
        epoch: Epoch,
        /// How many jobs it restored.
        restored: usize,
    },
    /// A bot has stopped, with nothing left in memory.
    BotStopped {
        /// Which.
        bot_id: BotId,
    },
    /// A bot lost its ownership and stopped at once.
    BotFenced {
        /// Which.
        bot_id: BotId,
    },
    /// A bot is owned by another node; this one keeps asking.
    BotHeldElsewhere {
        /// Which.
        bot_id: BotId,
    },
    /// A provider said how it stands.
    ProviderStatus {
        /// Whose bot.
        bot_id: BotId,
        /// How.
        status: ProviderStatus,
    },
    /// A message was evicted; its provider was told to keep it.
    MessageEvicted {
        /// Whose bot.
        bot_id: BotId,
        /// Whose message.
        correspondent_id: CorrespondentId,
        /// Which.
        message_id: MessageId,
        /// Why.
        reason: EvictReason,
    },
    /// A message was rejected; its provider was told to keep it.
    MessageRejected {
        /// Whose bot.
        bot_id: BotId,
        /// Whose message.
        correspondent_id: CorrespondentId,
        /// Why.
        reason: RejectReason,
    },
    /// A message was accepted above the limit.
    OverflowEntered {
        /// Whose bot.
        bot_id: BotId,
        /// Whose queue.
        correspondent_id: CorrespondentId,
    },
    /// A provider sent a message again.
    DuplicateMessage {
        /// Whose bot.
        bot_id: BotId,
        /// Whose message.
        correspondent_id: CorrespondentId,
        /// Which.
        message_id: MessageId,
    },
    /// A media job ended.
    MediaEnded {
        /// Whose bot.
        bot_id: BotId,
        /// Which job.
        media_id: MediaId,
        /// How.
        outcome: Outcome,
    },
    /// A lease was taken away from a worker that did not renew it.
    LeaseReclaimed {
        /// Whose bot.
        bot_id: BotId,
        /// Which job.
        media_id: MediaId,
    },
    /// A worker here lost the lease of a job it works on.
    LeaseLost {
        /// Which job.
        media_id: MediaId,
    },
    /// A result came under a lease that is not the current one, and was dropped.
    StaleResult {
        /// Which job.
        media_id: MediaId,
    },
    /// A processor failed in a way that may pass; the job is tried again.
    TransientFailure {
        /// Which job.
        media_id: MediaId,
        /// What the processor said.
        #[serde(serialize_with = "crate::contents::text")]
        detail: String,
    },
    /// A processor did not end in time and was cancelled.
    ProcessorTimedOut {
        /// Which job.
        media_id: MediaId,
    },
    /// A job waited longer than its time to live.
    JobExpired {
        /// Whose bot.
        bot_id: BotId,
        /// Which job.
        media_id: MediaId,
    },
    /// An archive batch was not answered for certain, and is asked for again.
    ArchiveRetried {
        /// Whose bot.
        bot_id: BotId,
        /// How many messages.
        messages: usize,
    },
    /// A store operation failed and is asked for again.
    StoreRetried {
        /// Which operation.
        operation: String,
        /// What the store said.
        detail: String,
    },
    /// The store refused an operation as invalid; it is not asked for again.
    StoreRefused {
        /// Which operation.
        operation: String,
        /// What the store said.
        detail: String,
    },
    /// The consumer refused a message too often; the next one proceeds.
    CallbackUndeliverable {
        /// Whose bot.
        bot_id: BotId,
        /// Which callback.
        key: CallbackKey,
    },
    /// The consumer is unavailable; callbacks wait.
    CircuitOpened {
        /// Whose bot.
        bot_id: BotId,
    },
    /// The consumer answers again.
    CircuitClosed {
        /// Whose bot.
        bot_id: BotId,
    },
    /// The consumer said that it is gone for good; callbacks stay owed.
    ConsumerGone {
        /// Whose bot.
        bot_id: BotId,
    },
    /// A message waited long enough for the media in front of it.
    GatingReleased {
        /// Whose bot.
        bot_id: BotId,
        /// Which callback.
        key: CallbackKey,
    },
    /// A staged file that belongs to no job was deleted.
    OrphanFileDeleted {
        /// Which.
        media_id: MediaId,
    },
    /// A record in the store could not be used; it was left alone.
    RecordSkipped {
        /// Which, and why.
        detail: String,
    },
    /// An event that means nothing in the present state; it changed nothing.
    UnexpectedEvent {
        /// What came.
        what: String,
    },
}
