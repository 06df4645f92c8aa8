//! The life of a media job: every transition, as a pure function.
//!
//! Owns the table "Media job lifecycle" of the design. Every store applies exactly these transitions,
//! with `now` by its own clock; a test enumerates every command in every state. A job lives in
//! *active* or *holding*; token-guarded commands find it in either. Whatever the table does not
//! allow is a typed [`Rejection`], never a silent success; a command repeated with the same
//! arguments answers as if it had happened once, wherever its trace is still there to be seen.

pub mod offer;

use serde::{Deserialize, Serialize};

use crate::id::{BotId, CorrespondentId, LeaseToken, MediaId, PoolName, ProviderName, WorkerId};
use crate::message::{FailureKind, MediaKind, Message, Outcome};
use crate::pool::routing::Routing;
use crate::time::{Millis, Timestamp};

/// How many workers may be lost in a row while they hold a job, before the job is given up.
pub const LOST_MAX: u32 = 3;

/// One media file on its way to text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The media, and the job: there is one job a media.
    pub media_id: MediaId,
    /// Whose bot.
    pub bot_id: BotId,
    /// Whose correspondent.
    pub correspondent_id: CorrespondentId,
    /// The bot's provider.
    pub provider_name: ProviderName,
    /// The message that waits.
    pub placeholder_message: Message,
    /// The declared MIME type, parameters included.
    pub mime_type: String,
    /// What a person would call it.
    pub kind: MediaKind,
    /// Which pool takes it.
    pub pool: PoolName,
    /// The file name its sender gave it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::contents::maybe"
    )]
    pub original_filename: Option<String>,
    /// The provider had no space for it (only with a corrupt type).
    #[serde(default)]
    pub quota_exceeded: bool,
    /// The provider's reason (only with a corrupt type).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::contents::maybe"
    )]
    pub detail: Option<String>,
    /// Active or holding.
    pub place: Place,
    /// Waiting, worked on, or done.
    pub status: Status,
    /// When the job was made.
    pub created_at: Timestamp,
    /// Since when its bot has been running with it.
    pub active_since: Timestamp,
    /// How often it was claimed.
    #[serde(default)]
    pub claims: u32,
    /// How many workers were lost while they held it.
    #[serde(default)]
    pub lost: u32,
    /// How many transient failures it had.
    #[serde(default)]
    pub transient: u32,
    /// Not to be claimed before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// 0 for the message itself, n for the n-th retry by an operator.
    #[serde(default)]
    pub revision: u32,
}

/// Where a job lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Place {
    /// Its bot is running: workers may claim it.
    Active,
    /// Its bot is stopped: nobody claims it.
    Holding {
        /// Since when.
        held_at: Timestamp,
    },
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Status {
    /// Nobody works on it.
    Pending,
    /// A worker holds it.
    Processing {
        /// The worker's lease.
        lease: Lease,
    },
    /// It has its result, which waits to be applied to the message.
    Completed {
        /// What became of it.
        outcome: Outcome,
        /// The lease it was completed under; none when no worker did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<LeaseToken>,
        /// Whose work it is; none when no worker did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worked: Option<Worked>,
    },
}

/// Who worked on a job, and when. Nothing is decided by it: it is kept to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Worked {
    /// Who had the job.
    pub worker_id: WorkerId,
    /// Since when.
    pub claimed_at: Timestamp,
    /// When it had the result.
    pub ended_at: Timestamp,
}

/// A worker's hold on a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub worker_id: WorkerId,
    /// The proof of this very claim.
    pub token: LeaseToken,
    /// Since when.
    pub claimed_at: Timestamp,
    /// Until when, unless renewed.
    pub expires_at: Timestamp,
}

/// What a worker asks for when it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// Who will hold the job.
    pub worker_id: WorkerId,
    /// A token never used before.
    pub token: LeaseToken,
    /// For how long.
    pub ttl: Millis,
}

/// A failed job, kept with its file for a while so that an operator can retry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCopy {
    /// The job as it was when it failed, its outcome included.
    pub job: Job,
    /// When.
    pub failed_at: Timestamp,
}

/// Why a worker gives a job back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// The worker has no slot for it, or its process ends; counts as nothing.
    Shutdown,
    /// The engine could not be reached, or asked for patience.
    Transient,
}

/// A command of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A worker takes a pending job.
    Claim(LeaseRequest),
    /// A worker still holds it.
    Renew {
        /// The current token.
        token: LeaseToken,
        /// For how much longer from now.
        ttl: Millis,
    },
    /// A worker has its result.
    Complete {
        /// The current token.
        token: LeaseToken,
        /// The result.
        outcome: Outcome,
    },
    /// A worker gives it back.
    Release {
        /// The current token.
        token: LeaseToken,
        /// How long nobody is to claim it.
        delay: Millis,
        /// Why.
        reason: ReleaseReason,
    },
    /// A sweep takes an expired lease away.
    Reclaim,
    /// The bot stops.
    Hold,
    /// The bot starts.
    Activate,
    /// A sweep ends what waited too long. The caller vouches that the bot of an active job is
    /// owned and running.
    Expire {
        /// How long an active job may wait since its bot was last restored.
        active_ttl: Millis,
        /// How long a holding job may wait.
        holding_ttl: Millis,
    },
    /// The message of a completed job is archived.
    Finish,
    /// The message is archived with a result that was never stored in the job: complete and finish
    /// in one step, on the node that holds both the lease and the bot.
    FinishLeased {
        /// The current token.
        token: LeaseToken,
        /// The result that the archived message carries.
        outcome: Outcome,
    },
    /// An operator gives it up.
    Discard,
    /// The archived row of revision n−1 takes the result of revision n.
    Revise {
        /// The revision of the row.
        row_revision: u32,
    },
}

/// What a command made of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The job afterwards; none when it is gone.
    pub job: Option<Job>,
    /// A failed copy to be written in the same step.
    pub failed_copy: Option<FailedCopy>,
}

/// Why a command changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The lease token is not the current one: the job was reclaimed, completed or discarded.
    #[error("the lease is no longer the current one")]
    Stale,
    /// The job is not in a state in which the command means anything.
    #[error("the job's state does not allow it")]
    WrongState,
    /// Its time has not come (back-off, lease or time to live).
    #[error("its time has not come")]
    TooEarly,
    /// The revision does not follow the one that is archived.
    #[error("the revision does not follow the archived one")]
    WrongRevision,
    /// The media file is no longer kept.
    #[error("the media file is no longer kept")]
    FileGone,
    /// The last callback of the message has not ended.
    #[error("the message has not been called back yet")]
    NotCalledBack,
}

impl Job {
    /// Puts it into the pool that takes its MIME type.
    pub(crate) fn reroute(&mut self, routing: &Routing) {
        let pool = routing.route(&self.mime_type);
        if self.pool != *pool {
            self.pool = pool.clone();
        }
    }

    /// The current lease, while a worker holds the job.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.status {
            Status::Processing { lease } => Some(lease),
            Status::Pending | Status::Completed { .. } => None,
        }
    }

    /// Whose work the stored result is.
    pub fn worked(&self) -> Option<Worked> {
        match self.status {
            Status::Completed { worked, .. } => worked,
            Status::Pending | Status::Processing { .. } => None,
        }
    }

    /// The stored result, once there is one.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.status {
            Status::Completed { outcome, .. } => Some(outcome),
            Status::Pending | Status::Processing { .. } => None,
        }
    }

    /// Applies `command` at `now`, the store's time. Pure: the job given is not changed.
    ///
    /// # Errors
    /// A [`Rejection`] when the table does not allow the command in this state.
    pub fn apply(&self, command: &Command, now: Timestamp) -> Result<Applied, Rejection> {
        match command {
            Command::Claim(request) => self.claim(request, now),
            Command::Renew { token, ttl } => self.renew(*token, *ttl, now),
            Command::Complete { token, outcome } => self.complete(*token, outcome, now),
            Command::Release { token, delay, reason } => self.release(*token, *delay, *reason, now),
            Command::Reclaim => self.reclaim(now),
            Command::Hold => Ok(self.hold(now)),
            Command::Activate => Ok(self.activate(now)),
            Command::Expire { active_ttl, holding_ttl } => {
                self.expire(*active_ttl, *holding_ttl, now)
            }
            Command::Finish => self.finish(),
            Command::FinishLeased { token, outcome } => self.finish_leased(*token, outcome, now),
            Command::Discard => self.discard(now),
            Command::Revise { row_revision } => self.revise(*row_revision),
        }
    }

    fn claim(&self, request: &LeaseRequest, now: Timestamp) -> Result<Applied, Rejection> {
        if self.lease().is_some_and(|lease| lease.token == request.token) {
            return Ok(Applied::stays(self.clone()));
        }
        if self.place != Place::Active || self.status != Status::Pending {
            return Err(Rejection::WrongState);
        }
        if self.not_before.is_some_and(|moment| now < moment) {
            return Err(Rejection::TooEarly);
        }
        let lease = Lease {
            worker_id: request.worker_id,
            token: request.token,
            claimed_at: now,
            expires_at: now + request.ttl,
        };
        Ok(Applied::stays(Self {
            status: Status::Processing { lease },
            claims: self.claims.saturating_add(1),
            not_before: None,
            ..self.clone()
        }))
    }

    fn renew(&self, token: LeaseToken, ttl: Millis, now: Timestamp) -> Result<Applied, Rejection> {
        let lease = self.held_under(token)?;
        let expires_at = lease.expires_at.max(now + ttl);
        let lease = Lease { expires_at, ..*lease };
        Ok(Applied::stays(Self { status: Status::Processing { lease }, ..self.clone() }))
    }

    fn complete(
        &self,
        token: LeaseToken,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<Applied, Rejection> {
        if self.completed_under(token) {
            return Ok(Applied::stays(self.clone()));
        }
        self.held_under(token)?;
        Ok(self.completed(outcome.clone(), Some(token), now))
    }

    fn release(
        &self,
        token: LeaseToken,
        delay: Millis,
        reason: ReleaseReason,
        now: Timestamp,
    ) -> Result<Applied, Rejection> {
        self.held_under(token)?;
        let not_before = (delay > Millis::ZERO).then(|| now + delay);
        let transient = match reason {
            ReleaseReason::Shutdown => self.transient,
            ReleaseReason::Transient => self.transient.saturating_add(1),
        };
        Ok(Applied::stays(Self { status: Status::Pending, not_before, transient, ..self.clone() }))
    }

    fn reclaim(&self, now: Timestamp) -> Result<Applied, Rejection> {
        let lease = self.lease().ok_or(Rejection::WrongState)?;
        if now < lease.expires_at {
            return Err(Rejection::TooEarly);
        }
        let lost = self.lost.saturating_add(1);
        let job = Self { status: Status::Pending, lost, ..self.clone() };
        if lost < LOST_MAX {
            return Ok(Applied::stays(job));
        }
        let outcome = Outcome::Failed { error: FailureKind::WorkerLost, detail: None };
        Ok(job.completed(outcome, None, now))
    }

    fn hold(&self, now: Timestamp) -> Applied {
        let place = match self.place {
            Place::Active => Place::Holding { held_at: now },
            Place::Holding { held_at } => Place::Holding { held_at },
        };
        Applied::stays(Self { place, ..self.clone() })
    }

    fn activate(&self, now: Timestamp) -> Applied {
        Applied::stays(Self { place: Place::Active, active_since: now, ..self.clone() })
    }

    fn expire(
        &self,
        active_ttl: Millis,
        holding_ttl: Millis,
        now: Timestamp,
    ) -> Result<Applied, Rejection> {
        if self.status != Status::Pending {
            return Err(Rejection::WrongState);
        }
        let (since, ttl) = match self.place {
            Place::Active => (self.active_since, active_ttl),
            Place::Holding { held_at } => (held_at, holding_ttl),
        };
        if now.since(since) <= ttl {
            return Err(Rejection::TooEarly);
        }
        Ok(self.completed(Outcome::Expired, None, now))
    }

    fn finish(&self) -> Result<Applied, Rejection> {
        match self.status {
            Status::Completed { .. } => Ok(Applied { job: None, failed_copy: None }),
            Status::Pending | Status::Processing { .. } => Err(Rejection::WrongState),
        }
    }

    fn finish_leased(
        &self,
        token: LeaseToken,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<Applied, Rejection> {
        if self.completed_under(token) {
            return self.finish();
        }
        self.held_under(token)?;
        Ok(Applied { job: None, ..self.completed(outcome.clone(), Some(token), now) })
    }

    fn discard(&self, now: Timestamp) -> Result<Applied, Rejection> {
        match self.status {
            Status::Completed { outcome: Outcome::Discarded, .. } => {
                Ok(Applied::stays(self.clone()))
            }
            Status::Completed { .. } => Err(Rejection::WrongState),
            Status::Pending | Status::Processing { .. } => {
                Ok(self.completed(Outcome::Discarded, None, now))
            }
        }
    }

    fn revise(&self, row_revision: u32) -> Result<Applied, Rejection> {
        if self.revision == 0 || self.revision - 1 != row_revision {
            return Err(Rejection::WrongRevision);
        }
        self.finish()
    }

    fn held_under(&self, token: LeaseToken) -> Result<&Lease, Rejection> {
        self.lease().filter(|lease| lease.token == token).ok_or(Rejection::Stale)
    }

    fn completed_under(&self, token: LeaseToken) -> bool {
        matches!(&self.status, Status::Completed { token: Some(done), .. } if *done == token)
    }

    fn completed(&self, outcome: Outcome, token: Option<LeaseToken>, now: Timestamp) -> Applied {
        let failed = outcome.is_failure();
        let lease = self.lease().filter(|lease| Some(lease.token) == token);
        let worked = lease.map(|lease| lease.worked(now));
        let job = Self { status: Status::Completed { outcome, token, worked }, ..self.clone() };
        let failed_copy = failed.then(|| FailedCopy { job: job.clone(), failed_at: now });
        Applied { job: Some(job), failed_copy }
    }
}

impl Lease {
    /// The work of its holder, who has a result.
    pub fn worked(&self, ended_at: Timestamp) -> Worked {
        Worked { worker_id: self.worker_id, claimed_at: self.claimed_at, ended_at }
    }
}

impl FailedCopy {
    /// An operator retries: the job begins anew as the next revision, without a placeholder, in the pool that
    /// `routing` names if there is one.
    ///
    /// # Errors
    /// [`Rejection::FileGone`] when the media file is no longer kept, and
    /// [`Rejection::NotCalledBack`] while the message's last callback has not ended.
    pub fn retry(
        &self,
        file_kept: bool,
        called_back: bool,
        routing: Option<&Routing>,
        now: Timestamp,
    ) -> Result<Job, Rejection> {
        if !file_kept {
            return Err(Rejection::FileGone);
        }
        if !called_back {
            return Err(Rejection::NotCalledBack);
        }
        let mut job = Job {
            place: Place::Active,
            status: Status::Pending,
            created_at: now,
            active_since: now,
            claims: 0,
            lost: 0,
            transient: 0,
            not_before: None,
            revision: self.job.revision.saturating_add(1),
            ..self.job.clone()
        };
        if let Some(routing) = routing {
            job.reroute(routing);
        }
        Ok(job)
    }
}

impl Applied {
    fn stays(job: Job) -> Self {
        Self { job: Some(job), failed_copy: None }
    }
}

#[cfg(test)]
mod tests;
