//! What listeners hold: the only way from outside to the machine.
//!
//! Owns the commands. **Invariant:** the inbox is bounded and served in the order of arrival, so a
//! caller that floods it waits behind its own flood, and everyone else at most once for each of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use anteroom_core::bot::event::{AckAnswer, Callback};
use anteroom_core::draft::Draft;
use anteroom_core::id::{BotId, CallbackKey, NodeId, SessionId, StreamId};
use anteroom_core::notice::Notice;
use anteroom_core::receipt::{Receipt, RejectReason};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::store::{EnqueueAnswer, Send};
use anteroom_core::time::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::operating::Operation;
use super::outlets::Timed;
use super::tasks::Completion;
use crate::clock::Clock;
use crate::consumer::Consumer;

/// Callers' side of a running node. Clones are equal.
#[derive(Clone)]
pub struct Handle {
    pub(super) inbox: mpsc::Sender<Command>,
    pub(super) completions: mpsc::UnboundedSender<Completion>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: Arc<Status>,
    pub(super) last_stream: Arc<AtomicU64>,
    pub(super) stream_capacity: usize,
    pub(super) called: Arc<Mutex<BTreeMap<BotId, Arc<dyn Consumer>>>>,
    pub(super) notices: broadcast::Sender<Arc<Notice>>,
    pub(super) node_id: NodeId,
}

/// The node has shut down, or its driver is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// What a consumer's stream carries.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// A callback to tell the consumer.
    Callback {
        /// The callback.
        callback: Callback,
        /// Whose.
        bot_id: BotId,
        /// Not to be written at or after this moment.
        valid_until: Timestamp,
    },
    /// Callbacks of one correspondent, which came in a burst, to tell the consumer together.
    Callbacks {
        /// The callbacks, in their order; at least one.
        callbacks: Vec<Callback>,
        /// Whose.
        bot_id: BotId,
        /// Not to be written at or after this moment.
        valid_until: Timestamp,
    },
    /// A newer stream took this one's place.
    Replaced,
    /// The node has shut down.
    Ended,
}

/// A consumer's stream. Dropping it detaches the consumer.
#[derive(Debug)]
pub struct Attached {
    /// Which stream this is.
    pub stream_id: StreamId,
    /// What it carries, in order. It ends after [`StreamItem::Replaced`] or [`StreamItem::Ended`], and
    /// when it was read too slowly.
    pub items: mpsc::Receiver<StreamItem>,
    bot_id: BotId,
    completions: mpsc::UnboundedSender<Completion>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Closed first: a stream that is let go before the driver has seen it is never attached.
        self.items.close();
        let (bot_id, stream_id) = (self.bot_id.clone(), self.stream_id);
        let _ = self.completions.send(Completion::Detached { bot_id, stream_id });
    }
}

/// A word from outside to the loop.
pub(super) enum Command {
    OpenSession {
        session_id: SessionId,
        outlet: mpsc::Sender<SessionEffect>,
    },
    Session {
        session_id: SessionId,
        event: SessionEvent,
    },
    Post {
        bot_id: BotId,
        draft: Box<Draft>,
        reply: oneshot::Sender<Timed<Receipt>>,
    },
    Attach {
        bot_id: BotId,
        stream_id: StreamId,
        outlet: mpsc::Sender<StreamItem>,
    },
    AttachCalled {
        bot_id: BotId,
        stream_id: StreamId,
        consumer: Arc<dyn Consumer>,
    },
    Acknowledge {
        bot_id: BotId,
        keys: Vec<CallbackKey>,
        reply: oneshot::Sender<Timed<Option<AckAnswer>>>,
    },
    Enqueue {
        bot_id: BotId,
        send: Send,
        reply: oneshot::Sender<Option<EnqueueAnswer>>,
    },
    Operate(Operation),
    Shutdown,
}

/// How a node stands, for those who hold a handle.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub ready: AtomicBool,
    pub ended: CancellationToken,
}

/// Effects that may wait for a connection's writer: several windows of receipts and what is said
/// besides.
const SESSION_CAPACITY: usize = if cfg!(madsim) { 64 } else { 1_024 };

impl Handle {
    /// Registers a connection. Its effects arrive in order on the receiver, which ends when the machine
    /// has closed the connection, and when it was read too slowly.
    pub async fn open_session(
        &self,
        session_id: SessionId,
    ) -> Result<mpsc::Receiver<SessionEffect>, Stopped> {
        let (outlet, effects) = mpsc::channel(SESSION_CAPACITY);
        self.command(Command::OpenSession { session_id, outlet }).await?;
        Ok(effects)
    }

    /// Tells what happened at a connection. [`SessionEvent::Closed`] also unregisters it; what is said
    /// of a connection that is not registered is dropped.
    pub async fn session_event(
        &self,
        session_id: SessionId,
        event: SessionEvent,
    ) -> Result<(), Stopped> {
        self.command(Command::Session { session_id, event }).await
    }

    /// Hands in a message and waits for its receipt. A receipt that came too late to be told is told as
    /// a rejection to be retried: the provider's resend finds out.
    pub async fn post_message(&self, bot_id: BotId, draft: Box<Draft>) -> Result<Receipt, Stopped> {
        let answer = self.ask(|reply| Command::Post { bot_id, draft, reply }).await?;
        let too_late = || Receipt::rejected(RejectReason::RetryLater);
        Ok(answer.at(self.now()).unwrap_or_else(too_late))
    }

    /// Opens a stream for a bot's callbacks. The newest one gets them.
    pub async fn attach_consumer(&self, bot_id: BotId) -> Result<Attached, Stopped> {
        let stream_id = StreamId(self.last_stream.fetch_add(1, Ordering::Relaxed) + 1);
        let (outlet, items) = mpsc::channel(self.stream_capacity);
        let completions = self.completions.clone();
        let attached = Attached { stream_id, items, bot_id: bot_id.clone(), completions };
        self.command(Command::Attach { bot_id, stream_id, outlet }).await?;
        Ok(attached)
    }

    /// Has a bot's callbacks made by calling `consumer`, for as long as the node runs. A consumer that was
    /// called before, or a stream, is replaced.
    pub async fn call_consumer(
        &self,
        bot_id: BotId,
        consumer: Arc<dyn Consumer>,
    ) -> Result<(), Stopped> {
        let stream_id = StreamId(self.last_stream.fetch_add(1, Ordering::Relaxed) + 1);
        self.called_consumers().insert(bot_id.clone(), Arc::clone(&consumer));
        self.command(Command::AttachCalled { bot_id, stream_id, consumer }).await
    }

    /// Whether a bot's consumer is called, so that it needs no stream.
    pub fn has_called_consumer(&self, bot_id: &BotId) -> bool {
        self.called_consumers().contains_key(bot_id)
    }

    /// Calls a bot's consumer again that has said that it is gone. False when the bot has none.
    pub async fn resume_consumer(&self, bot_id: BotId) -> Result<bool, Stopped> {
        let consumer = self.called_consumers().get(&bot_id).map(Arc::clone);
        match consumer {
            Some(consumer) => self.call_consumer(bot_id, consumer).await.map(|()| true),
            None => Ok(false),
        }
    }

    fn called_consumers(&self) -> MutexGuard<'_, BTreeMap<BotId, Arc<dyn Consumer>>> {
        self.called.lock().expect("nothing panics while it holds the list")
    }

    /// Acknowledges callbacks and waits until that is durable; none when it cannot be made durable
    /// here and now.
    pub async fn acknowledge(
        &self,
        bot_id: BotId,
        keys: Vec<CallbackKey>,
    ) -> Result<Option<AckAnswer>, Stopped> {
        let answer = self.ask(|reply| Command::Acknowledge { bot_id, keys, reply }).await?;
        Ok(answer.at(self.now()).flatten())
    }

    /// Hands in an outgoing message and waits until it is durable; none when it cannot be made durable
    /// here and now.
    pub async fn enqueue_send(
        &self,
        bot_id: BotId,
        send: Send,
    ) -> Result<Option<EnqueueAnswer>, Stopped> {
        self.ask(|reply| Command::Enqueue { bot_id, send, reply }).await
    }

    /// The node's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the node takes work: it has started and does not shut down.
    pub fn is_ready(&self) -> bool {
        self.status.ready.load(Ordering::Acquire) && !self.status.ended.is_cancelled()
    }

    /// Shuts the node down and waits until nothing is left to do.
    pub async fn shutdown(&self) {
        // A loop that has ended takes no command and has nothing left to do.
        let _ = self.command(Command::Shutdown).await;
        self.status.ended.cancelled().await;
    }

    pub(super) async fn command(&self, command: Command) -> Result<(), Stopped> {
        self.inbox.send(command).await.map_err(|_| Stopped)
    }

    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.command(command(reply)).await?;
        answer.await.map_err(|_| Stopped)
    }
}
