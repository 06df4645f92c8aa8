//! What lease holders do: renew, release, complete.

use anteroom_core::job::{ReleaseReason, Status, Worked};
use anteroom_core::message::Outcome;
use anteroom_core::store::{Completion, Release, StoreReply, StoreRequest, TokenAnswer};
use anteroom_core::time::Millis;

use super::support::{Bench, TTL, ask, fence, heard, job, media, node, token};

/// The job 1, claimed under token 1.
fn claimed() -> Bench {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    bench.claim(1, 1);
    bench
}

fn completion(token_number: u128, outcome: Outcome) -> StoreRequest {
    let completion = Completion { media_id: media(1), token: token(token_number), outcome };
    StoreRequest::Complete { completions: vec![completion] }
}

/// Goal: a lease is prolonged under its own token and no other, also while its job is holding.
#[test]
fn a_lease_is_renewed_by_its_holder() {
    let mut bench = claimed();
    bench.pass(Millis::from_secs(30));
    ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1)));
    let leases = vec![(media(1), token(1)), (media(1), token(2)), (media(9), token(9))];
    let renew = StoreRequest::Renew { leases, ttl: TTL };
    let lost = vec![media(1), media(9)];
    assert_eq!(bench.apply_twice(&renew), Ok(StoreReply::Renew(lost)));
    let lease = bench.model.job(media(1)).and_then(|job| job.lease().copied());
    assert_eq!(lease.map(|lease| lease.expires_at), Some(bench.now + TTL));
}

/// Goal: a job is given back under its own token, once.
#[test]
fn a_job_is_given_back_by_its_holder() {
    let mut bench = claimed();
    let release = |number| StoreRequest::Release {
        releases: vec![Release {
            media_id: media(1),
            token: token(number),
            delay: Millis::ZERO,
            reason: ReleaseReason::Shutdown,
        }],
    };
    assert_eq!(bench.apply_twice(&release(2)), Ok(StoreReply::Release(vec![media(1)])));
    assert_eq!(ask!(bench, Release, release(1)), []);
    assert_eq!(bench.status(1), &Status::Pending);
    let once = bench.model.clone();
    assert_eq!(ask!(bench, Release, release(1)), [media(1)]);
    assert_eq!(bench.model, once);
}

/// Goal: the first result under the current token wins, and its call repeated is done again.
#[test]
fn the_first_result_under_the_token_wins() {
    let mut bench = claimed();
    let stale = Ok(StoreReply::Complete(vec![TokenAnswer::Stale]));
    assert_eq!(bench.apply_twice(&completion(2, heard("wrong"))), stale);
    let done = Ok(StoreReply::Complete(vec![TokenAnswer::Ok]));
    assert_eq!(bench.apply_twice(&completion(1, heard("right"))), done);
    assert_eq!(bench.apply_twice(&completion(2, heard("wrong"))), stale);
    let expected = Status::Completed {
        outcome: heard("right"),
        token: Some(token(1)),
        worked: Some(Worked { worker_id: node(1), claimed_at: bench.now, ended_at: bench.now }),
    };
    assert_eq!(bench.status(1), &expected);
    assert_eq!(bench.model.failed_copies().count(), 0);
}

/// Goal: a failure leaves a copy in the same step.
#[test]
fn a_failure_leaves_a_copy() {
    let mut bench = claimed();
    ask!(bench, Complete, completion(1, Outcome::TimedOut));
    let copies: Vec<_> = bench.model.failed_copies().collect();
    assert_eq!(copies.len(), 1);
    assert_eq!((copies[0].job.media_id, copies[0].failed_at), (media(1), bench.now));
    assert_eq!(copies[0].job.outcome(), Some(&Outcome::TimedOut));
}
