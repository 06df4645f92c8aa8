//! Stopping and starting a bot: its jobs between active and holding.

use anteroom_core::id::MediaId;
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::job::{Command, Job, Place, ReleaseReason};
use anteroom_core::store::{Fence, JobPage, Release, TokenAnswer};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::fixtures::{POOL, TTL, job, lease, media, token, unleased, words};
use super::rig::MANY;
use super::{Rig, TestClock};

fn applied(job: &Job, command: &Command, clock: &TestClock) -> Job {
    let applied = job.apply(command, clock.now()).expect("the command is allowed");
    applied.job.expect("the job stays")
}

/// Goal: restoring activates every job of the bot with its status, lease and result, also those that
/// were active all along, and touches no other bot's.
pub async fn restoring_activates_and_keeps_everything(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, other) = (rig.bot("b").await, rig.bot("b2").await);
    let jobs: Vec<Job> = (1..=3).map(|n| job(&fence, "c", n, n, clock.now())).collect();
    rig.inserted(&fence, &jobs[0]).await;
    rig.inserted_leased(&fence, &jobs[1], lease(2)).await;
    rig.inserted_leased(&fence, &jobs[2], lease(3)).await;
    rig.inserted(&other, &job(&other, "c", 4, 4, clock.now())).await;
    rig.complete(media(3), token(3), words("x")).await;
    let mut expected = jobs;
    expected[1] = applied(&expected[1], &Command::Claim(lease(2)), clock);
    expected[2] = applied(&expected[2], &Command::Claim(lease(3)), clock);
    let complete = Command::Complete { token: token(3), outcome: words("x") };
    expected[2] = applied(&expected[2], &complete, clock);
    clock.advance(Millis::from_secs(1));
    assert_eq!(rig.hold(&fence).await, 3);
    clock.advance(Millis::from_secs(1));
    for job in &mut expected {
        *job = applied(job, &Command::Activate, clock);
    }
    assert_eq!(rig.restore(&fence).await, expected);
    clock.advance(Millis::from_secs(1));
    for job in &mut expected {
        *job = applied(job, &Command::Activate, clock);
    }
    assert_eq!(rig.restore(&fence).await, expected, "adopted from an earlier owner");
    assert_eq!(rig.hold(&other).await, 1);
}

/// Goal: pages go by the age of jobs and, of one moment, by media id; each is as large as asked for, and together
/// they hold every job once.
pub async fn restoring_goes_by_pages(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for numbers in [&[7, 2, 5][..], &[4, 1], &[3]] {
        let new = |n: &u64| unleased(job(&fence, "c", *n, *n, clock.now()));
        rig.insert(&fence, numbers.iter().map(new).collect()).await;
        clock.advance(Millis::from_secs(1));
    }
    rig.hold(&fence).await;
    let mut after = None;
    for (expected, more) in [(&[2, 5][..], true), (&[7, 1], true), (&[4, 3], false)] {
        let page = rig.restore_page(&fence, after, 2).await;
        let expected: Vec<_> = expected.iter().map(|n| media(*n)).collect();
        assert_eq!(page.jobs.iter().map(|job| job.media_id).collect::<Vec<_>>(), expected);
        assert!(page.jobs.iter().all(|job| job.place == Place::Active));
        assert_eq!(page.more, more);
        after = page.behind(after);
    }
    let page = rig.restore_page(&fence, after, 2).await;
    assert!(page.jobs.is_empty() && !page.more);
}

/// Goal: a job that waits finds its workers though pools have changed since it was made: whether it was held or
/// adopted, in its back-off or not, with a place that is offered or without. One that is worked on, or has its result,
/// stays as it is.
pub async fn restored_jobs_that_wait_go_to_the_pools_of_now(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in 1..=5 {
        let new = job(&fence, "c", n, n, clock.now());
        match n {
            1 | 2 => rig.inserted(&fence, &new).await,
            _ => rig.inserted_leased(&fence, &new, lease(n)).await,
        }
        clock.advance(Millis::from_ms(1));
    }
    let (delay, reason) = (Millis::from_secs(5), ReleaseReason::Transient);
    rig.release(Release { media_id: media(3), token: token(3), delay, reason }).await;
    rig.complete(media(5), token(5), words("x")).await;
    rig.hold(&fence).await;
    let pools = |jobs: &[Job]| jobs.iter().map(|job| job.pool.to_string()).collect::<Vec<_>>();
    for pool in ["voice", "calls"] {
        // Held the first time, adopted as active jobs the second time.
        let restored = rig.restore_into(&fence, pool, Vec::new()).await;
        assert_eq!(pools(&restored), [pool, pool, pool, POOL, POOL]);
        assert!(restored.iter().all(|job| job.place == Place::Active));
    }
    for pool in [POOL, "voice"] {
        let claimed = rig.claim(pool, None, lease(11), MANY).await;
        assert!(claimed.jobs.is_empty() && !claimed.more, "{pool} has none");
    }
    let restored = rig.restore_into(&fence, "calls", vec![offer("calls", 21, 1)]).await;
    let leased: Vec<_> = restored.iter().filter(|job| job.lease().is_some()).collect();
    assert_eq!(leased.iter().map(|job| job.media_id).collect::<Vec<_>>(), [media(1), media(4)]);
    let claimed = rig.claim("calls", None, lease(12), MANY).await;
    assert_eq!(claimed.jobs.iter().map(|job| job.media_id).collect::<Vec<_>>(), [media(2)]);
    assert_eq!(claimed.next_in, Some(Millis::from_secs(5)));
    clock.advance(Millis::from_secs(5));
    let claimed = rig.claim("calls", None, lease(13), MANY).await;
    assert_eq!(claimed.jobs.iter().map(|job| job.media_id).collect::<Vec<_>>(), [media(3)]);
}

fn given_back(n: u64, lease: u64) -> Release {
    let (delay, reason) = (Millis::ZERO, ReleaseReason::Shutdown);
    Release { media_id: media(n), token: token(lease), delay, reason }
}

fn offer(pool: &str, n: u64, places: u32) -> LeaseOffer {
    LeaseOffer { pool: pool.into(), lease: lease(n), places }
}

/// The numbers of the jobs that are held under the n-th token, in their order.
fn held_under(page: &JobPage, n: u64) -> Vec<MediaId> {
    let held = |job: &&Job| job.lease().is_some_and(|lease| lease.token == token(n));
    page.jobs.iter().filter(held).map(|job| job.media_id).collect()
}

/// Goal: places that are offered with a page go to the oldest jobs of their pool that could be claimed, whether
/// they were held or adopted, and to no more; the leases are as those of a claim. Asking again, the same jobs have
/// them (the rig asks everything twice), and what is given back is leased anew only as far as there are places.
pub async fn restored_jobs_are_leased_where_they_have_places(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    // The oldest have the highest numbers.
    for n in [5, 4, 3, 2, 1] {
        let pool = if n == 3 { "video" } else { POOL };
        let new = Job { pool: pool.into(), ..job(&fence, "c", n, n, clock.now()) };
        match n {
            5 => rig.inserted_leased(&fence, &new, lease(5)).await,
            _ => rig.inserted(&fence, &new).await,
        }
        clock.advance(Millis::from_secs(1));
    }
    rig.hold(&fence).await;
    clock.advance(Millis::from_secs(1));
    let offers = [offer(POOL, 11, 2), offer("video", 12, 7), offer("image", 13, 7)];
    let page = rig.restore_leased(&fence, 4, &offers).await;
    assert_eq!(held_under(&page, 11), [media(4), media(2)]);
    assert_eq!(held_under(&page, 12), [media(3)]);
    assert_eq!((page.jobs.len(), page.more), (4, true), "leased or not, a page is a page");
    let job = &page.jobs[1];
    let lease_of = job.lease().expect("it is leased");
    let (claimed_at, expires_at) = (lease_of.claimed_at, lease_of.expires_at);
    assert_eq!((claimed_at, expires_at, job.claims), (clock.now(), clock.now() + TTL, 1));
    assert_eq!(rig.renew(media(2), token(11), TTL).await, TokenAnswer::Ok);

    // Adopted as active jobs by the next owner, who offers one place more.
    let page = rig.restore_leased(&fence, MANY, &[offer(POOL, 21, 1)]).await;
    assert_eq!(held_under(&page, 21), [media(1)]);
    assert_eq!(held_under(&page, 11), [media(4), media(2)], "a live lease stays");
    assert_eq!(held_under(&page, 5), [media(5)]);
    let claimed = rig.claim(POOL, None, lease(31), MANY).await;
    assert!(claimed.jobs.is_empty() && !claimed.more, "none is left");

    assert_eq!(rig.release(given_back(1, 21)).await, TokenAnswer::Ok);
    assert_eq!(rig.release(given_back(4, 11)).await, TokenAnswer::Ok);
    let page = rig.restore_leased(&fence, MANY, &[offer(POOL, 11, 2)]).await;
    assert_eq!(held_under(&page, 11), [media(4), media(2)], "one of the places is taken");
}

/// Goal: a job in its back-off gets no place, and one whose back-off has ended gets it; a job that has its
/// result gets none.
pub async fn restored_jobs_that_nobody_may_claim_get_no_place(
    store: &dyn Store,
    clock: &TestClock,
) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in 1..=2 {
        rig.inserted_leased(&fence, &job(&fence, "c", n, n, clock.now()), lease(n)).await;
    }
    let delay = Millis::from_secs(9);
    let back_off = Release { delay, reason: ReleaseReason::Transient, ..given_back(1, 1) };
    assert_eq!(rig.release(back_off).await, TokenAnswer::Ok);
    rig.complete(media(2), token(2), words("x")).await;
    rig.hold(&fence).await;
    let page = rig.restore_leased(&fence, MANY, &[offer(POOL, 11, 7)]).await;
    assert!(page.jobs.len() == 2 && held_under(&page, 11).is_empty(), "{page:?}");
    clock.advance(delay);
    let page = rig.restore_leased(&fence, MANY, &[offer(POOL, 12, 7)]).await;
    assert_eq!(held_under(&page, 12), [media(1)]);
}

/// Five jobs of a bot, of which the second and the fourth are worked on.
pub(super) async fn five_jobs(rig: &Rig<'_>, clock: &TestClock) -> Fence {
    let fence = rig.bot("b").await;
    for n in 1..=5 {
        let new = job(&fence, "c", n, n, clock.now());
        match n {
            2 | 4 => rig.inserted_leased(&fence, &new, lease(n)).await,
            _ => rig.inserted(&fence, &new).await,
        }
        clock.advance(Millis::from_secs(1));
    }
    fence
}

/// Goal: pages have the jobs that are worked on in their places among the others, whether they were active
/// or holding. Method: pages of two, twice; between them the bot is stopped.
pub async fn a_page_has_leased_jobs_in_their_places(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = five_jobs(&rig, clock).await;
    for _ in 0..2 {
        let mut after = None;
        for (expected, more) in [(&[1, 2][..], true), (&[3, 4], true), (&[5], false)] {
            let page = rig.restore_page(&fence, after, 2).await;
            let expected: Vec<_> = expected.iter().map(|n| media(*n)).collect();
            assert_eq!(page.jobs.iter().map(|job| job.media_id).collect::<Vec<_>>(), expected);
            assert_eq!(page.more, more);
            after = page.behind(after);
        }
        assert_eq!(rig.hold(&fence).await, 5);
    }
}

/// Goal: a page restored leaves the rest in holding until its turn.
pub async fn only_the_restored_page_is_active(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in 1..=3 {
        rig.inserted(&fence, &job(&fence, "c", n, n, clock.now())).await;
    }
    rig.hold(&fence).await;
    rig.restore_page(&fence, None, 1).await;
    let claimed = rig.claim(POOL, None, lease(1), MANY).await;
    assert_eq!(claimed.jobs.len(), 1);
    assert_eq!(claimed.jobs[0].media_id, media(1));
}

/// Goal: holding counts what is held, every time it is asked.
pub async fn holding_counts_what_is_held(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    assert_eq!(rig.hold(&fence).await, 0);
    rig.inserted(&fence, &job(&fence, "c", 1, 1, clock.now())).await;
    assert_eq!(rig.hold(&fence).await, 1);
    rig.inserted(&fence, &job(&fence, "c", 2, 2, clock.now())).await;
    assert_eq!(rig.hold(&fence).await, 2);
}

/// Goal: a worker keeps its lease across a stop and a start: it renews and completes in holding, and
/// nobody else gets the job meanwhile.
pub async fn a_live_lease_survives_the_move(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    rig.hold(&fence).await;
    assert_eq!(rig.renew(media(1), token(1), TTL).await, TokenAnswer::Ok);
    rig.restore(&fence).await;
    assert!(rig.claim(super::fixtures::POOL, None, lease(2), 1).await.jobs.is_empty());
    rig.hold(&fence).await;
    assert_eq!(rig.complete(media(1), token(1), words("x")).await, TokenAnswer::Ok);
    let restored = rig.restore(&fence).await;
    assert_eq!(restored[0].outcome(), Some(&words("x")), "the result is kept through it all");
}

/// Goal: results wait, page by page, while their bot runs; those of a stopped bot wait for its start.
pub async fn results_wait_in_pages(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, other) = (rig.bot("b").await, rig.bot("b2").await);
    for n in [3, 1, 2, 4] {
        let owner = if n == 4 { &other } else { &fence };
        rig.inserted_leased(owner, &job(owner, "c", n, n, clock.now()), lease(n)).await;
    }
    assert!(rig.completed(&fence, None, MANY).await.jobs.is_empty());
    for n in [1, 3, 4] {
        rig.complete(media(n), token(n), words("x")).await;
    }
    let page = rig.completed(&fence, None, 1).await;
    assert_eq!((page.jobs[0].media_id, page.more), (media(1), true));
    let after = page.behind(None);
    let page = rig.completed(&fence, after, 1).await;
    assert_eq!((page.jobs[0].media_id, page.more), (media(3), false));
    rig.hold(&fence).await;
    assert!(rig.completed(&fence, None, MANY).await.jobs.is_empty());
    rig.restore(&fence).await;
    assert_eq!(rig.completed(&fence, None, MANY).await.jobs.len(), 2);
}
