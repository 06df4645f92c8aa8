//! What operators ask a node to do, and to show.
//!
//! Owns their commands. What changes something becomes an event of the machine, which decides; what only
//! looks is answered from the machine's memory, between two steps, and is bounded by whoever asks.

use std::sync::Arc;

use anteroom_core::bot::event::BotEvent;
use anteroom_core::event::Event;
use anteroom_core::id::{Attempt, BotId, CallbackKey, CorrespondentId, NodeId, PoolName};
use anteroom_core::notice::Notice;
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::store::{BotRecord, RedeliverAnswer};
use anteroom_core::view::{BotView, CorrespondentView};
use tokio::sync::{broadcast, oneshot};

use super::handle::{Command, Handle, Stopped};
use super::journal::{About, Remembered};
use super::outlets::Reply;
use super::run::Driver;

/// Notices that may wait for a slow reader, before it is cut off.
pub(super) const NOTICES_MAX: usize = 1_024;

/// A word of an operator to the loop.
pub(super) enum Operation {
    Start(BotId),
    Stop(BotId),
    Register(BotRecord),
    /// A job was retried in the store.
    WorkWaiting(PoolName),
    /// A job was discarded in the store.
    ResultsWaiting(BotId),
    Redeliver {
        bot_id: BotId,
        key: CallbackKey,
        attempts: Attempt,
        reply: oneshot::Sender<Option<RedeliverAnswer>>,
    },
    ShowBots(Vec<BotId>, oneshot::Sender<Vec<Option<BotView>>>),
    ShowCorrespondent {
        bot_id: BotId,
        correspondent_id: CorrespondentId,
        limit: usize,
        reply: oneshot::Sender<Option<CorrespondentView>>,
    },
    Recall(About, oneshot::Sender<Vec<Remembered>>),
}

impl Handle {
    /// Starts a bot that was stopped.
    pub async fn start_bot(&self, bot_id: BotId) -> Result<(), Stopped> {
        self.command(Command::Operate(Operation::Start(bot_id))).await
    }

    /// Stops a bot in order, and keeps it from starting by itself for as long as the node runs.
    pub async fn stop_bot(&self, bot_id: BotId) -> Result<(), Stopped> {
        self.command(Command::Operate(Operation::Stop(bot_id))).await
    }

    /// Makes a bot known. One that is known already keeps its record.
    pub async fn register_bot(&self, record: BotRecord) -> Result<(), Stopped> {
        self.command(Command::Operate(Operation::Register(record))).await
    }

    /// A job of the pool was retried: there is work.
    pub async fn work_waits(&self, pool: PoolName) -> Result<(), Stopped> {
        self.command(Command::Operate(Operation::WorkWaiting(pool))).await
    }

    /// A job of the bot was discarded: there is a result.
    pub async fn results_wait(&self, bot_id: BotId) -> Result<(), Stopped> {
        self.command(Command::Operate(Operation::ResultsWaiting(bot_id))).await
    }

    /// Owes a callback anew that the consumer refused too often, unless more was attempted than is said, and
    /// waits until that is durable; none when the bot does not run here.
    pub async fn redeliver(
        &self,
        bot_id: BotId,
        key: CallbackKey,
        attempts: Attempt,
    ) -> Result<Option<RedeliverAnswer>, Stopped> {
        let operation = |reply| Operation::Redeliver { bot_id, key, attempts, reply };
        self.ask(|reply| Command::Operate(operation(reply))).await
    }

    /// A bot as it is in memory here.
    pub async fn bot_view(&self, bot_id: BotId) -> Result<Option<BotView>, Stopped> {
        Ok(self.bot_views(vec![bot_id]).await?.pop().flatten())
    }

    /// Bots as they are in memory here, each in its place.
    pub async fn bot_views(&self, bot_ids: Vec<BotId>) -> Result<Vec<Option<BotView>>, Stopped> {
        self.ask(|reply| Command::Operate(Operation::ShowBots(bot_ids, reply))).await
    }

    /// A correspondent as it is in memory here, at most `limit` messages and callbacks of it.
    pub async fn correspondent_view(
        &self,
        bot_id: BotId,
        correspondent_id: CorrespondentId,
        limit: usize,
    ) -> Result<Option<CorrespondentView>, Stopped> {
        let operation =
            |reply| Operation::ShowCorrespondent { bot_id, correspondent_id, limit, reply };
        self.ask(|reply| Command::Operate(operation(reply))).await
    }

    /// What this node remembers of a message and its media, oldest first.
    pub async fn recall(&self, about: About) -> Result<Vec<Remembered>, Stopped> {
        self.ask(|reply| Command::Operate(Operation::Recall(about, reply))).await
    }

    /// The node's notices from here on. Who reads too slowly is told how many were missed.
    pub fn notices(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    /// Which node this is.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }
}

impl Driver {
    pub(super) fn operate(&mut self, operation: Operation) {
        // Whoever does not wait for an answer any more needs none.
        match operation {
            Operation::Start(bot_id) => self.step(Event::Bot(bot_id, BotEvent::Start)),
            Operation::Stop(bot_id) => self.step(Event::Bot(bot_id, BotEvent::Stop)),
            Operation::Register(record) => {
                self.step(Event::Bot(record.bot_id.clone(), BotEvent::Register { record }));
            }
            Operation::WorkWaiting(pool) => {
                self.step(Event::Pools(PoolEvent::WorkWaiting { pool }));
            }
            Operation::ResultsWaiting(bot_id) => {
                self.step(Event::Bot(bot_id, BotEvent::ResultsWaiting));
            }
            Operation::Redeliver { bot_id, key, attempts, reply } => {
                if let Some(request_id) = self.outlets.expect(Reply::Redelivered(reply)) {
                    self.step(Event::Bot(
                        bot_id,
                        BotEvent::Redeliver { request_id, key, attempts },
                    ));
                }
            }
            Operation::ShowBots(bot_ids, reply) => {
                let views = bot_ids.iter().map(|bot_id| self.machine.bot_view(bot_id));
                let _ = reply.send(views.collect());
            }
            Operation::ShowCorrespondent { bot_id, correspondent_id, limit, reply } => {
                let view = self.machine.correspondent_view(&bot_id, &correspondent_id, limit);
                let _ = reply.send(view);
            }
            Operation::Recall(about, reply) => {
                let _ = reply.send(self.journal.recall(&about));
            }
        }
    }

    /// Tells whoever listens; nobody pays for it otherwise.
    pub(super) fn tell_notice(&self, notice: &Notice) {
        if self.notices.receiver_count() > 0 {
            // The last listener may just have gone.
            let _ = self.notices.send(Arc::new(notice.clone()));
        }
    }
}
