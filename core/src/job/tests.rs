//! The life of a job: the whole table in `table`, and the stories that run through it.

mod table;

use uuid::Uuid;

use self::table::{Expected, Name};
use super::*;
use crate::id::MessageId;
use crate::message::{Extracted, Media, Participant, Source};

use Rejection::{Stale, TooEarly, WrongRevision, WrongState};

const NOW: Timestamp = Timestamp::from_ms(1_000_000);
const ACTIVE_SINCE: Timestamp = Timestamp::from_ms(NOW.as_ms() - 100);
const HELD_AT: Timestamp = Timestamp::from_ms(NOW.as_ms() - 50);
const LEASE_TTL: Millis = Millis::from_ms(60);

/// The columns of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Pending.
    Waiting,
    /// Pending, its back-off ends in a millisecond.
    BackingOff,
    /// Pending, its back-off ends this very moment.
    Rested,
    /// Held under `mine` for another millisecond.
    Live,
    /// Held under `mine` until this very moment.
    Lapsed,
    /// The same, and two workers were lost before.
    LastLapsed,
    /// Completed with text under `mine`.
    Done,
    /// Completed with a failure under `mine`.
    Failed,
    /// Completed with `expired` by a sweep.
    Expired,
    /// Completed with `discarded` by an operator.
    Discarded,
}

const STATES: [State; 10] = [
    State::Waiting,
    State::BackingOff,
    State::Rested,
    State::Live,
    State::Lapsed,
    State::LastLapsed,
    State::Done,
    State::Failed,
    State::Expired,
    State::Discarded,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Where {
    Active,
    Holding,
}

/// Goal: a renewal never shortens a lease.
#[test]
fn a_shorter_renewal_leaves_the_lease_as_long_as_it_was() {
    let before = job(State::Live, Where::Active, 0);
    let renew = Command::Renew { token: mine(), ttl: Millis::ZERO };
    assert_eq!(before.apply(&renew, NOW), Expected::Same.applied_to(&before, Name::RenewMine));
}

/// Goal: a job that kills every worker ends after the third, as a failed message with a failed copy,
/// and the workers' late results are stale.
/// Method: claim under a new token and let the lease lapse, three times.
#[test]
fn a_job_that_loses_three_workers_is_given_up() {
    let mut now = NOW;
    let mut current = job(State::Waiting, Where::Active, 0);
    current.lost = 0;
    for attempt in 1..=3 {
        let request = LeaseRequest { worker_id: worker(1), token: token(attempt), ttl: LEASE_TTL };
        current = current.apply(&Command::Claim(request), now).unwrap().job.unwrap();
        assert_eq!(current.apply(&Command::Reclaim, now), Err(TooEarly));
        now = now + LEASE_TTL;
        let swept = current.apply(&Command::Reclaim, now).unwrap();
        assert_eq!(swept.failed_copy.is_some(), attempt == 3);
        current = swept.job.unwrap();
        assert_eq!(u128::from(current.lost), attempt);
        let late = Command::Complete { token: token(attempt), outcome: text("late") };
        assert_eq!(current.apply(&late, now), Err(Stale));
    }
    let lost = Outcome::Failed { error: FailureKind::WorkerLost, detail: None };
    assert_eq!(current.outcome(), Some(&lost));
}

/// Goal (K17): a job that moves while a worker holds it keeps its lease, so there are never two
/// workers on it, and its result is delivered by whoever restores it.
#[test]
fn a_held_job_is_completed_by_its_worker_and_activated_with_its_result() {
    let held = job(State::Live, Where::Active, 0).apply(&Command::Hold, NOW).unwrap().job.unwrap();
    assert_eq!(held.apply(&Name::ClaimOther.command(), NOW), Err(WrongState));
    let renewed = held.apply(&Name::RenewMine.command(), NOW).unwrap().job.unwrap();
    let done = renewed.apply(&Name::CompleteText.command(), NOW).unwrap().job.unwrap();
    let restored = done.apply(&Command::Activate, NOW).unwrap().job.unwrap();
    assert_eq!(restored.place, Place::Active);
    assert_eq!(restored.outcome(), Some(&text("second")));
    assert_eq!(restored.lease(), None);
}

/// Goal (K26): only the time since the bot was last restored counts, never the job's own age: after
/// an outage longer than the ttl nothing is thrown away.
#[test]
fn activation_starts_the_time_to_live_anew() {
    let held = job(State::Waiting, Where::Holding, 0);
    let later = NOW + Millis::from_hours(24);
    let active = held.apply(&Command::Activate, later).unwrap().job.unwrap();
    let expire = Name::ExpireActive.command();
    assert_eq!(active.apply(&expire, later + Millis::from_ms(99)), Err(TooEarly));
    let ended = active.apply(&expire, later + Millis::from_ms(100)).unwrap();
    assert_eq!(ended.job.unwrap().outcome(), Some(&Outcome::Expired));
}

/// Goal: the first result wins; another one, even under the same token, changes nothing.
#[test]
fn the_first_result_wins() {
    let done = job(State::Live, Where::Active, 0)
        .apply(&Name::CompleteText.command(), NOW)
        .unwrap()
        .job
        .unwrap();
    let again = done.apply(&Name::CompleteFailure.command(), NOW).unwrap();
    assert_eq!(again, Applied { job: Some(done), failed_copy: None });
}

/// Goal: of all outcomes, a copy is kept of those that an operator may want to retry.
#[test]
fn failures_leave_a_copy_and_other_outcomes_do_not() {
    let cases = [
        (text("t"), false),
        (Outcome::Nothing, false),
        (Outcome::Corrupt { quota_exceeded: true, detail: None }, false),
        (Outcome::Unsupported { detail: None }, false),
        (Outcome::NotProcessed, false),
        (Outcome::Discarded, false),
        (Outcome::TimedOut, true),
        (failure(), true),
        (Outcome::Expired, true),
    ];
    for (outcome, kept) in cases {
        let before = job(State::Live, Where::Active, 0);
        for command in [
            Command::Complete { token: mine(), outcome: outcome.clone() },
            Command::FinishLeased { token: mine(), outcome: outcome.clone() },
        ] {
            let copy = before.apply(&command, NOW).unwrap().failed_copy;
            let (outcome, token) = (outcome.clone(), Some(mine()));
            let status = Status::Completed { outcome, token, worked: worked(&before) };
            let job = Job { status, ..before.clone() };
            assert_eq!(copy, kept.then_some(FailedCopy { job, failed_at: NOW }), "{command:?}");
        }
    }
}

/// Goal: a retry waits for the message's last callback and needs the file; a missing file is the
/// answer that counts, for waiting would not help.
#[test]
fn a_failed_copy_is_retried_only_with_its_file_and_after_its_callback() {
    let copy = FailedCopy { job: job(State::Failed, Where::Active, 0), failed_at: NOW };
    for (file_kept, called_back, expected) in [
        (false, false, Rejection::FileGone),
        (false, true, Rejection::FileGone),
        (true, false, Rejection::NotCalledBack),
    ] {
        assert_eq!(copy.retry(file_kept, called_back, None, NOW), Err(expected));
    }
}

/// Goal: a retried job begins anew, active and pending, as the next revision.
#[test]
fn a_retry_is_a_new_life_as_the_next_revision() {
    for (place, revision) in [(Where::Active, 0), (Where::Holding, 1)] {
        let failed = Job {
            claims: 5,
            lost: 3,
            transient: 4,
            not_before: Some(NOW),
            ..job(State::Failed, place, revision)
        };
        let copy = FailedCopy { job: failed.clone(), failed_at: NOW };
        let later = NOW + Millis::from_ms(9);
        let expected = Job {
            place: Place::Active,
            status: Status::Pending,
            created_at: later,
            active_since: later,
            claims: 0,
            lost: 0,
            transient: 0,
            not_before: None,
            revision: revision + 1,
            ..failed
        };
        assert_eq!(copy.retry(true, true, None, later), Ok(expected));
    }
}

/// The work of the holder of a job that has its result now.
fn worked(job: &Job) -> Option<Worked> {
    let lease = job.lease()?;
    Some(Worked { worker_id: lease.worker_id, claimed_at: lease.claimed_at, ended_at: NOW })
}

fn job(state: State, place: Where, revision: u32) -> Job {
    let lease = |expires_at| Lease {
        worker_id: worker(1),
        token: mine(),
        claimed_at: ACTIVE_SINCE,
        expires_at,
    };
    let soon = NOW + Millis::from_ms(1);
    let status = match state {
        State::Waiting | State::BackingOff | State::Rested => Status::Pending,
        State::Live => Status::Processing { lease: lease(soon) },
        State::Lapsed | State::LastLapsed => Status::Processing { lease: lease(NOW) },
        State::Done => Status::Completed {
            outcome: text("first"),
            token: Some(mine()),
            worked: Some(lease(soon).worked(NOW)),
        },
        State::Failed => Status::Completed {
            outcome: failure(),
            token: Some(mine()),
            worked: Some(lease(soon).worked(NOW)),
        },
        State::Expired => {
            Status::Completed { outcome: Outcome::Expired, token: None, worked: None }
        }
        State::Discarded => {
            Status::Completed { outcome: Outcome::Discarded, token: None, worked: None }
        }
    };
    let not_before = match state {
        State::BackingOff => Some(soon),
        State::Rested => Some(NOW),
        State::Waiting
        | State::Live
        | State::Lapsed
        | State::LastLapsed
        | State::Done
        | State::Failed
        | State::Expired
        | State::Discarded => None,
    };
    Job {
        media_id: Uuid::from_u128(7).into(),
        bot_id: "bot".into(),
        correspondent_id: "correspondent".into(),
        provider_name: "provider".into(),
        placeholder_message: placeholder(),
        mime_type: "audio/ogg; codecs=opus".to_owned(),
        kind: MediaKind::Audio,
        pool: "audio".into(),
        original_filename: Some("voice.ogg".to_owned()),
        quota_exceeded: false,
        detail: None,
        place: match place {
            Where::Active => Place::Active,
            Where::Holding => Place::Holding { held_at: HELD_AT },
        },
        status,
        created_at: Timestamp::from_ms(1),
        active_since: ACTIVE_SINCE,
        claims: 2,
        lost: if state == State::LastLapsed { LOST_MAX - 1 } else { 1 },
        transient: 1,
        not_before,
        revision,
    }
}

fn placeholder() -> Message {
    Message {
        id: MessageId::FIRST,
        content: String::new(),
        sender: Participant::default(),
        source: Source::User,
        accepted_time: Timestamp::from_ms(1),
        message_size: 0,
        originating_time: Timestamp::from_ms(1),
        group: None,
        provider_message_id: "p".into(),
        replayed: false,
        truncated: false,
        media: Some(Box::new(Media {
            media_id: Uuid::from_u128(7).into(),
            kind: MediaKind::Audio,
            mime_type: "audio/ogg; codecs=opus".to_owned(),
            original_filename: Some("voice.ogg".to_owned()),
            caption: None,
            outcome: None,
        })),
    }
}

fn text(text: &str) -> Outcome {
    Outcome::Text(Extracted { text: text.to_owned(), ..Extracted::default() })
}

fn failure() -> Outcome {
    Outcome::Failed { error: FailureKind::Engine, detail: Some("no".to_owned()) }
}

/// The token of the worker that holds the job, or held it when it was completed.
fn mine() -> LeaseToken {
    token(1)
}

/// The token of anybody else.
fn other() -> LeaseToken {
    token(2)
}

fn token(number: u128) -> LeaseToken {
    Uuid::from_u128(number).into()
}

fn worker(number: u128) -> WorkerId {
    Uuid::from_u128(number).into()
}
