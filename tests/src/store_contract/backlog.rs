//! What waits, counted for those who look: cases for stores that count. The model does not, so they are in no
//! list of the contract; each store that counts has a test that runs both.

use std::collections::BTreeMap;

use anteroom_core::job::ReleaseReason;
use anteroom_core::store::Release;
use anteroom_core::time::Millis;
use anteroom_runtime::store::{Backlog, Store, Waiting};

use super::fixtures::{POOL, acknowledged, item, job, key, lease, media, text, token, words};
use super::{Rig, TestClock};

async fn counted(store: &dyn Store) -> Backlog {
    let backlog = store.backlog().await.expect("the store answers");
    backlog.expect("the store counts")
}

/// Goal: active jobs that nobody works on are counted by their pool, those in back-off too, with the moment
/// when the oldest was made; no others. Method: jobs in every state, of two bots.
pub async fn waiting_jobs_are_counted_by_pool(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    assert_eq!(counted(store).await, Backlog::default());
    let (fence, other) = (rig.bot("b").await, rig.bot("d").await);
    let first = clock.now();
    rig.inserted(&fence, &job(&fence, "c", 1, 1, first)).await;
    clock.advance(Millis::from_secs(10));
    let later = clock.now();
    rig.inserted(&other, &job(&other, "c", 1, 2, later)).await;
    let mut elsewhere = job(&fence, "c", 2, 3, later);
    elsewhere.pool = "other".into();
    rig.inserted(&fence, &elsewhere).await;
    rig.inserted_leased(&fence, &job(&fence, "c", 3, 4, first), lease(4)).await;
    rig.inserted_leased(&fence, &job(&fence, "c", 4, 5, first), lease(5)).await;
    rig.complete(media(5), token(5), words("x")).await;
    let waiting = |count, oldest| Waiting { count, oldest: Some(oldest) };
    let both =
        BTreeMap::from([(POOL.into(), waiting(2, first)), ("other".into(), waiting(1, later))]);
    assert_eq!(counted(store).await.jobs, both);

    let (reason, delay) = (ReleaseReason::Transient, Millis::from_secs(60));
    rig.release(Release { media_id: media(4), token: token(4), delay, reason }).await;
    assert_eq!(counted(store).await.jobs[&POOL.into()], waiting(3, first));
    rig.hold(&fence).await;
    let held = BTreeMap::from([(POOL.into(), waiting(1, later))]);
    assert_eq!(counted(store).await.jobs, held);
}

/// Goal: owed callbacks are counted, with the moment when the oldest was archived. Method: callbacks of two
/// bots that end one after the other.
pub async fn owed_callbacks_are_counted(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, other) = (rig.bot("b").await, rig.bot("d").await);
    let first = clock.now();
    rig.archived(&fence, item("c", text(1))).await;
    clock.advance(Millis::from_secs(10));
    let later = clock.now();
    rig.archived(&other, item("c", text(1))).await;
    rig.archived(&fence, item("c", text(2))).await;
    let waiting = |count, oldest| Waiting { count, oldest: Some(oldest) };
    assert_eq!(counted(store).await.callbacks, waiting(3, first));
    rig.mark(&fence, acknowledged(key("c", 1, 0))).await;
    assert_eq!(counted(store).await.callbacks, waiting(2, later));
    rig.mark(&fence, acknowledged(key("c", 2, 0))).await;
    rig.mark(&other, acknowledged(key("c", 1, 0))).await;
    assert_eq!(counted(store).await, Backlog::default());
}
