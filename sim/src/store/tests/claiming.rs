//! Claims: rotation, order, repetition, back-off.

use anteroom_core::id::MediaId;
use anteroom_core::job::{Job, ReleaseReason};
use anteroom_core::store::{Claimed, NewJob, Release, StoreReply, StoreRequest};
use anteroom_core::time::{Millis, Timestamp};

use super::support::{Bench, acquire, ask, claim, fence, job, media, token};

fn ids(claimed: &Claimed) -> Vec<MediaId> {
    claimed.jobs.iter().map(|job| job.media_id).collect()
}

fn medias(numbers: impl IntoIterator<Item = u128>) -> Vec<MediaId> {
    numbers.into_iter().map(media).collect()
}

/// Bot `a` has the jobs 1 and 2, bot `b` 3 and 4, bot `c` 5; the higher, the older.
fn three_bots() -> Bench {
    let mut bench = Bench::new();
    ask!(bench, AcquireBot, acquire("c", 1));
    for (bot, number) in [("a", 1), ("a", 2), ("b", 3), ("b", 4), ("c", 5)] {
        let created_at = Timestamp::from_ms(1_000 - u64::try_from(number).expect("small"));
        let new = NewJob { job: Job { created_at, ..job(bot, "c", number) }, lease: None };
        let request = StoreRequest::InsertJobs { fence: fence(bot, 1), jobs: vec![new] };
        ask!(bench, InsertJobs, request);
    }
    bench
}

/// Goal: one job a bot and turn, the oldest first, behind the bot served last and around.
#[test]
fn bots_are_served_in_turns_oldest_first() {
    for (after, expected) in [
        (None, [2, 4, 5, 1, 3]),
        (Some("a"), [4, 5, 2, 3, 1]),
        (Some("bb"), [5, 2, 4, 1, 3]),
        (Some("c"), [2, 4, 5, 1, 3]),
    ] {
        let claimed = ask!(three_bots(), Claim, claim("audio", after, 1, 9));
        assert_eq!(ids(&claimed), medias(expected), "after {after:?}");
        assert!(!claimed.more);
    }
}

/// Goal: a rotation goes on where the one before ended, and says whether more can be claimed.
#[test]
fn a_rotation_goes_on_in_the_next_claim() {
    let mut bench = three_bots();
    let first = ask!(bench, Claim, claim("audio", None, 1, 2));
    assert_eq!((ids(&first), first.more), (medias([2, 4]), true));
    let second = ask!(bench, Claim, claim("audio", Some("b"), 2, 3));
    assert_eq!((ids(&second), second.more), (medias([5, 1, 3]), false));
}

/// Goal: a claim repeated gets the same jobs in the same order, and no others.
#[test]
fn a_repeated_claim_gets_the_same_jobs() {
    for after in [None, Some("a"), Some("b")] {
        for limit in 0..=5 {
            let mut bench = three_bots();
            let reply = bench.apply_twice(&claim("audio", after, 1, limit));
            let Ok(StoreReply::Claim(claimed)) = reply else { panic!("{reply:?}") };
            assert_eq!(claimed.jobs.len(), limit as usize);
        }
    }
}

/// Goal: what a claim still holds is what its repetition gets; what it has lost is not claimed anew.
#[test]
fn a_repeated_claim_gets_only_what_it_still_holds() {
    let mut bench = three_bots();
    ask!(bench, Claim, claim("audio", None, 1, 2));
    let release = Release {
        media_id: media(2),
        token: token(1),
        delay: Millis::ZERO,
        reason: ReleaseReason::Shutdown,
    };
    ask!(bench, Release, StoreRequest::Release { releases: vec![release] });
    let again = ask!(bench, Claim, claim("audio", None, 1, 2));
    assert_eq!(ids(&again), medias([4]));
}

/// Goal: only the pool asked for is served, and holding jobs are nobody's.
#[test]
fn other_pools_and_holding_jobs_are_not_claimed() {
    let mut bench = three_bots();
    ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1)));
    assert_eq!(ids(&ask!(bench, Claim, claim("video", None, 1, 9))), medias([]));
    assert_eq!(ids(&ask!(bench, Claim, claim("audio", None, 2, 9))), medias([4, 5, 3]));
}

/// Goal: a job in back-off is not claimed before its time, which the claim tells, and is claimed then.
#[test]
fn back_off_is_waited_for() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    bench.claim(1, 1);
    let release = Release {
        media_id: media(1),
        token: token(1),
        delay: Millis::from_secs(10),
        reason: ReleaseReason::Transient,
    };
    ask!(bench, Release, StoreRequest::Release { releases: vec![release] });
    bench.pass(Millis::from_secs(4));
    let early = bench.claim(2, 1);
    assert_eq!((ids(&early), early.more), (medias([]), false));
    assert_eq!(early.next_in, Some(Millis::from_secs(6)));
    bench.pass(Millis::from_secs(6));
    let due = bench.claim(3, 1);
    assert_eq!((ids(&due), due.next_in), (medias([1]), None));
    assert_eq!(due.jobs[0].transient, 1);
}

/// Goal: a clock that steps back between two claims claims nothing too early, and still answers.
#[test]
fn a_clock_that_steps_back_claims_nothing_too_early() {
    let mut bench = Bench::new();
    bench.insert(&[Job { not_before: Some(bench.now + Millis::from_secs(5)), ..job("a", "c", 1) }]);
    bench.insert(&[Job { created_at: bench.now + Millis::from_secs(1), ..job("a", "c", 2) }]);
    let start = bench.now;
    bench.pass(Millis::from_secs(5));
    assert!(bench.claim(1, 0).more);
    bench.now = start;
    let claimed = bench.claim(2, 9);
    assert_eq!(ids(&claimed), medias([2]));
    assert_eq!(claimed.next_in, Some(Millis::from_secs(5)));
}
