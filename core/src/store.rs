//! The store's port, as data: what the core asks of the store, and what the store answers.
//!
//! Owns the vocabulary of the port. The runtime's `Store` trait has one method a request; the
//! simulation's store applies the same requests to a model. **Every operation is idempotent**:
//! repeated with the same arguments it answers as if it had happened once, so "I do not know whether
//! it happened" is answered by asking again. Bot-side writes carry the bot's epoch and are refused
//! with [`StoreError::Fenced`] once a newer one exists; worker-side writes carry the lease token.
//! Expiry is judged by the store's own clock: no lease operation takes a `now`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::durable::Witness;
use crate::id::{
    ArchiveSeq, Attempt, BotId, CallbackKey, CorrespondentId, Epoch, LeaseToken, MediaId,
    MessageId, NodeId, PoolName, ProviderMessageId, ProviderName, SendId, WorkerId,
};
use crate::job::offer::LeaseOffer;
use crate::job::{Job, LeaseRequest, Rejection, ReleaseReason, Worked};
use crate::message::{Message, Outcome};
use crate::pool::routing::Routing;
use crate::settings::Run;
use crate::time::{Millis, Timestamp};

/// One operation on the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum StoreRequest {
    /// Makes a bot known. A bot that is known already keeps its record.
    RegisterBot(BotRecord),
    /// Takes ownership of a bot, or finds out who has it.
    AcquireBot {
        /// Which bot.
        bot_id: BotId,
        /// For whom.
        node_id: NodeId,
        /// For how long.
        ttl: Millis,
    },
    /// Prolongs the ownership of all a node's bots.
    RenewBots {
        /// Whose.
        node_id: NodeId,
        /// The bots, with the epochs they are believed to have.
        bots: Vec<(BotId, Epoch)>,
        /// For how much longer.
        ttl: Millis,
    },
    /// Gives a bot up.
    ReleaseBot(Fence),
    /// Activates and adopts a page of a bot's jobs, and leases those of them that get an offered place.
    RestoreBot {
        /// Which bot.
        fence: Fence,
        /// What the page before ended with.
        after: Option<JobCursor>,
        /// How many jobs at the most.
        limit: u32,
        /// Places for them that are free where they are restored.
        offers: Vec<LeaseOffer>,
        /// Which pool takes what where they are restored, so that a job that waits finds its workers though
        /// pools have changed since it was made. Without it, each stays in its pool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        routing: Option<Arc<Routing>>,
    },
    /// Asks for the first free message id of a correspondent, over archive and jobs.
    NextId {
        /// Which bot.
        bot_id: BotId,
        /// Which correspondent.
        correspondent_id: CorrespondentId,
    },
    /// Makes new jobs durable, optionally already claimed.
    InsertJobs {
        /// Which bot.
        fence: Fence,
        /// The jobs.
        jobs: Vec<NewJob>,
    },
    /// Stores messages, their owed callbacks, and the end of their jobs: each message together with
    /// its job, or not at all.
    Archive {
        /// Which bot.
        fence: Fence,
        /// The messages, in the order in which they are to be called back.
        items: Vec<ArchiveItem>,
    },
    /// Gives an archived message the result of a retried job, and owes `message.revised`. Where no callback is
    /// owed, that of the revision before stays as it has ended: one that was given up can be owed anew.
    Revise {
        /// Which bot.
        fence: Fence,
        /// The completed job of revision n.
        media_id: MediaId,
        /// Which n.
        revision: u32,
        /// The message with its new content.
        message: Arc<Message>,
        /// Whose message.
        correspondent_id: CorrespondentId,
        /// Whether a callback is owed.
        callback: CallbackPlan,
    },
    /// A page of a bot's active, completed jobs, whose results wait to be applied.
    CompletedJobs {
        /// Which bot.
        fence: Fence,
        /// What the page before ended with.
        after: Option<JobCursor>,
        /// How many at the most.
        limit: u32,
    },
    /// The next owed callbacks, each with an attempt number that is durable: the first, where the callback
    /// came to be owed under this epoch and was never raised, for nobody else can have sent it; otherwise the
    /// next one, raised in the same write. So an owner must not send what it has sent and reads again.
    OwedCallbacks {
        /// Which bot.
        fence: Fence,
        /// Of whom.
        scope: OwedScope,
        /// How many at the most; of several correspondents, the sum of what is asked for of each.
        limit: u32,
    },
    /// Raises the attempt numbers of owed callbacks and stores how often each was refused.
    RaiseAttempts {
        /// Which bot.
        fence: Fence,
        /// Which callbacks, with their count of refusals.
        callbacks: Vec<(CallbackKey, u32)>,
    },
    /// Ends owed callbacks. What was given up may be acknowledged yet, and is given up no more.
    MarkCalledBack {
        /// Which bot.
        fence: Fence,
        /// Which, and how they ended.
        marks: Vec<Mark>,
    },
    /// Makes an outgoing message durable.
    EnqueueSend {
        /// Which bot.
        bot_id: BotId,
        /// The message.
        send: Send,
    },
    /// The outgoing messages that have not been confirmed as sent, oldest first.
    OwedSends {
        /// Which bot.
        fence: Fence,
        /// How many at the most.
        limit: u32,
    },
    /// The provider confirmed outgoing messages.
    MarkSent {
        /// Which bot.
        fence: Fence,
        /// Which, under which ids of the provider.
        sent: Vec<(SendId, ProviderMessageId)>,
    },
    /// Moves all of a bot's active jobs to holding; results and live leases are kept.
    HoldBot(Fence),
    /// Leases pending jobs of a pool, round-robin over bots, oldest first within a bot.
    Claim {
        /// Which pool.
        pool: PoolName,
        /// The rotation goes on behind this bot.
        after_bot: Option<BotId>,
        /// By whom, under which token, for how long.
        lease: LeaseRequest,
        /// How many at the most.
        limit: u32,
    },
    /// Prolongs leases.
    Renew {
        /// The leases held.
        leases: Vec<(MediaId, LeaseToken)>,
        /// For how much longer.
        ttl: Millis,
    },
    /// Gives jobs back.
    Release {
        /// Which, and why.
        releases: Vec<Release>,
    },
    /// Stores results in jobs.
    Complete {
        /// Which, with what.
        completions: Vec<Completion>,
    },
    /// Takes a name for a while, so that sweeps are not done twice. It is no lock.
    AcquireSingleton {
        /// Which name.
        name: String,
        /// For whom.
        node_id: NodeId,
        /// For how long.
        ttl: Millis,
    },
    /// Takes expired leases away.
    ReclaimLeases {
        /// How many at the most.
        limit: u32,
    },
    /// Ends jobs that waited longer than their time to live.
    ExpireJobs {
        /// The bots that are owned and running here: only their active jobs expire.
        running: Vec<(BotId, Epoch)>,
        /// For active jobs.
        active_ttl: Millis,
        /// For holding jobs, of any bot.
        holding_ttl: Millis,
        /// How many at the most.
        limit: u32,
    },
    /// Which of these media are known to active, holding or failed, in one snapshot.
    KnownMedia {
        /// The media in question.
        media_ids: Vec<MediaId>,
    },
    /// Drops failed copies whose files were kept long enough.
    ForgetFailed {
        /// How long they are kept.
        retention: Millis,
        /// How many at the most.
        limit: u32,
    },
    /// Drops archived messages whose callbacks ended long enough ago, but never a correspondent's
    /// highest one, and with them the keys of sends that were confirmed as long ago.
    ForgetArchived {
        /// How long they are kept.
        retention: Millis,
        /// How many messages at the most; keys of sends are not counted.
        limit: u32,
    },
    /// An operator gives a job up.
    DiscardJob {
        /// Which.
        media_id: MediaId,
    },
    /// An operator retries a failed job, whose file is known to be there.
    RetryJob {
        /// Which.
        media_id: MediaId,
        /// Which pool takes what by now. Without it, the job goes to the pool that it was in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        routing: Option<Arc<Routing>>,
    },
    /// An operator owes a callback anew that its consumer refused too often. It takes a new place in
    /// the archive, behind everything that an outbox may have passed. Whatever was attempted since the
    /// operator looked settles it, so that a request that takes effect late owes nothing a second time.
    Redeliver {
        /// Which bot.
        fence: Fence,
        /// Which callback.
        key: CallbackKey,
        /// Its last attempt, as the operator saw it.
        attempts: Attempt,
    },
}

/// A successful answer of the store, one variant a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", content = "answer", rename_all = "snake_case")]
pub enum StoreReply {
    /// The bot's record as it is stored now.
    RegisterBot(BotRecord),
    /// Who owns the bot now.
    AcquireBot(Acquired),
    /// The bots that are lost; all others are prolonged.
    RenewBots(Vec<BotId>),
    /// The bot is free.
    ReleaseBot,
    /// A page of jobs.
    RestoreBot(JobPage),
    /// The correspondent's first free id.
    NextId(MessageId),
    /// An answer a job, in order.
    InsertJobs(Vec<InsertAnswer>),
    /// An answer a message, in order.
    Archive(Vec<ArchiveAnswer>),
    /// What became of a revision.
    Revise(ReviseAnswer),
    /// A page of jobs.
    CompletedJobs(JobPage),
    /// Owed callbacks, in their order, and whether there may be more.
    OwedCallbacks {
        /// The callbacks, with the attempt numbers to use.
        callbacks: Vec<OwedCallback>,
        /// Whether the scope holds more behind the last one; of several correspondents, whether one of
        /// them may.
        more: bool,
    },
    /// The new attempt number of each callback; none when it is not owed any more.
    RaiseAttempts(Vec<Option<Attempt>>),
    /// An answer a mark, in order.
    MarkCalledBack(Vec<MarkAnswer>),
    /// Whether the outgoing message is new.
    EnqueueSend(EnqueueAnswer),
    /// Outgoing messages, oldest first.
    OwedSends(Vec<Send>),
    /// They are confirmed.
    MarkSent,
    /// How many jobs are held.
    HoldBot(u32),
    /// The claimed jobs.
    Claim(Claimed),
    /// Those whose lease is lost; all others are prolonged.
    Renew(Vec<MediaId>),
    /// Those that were not held under the given token.
    Release(Vec<MediaId>),
    /// An answer a completion, in order.
    Complete(Vec<TokenAnswer>),
    /// Whether the name is the node's now.
    AcquireSingleton(bool),
    /// What was taken away.
    ReclaimLeases(Vec<Swept>),
    /// What was ended.
    ExpireJobs(Vec<Swept>),
    /// Those that are known.
    KnownMedia(Vec<MediaId>),
    /// The media whose files may be deleted.
    ForgetFailed(Vec<MediaId>),
    /// How many were dropped.
    ForgetArchived(u32),
    /// What became of the operator's command.
    DiscardJob(OperatorAnswer),
    /// What became of the operator's command.
    RetryJob(OperatorAnswer),
    /// What became of the operator's command.
    Redeliver(RedeliverAnswer),
}

impl Witness for StoreReply {}

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum StoreError {
    /// The store could not be reached or did not answer in time. The operation may or may not have
    /// happened: ask again.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// What the adapter saw.
        detail: String,
    },
    /// The bot has a newer owner.
    #[error("the bot has a newer owner")]
    Fenced,
    /// A bug, or data that makes no sense: never asked again.
    #[error("the store refused the operation as invalid: {detail}")]
    Invalid {
        /// What the adapter saw.
        detail: String,
    },
}

/// What a caller learns of one operation.
pub type StoreResult = Result<StoreReply, StoreError>;

/// The bot that a write is for, under the ownership that it is made under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Which bot.
    pub bot_id: BotId,
    /// The owner's epoch.
    pub epoch: Epoch,
}

/// What is durable of a bot's existence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotRecord {
    /// Which bot.
    pub bot_id: BotId,
    /// The one provider it is connected through.
    pub provider_name: ProviderName,
    /// When it runs.
    pub run: Run,
}

/// The answer to [`StoreRequest::AcquireBot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acquired {
    /// The node owns it. The same node gets the same epoch again.
    Acquired {
        /// The ownership's fencing token.
        epoch: Epoch,
    },
    /// Another node owns it.
    HeldBy {
        /// Which.
        node_id: NodeId,
        /// For how much longer at the most.
        remaining: Millis,
    },
}

/// A job's place among its bot's: the oldest first, so that neighbours in a page are neighbours in the store,
/// which keeps jobs in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobCursor {
    /// When the job was made.
    pub created_at: Timestamp,
    /// Tells jobs of one moment apart.
    pub media_id: MediaId,
}

impl JobCursor {
    /// The place of a job.
    pub fn of(job: &Job) -> Self {
        Self { created_at: job.created_at, media_id: job.media_id }
    }
}

/// A page of jobs, in the order of their [`JobCursor`]s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Whether there may be more behind the last one.
    pub more: bool,
}

impl JobPage {
    /// Where the page behind this one begins, which began behind `after`. A page may be without jobs and have
    /// more behind it: those that could not be read are set aside.
    pub fn behind(&self, after: Option<JobCursor>) -> Option<JobCursor> {
        self.jobs.last().map(JobCursor::of).or(after)
    }
}

/// A job to be inserted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewJob {
    /// The job, pending and active.
    pub job: Job,
    /// The lease to insert it with, when a local slot is free.
    pub lease: Option<LeaseRequest>,
}

/// What became of an insert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InsertAnswer {
    /// The job is durable (or already was, from the same call); `leased` when the lease asked for is
    /// its current one.
    Inserted {
        /// Whether the lease stands.
        leased: bool,
    },
    /// The provider's message is known under another media id, or archived.
    DuplicateProviderMessage {
        /// The id it has.
        message_id: MessageId,
    },
    /// The media id belongs to another message.
    MediaIdInUse,
}

/// A message to be archived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchiveItem {
    /// Whose message.
    pub correspondent_id: CorrespondentId,
    /// The message.
    pub message: Arc<Message>,
    /// Whether a callback is owed.
    pub callback: CallbackPlan,
    /// The job that ends with it.
    pub job: Option<FinishedJob>,
}

/// Whether a message owes a callback. The number of its first attempt, 1, is durable with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackPlan {
    /// It owes none.
    None,
    /// It owes one that stays in the store for now.
    Owed,
    /// It owes one that is sent as soon as it is durable.
    OwedInWindow,
}

/// A job that ends as its message is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedJob {
    /// Which job.
    pub media_id: MediaId,
    /// The lease under which its result was made here; none when the result was stored before.
    pub token: Option<LeaseToken>,
    /// Whose work its result is, to be kept beside the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worked: Option<Worked>,
}

/// What became of one message of an archive batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveAnswer {
    /// It is in the archive.
    Stored {
        /// Its place.
        seq: ArchiveSeq,
    },
    /// It already was, from the same call repeated.
    AlreadyStored {
        /// Its place.
        seq: ArchiveSeq,
    },
    /// The provider's message is known under another id. Its own job is finished, if it may be: a job
    /// that another holds, or that has no result, stays.
    DuplicateProviderMessage {
        /// The id it has.
        message_id: MessageId,
    },
    /// Its job is not held under the token (or has no result): nothing was stored.
    StaleLease,
}

/// What became of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviseAnswer {
    /// The row has the new content (or already had, from the same call repeated).
    Revised {
        /// The place of the owed `message.revised`.
        seq: ArchiveSeq,
    },
    /// The table does not allow it; the job is left as it is.
    Rejected(Rejection),
    /// There is no such row or job.
    NotFound,
}

/// Which owed callbacks are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwedScope {
    /// Those of the whole bot behind a place in the archive, in archive order, less some
    /// correspondents.
    Bot {
        /// The place.
        after: ArchiveSeq,
        /// The correspondents to leave out.
        except: Vec<CorrespondentId>,
    },
    /// Those of several correspondents, each named once, one after the other. Of one that has fewer than
    /// were asked for, the page holds all.
    Correspondents(Vec<OwedOf>),
    /// Those of one correspondent in the order of message ids.
    CorrespondentById {
        /// Which.
        correspondent_id: CorrespondentId,
        /// Only messages with a higher id.
        after: Option<MessageId>,
    },
}

/// The owed callbacks of one correspondent behind a place in the archive, in archive order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedOf {
    /// Whose.
    pub correspondent_id: CorrespondentId,
    /// The place.
    pub after: ArchiveSeq,
    /// How many at the most.
    pub limit: u32,
}

/// A callback that the store owes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwedCallback {
    /// Its place in the archive.
    pub seq: ArchiveSeq,
    /// Whose message.
    pub correspondent_id: CorrespondentId,
    /// The message.
    pub message: Arc<Message>,
    /// Which revision of it.
    pub revision: u32,
    /// The number of the attempt that may be sent next.
    pub attempt: Attempt,
    /// How often the consumer refused it.
    pub failures: u32,
}

/// The end of an owed callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which callback.
    pub key: CallbackKey,
    /// How it ended.
    pub end: CallbackEnd,
    /// What the consumer answered, to be sent to the correspondent: a durable send in the same
    /// write, with the callback id as its `send_id`.
    #[serde(serialize_with = "crate::contents::maybe")]
    pub reply: Option<String>,
    /// Whether this owner may have sent it. If not, a first attempt that nobody else could have sent never
    /// was.
    #[serde(default)]
    pub sent: bool,
}

/// How a callback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackEnd {
    /// The consumer acknowledged it.
    Acknowledged,
    /// The consumer refused it too often.
    Undeliverable,
}

/// What became of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkAnswer {
    /// The callback had ended before, or ended just now.
    Ended,
    /// There is no such callback, or it was never sent.
    Unknown,
}

/// An outgoing message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// Its idempotency key.
    pub send_id: SendId,
    /// To whom.
    pub correspondent_id: CorrespondentId,
    /// What.
    #[serde(serialize_with = "crate::contents::text")]
    pub message: String,
}

/// Whether an outgoing message is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnqueueAnswer {
    /// It is durable now.
    Enqueued,
    /// It was durable before.
    AlreadyPresent,
    /// The key belongs to a message with another text or correspondent.
    Conflict,
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// The jobs, leased.
    pub jobs: Vec<Job>,
    /// Whether more jobs of the pool could be claimed at once.
    pub more: bool,
    /// In how long the next pending job of the pool ends its back-off, when none could be claimed at
    /// once.
    pub next_in: Option<Millis>,
}

/// A job that is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Which.
    pub media_id: MediaId,
    /// Under which lease.
    pub token: LeaseToken,
    /// How long nobody is to claim it.
    pub delay: Millis,
    /// Why.
    pub reason: ReleaseReason,
}

/// A result to be stored in its job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Which.
    pub media_id: MediaId,
    /// Under which lease.
    pub token: LeaseToken,
    /// The result.
    pub outcome: Outcome,
}

/// What became of a write that a lease guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAnswer {
    /// Done.
    Ok,
    /// The lease is not the current one, or the job is gone.
    Stale,
}

/// A job that a sweep changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Whose bot.
    pub bot_id: BotId,
    /// Which job.
    pub media_id: MediaId,
    /// Which pool it belongs to.
    pub pool: PoolName,
    /// Who lost it, when a lease was taken away.
    pub worker_id: Option<WorkerId>,
    /// Whether it is completed: its bot has a result to apply.
    pub completed: bool,
}

/// What became of an operator's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAnswer {
    /// Done (or it already was).
    Done {
        /// Whose bot, to be told.
        bot_id: BotId,
        /// Which pool, to be told.
        pool: PoolName,
    },
    /// The table does not allow it.
    Rejected(Rejection),
    /// There is no such job.
    NotFound,
}

/// What became of a callback that was to be owed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedeliverAnswer {
    /// It is owed (or already was).
    Owed {
        /// Its place.
        seq: ArchiveSeq,
    },
    /// The consumer took it, it owes none, or it was made again since: there is nothing to be done.
    Settled,
    /// There is no such callback.
    NotFound,
}
