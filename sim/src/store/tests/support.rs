//! A small world of bots, messages and jobs, and the words to ask the model about them.
//!
//! Numbers name things: media 1, token 1 and message 1 belong together unless a test says otherwise.

use std::sync::Arc;

use anteroom_core::content;
use anteroom_core::id::{
    ArchiveSeq, BotId, CallbackKey, CorrespondentId, Epoch, LeaseToken, MediaId, MessageId, NodeId,
    PoolName,
};
use anteroom_core::job::{Job, LeaseRequest, Place, Status};
use anteroom_core::message::{Extracted, Media, MediaKind, Message, Outcome, Participant, Source};
use anteroom_core::settings::Run;
use anteroom_core::store::{
    ArchiveItem, BotRecord, CallbackEnd, CallbackPlan, Claimed, Completion, Fence, FinishedJob,
    InsertAnswer, Mark, NewJob, OwedCallback, OwedScope, StoreReply, StoreRequest, StoreResult,
};
use anteroom_core::time::{Millis, Timestamp};
use uuid::Uuid;

use crate::store::{ArchiveRow, StoreModel};

/// How long leases and ownerships last here.
pub(super) const TTL: Millis = Millis::from_secs(60);

/// Executes a request and takes the reply that it must have.
macro_rules! ask {
    ($bench:expr, $variant:ident, $request:expr) => {
        match $bench.apply(&$request) {
            Ok(anteroom_core::store::StoreReply::$variant(answer)) => answer,
            other => panic!("not a reply to {}: {other:?}", stringify!($variant)),
        }
    };
}
pub(super) use ask;

/// A model and its clock. The bots `a` and `b` are registered and owned by node 1.
#[derive(Debug, Clone)]
pub(super) struct Bench {
    pub(super) model: StoreModel,
    pub(super) now: Timestamp,
}

impl Bench {
    pub(super) fn new() -> Self {
        let mut bench = Self { model: StoreModel::new(), now: Timestamp::from_ms(1_000_000) };
        for bot in ["a", "b"] {
            ask!(bench, RegisterBot, StoreRequest::RegisterBot(record(bot)));
            ask!(bench, AcquireBot, acquire(bot, 1));
        }
        bench
    }

    pub(super) fn apply(&mut self, request: &StoreRequest) -> StoreResult {
        self.model.apply(self.now, request)
    }

    /// Executes a request twice and says that the second time answered the same and changed nothing.
    pub(super) fn apply_twice(&mut self, request: &StoreRequest) -> StoreResult {
        let first = self.apply(request);
        let once = self.model.clone();
        assert_eq!(self.apply(request), first, "the repetition answers the same");
        assert_eq!(self.model, once, "the repetition changes nothing");
        first
    }

    pub(super) fn pass(&mut self, length: Millis) {
        self.now = self.now + length;
    }

    pub(super) fn insert(&mut self, jobs: &[Job]) -> Vec<InsertAnswer> {
        let jobs = jobs.iter().map(|job| NewJob { job: job.clone(), lease: None });
        let fence = fence("a", 1);
        ask!(self, InsertJobs, StoreRequest::InsertJobs { fence, jobs: jobs.collect() })
    }

    pub(super) fn claim(&mut self, number: u128, limit: u32) -> Claimed {
        ask!(self, Claim, claim("audio", None, number, limit))
    }

    pub(super) fn complete(&mut self, number: u128, outcome: Outcome) {
        let completion = Completion { media_id: media(number), token: token(number), outcome };
        let request = StoreRequest::Complete { completions: vec![completion] };
        ask!(self, Complete, request);
    }

    /// A job that was claimed, and completed under its own token.
    pub(super) fn completed_job(&mut self, number: u128, outcome: Outcome) {
        self.insert(&[job("a", "c", number)]);
        assert_eq!(self.claim(number, 1).jobs.len(), 1);
        self.complete(number, outcome);
    }

    /// A media message in the archive after its job had that outcome; its callback ended after it was
    /// refused twice.
    pub(super) fn called_back_media(&mut self, number: u128, outcome: Outcome) {
        self.completed_job(number, outcome.clone());
        let item = ArchiveItem {
            message: Arc::new(media_message(number, outcome)),
            job: Some(FinishedJob { media_id: media(number), token: None, worked: None }),
            ..text_item("c", number, CallbackPlan::OwedInWindow)
        };
        ask!(self, Archive, archive(vec![item]));
        let callbacks = vec![(key("c", number, 0), 2)];
        let raise = StoreRequest::RaiseAttempts { fence: fence("a", 1), callbacks };
        ask!(self, RaiseAttempts, raise);
        let mark = mark("c", number, 0, None);
        ask!(self, MarkCalledBack, marks(vec![mark]));
    }

    pub(super) fn owed(&mut self, scope: OwedScope, limit: u32) -> (Vec<OwedCallback>, bool) {
        let request = StoreRequest::OwedCallbacks { fence: fence("a", 1), scope, limit };
        match self.apply(&request) {
            Ok(StoreReply::OwedCallbacks { callbacks, more }) => (callbacks, more),
            other => panic!("not owed callbacks: {other:?}"),
        }
    }

    pub(super) fn row(&self, number: u128) -> &ArchiveRow {
        let row = self.model.archive_row(&"a".into(), &"c".into(), id(number));
        row.expect("the message is archived")
    }

    pub(super) fn status(&self, number: u128) -> &Status {
        &self.model.job(media(number)).expect("the job is there").status
    }
}

pub(super) fn media(number: u128) -> MediaId {
    Uuid::from_u128(number).into()
}

pub(super) fn token(number: u128) -> LeaseToken {
    Uuid::from_u128(0x70_000 + number).into()
}

pub(super) fn node(number: u128) -> NodeId {
    Uuid::from_u128(0x0e_000 + number).into()
}

pub(super) fn id(number: u128) -> MessageId {
    let number = u64::try_from(number).expect("a small number");
    MessageId::new(number).expect("not zero")
}

pub(super) fn seq(number: u64) -> ArchiveSeq {
    ArchiveSeq(number)
}

pub(super) fn fence(bot: &str, epoch: u64) -> Fence {
    Fence { bot_id: bot.into(), epoch: Epoch(epoch) }
}

pub(super) fn record(bot: &str) -> BotRecord {
    BotRecord { bot_id: bot.into(), provider_name: "p".into(), run: Run::Always }
}

pub(super) fn acquire(bot: &str, node_number: u128) -> StoreRequest {
    StoreRequest::AcquireBot { bot_id: bot.into(), node_id: node(node_number), ttl: TTL }
}

pub(super) fn lease(number: u128) -> LeaseRequest {
    LeaseRequest { worker_id: node(1), token: token(number), ttl: TTL }
}

pub(super) fn claim(pool: &str, after: Option<&str>, number: u128, limit: u32) -> StoreRequest {
    StoreRequest::Claim {
        pool: PoolName::from(pool),
        after_bot: after.map(BotId::from),
        lease: lease(number),
        limit,
    }
}

pub(super) fn text_message(number: u128) -> Message {
    Message {
        id: id(number),
        content: format!("text {number}"),
        sender: Participant::default(),
        source: Source::User,
        accepted_time: Timestamp::ZERO,
        message_size: 6,
        originating_time: Timestamp::ZERO,
        group: None,
        provider_message_id: format!("p{number}").into(),
        replayed: false,
        truncated: false,
        media: None,
    }
}

pub(super) fn placeholder(number: u128) -> Message {
    placeholder_of(number, number)
}

/// The placeholder of a media for a message of another number.
pub(super) fn placeholder_of(media_number: u128, number: u128) -> Message {
    let media = Media {
        media_id: media(media_number),
        kind: MediaKind::Audio,
        mime_type: "audio/ogg".to_owned(),
        original_filename: None,
        caption: None,
        outcome: None,
    };
    Message { media: Some(Box::new(media)), ..text_message(number) }.into_placeholder()
}

pub(super) fn media_message(number: u128, outcome: Outcome) -> Message {
    media_message_of(number, number, outcome)
}

/// The message of another number whose media ended so.
pub(super) fn media_message_of(media_number: u128, number: u128, outcome: Outcome) -> Message {
    let mut message = placeholder_of(media_number, number);
    content::complete(&mut message, outcome, 4_000);
    message
}

pub(super) fn heard(text: &str) -> Outcome {
    Outcome::Text(Extracted { text: text.to_owned(), ..Extracted::default() })
}

pub(super) fn job(bot: &str, correspondent: &str, number: u128) -> Job {
    Job {
        media_id: media(number),
        bot_id: bot.into(),
        correspondent_id: correspondent.into(),
        provider_name: "p".into(),
        placeholder_message: placeholder(number),
        mime_type: "audio/ogg".to_owned(),
        kind: MediaKind::Audio,
        pool: "audio".into(),
        original_filename: None,
        quota_exceeded: false,
        detail: None,
        place: Place::Active,
        status: Status::Pending,
        created_at: Timestamp::from_ms(1_000_000),
        active_since: Timestamp::from_ms(1_000_000),
        claims: 0,
        lost: 0,
        transient: 0,
        not_before: None,
        revision: 0,
    }
}

pub(super) fn text_item(correspondent: &str, number: u128, callback: CallbackPlan) -> ArchiveItem {
    ArchiveItem {
        correspondent_id: correspondent.into(),
        message: Arc::new(text_message(number)),
        callback,
        job: None,
    }
}

pub(super) fn archive(items: Vec<ArchiveItem>) -> StoreRequest {
    StoreRequest::Archive { fence: fence("a", 1), items }
}

pub(super) fn key(correspondent: &str, number: u128, revision: u32) -> CallbackKey {
    let correspondent_id = CorrespondentId::from(correspondent);
    CallbackKey { correspondent_id, message_id: id(number), revision }
}

pub(super) fn mark(correspondent: &str, number: u128, revision: u32, reply: Option<&str>) -> Mark {
    Mark {
        key: key(correspondent, number, revision),
        end: CallbackEnd::Acknowledged,
        reply: reply.map(str::to_owned),
        sent: true,
    }
}

pub(super) fn marks(marks: Vec<Mark>) -> StoreRequest {
    StoreRequest::MarkCalledBack { fence: fence("a", 1), marks }
}
