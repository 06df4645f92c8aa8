//! Claims: fairness, order, and what a repeated or a competing claim gets.

use std::collections::BTreeSet;

use anteroom_core::id::MediaId;
use anteroom_core::job::{Command, Job, ReleaseReason};
use anteroom_core::store::{Claimed, Fence, Release};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::fixtures::{POOL, TTL, job, lease, media, token, unleased};
use super::rig::MANY;
use super::{Rig, TestClock};

/// Inserts jobs of one bot, in the order given, a millisecond apart.
async fn backlog(rig: &Rig<'_>, fence: &Fence, media_numbers: &[u64]) {
    let mut jobs = Vec::new();
    for &n in media_numbers {
        jobs.push(unleased(job(fence, "c", n, n, rig.clock.now())));
        rig.clock.advance(Millis::from_ms(1));
    }
    rig.insert(fence, jobs).await;
}

fn media_ids(claimed: &Claimed) -> Vec<MediaId> {
    claimed.jobs.iter().map(|job| job.media_id).collect()
}

/// Goal: a claimed job carries its lease and its count, and nobody else gets it.
pub async fn a_claim_leases_a_job(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let new = job(&fence, "c", 1, 1, clock.now());
    rig.inserted(&fence, &new).await;
    clock.advance(Millis::from_secs(5));
    let expected = applied(&new, &Command::Claim(lease(7)), clock);
    let claimed = rig.claim(POOL, None, lease(7), 1).await;
    assert_eq!(claimed, Claimed { jobs: vec![expected], more: false, next_in: None });
    assert!(rig.claim(POOL, None, lease(8), MANY).await.jobs.is_empty());
}

/// Goal: bots take turns in the order of their ids, beginning behind the one given, oldest first
/// within each.
pub async fn bots_take_turns_oldest_first(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (a, b, c) = (rig.bot("a").await, rig.bot("b").await, rig.bot("c").await);
    backlog(&rig, &a, &[15, 11, 13, 12]).await;
    backlog(&rig, &b, &[21]).await;
    backlog(&rig, &c, &[32, 31]).await;
    let first = rig.claim(POOL, Some("a"), lease(1), 4).await;
    assert_eq!(media_ids(&first), [21, 32, 15, 31].map(media));
    assert!(first.more);
    let second = rig.claim(POOL, Some("c"), lease(2), 2).await;
    assert_eq!(media_ids(&second), [11, 13].map(media));
    assert!(second.more);
    let last = rig.claim(POOL, Some("a"), lease(3), MANY).await;
    assert_eq!(media_ids(&last), [media(12)]);
    assert!(!last.more);
}

/// Goal: whatever one bot has waiting, every bot is served within as many claims as there are bots.
pub async fn a_long_backlog_starves_nobody(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (a, b, c) = (rig.bot("a").await, rig.bot("b").await, rig.bot("c").await);
    backlog(&rig, &a, &(1..=200).collect::<Vec<_>>()).await;
    backlog(&rig, &b, &[301]).await;
    backlog(&rig, &c, &[302]).await;
    let mut last: Option<String> = None;
    let mut served = BTreeSet::new();
    for n in 1..=3 {
        let claimed = rig.claim(POOL, last.as_deref(), lease(n), 1).await;
        let bot_id = claimed.jobs[0].bot_id.to_string();
        served.insert(bot_id.clone());
        last = Some(bot_id);
    }
    assert_eq!(served.len(), 3);
}

/// Goal: jobs of one age are claimed in the order of their media ids, so that every store agrees.
pub async fn equal_ages_go_by_media_id(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let now = clock.now();
    let jobs = [3, 1, 2].map(|n| unleased(job(&fence, "c", n, n, now)));
    rig.insert(&fence, jobs.to_vec()).await;
    let claimed = rig.claim(POOL, None, lease(1), MANY).await;
    assert_eq!(media_ids(&claimed), [1, 2, 3].map(media));
}

/// Goal: only the pool asked for is claimed from.
pub async fn pools_are_apart(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let other = Job { pool: "image".into(), ..job(&fence, "c", 1, 1, clock.now()) };
    rig.inserted(&fence, &other).await;
    let nothing = Claimed { jobs: Vec::new(), more: false, next_in: None };
    assert_eq!(rig.claim(POOL, None, lease(1), MANY).await, nothing);
    assert_eq!(media_ids(&rig.claim("image", None, lease(2), MANY).await), [media(1)]);
}

/// Goal: nobody claims for a stopped bot.
pub async fn held_jobs_are_not_claimed(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    backlog(&rig, &fence, &[1, 2]).await;
    assert_eq!(rig.hold(&fence).await, 2);
    let nothing = Claimed { jobs: Vec::new(), more: false, next_in: None };
    assert_eq!(rig.claim(POOL, None, lease(1), MANY).await, nothing);
    rig.restore(&fence).await;
    assert_eq!(rig.claim(POOL, None, lease(2), MANY).await.jobs.len(), 2);
}

/// Goal: a job in back-off is left alone until its moment, and a claim says when that is.
pub async fn a_claim_says_when_the_next_back_off_ends(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    backlog(&rig, &fence, &[1, 2, 3]).await;
    rig.claim(POOL, None, lease(1), 2).await;
    for (n, delay) in [(1, Millis::from_secs(9)), (2, Millis::from_secs(4))] {
        let reason = ReleaseReason::Transient;
        rig.release(Release { media_id: media(n), token: token(1), delay, reason }).await;
    }
    let claimed = rig.claim(POOL, None, lease(2), 0).await;
    assert_eq!(claimed, Claimed { jobs: Vec::new(), more: true, next_in: None });
    let claimed = rig.claim(POOL, None, lease(2), MANY).await;
    assert_eq!((media_ids(&claimed), claimed.more), (vec![media(3)], false));
    assert_eq!(claimed.next_in, Some(Millis::from_secs(4)));
    clock.advance(Millis::from_secs(4));
    let claimed = rig.claim(POOL, None, lease(3), MANY).await;
    assert_eq!(media_ids(&claimed), [media(2)]);
    assert_eq!(claimed.next_in, Some(Millis::from_secs(5)));
    assert_eq!((claimed.jobs[0].claims, claimed.jobs[0].transient), (2, 1));
}

/// Goal: a claim whose answer was lost gets the same jobs in the same order and no others; those that
/// have ended meanwhile are left out.
pub async fn a_repeated_token_gets_the_same_jobs(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (a, b) = (rig.bot("a").await, rig.bot("b").await);
    backlog(&rig, &a, &[15, 11, 13]).await;
    backlog(&rig, &b, &[22, 21]).await;
    let first = rig.claim(POOL, Some("a"), lease(1), 4).await;
    assert_eq!(media_ids(&first), [22, 15, 21, 11].map(media));
    clock.advance(Millis::from_secs(30));
    rig.hold(&b).await;
    rig.complete(media(15), token(1), super::fixtures::words("x")).await;
    let again = rig.claim(POOL, Some("a"), lease(1), 4).await;
    let again: BTreeSet<MediaId> = media_ids(&again).into_iter().collect();
    assert_eq!(again, [11, 21, 22].map(media).into(), "the same, wherever they live");
}

/// Goal: of claimers that race, each gets jobs of its own. Method: eight claims at once for twenty
/// jobs.
pub async fn racing_claimers_share_no_job(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (a, b) = (rig.bot("a").await, rig.bot("b").await);
    backlog(&rig, &a, &(1..=10).collect::<Vec<_>>()).await;
    backlog(&rig, &b, &(11..=20).collect::<Vec<_>>()).await;
    let claim = |n| rig.claim_once(POOL, lease(n), 3);
    let (c1, c2, c3, c4, c5, c6, c7, c8) = tokio::join!(
        claim(1),
        claim(2),
        claim(3),
        claim(4),
        claim(5),
        claim(6),
        claim(7),
        claim(8)
    );
    let claims = [c1, c2, c3, c4, c5, c6, c7, c8];
    let all: Vec<MediaId> = claims.iter().flat_map(media_ids).collect();
    let distinct: BTreeSet<MediaId> = all.iter().copied().collect();
    assert_eq!((all.len(), distinct.len()), (20, 20));
    assert!(claims.iter().all(|claimed| claimed.jobs.len() <= 3));
}

/// Goal: a lease that has ended is not free before a sweep takes it away; then it is.
pub async fn an_ended_lease_is_claimed_after_the_sweep(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    backlog(&rig, &fence, &[1]).await;
    rig.claim(POOL, None, lease(1), 1).await;
    clock.advance(TTL);
    assert!(rig.claim(POOL, None, lease(2), 1).await.jobs.is_empty());
    rig.reclaim().await;
    let claimed = rig.claim(POOL, None, lease(3), 1).await;
    assert_eq!((claimed.jobs[0].claims, claimed.jobs[0].lost), (2, 1));
}

fn applied(job: &Job, command: &Command, clock: &TestClock) -> Job {
    let applied = job.apply(command, clock.now()).expect("the command is allowed");
    applied.job.expect("the job stays")
}
