//! Short tortures: see `anteroom_tests::torture`. `cargo xtask torture` runs longer ones.

use std::time::Duration;

use anteroom_tests::torture::ledger::Counts;
use anteroom_tests::torture::{Deaths, StoreKind, world};

/// Goal: whatever is killed and restarted, every acknowledged message is archived once and called back;
/// callbacks come again only for a reason, with a higher attempt, and never after a confirmed
/// acknowledgement; no job and no file is left; no id is given twice.
/// Method: one seed of the torture. What is judged are the rules; here only that enough happened for
/// them to mean something.
async fn every_promise_is_kept(store: StoreKind, seed: u64, duration: Duration) -> Counts {
    let deaths = Deaths::AtRandom(duration);
    let counts = world::keeps_every_promise(store, seed, 1, deaths).await;
    assert!(counts.kills >= 1, "hardly anything died: {counts}");
    assert!(counts.media_called_back >= 40, "hardly any media were under way: {counts}");
    assert!(counts.received > counts.called_back, "nothing fell between two steps: {counts}");
    assert!(counts.written > counts.messages, "nothing was sent again: {counts}");
    counts
}

/// Goal and method: as above, on the embedded store.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_every_promise_is_kept() {
    let duration = Duration::from_secs(15);
    let counts = every_promise_is_kept(StoreKind::Sqlite, 20_260_101, duration).await;
    assert!(counts.kills >= 5, "hardly anything died: {counts}");
}

/// Goal and method: as above, on a MongoDB that is killed as well. It takes longer: what a killed node
/// had is another's only when its ownership and its leases have ended.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_with_its_mongodb_every_promise_is_kept() {
    let duration = Duration::from_secs(25);
    let counts = every_promise_is_kept(StoreKind::Mongodb, 20_260_102, duration).await;
    assert!(counts.store_kills >= 2, "the store hardly died: {counts}");
}
