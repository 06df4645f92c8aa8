//! The table "Media job lifecycle", every command in every state.
//!
//! `TABLE` is written from the design, not from the code: a row a command and place, a column a
//! state. What each word of it means for a job, field by field, stands in [`Expected::applied_to`].

use super::*;

use Expected::{
    Claimed, Ended, EndedWithCopy, Gone, GoneWithCopy, Moved, No, Pended, Renewed, Same,
};

/// The words of the table: what becomes of the job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Expected {
    /// Nothing changes, and the command is answered as the first time.
    Same,
    /// Processing under the claim's token, one claim more, its back-off forgotten.
    Claimed,
    /// Its lease ends a whole ttl from this moment, and no earlier than before.
    Renewed,
    /// Pending; the counters and the back-off are the command's.
    Pended,
    /// In the other place, or newly active.
    Moved,
    /// Completed with the command's outcome.
    Ended,
    /// The same, with a failed copy in the same step.
    EndedWithCopy,
    /// No longer there.
    Gone,
    /// The same, with a failed copy in the same step.
    GoneWithCopy,
    /// Nothing changes, and this is said.
    No(Rejection),
}

const E: Expected = No(TooEarly);
const S: Expected = No(Stale);
const W: Expected = No(WrongState);
const R: Expected = No(WrongRevision);

/// A row: what the command is, in which place, and for which revision of the job, what follows in
/// each of the `STATES`.
type Row = (Name, &'static [Where], &'static [u32], [Expected; 10]);

const TABLE: &[Row] = &[
    // Waiting, BackingOff, Rested, Live, Lapsed, LastLapsed, Done, Failed, Expired, Discarded
    (Name::ClaimMine, &[Where::Active], BOTH, [Claimed, E, Claimed, Same, Same, Same, W, W, W, W]),
    (Name::ClaimMine, &[Where::Holding], BOTH, [W, W, W, Same, Same, Same, W, W, W, W]),
    (Name::ClaimOther, &[Where::Active], BOTH, [Claimed, E, Claimed, W, W, W, W, W, W, W]),
    (Name::ClaimOther, &[Where::Holding], BOTH, [W; 10]),
    (Name::RenewMine, ANYWHERE, BOTH, [S, S, S, Renewed, Renewed, Renewed, S, S, S, S]),
    (Name::RenewOther, ANYWHERE, BOTH, [S; 10]),
    (Name::CompleteText, ANYWHERE, BOTH, [S, S, S, Ended, Ended, Ended, Same, Same, S, S]),
    (
        Name::CompleteFailure,
        ANYWHERE,
        BOTH,
        [S, S, S, EndedWithCopy, EndedWithCopy, EndedWithCopy, Same, Same, S, S],
    ),
    (Name::CompleteOther, ANYWHERE, BOTH, [S; 10]),
    (Name::ReleaseShutdown, ANYWHERE, BOTH, [S, S, S, Pended, Pended, Pended, S, S, S, S]),
    (Name::ReleaseTransient, ANYWHERE, BOTH, [S, S, S, Pended, Pended, Pended, S, S, S, S]),
    (Name::ReleaseOther, ANYWHERE, BOTH, [S; 10]),
    (Name::Reclaim, ANYWHERE, BOTH, [W, W, W, E, Pended, EndedWithCopy, W, W, W, W]),
    (Name::Hold, &[Where::Active], BOTH, [Moved; 10]),
    (Name::Hold, &[Where::Holding], BOTH, [Same; 10]),
    (Name::Activate, ANYWHERE, BOTH, [Moved; 10]),
    (Name::ExpireNone, ANYWHERE, BOTH, [E, E, E, W, W, W, W, W, W, W]),
    (Name::ExpireActive, &[Where::Active], BOTH, EXPIRES),
    (Name::ExpireActive, &[Where::Holding], BOTH, [E, E, E, W, W, W, W, W, W, W]),
    (Name::ExpireHolding, &[Where::Active], BOTH, [E, E, E, W, W, W, W, W, W, W]),
    (Name::ExpireHolding, &[Where::Holding], BOTH, EXPIRES),
    (Name::Finish, ANYWHERE, BOTH, [W, W, W, W, W, W, Gone, Gone, Gone, Gone]),
    (Name::FinishText, ANYWHERE, BOTH, [S, S, S, Gone, Gone, Gone, Gone, Gone, S, S]),
    (
        Name::FinishFailure,
        ANYWHERE,
        BOTH,
        [S, S, S, GoneWithCopy, GoneWithCopy, GoneWithCopy, Gone, Gone, S, S],
    ),
    (Name::FinishOther, ANYWHERE, BOTH, [S; 10]),
    (Name::Discard, ANYWHERE, BOTH, [Ended, Ended, Ended, Ended, Ended, Ended, W, W, W, Same]),
    (Name::ReviseFirst, ANYWHERE, &[0], [R; 10]),
    (Name::ReviseFirst, ANYWHERE, &[1], [W, W, W, W, W, W, Gone, Gone, Gone, Gone]),
    (Name::ReviseSecond, ANYWHERE, BOTH, [R; 10]),
];

const EXPIRES: [Expected; 10] = [EndedWithCopy, EndedWithCopy, EndedWithCopy, W, W, W, W, W, W, W];
const ANYWHERE: &[Where] = &[Where::Active, Where::Holding];
const BOTH: &[u32] = &[0, 1];

/// The rows of the table: the commands, with the arguments that make a difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Name {
    ClaimMine,
    ClaimOther,
    RenewMine,
    RenewOther,
    CompleteText,
    CompleteFailure,
    CompleteOther,
    ReleaseShutdown,
    ReleaseTransient,
    ReleaseOther,
    Reclaim,
    Hold,
    Activate,
    /// Neither place's ttl is over, by a millisecond.
    ExpireNone,
    /// Only the ttl of active jobs is over, by a millisecond.
    ExpireActive,
    /// Only the ttl of holding jobs is over, by a millisecond.
    ExpireHolding,
    Finish,
    FinishText,
    FinishFailure,
    FinishOther,
    Discard,
    /// The row is at revision 0.
    ReviseFirst,
    /// The row is at revision 1.
    ReviseSecond,
}

impl Name {
    pub(super) fn command(self) -> Command {
        let claim = |token| LeaseRequest { worker_id: worker(2), token, ttl: LEASE_TTL };
        let release = |token, reason| {
            let delay = match reason {
                ReleaseReason::Shutdown => Millis::ZERO,
                ReleaseReason::Transient => Millis::from_ms(7),
            };
            Command::Release { token, delay, reason }
        };
        let expire = |active_ttl, holding_ttl| Command::Expire {
            active_ttl: Millis::from_ms(active_ttl),
            holding_ttl: Millis::from_ms(holding_ttl),
        };
        match self {
            Self::ClaimMine => Command::Claim(claim(mine())),
            Self::ClaimOther => Command::Claim(claim(other())),
            Self::RenewMine => Command::Renew { token: mine(), ttl: LEASE_TTL },
            Self::RenewOther => Command::Renew { token: other(), ttl: LEASE_TTL },
            Self::CompleteText => Command::Complete { token: mine(), outcome: text("second") },
            Self::CompleteFailure => Command::Complete { token: mine(), outcome: failure() },
            Self::CompleteOther => Command::Complete { token: other(), outcome: failure() },
            Self::ReleaseShutdown => release(mine(), ReleaseReason::Shutdown),
            Self::ReleaseTransient => release(mine(), ReleaseReason::Transient),
            Self::ReleaseOther => release(other(), ReleaseReason::Transient),
            Self::Reclaim => Command::Reclaim,
            Self::Hold => Command::Hold,
            Self::Activate => Command::Activate,
            Self::ExpireNone => expire(100, 50),
            Self::ExpireActive => expire(99, 50),
            Self::ExpireHolding => expire(100, 49),
            Self::Finish => Command::Finish,
            Self::FinishText => Command::FinishLeased { token: mine(), outcome: text("second") },
            Self::FinishFailure => Command::FinishLeased { token: mine(), outcome: failure() },
            Self::FinishOther => Command::FinishLeased { token: other(), outcome: failure() },
            Self::Discard => Command::Discard,
            Self::ReviseFirst => Command::Revise { row_revision: 0 },
            Self::ReviseSecond => Command::Revise { row_revision: 1 },
        }
    }

    /// The outcome that the command ends a job with, and the token it is stored under.
    fn outcome(self) -> (Outcome, Option<LeaseToken>) {
        match self {
            Self::CompleteText | Self::FinishText => (text("second"), Some(mine())),
            Self::CompleteFailure | Self::FinishFailure => (failure(), Some(mine())),
            Self::Reclaim => {
                (Outcome::Failed { error: FailureKind::WorkerLost, detail: None }, None)
            }
            Self::ExpireActive | Self::ExpireHolding => (Outcome::Expired, None),
            Self::Discard => (Outcome::Discarded, None),
            Self::ClaimMine
            | Self::ClaimOther
            | Self::RenewMine
            | Self::RenewOther
            | Self::CompleteOther
            | Self::ReleaseShutdown
            | Self::ReleaseTransient
            | Self::ReleaseOther
            | Self::Hold
            | Self::Activate
            | Self::ExpireNone
            | Self::Finish
            | Self::FinishOther
            | Self::ReviseFirst
            | Self::ReviseSecond => panic!("{self:?} ends no job"),
        }
    }
}

impl Expected {
    /// The exact answer to `name` for a job as it was `before`.
    pub(super) fn applied_to(self, before: &Job, name: Name) -> Result<Applied, Rejection> {
        let stays = |job| Ok(Applied { job: Some(job), failed_copy: None });
        match self {
            No(rejection) => Err(rejection),
            Same => stays(before.clone()),
            Claimed => stays(claimed(before, name)),
            Renewed => stays(renewed(before)),
            Pended => stays(pended(before, name)),
            Moved => stays(moved(before, name)),
            Ended => stays(ended(before, name)),
            EndedWithCopy => {
                let job = ended(before, name);
                let failed_copy = Some(FailedCopy { job: job.clone(), failed_at: NOW });
                Ok(Applied { job: Some(job), failed_copy })
            }
            Gone => Ok(Applied { job: None, failed_copy: None }),
            GoneWithCopy => {
                let failed_copy = Some(FailedCopy { job: ended(before, name), failed_at: NOW });
                Ok(Applied { job: None, failed_copy })
            }
        }
    }
}

fn claimed(before: &Job, name: Name) -> Job {
    let token = if name == Name::ClaimMine { mine() } else { other() };
    let expires_at = Timestamp::from_ms(1_000_060);
    let lease = Lease { worker_id: worker(2), token, claimed_at: NOW, expires_at };
    let claims = before.claims + 1;
    Job { status: Status::Processing { lease }, claims, not_before: None, ..before.clone() }
}

fn renewed(before: &Job) -> Job {
    let lease = Lease { expires_at: Timestamp::from_ms(1_000_060), ..*before.lease().unwrap() };
    Job { status: Status::Processing { lease }, ..before.clone() }
}

fn pended(before: &Job, name: Name) -> Job {
    let (lost, transient, not_before) = match name {
        Name::ReleaseShutdown => (0, 0, None),
        Name::ReleaseTransient => (0, 1, Some(Timestamp::from_ms(1_000_007))),
        Name::Reclaim => (1, 0, None),
        name => panic!("{name:?} gives no job back"),
    };
    Job {
        status: Status::Pending,
        lost: before.lost + lost,
        transient: before.transient + transient,
        not_before,
        ..before.clone()
    }
}

fn moved(before: &Job, name: Name) -> Job {
    match name {
        Name::Hold => Job { place: Place::Holding { held_at: NOW }, ..before.clone() },
        Name::Activate => Job { place: Place::Active, active_since: NOW, ..before.clone() },
        name => panic!("{name:?} moves no job"),
    }
}

fn ended(before: &Job, name: Name) -> Job {
    let (outcome, token) = name.outcome();
    let lost = before.lost + u32::from(name == Name::Reclaim);
    let worked = token.and_then(|_| worked(before));
    Job { status: Status::Completed { outcome, token, worked }, lost, ..before.clone() }
}

/// Goal: every command answers in every state as the design's table says, field by field.
/// Method: each cell of the table, in both places and for revisions 0 and 1.
#[test]
fn every_command_answers_in_every_state_as_the_table_says() {
    for &(name, places, revisions, cells) in TABLE {
        for (&place, &revision) in
            places.iter().flat_map(|place| revisions.iter().map(move |revision| (place, revision)))
        {
            for (state, expected) in STATES.into_iter().zip(cells) {
                let before = job(state, place, revision);
                assert_eq!(
                    before.apply(&name.command(), NOW),
                    expected.applied_to(&before, name),
                    "{name:?} of a job that is {state:?} in {place:?} at revision {revision}"
                );
            }
        }
    }
}

/// Goal: the table leaves nothing out and says nothing twice, so the test above is exhaustive.
#[test]
fn the_table_has_one_row_for_every_command_place_and_revision() {
    const NAMES: [Name; 23] = [
        Name::ClaimMine,
        Name::ClaimOther,
        Name::RenewMine,
        Name::RenewOther,
        Name::CompleteText,
        Name::CompleteFailure,
        Name::CompleteOther,
        Name::ReleaseShutdown,
        Name::ReleaseTransient,
        Name::ReleaseOther,
        Name::Reclaim,
        Name::Hold,
        Name::Activate,
        Name::ExpireNone,
        Name::ExpireActive,
        Name::ExpireHolding,
        Name::Finish,
        Name::FinishText,
        Name::FinishFailure,
        Name::FinishOther,
        Name::Discard,
        Name::ReviseFirst,
        Name::ReviseSecond,
    ];
    for name in NAMES {
        for place in ANYWHERE {
            for revision in BOTH {
                let rows = TABLE.iter().filter(|(of, places, revisions, _)| {
                    *of == name && places.contains(place) && revisions.contains(revision)
                });
                assert_eq!(rows.count(), 1, "{name:?} in {place:?} at revision {revision}");
            }
        }
    }
}

/// Goal: a command repeated at once changes nothing more: it is answered as before, or refused by
/// name. Above all no second failed copy, no second count, no second life.
/// Method: what each accepted command answers to its own repetition, wherever a job is left.
#[test]
fn a_repeated_command_changes_nothing_more() {
    for &(name, places, revisions, _) in TABLE {
        for (place, revision) in
            places.iter().flat_map(|place| revisions.iter().map(move |revision| (place, revision)))
        {
            for state in STATES {
                let Ok(Applied { job: Some(once), .. }) =
                    job(state, *place, *revision).apply(&name.command(), NOW)
                else {
                    continue;
                };
                let expected = match name.command() {
                    Command::Claim(_)
                    | Command::Renew { .. }
                    | Command::Complete { .. }
                    | Command::Hold
                    | Command::Activate
                    | Command::Discard => {
                        Ok(Applied { job: Some(once.clone()), failed_copy: None })
                    }
                    Command::Release { .. } => Err(Stale),
                    Command::Reclaim | Command::Expire { .. } => Err(WrongState),
                    Command::Finish | Command::FinishLeased { .. } | Command::Revise { .. } => {
                        panic!("{name:?} leaves a job behind")
                    }
                };
                assert_eq!(once.apply(&name.command(), NOW), expected, "{name:?} after {state:?}");
            }
        }
    }
}
