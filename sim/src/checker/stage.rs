//! What the rules' tests are played on: a small store, and the things that happen in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use anteroom_core::bot::event::Callback;
use anteroom_core::draft::Draft;
use anteroom_core::id::{
    Attempt, BotId, CallbackKey, CorrespondentId, Epoch, LeaseToken, MediaId, MessageId, NodeId,
};
use anteroom_core::job::{Job, LeaseRequest, Place, Status};
use anteroom_core::message::{FailureKind, MediaKind, Message, Outcome, Participant, Source};
use anteroom_core::settings::{NodeSettings, Run};
use anteroom_core::store::{
    ArchiveItem, BotRecord, CallbackEnd, CallbackPlan, Fence, FinishedJob, Mark, NewJob,
    StoreRequest, StoreResult,
};
use anteroom_core::time::{Millis, Timestamp};

use super::seen::{Final, Scene, Seen};
use crate::plan::{FileState, MessageName, PlannedMedia, PlannedMessage, Processing};
use crate::store::StoreModel;

/// A store with one bot, owned by node 0.
pub(super) struct Stage {
    pub store: StoreModel,
    pub now: Timestamp,
    pub bot_id: BotId,
    pub settings: NodeSettings,
    pub staged: BTreeSet<MediaId>,
    pub kept: Vec<MessageName>,
    next_id: MessageId,
}

pub(super) fn media_id(number: u128) -> MediaId {
    uuid::Uuid::from_u128(number).into()
}

pub(super) fn token(number: u128) -> LeaseToken {
    uuid::Uuid::from_u128(number).into()
}

pub(super) fn node_id(number: u128) -> NodeId {
    uuid::Uuid::from_u128(number).into()
}

/// The first attempt at a message's callback.
pub(super) fn callback_of(message: &Arc<Message>) -> Callback {
    Callback {
        correspondent_id: correspondent_id(),
        attempt: Attempt(1),
        revision: 0,
        message: Arc::clone(message),
    }
}

fn correspondent_id() -> CorrespondentId {
    "c".into()
}

impl Stage {
    pub fn new() -> Self {
        let mut stage = Self {
            store: StoreModel::new(),
            now: Timestamp::from_ms(1_000_000),
            bot_id: "bot".into(),
            settings: NodeSettings::new(node_id(1)),
            staged: BTreeSet::new(),
            kept: Vec::new(),
            next_id: MessageId::FIRST,
        };
        let (bot_id, provider_name) = (stage.bot_id.clone(), "sim".into());
        let record = BotRecord { bot_id: bot_id.clone(), provider_name, run: Run::Always };
        stage.apply(&StoreRequest::RegisterBot(record));
        let ttl = Millis::from_hours(1);
        stage.apply(&StoreRequest::AcquireBot { bot_id, node_id: node_id(1), ttl });
        stage
    }

    pub fn scene(&self) -> Scene<'_> {
        Scene { now: self.now, store: &self.store }
    }

    pub fn ends(&self) -> Final<'_> {
        Final { store: &self.store, staged: &self.staged, kept: &self.kept }
    }

    pub fn booted(&self) -> Seen<'_> {
        Seen::Booted { node: 0, node_id: node_id(1), settings: &self.settings }
    }

    fn apply(&mut self, request: &StoreRequest) {
        let result = self.store.apply(self.now, request);
        assert!(result.is_ok(), "{request:?}: {result:?}");
    }

    fn fence(&self) -> Fence {
        Fence { bot_id: self.bot_id.clone(), epoch: Epoch(1) }
    }

    fn planned(&self, name: &str, text: &str, media: Option<u128>) -> PlannedMessage {
        PlannedMessage {
            bot: 0,
            correspondent_id: correspondent_id(),
            provider_message_id: name.into(),
            text: text.to_owned(),
            direction: anteroom_core::draft::Direction::Incoming,
            send_id: None,
            posted: false,
            media: media.map(|number| PlannedMedia {
                media_id: media_id(number),
                kind: MediaKind::Audio,
                mime_type: "audio/ogg".to_owned(),
                filename: None,
                file: FileState::Staged,
                processing: Processing::Nothing,
            }),
        }
    }

    pub fn draft(&self, name: &str, text: &str) -> (MessageName, Draft) {
        let planned = self.planned(name, text, None);
        (planned.name(), planned.draft(self.now))
    }

    /// A text with the next id.
    pub fn text(&mut self, name: &str, text: &str) -> Message {
        let id = self.next_id;
        self.next_id = id.next();
        Message {
            id,
            content: text.to_owned(),
            sender: Participant::default(),
            source: Source::User,
            accepted_time: self.now,
            message_size: text.chars().count() as u64,
            originating_time: self.now,
            group: None,
            provider_message_id: name.into(),
            replayed: false,
            truncated: false,
            media: None,
        }
    }

    /// A placeholder with the next id.
    pub fn placeholder(&mut self, name: &str, number: u128) -> Message {
        let media = anteroom_core::message::Media {
            media_id: media_id(number),
            kind: MediaKind::Audio,
            mime_type: "audio/ogg".to_owned(),
            original_filename: None,
            caption: None,
            outcome: None,
        };
        Message { media: Some(Box::new(media)), ..self.text(name, "") }
    }

    /// What archiving a message asks, and what the store answers.
    pub fn archived(&mut self, message: Message) -> (StoreRequest, StoreResult) {
        let item = ArchiveItem {
            correspondent_id: correspondent_id(),
            message: Arc::new(message),
            callback: CallbackPlan::OwedInWindow,
            job: None,
        };
        let request = StoreRequest::Archive { fence: self.fence(), items: vec![item] };
        let result = self.store.apply(self.now, &request);
        // The rule is asked also where the store says no.
        let stored =
            anteroom_core::store::ArchiveAnswer::Stored { seq: anteroom_core::id::ArchiveSeq(1) };
        let result = result.or(Ok(anteroom_core::store::StoreReply::Archive(vec![stored])));
        (request, result)
    }

    /// Archives a text whose callback is owed, attempt 1.
    pub fn archive_text(&mut self, name: &str, text: &str) -> Arc<Message> {
        let message = self.text(name, text);
        self.archived(message.clone()).1.expect("a text can be archived");
        Arc::new(message)
    }

    /// Makes the next attempt number of a callback durable.
    pub fn raise(&mut self, key: &CallbackKey) {
        let callbacks = vec![(key.clone(), 0)];
        self.apply(&StoreRequest::RaiseAttempts { fence: self.fence(), callbacks });
    }

    /// Ends a callback.
    pub fn end(&mut self, key: &CallbackKey) {
        let mark =
            Mark { key: key.clone(), end: CallbackEnd::Acknowledged, reply: None, sent: true };
        self.apply(&StoreRequest::MarkCalledBack { fence: self.fence(), marks: vec![mark] });
    }

    /// What giving a callback up asks, and what the store answers.
    pub fn given_up(&mut self, key: &CallbackKey) -> (StoreRequest, StoreResult) {
        let mark =
            Mark { key: key.clone(), end: CallbackEnd::Undeliverable, reply: None, sent: true };
        let request = StoreRequest::MarkCalledBack { fence: self.fence(), marks: vec![mark] };
        let result = self.store.apply(self.now, &request);
        (request, result)
    }

    /// Owes a callback anew that was given up.
    pub fn owe_anew(&mut self, key: &CallbackKey) {
        let attempts = self.store.archive_row(&self.bot_id, &key.correspondent_id, key.message_id);
        let attempts = attempts.expect("it is archived").attempts;
        let (fence, key) = (self.fence(), key.clone());
        self.apply(&StoreRequest::Redeliver { fence, key, attempts });
    }

    /// Makes a placeholder durable as a leased job.
    pub fn insert_placeholder(&mut self, name: &str, number: u128) {
        let (request, result) = self.inserted(name, number);
        assert!(result.is_ok(), "{request:?}: {result:?}");
    }

    /// What making a placeholder durable asks, and what the store answers.
    pub fn inserted(&mut self, name: &str, number: u128) -> (StoreRequest, StoreResult) {
        let placeholder_message = self.placeholder(name, number);
        let job = Job {
            media_id: media_id(number),
            bot_id: self.bot_id.clone(),
            correspondent_id: correspondent_id(),
            provider_name: "sim".into(),
            placeholder_message,
            mime_type: "audio/ogg".to_owned(),
            kind: MediaKind::Audio,
            pool: "audio".into(),
            original_filename: None,
            quota_exceeded: false,
            detail: None,
            place: Place::Active,
            status: Status::Pending,
            created_at: self.now,
            active_since: self.now,
            claims: 0,
            lost: 0,
            transient: 0,
            not_before: None,
            revision: 0,
        };
        let ttl = Millis::from_minutes(1);
        let lease = Some(LeaseRequest { worker_id: node_id(1), token: token(number), ttl });
        let jobs = vec![NewJob { job, lease }];
        let request = StoreRequest::InsertJobs { fence: self.fence(), jobs };
        let result = self.store.apply(self.now, &request);
        (request, result)
    }

    /// Ends a job as failed and archives its message.
    pub fn fail_and_archive(&mut self, number: u128) {
        let job = self.store.job(media_id(number)).expect("the job is there").clone();
        let mut message = job.placeholder_message;
        let outcome = Outcome::Failed { error: FailureKind::Engine, detail: None };
        anteroom_core::content::complete(&mut message, outcome, 1_000);
        let finished =
            FinishedJob { media_id: media_id(number), token: Some(token(number)), worked: None };
        let item = ArchiveItem {
            correspondent_id: correspondent_id(),
            message: Arc::new(message),
            callback: CallbackPlan::None,
            job: Some(finished),
        };
        self.apply(&StoreRequest::Archive { fence: self.fence(), items: vec![item] });
    }
}
