//! What a lease's holder may do, and what nobody else may.

use anteroom_core::job::{Job, ReleaseReason, Status};
use anteroom_core::store::{Completion, NewJob, Release, StoreReply, StoreRequest, TokenAnswer};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::fixtures::{POOL, TTL, failure, job, lease, media, token, words};
use super::{Rig, TestClock};

async fn leased_job(rig: &Rig<'_>) -> anteroom_core::store::Fence {
    let fence = rig.bot("b").await;
    let new = job(&fence, "c", 1, 1, rig.clock.now());
    rig.inserted_leased(&fence, &new, lease(1)).await;
    fence
}

fn release(n: u64, reason: ReleaseReason) -> Release {
    Release { media_id: media(1), token: token(n), delay: Millis::ZERO, reason }
}

async fn only_job(rig: &Rig<'_>, fence: &anteroom_core::store::Fence) -> Job {
    let [job] = &rig.restore(fence).await[..] else { panic!("one job is stored") };
    job.clone()
}

/// Goal: renewing counts from the renewal, never shortens, and needs the current token.
pub async fn renewing_prolongs_the_current_lease(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = leased_job(&rig).await;
    clock.advance(Millis::from_secs(50));
    assert_eq!(rig.renew(media(1), token(1), TTL).await, TokenAnswer::Ok);
    assert_eq!(rig.renew(media(1), token(1), Millis::ZERO).await, TokenAnswer::Ok);
    assert_eq!(rig.renew(media(1), token(2), TTL).await, TokenAnswer::Stale);
    assert_eq!(rig.renew(media(2), token(1), TTL).await, TokenAnswer::Stale, "no such job");
    clock.advance(Millis::from_secs(59));
    assert!(rig.reclaim().await.is_empty());
    let job = only_job(&rig, &fence).await;
    let expires_at = job.lease().expect("it is held").expires_at;
    assert_eq!(expires_at, clock.now() + Millis::from_secs(1));
}

/// Goal: one request renews many leases and names exactly the lost ones.
pub async fn many_leases_are_renewed_at_once(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = leased_job(&rig).await;
    rig.inserted_leased(&fence, &job(&fence, "c", 2, 2, clock.now()), lease(2)).await;
    let leases = vec![
        (media(9), token(9)),
        (media(1), token(1)),
        (media(2), token(1)),
        (media(2), token(2)),
    ];
    let reply = rig.twice(StoreRequest::Renew { leases, ttl: TTL }).await;
    assert_eq!(reply, StoreReply::Renew(vec![media(9), media(2)]));
}

/// Goal: so it is with more leases than a store renews in one piece, in whatever order they come. Method: 1,200
/// leases under three tokens, three of them named under another one.
pub async fn renewals_of_any_size_name_what_is_lost(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let token_of = |number: u64| 1 + number % 3;
    let new = |number| NewJob {
        job: job(&fence, "c", number, number, clock.now()),
        lease: Some(lease(token_of(number))),
    };
    rig.insert(&fence, (1..=1_200).map(new).collect()).await;
    let lost = [1_150, 600, 7];
    let asked = |number| match lost.contains(&number) {
        true => (media(number), token(9)),
        false => (media(number), token(token_of(number))),
    };
    let leases = (1..=1_200).rev().map(asked).collect();
    let reply = rig.twice(StoreRequest::Renew { leases, ttl: TTL }).await;
    assert_eq!(reply, StoreReply::Renew(lost.map(media).to_vec()));
}

/// Goal: a job given back is free again; a transient failure is counted once, however often the
/// request comes, and a shutdown counts as nothing.
pub async fn a_released_job_is_free_again(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = leased_job(&rig).await;
    let stale = release(2, ReleaseReason::Transient);
    assert_eq!(rig.release(stale).await, TokenAnswer::Stale);
    let transient = release(1, ReleaseReason::Transient);
    assert_eq!(rig.release(transient.clone()).await, TokenAnswer::Ok);
    assert_eq!(rig.release(transient).await, TokenAnswer::Stale, "it is not held any more");
    assert_eq!(only_job(&rig, &fence).await.transient, 1);
    assert_eq!(rig.claim(POOL, None, lease(3), 1).await.jobs.len(), 1);
    assert_eq!(rig.release(release(3, ReleaseReason::Shutdown)).await, TokenAnswer::Ok);
    let job = only_job(&rig, &fence).await;
    assert_eq!((job.transient, job.claims, job.status), (1, 2, Status::Pending));
}

/// Goal: the first result wins; the same one again is the same answer, any other is stale.
pub async fn the_first_result_wins(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = leased_job(&rig).await;
    assert_eq!(rig.complete(media(1), token(2), words("no")).await, TokenAnswer::Stale);
    assert_eq!(rig.complete(media(1), token(1), words("yes")).await, TokenAnswer::Ok);
    assert_eq!(rig.complete(media(1), token(2), words("no")).await, TokenAnswer::Stale);
    assert_eq!(rig.complete(media(9), token(1), words("no")).await, TokenAnswer::Stale);
    assert_eq!(rig.renew(media(1), token(1), TTL).await, TokenAnswer::Stale);
    assert_eq!(only_job(&rig, &fence).await.outcome(), Some(&words("yes")));
}

/// Goal: completions are answered each on its own, in order.
pub async fn completions_are_answered_each(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = leased_job(&rig).await;
    rig.inserted_leased(&fence, &job(&fence, "c", 2, 2, clock.now()), lease(2)).await;
    let completion = |m, t| Completion { media_id: media(m), token: token(t), outcome: words("x") };
    let completions = vec![completion(2, 1), completion(1, 1), completion(2, 2)];
    let reply = rig.twice(StoreRequest::Complete { completions }).await;
    let expected = vec![TokenAnswer::Stale, TokenAnswer::Ok, TokenAnswer::Ok];
    assert_eq!(reply, StoreReply::Complete(expected));
}

/// Goal: after a lease was taken away, its former holder is refused, also once the job has a new one.
pub async fn a_former_holder_is_refused(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = leased_job(&rig).await;
    clock.advance(TTL);
    assert_eq!(rig.reclaim().await.len(), 1);
    for new_holder in [None, Some(2)] {
        if let Some(n) = new_holder {
            rig.claim(POOL, None, lease(n), 1).await;
        }
        assert_eq!(rig.renew(media(1), token(1), TTL).await, TokenAnswer::Stale);
        assert_eq!(rig.complete(media(1), token(1), words("x")).await, TokenAnswer::Stale);
        let release = release(1, ReleaseReason::Shutdown);
        assert_eq!(rig.release(release).await, TokenAnswer::Stale);
    }
    let job = only_job(&rig, &fence).await;
    assert_eq!(job.lease().map(|lease| lease.token), Some(token(2)));
}

/// Goal: a lease that has ended but was not taken away yet is still good: its work is not thrown away.
pub async fn an_ended_lease_still_completes_before_the_sweep(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    leased_job(&rig).await;
    clock.advance(TTL);
    clock.advance(Millis::from_secs(1));
    assert_eq!(rig.complete(media(1), token(1), words("late")).await, TokenAnswer::Ok);
    assert!(rig.reclaim().await.is_empty());
}

/// Goal: a result that is a failure leaves a copy for the operator, which outlives its job.
pub async fn a_failure_leaves_a_copy(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = leased_job(&rig).await;
    rig.complete(media(1), token(1), failure()).await;
    let message = super::fixtures::ended(1, 1, failure());
    rig.archived(&fence, super::fixtures::item_of_result("c", message)).await;
    assert!(rig.restore(&fence).await.is_empty());
    assert_eq!(rig.known(vec![media(1)]).await, [media(1)], "the copy keeps the file");
}
