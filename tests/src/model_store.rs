//! The simulation's store behind the port: what every other store is compared with.

use std::sync::Mutex;

use anteroom_core::id::{Attempt, BotId, CallbackKey, MediaId};
use anteroom_core::job::Job;
use anteroom_core::store::{ArchiveItem, BotRecord, StoreError, StoreRequest, StoreResult};
use anteroom_runtime::store::{BoxFuture, Clock, Store};
use anteroom_sim::store::StoreModel;

/// The model, judging time by a clock.
pub struct ModelStore {
    model: Mutex<StoreModel>,
    clock: Clock,
}

impl ModelStore {
    /// An empty one.
    pub fn new(clock: Clock) -> Self {
        Self { model: Mutex::new(StoreModel::new()), clock }
    }

    /// Another that holds the same.
    ///
    /// # Panics
    /// When a request has panicked.
    pub fn fork(&self) -> Self {
        let model = self.model.lock().expect("no request panics").clone();
        Self { model: Mutex::new(model), clock: Clock::clone(&self.clock) }
    }

    /// Whether an archived message other than the job's own carries the job's media. The model refuses
    /// such a job; the stores that ship do not look.
    ///
    /// # Panics
    /// When a request has panicked.
    pub fn is_medium_of_another_archived(&self, job: &Job) -> bool {
        let own = &job.placeholder_message.provider_message_id;
        let model = self.model.lock().expect("no request panics");
        model.archive_rows().any(|row| {
            let is_own = row.bot_id == job.bot_id
                && row.correspondent_id == job.correspondent_id
                && row.message.provider_message_id == *own;
            row.message.media_id() == Some(job.media_id) && !is_own
        })
    }

    /// Whether another archived message has the message's id.
    ///
    /// # Panics
    /// When a request has panicked.
    pub fn is_id_of_another_archived(&self, bot_id: &BotId, item: &ArchiveItem) -> bool {
        let model = self.model.lock().expect("no request panics");
        model.archive_rows().any(|row| {
            row.bot_id == *bot_id
                && row.correspondent_id == item.correspondent_id
                && row.message.id == item.message.id
                && row.message.provider_message_id != item.message.provider_message_id
        })
    }

    /// The job of a medium.
    ///
    /// # Panics
    /// When a request has panicked.
    pub fn job(&self, media_id: MediaId) -> Option<Job> {
        self.model.lock().expect("no request panics").job(media_id).cloned()
    }

    /// The last attempt of an archived message's callback; none of one that is not there.
    ///
    /// # Panics
    /// When a request has panicked.
    pub fn attempts(&self, bot_id: &BotId, key: &CallbackKey) -> Option<Attempt> {
        let model = self.model.lock().expect("no request panics");
        let row = model.archive_row(bot_id, &key.correspondent_id, key.message_id)?;
        Some(row.attempts)
    }

    /// What it says to a request.
    ///
    /// # Errors
    /// As every store.
    ///
    /// # Panics
    /// When a request has panicked.
    pub fn ask(&self, request: &StoreRequest) -> StoreResult {
        self.model.lock().expect("no request panics").apply((self.clock)(), request)
    }
}

impl Store for ModelStore {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        Box::pin(std::future::ready(self.ask(&request)))
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        let model = self.model.lock().expect("no request panics");
        Box::pin(std::future::ready(Ok(model.bots().cloned().collect())))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
