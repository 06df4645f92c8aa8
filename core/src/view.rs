//! What is in memory, for operators to look at: numbers, ids and states, never what anybody wrote.
//!
//! A view is made on request, between two steps, and changes nothing; no room decides by one.

use serde::Serialize;

use crate::id::{Attempt, BotId, CallbackKey, Epoch, MediaId, MessageId};
use crate::store::BotRecord;
use crate::time::Timestamp;

/// One bot, as it is in memory here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BotView {
    /// Which.
    pub bot_id: BotId,
    /// What is durable of it; none as long as only a consumer has asked for it.
    pub record: Option<BotRecord>,
    /// Where it stands.
    pub phase: PhaseView,
    /// An operator stopped it: it does not start by itself.
    pub barred: bool,
    /// The epoch of its ownership here, while it has one.
    pub epoch: Option<Epoch>,
    /// Provider connections that carry it.
    pub connections: usize,
    /// Correspondents in memory.
    pub correspondents: usize,
    /// Messages in their queues that wait for their media.
    pub placeholders: usize,
    /// Who takes its callbacks.
    pub consumer: ConsumerView,
    /// Whether callbacks go out.
    pub circuit: CircuitView,
    /// Callbacks that are with the consumer.
    pub open_callbacks: usize,
    /// Owed callbacks in memory, the open ones included.
    pub owed_in_memory: usize,
}

/// Where a bot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseView {
    /// It does nothing and owns nothing here.
    Stopped,
    /// It is being made known to the store.
    Registering,
    /// It waits for its ownership: another node may have it.
    Acquiring,
    /// Its jobs are being restored.
    Restoring,
    /// It works.
    Running,
    /// It brings to an end what it has.
    Draining,
    /// Its jobs are being held.
    Holding,
}

/// Who takes a bot's callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerView {
    /// Nobody.
    Absent,
    /// Somebody.
    Present,
    /// Somebody who said that it is gone for good.
    Gone,
}

/// Whether callbacks go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum CircuitView {
    /// They do.
    Closed,
    /// The consumer is unavailable; the next callback asks at this time whether it is back.
    Open {
        /// When.
        probe_at: Timestamp,
    },
    /// A callback is out, or about to go, to ask whether the consumer is back.
    Probing,
}

/// One correspondent, as it is in memory here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CorrespondentView {
    /// What the archive does not hold yet, in the order of message ids.
    pub queue: Vec<QueuedView>,
    /// Messages in the archive batch in flight.
    pub archiving: u32,
    /// Unicode scalar values in the queue.
    pub total_chars: u64,
    /// The callbacks that it is owed and that are in memory, in the order in which they are made.
    pub callbacks: Vec<CallbackView>,
    /// The store owes more of them.
    pub more_in_store: bool,
}

/// One message in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueuedView {
    /// Which.
    pub message_id: MessageId,
    /// Its media, when it has any.
    pub media_id: Option<MediaId>,
    /// It waits for its media to become text.
    pub placeholder: bool,
    /// Unicode scalar values of its content.
    pub message_size: u64,
    /// When it was taken in.
    pub accepted_time: Timestamp,
}

/// One owed callback in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallbackView {
    /// Which.
    pub key: CallbackKey,
    /// The attempt that is out, or the one before the next.
    pub attempt: Attempt,
    /// How often the consumer refused it.
    pub failures: u32,
    /// What it waits for.
    pub state: CallbackStateView,
    /// The placeholder that holds it back, and until when at the latest.
    pub gate: Option<GateView>,
}

/// What an owed callback waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum CallbackStateView {
    /// Its turn.
    Waiting,
    /// The consumer refused it; it is made again at this time.
    Refused {
        /// When.
        until: Timestamp,
    },
    /// Its next attempt number is being made durable.
    Raising,
    /// The consumer's answer.
    Open,
    /// Its end is being made durable.
    Ending,
}

/// What holds a callback back under gating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GateView {
    /// The message whose media has not become text.
    pub behind: MessageId,
    /// When it is let go at the latest.
    pub until: Timestamp,
}
