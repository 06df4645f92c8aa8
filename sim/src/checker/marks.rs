//! Reached marks: situations that must occur somewhere in a run of many seeds. One that never occurs
//! means that the simulation has stopped looking there.

use std::collections::BTreeSet;

use anteroom_core::job::Status;
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::message::{FailureKind, Outcome};
use anteroom_core::notice::Notice;
use anteroom_core::receipt::{EvictReason, RejectReason};
use anteroom_core::store::{
    ArchiveAnswer, EnqueueAnswer, InsertAnswer, JobPage, OperatorAnswer, ReviseAnswer, StoreError,
    StoreReply, StoreRequest, TokenAnswer,
};
use serde::{Deserialize, Serialize};

use super::seen::{Seen, Told};

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident),* $(,)?) => {
        /// A situation that must occur.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Mark {
            $($(#[$doc])* $mark),*
        }

        impl Mark {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$mark),*];
        }
    };
}

marks! {
    /// A node died.
    NodeDied,
    /// A node died between two effects of a step.
    NodeDiedBetweenEffects,
    /// A node stood still between two effects, and its lease ended meanwhile.
    ZombieWoke,
    /// A write of a node that lost its bot was refused.
    ZombieWriteFenced,
    /// An effect came too late to be carried out.
    LateEffectDropped,
    /// A bot was taken over by another node.
    BotTakenOver,
    /// A node shut down in order.
    NodeShutDown,
    /// A result came under a lease that had ended.
    StaleResultRefused,
    /// A lease was taken away.
    LeaseReclaimed,
    /// A job was given up because its workers were lost.
    WorkersLost,
    /// A worker noticed that its lease was lost.
    LeaseLost,
    /// A processor was cancelled because its time was up.
    ProcessorTimedOut,
    /// A transient failure was tried again.
    TransientRetried,
    /// Transient failures came too often.
    RetriesExhausted,
    /// A medium's file was missing.
    FileMissing,
    /// A result was stored in its job, for a bot elsewhere or a bot that had stopped.
    ResultStoredInJob,
    /// A completed result was there when its bot was restored.
    CompletedResultRestored,
    /// A job that was being worked on was there when its bot was restored.
    RunningJobAdopted,
    /// A job was leased as it was restored.
    LeasedAsRestored,
    /// A job waited too long.
    JobExpired,
    /// The answer to a batch was lost, and the batch asked again.
    AmbiguousArchiveResolved,
    /// The answer to an insert was lost, and the insert asked again.
    AmbiguousInsertResolved,
    /// Moving a bot's jobs was done and not confirmed.
    MoveInterrupted,
    /// A store operation was applied long after it was given up.
    LateApply,
    /// A resend was caught by the store's index.
    ResendCaughtByIndex,
    /// A resend was caught by the window in memory.
    ResendCaughtByWindow,
    /// A message was accepted above a limit.
    OverflowEntered,
    /// A message was rejected because its queue was full.
    OverflowRefused,
    /// A medium was rejected because too many waited.
    PlaceholderLimit,
    /// A message was given up because it waited too long.
    EvictedByAge,
    /// A message was given up for its characters.
    EvictedByCharacters,
    /// A message was given up for the count.
    EvictedByCount,
    /// A callback passed media that had their time.
    GatingReleased,
    /// A callback was sent again.
    CalledBackAgain,
    /// Callbacks were sent together.
    CalledBackTogether,
    /// Callbacks that had been sent together were sent together again.
    TogetherAgain,
    /// Of callbacks that came together, a part was acknowledged.
    PartAcknowledged,
    /// An attempt arrived behind a later one.
    LateAttemptArrived,
    /// A consumer was taken for unavailable.
    CircuitOpened,
    /// A consumer was there again.
    CircuitClosed,
    /// A consumer said that it was gone.
    ConsumerGone,
    /// A message was refused too often.
    Undeliverable,
    /// An operator asked for what was refused too often.
    RedeliveryAsked,
    /// A revision was called back.
    RevisionDelivered,
    /// An operator gave a job up.
    Discarded,
    /// An operator retried a job.
    Retried,
    /// An operator's retry came too early.
    RetryRefused,
    /// A message was sent and confirmed.
    SendConfirmed,
    /// A key was enqueued again.
    SendKnown,
    /// An orphan was deleted.
    OrphanDeleted,
    /// Two nodes swept files.
    FilesSwept,
    /// A connection took another one's place.
    ConnectionReplaced,
    /// A message came beyond the window of its connection.
    WindowExceeded,
    /// A frame that was none was refused.
    NonsenseRefused,
    /// A hello was refused.
    HelloRefused,
    /// A bot that was starting told its provider to come again.
    RetryLaterTold,
    /// A bot that did not run told its provider so.
    NotRunningTold,
}

impl Mark {
    /// Whether it cannot occur where a driver runs: one that calls no consumers and obeys no operator
    /// yet, and whose steps are not interrupted.
    fn is_of_tier_1_only(self) -> bool {
        matches!(
            self,
            Self::NodeDiedBetweenEffects
                | Self::ConsumerGone
                | Self::Undeliverable
                | Self::RedeliveryAsked
        )
    }
}

/// Those marks that have been reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks {
    reached: BTreeSet<Mark>,
}

impl Marks {
    /// Reaches one.
    pub fn reach(&mut self, mark: Mark) {
        self.reached.insert(mark);
    }

    /// Whether one was reached.
    pub fn has(&self, mark: Mark) -> bool {
        self.reached.contains(&mark)
    }

    /// Those of this tier that were not reached.
    pub fn missing(&self) -> Vec<Mark> {
        let missing = Mark::ALL.iter().copied().filter(|mark| !self.has(*mark));
        missing.filter(|mark| !cfg!(madsim) || !mark.is_of_tier_1_only()).collect()
    }

    /// How many were reached.
    pub fn count(&self) -> usize {
        self.reached.len()
    }

    /// Takes in those of another run.
    pub fn join(&mut self, other: &Self) {
        self.reached.extend(&other.reached);
    }

    /// Looks at what is seen.
    pub(super) fn see(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Died { .. } => self.reach(Mark::NodeDied),
            Seen::Applied { request, result: Ok(reply), lost, .. } => {
                self.applied(reply, *lost);
                if let (StoreRequest::RestoreBot { offers, .. }, StoreReply::RestoreBot(page)) =
                    (request, reply)
                {
                    self.restored(offers, page);
                }
            }
            Seen::Applied { result: Err(StoreError::Fenced), .. } => {
                self.reach(Mark::ZombieWriteFenced);
            }
            Seen::Noticed { notice, .. } => self.noticed(notice),
            Seen::Receipted { told, .. } => self.told(*told),
            Seen::Together { callbacks, .. } if callbacks.len() > 1 => {
                self.reach(Mark::CalledBackTogether);
                if callbacks.iter().any(|callback| callback.attempt.0 > 1) {
                    self.reach(Mark::TogetherAgain);
                }
            }
            Seen::CallbackSent { callback, .. } => {
                if callback.attempt.0 > 1 {
                    self.reach(Mark::CalledBackAgain);
                }
                if callback.revision > 0 {
                    self.reach(Mark::RevisionDelivered);
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Rejected(RejectReason::Overflow) => self.reach(Mark::OverflowRefused),
            Told::Rejected(RejectReason::PlaceholderLimit) => self.reach(Mark::PlaceholderLimit),
            Told::Rejected(RejectReason::RetryLater) => self.reach(Mark::RetryLaterTold),
            Told::Rejected(RejectReason::BotNotRunning) => self.reach(Mark::NotRunningTold),
            Told::Evicted(EvictReason::Age) => self.reach(Mark::EvictedByAge),
            Told::Evicted(EvictReason::Characters) => self.reach(Mark::EvictedByCharacters),
            Told::Evicted(EvictReason::Count) => self.reach(Mark::EvictedByCount),
            Told::Rejected(RejectReason::Invalid) | Told::Accepted(_) | Told::Duplicate(_) => {}
        }
    }

    fn noticed(&mut self, notice: &Notice) {
        match notice {
            Notice::StaleResult { .. } => self.reach(Mark::StaleResultRefused),
            Notice::LeaseLost { .. } => self.reach(Mark::LeaseLost),
            Notice::ProcessorTimedOut { .. } => self.reach(Mark::ProcessorTimedOut),
            Notice::TransientFailure { .. } => self.reach(Mark::TransientRetried),
            Notice::OverflowEntered { .. } => self.reach(Mark::OverflowEntered),
            Notice::GatingReleased { .. } => self.reach(Mark::GatingReleased),
            Notice::CircuitOpened { .. } => self.reach(Mark::CircuitOpened),
            Notice::CircuitClosed { .. } => self.reach(Mark::CircuitClosed),
            Notice::ConsumerGone { .. } => self.reach(Mark::ConsumerGone),
            Notice::CallbackUndeliverable { .. } => self.reach(Mark::Undeliverable),
            Notice::OrphanFileDeleted { .. } => self.reach(Mark::OrphanDeleted),
            Notice::MediaEnded { outcome: Outcome::Failed { error, .. }, .. } => match error {
                FailureKind::RetriesExhausted => self.reach(Mark::RetriesExhausted),
                FailureKind::WorkerLost => self.reach(Mark::WorkersLost),
                FailureKind::FileMissing => self.reach(Mark::FileMissing),
                FailureKind::Unreadable | FailureKind::Engine => {}
            },
            _ => {}
        }
    }

    fn restored(&mut self, offers: &[LeaseOffer], page: &JobPage) {
        for job in &page.jobs {
            match job.status {
                Status::Completed { .. } => self.reach(Mark::CompletedResultRestored),
                Status::Processing { lease }
                    if offers.iter().any(|offer| offer.lease.token == lease.token) =>
                {
                    self.reach(Mark::LeasedAsRestored);
                }
                Status::Processing { .. } => self.reach(Mark::RunningJobAdopted),
                Status::Pending => {}
            }
        }
    }

    fn applied(&mut self, reply: &StoreReply, lost: bool) {
        match reply {
            StoreReply::Archive(answers) => answers.iter().for_each(|answer| match answer {
                ArchiveAnswer::AlreadyStored { .. } => self.reach(Mark::AmbiguousArchiveResolved),
                ArchiveAnswer::DuplicateProviderMessage { .. } => {
                    self.reach(Mark::ResendCaughtByIndex);
                }
                ArchiveAnswer::StaleLease => self.reach(Mark::StaleResultRefused),
                ArchiveAnswer::Stored { .. } => {}
            }),
            StoreReply::InsertJobs(answers) => answers.iter().for_each(|answer| match answer {
                InsertAnswer::DuplicateProviderMessage { .. } => {
                    self.reach(Mark::ResendCaughtByIndex);
                }
                InsertAnswer::Inserted { .. } if lost => self.reach(Mark::AmbiguousInsertResolved),
                InsertAnswer::Inserted { .. } | InsertAnswer::MediaIdInUse => {}
            }),
            StoreReply::HoldBot(jobs) if lost && *jobs > 0 => self.reach(Mark::MoveInterrupted),
            StoreReply::Complete(answers) => answers.iter().for_each(|answer| match answer {
                TokenAnswer::Ok => self.reach(Mark::ResultStoredInJob),
                TokenAnswer::Stale => self.reach(Mark::StaleResultRefused),
            }),
            StoreReply::ReclaimLeases(swept) if !swept.is_empty() => {
                self.reach(Mark::LeaseReclaimed);
            }
            StoreReply::ExpireJobs(swept) if !swept.is_empty() => self.reach(Mark::JobExpired),
            StoreReply::KnownMedia(_) => self.reach(Mark::FilesSwept),
            StoreReply::DiscardJob(OperatorAnswer::Done { .. }) => self.reach(Mark::Discarded),
            StoreReply::RetryJob(OperatorAnswer::Done { .. }) => self.reach(Mark::Retried),
            StoreReply::RetryJob(OperatorAnswer::Rejected(_)) => self.reach(Mark::RetryRefused),
            StoreReply::EnqueueSend(EnqueueAnswer::AlreadyPresent) => self.reach(Mark::SendKnown),
            StoreReply::MarkSent => self.reach(Mark::SendConfirmed),
            StoreReply::Revise(ReviseAnswer::Rejected(_)) => self.reach(Mark::StaleResultRefused),
            _ => {}
        }
    }
}
