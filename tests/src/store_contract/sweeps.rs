//! The janitor's sweeps.

use anteroom_core::id::{BotId, Epoch, MediaId};
use anteroom_core::job::LOST_MAX;
use anteroom_core::message::{FailureKind, Outcome};
use anteroom_core::store::{Fence, StoreReply, StoreRequest, Swept};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::fixtures::{
    POOL, TTL, acknowledged, ended, failure, id, item, item_of_lease, job, key, lease, media, node,
    text, token, words,
};
use super::rig::MANY;
use super::{Rig, TestClock};

const HOUR: Millis = Millis::from_hours(1);

fn swept(n: u64, worker: Option<u64>, completed: bool) -> Swept {
    Swept {
        bot_id: "b".into(),
        media_id: media(n),
        pool: POOL.into(),
        worker_id: worker.map(node),
        completed,
    }
}

async fn expire(rig: &Rig<'_>, running: &[&Fence], active: Millis, holding: Millis) -> Vec<Swept> {
    let running: Vec<(BotId, Epoch)> =
        running.iter().map(|fence| (fence.bot_id.clone(), fence.epoch)).collect();
    let request =
        StoreRequest::ExpireJobs { running, active_ttl: active, holding_ttl: holding, limit: MANY };
    match rig.ask(request).await {
        StoreReply::ExpireJobs(swept) => swept,
        other => panic!("expected expired jobs, got {other:?}"),
    }
}

async fn forget_failed(rig: &Rig<'_>, retention: Millis, limit: u32) -> Vec<MediaId> {
    match rig.ask(StoreRequest::ForgetFailed { retention, limit }).await {
        StoreReply::ForgetFailed(forgotten) => forgotten,
        other => panic!("expected forgotten media, got {other:?}"),
    }
}

async fn forget_archived(rig: &Rig<'_>, retention: Millis, limit: u32) -> u32 {
    match rig.ask(StoreRequest::ForgetArchived { retention, limit }).await {
        StoreReply::ForgetArchived(forgotten) => forgotten,
        other => panic!("expected a count, got {other:?}"),
    }
}

/// Goal: exactly the leases that have ended are taken away, in any place, and told of.
pub async fn ended_leases_are_taken_away(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    rig.hold(&fence).await;
    clock.advance(Millis::from_secs(1));
    rig.inserted_leased(&fence, &job(&fence, "c", 2, 2, clock.now()), lease(2)).await;
    clock.advance(Millis::from_secs(58));
    assert_eq!(rig.reclaim().await, []);
    clock.advance(Millis::from_secs(1));
    assert_eq!(rig.reclaim().await, [swept(1, Some(1), false)]);
    assert_eq!(rig.reclaim().await, []);
    clock.advance(Millis::from_secs(1));
    assert_eq!(rig.reclaim().await, [swept(2, Some(1), false)]);
}

/// Goal: a sweep takes no more than it is asked for, the longest ended first, and goes on next time.
pub async fn a_sweep_is_bounded_and_goes_on(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in [3, 1, 2] {
        rig.inserted_leased(&fence, &job(&fence, "c", n, n, clock.now()), lease(n)).await;
        clock.advance(Millis::from_secs(1));
    }
    clock.advance(TTL);
    for n in [3, 1, 2] {
        let reply = rig.ask(StoreRequest::ReclaimLeases { limit: 1 }).await;
        assert_eq!(reply, StoreReply::ReclaimLeases(vec![swept(n, Some(1), false)]));
    }
}

/// Goal: a job that loses its workers again and again is given up, with a copy for the operator.
pub async fn a_job_that_loses_every_worker_is_given_up(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted(&fence, &job(&fence, "c", 1, 1, clock.now())).await;
    for lost in 1..=LOST_MAX {
        rig.claim(POOL, None, lease(u64::from(lost)), 1).await;
        clock.advance(TTL);
        assert_eq!(rig.reclaim().await, [swept(1, Some(1), lost == LOST_MAX)]);
    }
    let page = rig.completed(&fence, None, MANY).await;
    let expected = Outcome::Failed { error: FailureKind::WorkerLost, detail: None };
    assert_eq!(page.jobs[0].outcome(), Some(&expected));
    assert!(!forget_failed(&rig, Millis::ZERO, MANY).await.contains(&media(1)), "kept just now");
    clock.advance(HOUR);
    assert_eq!(forget_failed(&rig, Millis::ZERO, MANY).await, [media(1)]);
}

/// Goal: active jobs expire by the time since their bot was restored, only under the epoch that owns
/// it, and never under a lease; what has a result waits as long as it takes.
pub async fn active_jobs_expire_for_their_running_bot(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in 1..=3 {
        let new = job(&fence, "c", n, n, clock.now());
        match n {
            1 => rig.inserted(&fence, &new).await,
            _ => rig.inserted_leased(&fence, &new, lease(n)).await,
        }
    }
    rig.complete(media(3), token(3), words("x")).await;
    clock.advance(HOUR);
    rig.restore(&fence).await;
    clock.advance(HOUR);
    assert_eq!(expire(&rig, &[&fence], HOUR, HOUR).await, [], "not longer than its time");
    clock.advance(Millis::from_ms(1));
    let stale = Fence { epoch: Epoch(fence.epoch.0 + 1), ..fence.clone() };
    for running in [&[][..], &[&stale]] {
        assert_eq!(expire(&rig, running, HOUR, HOUR).await, []);
    }
    assert_eq!(expire(&rig, &[&fence], HOUR, HOUR).await, [swept(1, None, true)]);
    assert_eq!(expire(&rig, &[&fence], HOUR, HOUR).await, []);
    let restored = rig.restore(&fence).await;
    assert_eq!(restored[0].outcome(), Some(&Outcome::Expired));
    assert_eq!((restored[1].lease().is_some(), restored[2].outcome()), (true, Some(&words("x"))));
    assert_eq!(rig.known(vec![media(1)]).await, [media(1)]);
}

/// Goal: holding jobs expire by the time since they are held, whoever owns their bot.
pub async fn holding_jobs_expire_for_any_bot(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted(&fence, &job(&fence, "c", 1, 1, clock.now())).await;
    clock.advance(HOUR);
    rig.hold(&fence).await;
    clock.advance(HOUR);
    assert_eq!(expire(&rig, &[], Millis::ZERO, HOUR).await, []);
    clock.advance(Millis::from_ms(1));
    assert_eq!(expire(&rig, &[], HOUR, HOUR).await, [swept(1, None, true)]);
    assert_eq!(rig.restore(&fence).await[0].outcome(), Some(&Outcome::Expired));
}

/// Goal: a file is known as long as a job in any place, or a failed copy, knows its media.
pub async fn media_are_known_while_anything_needs_them(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in 1..=4 {
        rig.inserted_leased(&fence, &job(&fence, "c", n, n, clock.now()), lease(n)).await;
    }
    rig.hold(&fence).await;
    rig.restore_page(&fence, None, 1).await;
    rig.archived(&fence, item_of_lease("c", ended(3, 3, failure()), 3)).await;
    rig.archived(&fence, item_of_lease("c", ended(4, 4, words("x")), 4)).await;
    let asked = [5, 4, 3, 2, 1].map(media).to_vec();
    assert_eq!(rig.known(asked).await, [3, 2, 1].map(media));
    assert_eq!(rig.known(Vec::new()).await, []);
}

/// Goal: failed copies are dropped after their time, oldest first, as many as asked for.
pub async fn failed_copies_are_dropped_after_their_time(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in [2, 1, 3] {
        clock.advance(Millis::from_ms(1));
        rig.inserted_leased(&fence, &job(&fence, "c", n, n, clock.now()), lease(n)).await;
        rig.archived(&fence, item_of_lease("c", ended(n, n, failure()), n)).await;
    }
    clock.advance(HOUR);
    assert_eq!(forget_failed(&rig, HOUR, 1).await, [media(2)]);
    assert_eq!(forget_failed(&rig, HOUR, MANY).await, [media(1)], "one is not old enough");
    assert_eq!(rig.known([1, 2, 3].map(media).to_vec()).await, [media(3)]);
}

/// Goal: the file of a retry under way is not given up, however old the copy that began it.
pub async fn a_retry_keeps_its_file(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    rig.archived(&fence, item_of_lease("c", ended(1, 1, failure()), 1)).await;
    rig.mark(&fence, acknowledged(key("c", 1, 0))).await;
    rig.retry(media(1)).await;
    clock.advance(HOUR);
    assert_eq!(forget_failed(&rig, Millis::ZERO, MANY).await, []);
    rig.claim(POOL, None, lease(2), 1).await;
    assert_eq!(forget_failed(&rig, Millis::ZERO, MANY).await, []);
}

/// Goal: archived messages are dropped a while after their callback ended, never an owed one, never a
/// correspondent's highest: so ids go on where they were.
pub async fn archived_messages_are_dropped_but_never_the_highest(
    store: &dyn Store,
    clock: &TestClock,
) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in 1..=4 {
        rig.archived(&fence, item("c", text(n))).await;
    }
    rig.archived(&fence, item("d", text(1))).await;
    for (correspondent, n) in [("c", 1), ("c", 2), ("c", 4), ("d", 1)] {
        rig.mark(&fence, acknowledged(key(correspondent, n, 0))).await;
    }
    clock.advance(HOUR);
    assert_eq!(forget_archived(&rig, HOUR, MANY).await, 0, "not longer than its time");
    clock.advance(Millis::from_ms(1));
    assert_eq!(forget_archived(&rig, HOUR, 1).await, 1);
    assert_eq!(forget_archived(&rig, HOUR, MANY).await, 1);
    assert_eq!(forget_archived(&rig, HOUR, MANY).await, 0);
    assert_eq!(rig.next_id(&fence, "c").await, id(5));
    assert_eq!(rig.next_id(&fence, "d").await, id(2));
    let owed = rig.owed(&fence).await;
    assert_eq!((owed.len(), owed[0].message.id), (1, id(3)));
}

/// Goal: what was kept as the highest goes once a higher one has come.
pub async fn the_highest_is_dropped_after_a_higher_one(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for n in [2, 1, 3] {
        rig.archived(&fence, item("c", text(n))).await;
        rig.mark(&fence, acknowledged(key("c", n, 0))).await;
        clock.advance(HOUR);
        clock.advance(Millis::from_ms(1));
        assert_eq!(forget_archived(&rig, HOUR, MANY).await, u32::from(n != 2), "after {n}");
    }
    assert_eq!(rig.next_id(&fence, "c").await, id(4));
}

/// Goal: places in the archive are not given again after rows were dropped.
pub async fn dropped_rows_free_no_place(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.archived(&fence, item("c", text(2))).await;
    let last = rig.archived(&fence, item("c", text(1))).await;
    rig.mark(&fence, acknowledged(key("c", 1, 0))).await;
    clock.advance(HOUR);
    assert_eq!(forget_archived(&rig, Millis::ZERO, MANY).await, 1);
    assert!(rig.archived(&fence, item("c", text(3))).await > last);
}
