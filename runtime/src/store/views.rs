//! What operators ask of a store, and what it shows them.
//!
//! Owns the questions, as data. A question changes nothing and passes no fence; what it is answered was
//! durable a moment ago. **Architecture invariant:** every list goes by an index in its own order, a page
//! at a time, so that its cost is in proportion to the page, whatever the store holds beside.

use anteroom_core::id::{ArchiveSeq, BotId, CorrespondentId, Epoch, MediaId, MessageId, NodeId};
use anteroom_core::id::{PoolName, WorkerId};
use anteroom_core::job::{FailedCopy, Job, Status, Worked};
use anteroom_core::message::{FailureKind, Message, Outcome};
use anteroom_core::store::StoreError;
use anteroom_core::time::{Millis, Timestamp};

use super::presence::{Presence, Present};
use super::{BoxFuture, Store};

/// A store that operators can look into.
pub trait Views: Store {
    /// Answers one question with the variant of [`View`] of the same name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store does not answer.
    fn look(&self, question: Question) -> BoxFuture<'_, Result<View, StoreError>>;

    /// Notes that a node runs. A store of one node keeps no list.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store does not answer.
    fn sign_in(&self, _node: Presence) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Notes that a node has ended.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store does not answer.
    fn sign_out(&self, _node_id: NodeId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A page of jobs.
    Jobs(JobQuery),
    /// How many jobs a filter finds. Linear in the entries of an index.
    Count(JobFilter),
    /// Everything that is kept of a medium.
    Medium(MediaId),
    /// Everything that is kept of a message.
    Message(BotId, CorrespondentId, MessageId),
    /// A page of callbacks.
    Callbacks(CallbackQuery),
    /// Who owns which bot.
    Owners,
    /// How many jobs each worker holds.
    Leases,
    /// Which nodes run, as they say.
    Nodes,
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// The jobs, in the order asked for, and whether there may be more behind the last one.
    Jobs(Vec<ListedJob>, bool),
    /// How many.
    Count(u64),
    /// What is kept.
    Medium(Kept),
    /// What is kept.
    Message(Kept),
    /// The callbacks, by bot and place, and whether there may be more behind the last one.
    Callbacks(Vec<Archived>, bool),
    /// In the order of bots.
    Owners(Vec<Owner>),
    /// In the order of workers.
    Leases(Vec<(WorkerId, u64)>),
    /// In the order of nodes; nothing from a store of one node.
    Nodes(Vec<Present>),
}

/// Where a job is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Its bot is running.
    Active,
    /// Its bot is stopped.
    Holding,
    /// It failed, and is kept to be retried.
    Failed,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusName {
    /// Nobody works on it.
    Pending,
    /// A worker holds it.
    Processing,
    /// Its result waits to be applied.
    Completed,
}

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFilter {
    /// Where.
    pub state: JobState,
    /// Of one bot only.
    pub bot_id: Option<BotId>,
    /// Of one pool only.
    pub pool: Option<PoolName>,
    /// How far; nothing is found of failed jobs, which are all completed, but by that.
    pub status: Option<StatusName>,
    /// Why it failed, as [`reason`] names it; nothing is found of other jobs.
    pub reason: Option<String>,
    /// Only what was made, or failed, before.
    pub before: Option<Timestamp>,
}

/// A page of jobs, by the time at which each was made, or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQuery {
    /// Which.
    pub filter: JobFilter,
    /// The latest first.
    pub newest_first: bool,
    /// Where the page before ended.
    pub after: Option<(Timestamp, MediaId)>,
    /// How many at the most.
    pub limit: u32,
}

/// A job of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedJob {
    /// The job; of a failed one, as it was when it failed.
    pub job: Job,
    /// When it failed.
    pub failed_at: Option<Timestamp>,
}

/// Which callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackFilter {
    /// Those that are owed.
    Owed,
    /// Those that the consumer refused too often.
    Undeliverable,
}

/// A page of callbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackQuery {
    /// Which.
    pub state: CallbackFilter,
    /// Of one bot only.
    pub bot_id: Option<BotId>,
    /// Where the page before ended.
    pub after: Option<(BotId, ArchiveSeq)>,
    /// How many at the most.
    pub limit: u32,
}

/// Everything that is kept of a message and its media.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    /// Its job, active or holding.
    pub open: Option<Job>,
    /// Its failed copy.
    pub failed: Option<FailedCopy>,
    /// Its place in the archive.
    pub archived: Option<Archived>,
}

/// How far the callback of an archived message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackProgress {
    /// It owes none.
    None,
    /// It is owed.
    Owed,
    /// The consumer took it.
    Acknowledged,
    /// The consumer refused it too often.
    Undeliverable,
}

/// An archived message.
#[derive(Debug, Clone, PartialEq)]
pub struct Archived {
    /// Whose bot.
    pub bot_id: BotId,
    /// Whose message.
    pub correspondent_id: CorrespondentId,
    /// The message.
    pub message: Message,
    /// Its place.
    pub seq: ArchiveSeq,
    /// Which revision it is.
    pub revision: u32,
    /// How far its callback is.
    pub callback: CallbackProgress,
    /// The highest attempt number that may have been used.
    pub attempts: u32,
    /// How often the consumer refused it.
    pub failures: u32,
    /// When it was archived.
    pub archived_at: Timestamp,
    /// When its callback ended; when it was archived, if it owed none.
    pub ended_at: Option<Timestamp>,
    /// Whose work its text is; none of a text, or of what nobody worked on.
    pub worked: Option<Worked>,
}

/// Who owns a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Which bot.
    pub bot_id: BotId,
    /// Which node.
    pub node_id: NodeId,
    /// Under which epoch.
    pub epoch: Epoch,
    /// For how much longer, unless renewed; nothing when the time is over.
    pub remaining: Millis,
}

impl ListedJob {
    /// What it is ordered by.
    pub fn at(&self) -> Timestamp {
        self.failed_at.unwrap_or(self.job.created_at)
    }
}

/// Why a failed job failed, in one word.
pub fn reason(job: &Job) -> &'static str {
    let Status::Completed { outcome, .. } = &job.status else { return "none" };
    match outcome {
        Outcome::TimedOut => "timed_out",
        Outcome::Expired => "expired",
        Outcome::Failed { error, .. } => failure_kind(*error),
        Outcome::Text(_)
        | Outcome::Nothing
        | Outcome::Corrupt { .. }
        | Outcome::Unsupported { .. }
        | Outcome::NotProcessed
        | Outcome::Discarded => "none",
    }
}

/// Every word that [`reason`] has for a failure.
pub const REASONS: [&str; 7] = [
    "timed_out",
    "expired",
    "file_missing",
    "unreadable",
    "engine",
    "retries_exhausted",
    "worker_lost",
];

fn failure_kind(error: FailureKind) -> &'static str {
    match error {
        FailureKind::FileMissing => "file_missing",
        FailureKind::Unreadable => "unreadable",
        FailureKind::Engine => "engine",
        FailureKind::RetriesExhausted => "retries_exhausted",
        FailureKind::WorkerLost => "worker_lost",
    }
}
