//! Effects, carried out: what the machine decides, done.
//!
//! Owns the way of every effect to its outlet, its port or its log line. **Invariant:** carrying out an
//! effect never waits: it hands over to an outlet, or starts a task.

use std::sync::Arc;

use anteroom_core::bot::event::{BotEffect, Callback};
use anteroom_core::durable::Durable;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, OpId, StreamId};
use anteroom_core::janitor::JanitorEffect;
use anteroom_core::ownership::OwnershipEffect;
use anteroom_core::pool::event::PoolEffect;
use anteroom_core::store::{StoreError, StoreRequest};
use anteroom_core::time::Timestamp;
use tracing::{debug, warn};

use super::calls::Waiting;
use super::handle::StreamItem;
use super::notices;
use super::outlets::Timed;
use super::run::{Driver, Phase};
use super::tasks::{Asker, Completion};

impl Driver {
    /// Carries out one effect. Returns what the machine is to be told at once.
    pub(super) fn carry_out(&mut self, effect: Effect) -> Option<Event> {
        self.journal.note(|| self.clock.now(), &effect);
        match effect {
            Effect::Session(session_id, effect) => {
                return self.outlets.tell_session(self.clock.now(), session_id, effect);
            }
            Effect::Bot(bot_id, effect) => return self.carry_out_for_bot(bot_id, effect),
            Effect::Pools(PoolEffect::Store { op, request }) => {
                self.ask_store(Asker::Pools, op, request);
            }
            Effect::Pools(PoolEffect::Start(work)) => self.workers.start(&mut self.tasks, work),
            Effect::Pools(PoolEffect::Cancel { media_id, token }) => {
                self.workers.cancel(media_id, token);
            }
            Effect::Ownership(OwnershipEffect::Store { op, request }) => {
                self.ask_store(Asker::Ownership, op, request);
            }
            Effect::Janitor(JanitorEffect::Store { op, request }) => {
                self.ask_store(Asker::Janitor, op, request);
            }
            Effect::Janitor(JanitorEffect::ListStaged) => self.list_staged(),
            Effect::Janitor(JanitorEffect::DeleteMedia { media_id }) => {
                self.deletions.add(&mut self.tasks, media_id.into_inner());
            }
            Effect::Notice(notice) => {
                notices::log(&notice);
                self.tell_notice(&notice);
            }
            Effect::Stopped => self.phase = Phase::Stopped,
        }
        None
    }

    fn carry_out_for_bot(&mut self, bot_id: BotId, effect: BotEffect) -> Option<Event> {
        match effect {
            BotEffect::Store { op, request } => self.ask_store(Asker::Bot(bot_id), op, request),
            BotEffect::PostReceipt { request_id, receipt, valid_until } => {
                self.outlets.answer_post(request_id, Timed { value: receipt, valid_until });
            }
            BotEffect::Callback { stream_id, callback, valid_until } => {
                let callbacks = vec![callback.into_inner()];
                return self.call_back(bot_id, stream_id, callbacks, false, valid_until);
            }
            BotEffect::Callbacks { stream_id, callbacks, valid_until } => {
                let callbacks = callbacks.into_iter().map(Durable::into_inner).collect();
                return self.call_back(bot_id, stream_id, callbacks, true, valid_until);
            }
            // A stream has no call to abort: what it was told stays told.
            BotEffect::AbortCallback { key, attempt } => {
                debug!(
                    bot_id = bot_id.as_str(),
                    message_id = %key.message_id,
                    attempt = attempt.0,
                    "an attempt is not waited for"
                );
                self.calls.abort(&bot_id, &key, attempt);
            }
            BotEffect::StreamReplaced { stream_id } => {
                self.outlets.replace_stream(stream_id);
                self.calls.detach(stream_id);
            }
            BotEffect::AckAnswer { request_id, answer, valid_until } => {
                let value = answer.map(|answer| answer.into_inner());
                self.outlets.answer_acknowledge(request_id, Timed { value, valid_until });
            }
            BotEffect::EnqueueAnswer { request_id, answer, send_id: _ } => {
                let answer = answer.map(|answer| answer.into_inner());
                self.outlets.answer_enqueue(request_id, answer);
            }
            BotEffect::RedeliverAnswer { request_id, answer } => {
                let answer = answer.map(Durable::into_inner);
                self.outlets.answer_redeliver(request_id, answer);
            }
            BotEffect::DeleteMedia { media_id } => {
                self.deletions.add(&mut self.tasks, media_id.into_inner());
            }
        }
        None
    }

    /// Hands callbacks of one correspondent to whoever takes the bot's callbacks.
    fn call_back(
        &mut self,
        bot_id: BotId,
        stream_id: StreamId,
        mut callbacks: Vec<Callback>,
        together: bool,
        valid_until: Timestamp,
    ) -> Option<Event> {
        let now = self.clock.now();
        if self.calls.has(stream_id) {
            let timeout = self.ack_timeout(&bot_id);
            let call = Waiting { stream_id, callbacks, together, timeout, valid_until };
            self.calls.begin(&mut self.tasks, now, bot_id, call);
            return None;
        }
        let item = if together {
            StreamItem::Callbacks { callbacks, bot_id, valid_until }
        } else {
            StreamItem::Callback { callback: callbacks.pop()?, bot_id, valid_until }
        };
        self.outlets.tell_stream(now, stream_id, item, valid_until)
    }

    /// Asks the store in a task; its answer comes back as the asker's event.
    fn ask_store(&mut self, asker: Asker, op: OpId, request: StoreRequest) {
        let store = Arc::clone(&self.store);
        let detail = "the store's adapter panicked".to_owned();
        let result = Err(StoreError::Unavailable { detail });
        let broken = Completion::Answered { asker: asker.clone(), op, result };
        let asking = async move {
            let result = store.execute(request).await;
            Completion::Answered { asker, op, result }
        };
        self.tasks.spawn(asking, broken);
    }

    fn list_staged(&mut self) {
        let files = Arc::clone(&self.files);
        let listing = async move {
            match files.list().await {
                Ok(files) => Completion::Listed { files },
                Err(error) => {
                    warn!(%error, "the staged files could not be listed");
                    Completion::NotListed
                }
            }
        };
        self.tasks.spawn(listing, Completion::NotListed);
    }
}
