//! What comes to a bot from outside, and what it has done.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::durable::Durable;
use crate::id::{
    Attempt, CallbackKey, CorrespondentId, MediaId, OpId, RequestId, SendId, StreamId,
};
use crate::message::Message;
use crate::receipt::Receipt;
use crate::store::{BotRecord, RedeliverAnswer, Send, StoreRequest, StoreResult};
use crate::time::{Millis, Timestamp};

/// Something that happened to a bot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BotEvent {
    /// An operator starts it.
    Start,
    /// An operator stops it.
    Stop,
    /// A message came by request.
    Post {
        /// Which request waits for the receipt.
        request_id: RequestId,
        /// The message.
        draft: Box<Draft>,
    },
    /// The store answered.
    Store {
        /// Which operation.
        op: OpId,
        /// What.
        result: StoreResult,
    },
    /// A consumer's stream is there to take callbacks. The newest wins.
    ConsumerAttached {
        /// Which.
        stream_id: StreamId,
    },
    /// It is gone.
    ConsumerDetached {
        /// Which.
        stream_id: StreamId,
    },
    /// A consumer acknowledges callbacks, and waits until that is durable.
    Acknowledge {
        /// Which request waits for the answer.
        request_id: RequestId,
        /// Which callbacks.
        keys: Vec<CallbackKey>,
    },
    /// A consumer that is called (webhook, in-process) answered one attempt.
    Answered {
        /// Which callback.
        key: CallbackKey,
        /// Which attempt.
        attempt: Attempt,
        /// What.
        answer: ConsumerAnswer,
    },
    /// A consumer that is called answered one attempt at callbacks that went out together.
    AnsweredTogether {
        /// Which callbacks, and which attempt at each.
        callbacks: Vec<(CallbackKey, Attempt)>,
        /// What. Its reply goes with the last of them.
        answer: ConsumerAnswer,
    },
    /// Somebody wants a message sent, and waits until that is durable.
    Enqueue {
        /// Which request waits for the answer.
        request_id: RequestId,
        /// The message.
        send: Send,
    },
    /// Another node stored results for the bot.
    ResultsWaiting,
    /// An operator makes it known. A bot that is known already keeps its record.
    Register {
        /// What is to be durable of it.
        record: BotRecord,
    },
    /// An operator wants a callback made again that the consumer refused too often, and waits until
    /// that is durable.
    Redeliver {
        /// Which request waits for the answer.
        request_id: RequestId,
        /// Which callback.
        key: CallbackKey,
        /// Its last attempt, as the operator saw it.
        attempts: Attempt,
    },
}

/// What a consumer made of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerAnswer {
    /// It took it.
    Acknowledged {
        /// What it wants sent to the correspondent.
        #[serde(serialize_with = "crate::contents::maybe")]
        reply: Option<String>,
    },
    /// It refuses this very message.
    Refused,
    /// It cannot be reached, or asks for patience.
    Unavailable {
        /// How long at least.
        retry_after: Option<Millis>,
    },
    /// It is gone for good.
    Gone,
}

/// Something for the driver to do for a bot.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BotEffect {
    /// Ask the store.
    Store {
        /// The operation; its reply carries the same id.
        op: OpId,
        /// What to ask.
        request: StoreRequest,
    },
    /// Answer a request that brought a message.
    PostReceipt {
        /// Which request.
        request_id: RequestId,
        /// The answer.
        receipt: Receipt,
        /// Not to be written at or after this moment.
        valid_until: Timestamp,
    },
    /// Hand a callback to the consumer.
    Callback {
        /// To which stream; none for a consumer that is called.
        stream_id: StreamId,
        /// The callback, whose message and attempt number are durable.
        callback: Durable<Callback>,
        /// Not to be written at or after this moment.
        valid_until: Timestamp,
    },
    /// Hand callbacks of one correspondent, which came in a burst, to the consumer together.
    Callbacks {
        /// To which stream; none for a consumer that is called.
        stream_id: StreamId,
        /// The callbacks in their order, at least one; messages and attempt numbers are durable.
        callbacks: Vec<Durable<Callback>>,
        /// Not to be written at or after this moment.
        valid_until: Timestamp,
    },
    /// Stop waiting for the answer to one attempt. Of callbacks that went out together, each that is
    /// still open is named in turn.
    AbortCallback {
        /// Which callback.
        key: CallbackKey,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Tell a stream that a newer one took its place, and end it.
    StreamReplaced {
        /// Which.
        stream_id: StreamId,
    },
    /// Answer a request that acknowledged callbacks.
    AckAnswer {
        /// Which request.
        request_id: RequestId,
        /// The answer; none when the bot cannot make it durable here and now.
        answer: Option<Durable<AckAnswer>>,
        /// Not to be written at or after this moment.
        valid_until: Timestamp,
    },
    /// Answer a request that wanted a message sent.
    EnqueueAnswer {
        /// Which request.
        request_id: RequestId,
        /// The answer; none when the bot cannot make it durable here and now.
        answer: Option<Durable<crate::store::EnqueueAnswer>>,
        /// The message's key.
        send_id: SendId,
    },
    /// Answer a request that wanted a callback made again.
    RedeliverAnswer {
        /// Which request.
        request_id: RequestId,
        /// The answer; none when the bot cannot make it durable here and now.
        answer: Option<Durable<RedeliverAnswer>>,
    },
    /// Delete a staged file.
    DeleteMedia {
        /// Which; durable is what makes it unneeded.
        media_id: Durable<MediaId>,
    },
}

/// What a consumer is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Callback {
    /// Whose message.
    pub correspondent_id: CorrespondentId,
    /// Which attempt this is.
    pub attempt: Attempt,
    /// 0 for the message, n for its n-th revision.
    pub revision: u32,
    /// The message, its content final.
    pub message: Arc<Message>,
}

impl Callback {
    /// Which callback of the bot this is.
    pub fn key(&self) -> CallbackKey {
        CallbackKey {
            correspondent_id: self.correspondent_id.clone(),
            message_id: self.message.id,
            revision: self.revision,
        }
    }
}

/// What became of acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AckAnswer {
    /// How many callbacks have ended.
    pub acknowledged: usize,
    /// Those that were never sent.
    pub unknown: Vec<CallbackKey>,
}
