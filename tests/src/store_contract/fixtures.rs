//! Small values for the cases: numbered ids, messages, jobs.

use std::sync::Arc;

use anteroom_core::id::{ArchiveSeq, CallbackKey, LeaseToken, MediaId, MessageId, NodeId};
use anteroom_core::job::{Job, LeaseRequest, Place, Status};
use anteroom_core::message::{
    Extracted, FailureKind, Media, MediaKind, Message, Outcome, Participant, Source,
};
use anteroom_core::pool::routing::Routing;
use anteroom_core::settings::default_pools;
use anteroom_core::store::{
    ArchiveItem, CallbackEnd, CallbackPlan, Fence, FinishedJob, Mark, NewJob, OwedOf, OwedScope,
};
use anteroom_core::time::{Millis, Timestamp};
use uuid::Uuid;

/// The pool of [`job`].
pub const POOL: &str = "audio";

/// How long a lease lasts, unless a case says otherwise.
pub const TTL: Millis = Millis::from_secs(60);

/// The n-th node.
pub fn node(n: u64) -> NodeId {
    Uuid::from_u128(u128::from(n)).into()
}

/// The n-th media; their order is that of the numbers.
pub fn media(n: u64) -> MediaId {
    Uuid::from_u128(u128::from(n)).into()
}

/// The n-th lease token.
pub fn token(n: u64) -> LeaseToken {
    Uuid::from_u128(u128::from(n)).into()
}

/// The n-th message id.
pub fn id(n: u64) -> MessageId {
    MessageId::new(n).expect("message ids of fixtures are positive")
}

/// A lease asked for under the n-th token.
pub fn lease(n: u64) -> LeaseRequest {
    LeaseRequest { worker_id: node(1), token: token(n), ttl: TTL }
}

/// A text message; its provider calls it `p<number>`.
pub fn text(number: u64) -> Message {
    let content = format!("text {number}");
    Message {
        id: id(number),
        message_size: content.chars().count() as u64,
        content,
        sender: Participant::default(),
        source: Source::User,
        accepted_time: Timestamp::from_ms(number),
        originating_time: Timestamp::from_ms(number),
        group: None,
        provider_message_id: format!("p{number}").into(),
        replayed: false,
        truncated: false,
        media: None,
    }
}

/// A message that waits for its media.
pub fn placeholder(number: u64, media_number: u64) -> Message {
    let media = Media {
        media_id: media(media_number),
        kind: MediaKind::Audio,
        mime_type: "audio/ogg; codecs=opus".to_owned(),
        original_filename: None,
        caption: None,
        outcome: None,
    };
    Message {
        media: Some(Box::new(media)),
        content: String::new(),
        message_size: 0,
        ..text(number)
    }
}

/// What became of a [`placeholder`].
pub fn ended(number: u64, media_number: u64, outcome: Outcome) -> Message {
    let mut message = placeholder(number, media_number);
    anteroom_core::content::complete(&mut message, outcome, 4_000);
    message
}

/// A result with words in it.
pub fn words(text: &str) -> Outcome {
    Outcome::Text(Extracted { text: text.to_owned(), ..Extracted::default() })
}

/// A result that an operator may retry.
pub fn failure() -> Outcome {
    Outcome::Failed { error: FailureKind::Engine, detail: Some("it broke".to_owned()) }
}

/// A new job of a bot for the message `number` of a correspondent.
pub fn job(
    fence: &Fence,
    correspondent: &str,
    number: u64,
    media_number: u64,
    created_at: Timestamp,
) -> Job {
    Job {
        media_id: media(media_number),
        bot_id: fence.bot_id.clone(),
        correspondent_id: correspondent.into(),
        provider_name: "provider".into(),
        placeholder_message: placeholder(number, media_number),
        mime_type: "audio/ogg; codecs=opus".to_owned(),
        kind: MediaKind::Audio,
        pool: POOL.into(),
        original_filename: None,
        quota_exceeded: false,
        detail: None,
        place: Place::Active,
        status: Status::Pending,
        created_at,
        active_since: created_at,
        claims: 0,
        lost: 0,
        transient: 0,
        not_before: None,
        revision: 0,
    }
}

/// A page of so many callbacks each, behind the places.
pub fn of_each(asked: &[(&str, ArchiveSeq, u32)]) -> OwedScope {
    let of = |&(correspondent_id, after, limit): &(&str, ArchiveSeq, u32)| OwedOf {
        correspondent_id: correspondent_id.into(),
        after,
        limit,
    };
    OwedScope::Correspondents(asked.iter().map(of).collect())
}

/// The job, to be inserted without a lease.
pub fn unleased(job: Job) -> NewJob {
    NewJob { job, lease: None }
}

/// A message to be archived, with a callback that is sent at once and without a job.
pub fn item(correspondent: &str, message: Message) -> ArchiveItem {
    ArchiveItem {
        correspondent_id: correspondent.into(),
        message: Arc::new(message),
        callback: CallbackPlan::OwedInWindow,
        job: None,
    }
}

/// The same with a job whose result was stored before.
pub fn item_of_result(correspondent: &str, message: Message) -> ArchiveItem {
    let job =
        message.media_id().map(|media_id| FinishedJob { media_id, token: None, worked: None });
    ArchiveItem { job, ..item(correspondent, message) }
}

/// The same with a job whose result was made here, under the n-th token.
pub fn item_of_lease(correspondent: &str, message: Message, n: u64) -> ArchiveItem {
    let token = Some(token(n));
    let job = message.media_id().map(|media_id| FinishedJob { media_id, token, worked: None });
    ArchiveItem { job, ..item(correspondent, message) }
}

/// The callback of a message.
pub fn key(correspondent: &str, number: u64, revision: u32) -> CallbackKey {
    CallbackKey { correspondent_id: correspondent.into(), message_id: id(number), revision }
}

/// An acknowledgement without a reply.
pub fn acknowledged(key: CallbackKey) -> Mark {
    Mark { key, end: CallbackEnd::Acknowledged, reply: None, sent: true }
}

/// A routing with one pool, which takes everything.
///
/// # Panics
/// Never: the pool is the catch-all.
pub fn routing(pool: &str) -> Arc<Routing> {
    let mut pools = default_pools();
    pools.truncate(1);
    pools[0].name = pool.into();
    pools[0].mime_types = vec!["*".to_owned()];
    Arc::new(Routing::new(&pools).expect("there is one catch-all"))
}
