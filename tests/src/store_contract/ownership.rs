//! Bots and their owners; names taken for a while.

use anteroom_core::id::{Epoch, NodeId};
use anteroom_core::settings::Run;
use anteroom_core::store::{Acquired, BotRecord, Fence, StoreReply, StoreRequest};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::fixtures::{TTL, node};
use super::{Rig, TestClock};

fn record(bot_id: &str, provider: &str) -> BotRecord {
    BotRecord { bot_id: bot_id.into(), provider_name: provider.into(), run: Run::Always }
}

/// Goal: the first registration stands, and every bot is listed, in the order of ids.
pub async fn a_registered_bot_keeps_its_record(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (b, a) = (record("b", "one"), record("a", "one"));
    for record in [&b, &a] {
        let reply = rig.twice(StoreRequest::RegisterBot(record.clone())).await;
        assert_eq!(reply, StoreReply::RegisterBot(record.clone()));
    }
    let reply = rig.twice(StoreRequest::RegisterBot(record("a", "other"))).await;
    assert_eq!(reply, StoreReply::RegisterBot(a.clone()));
    assert_eq!(store.list_bots().await, Ok(vec![a, b]));
}

/// Goal: one node owns a bot at a time; the same node gets the same epoch, others hear how long.
pub async fn a_bot_has_one_owner(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let first = rig.bot("b").await;
    clock.advance(Millis::from_secs(20));
    let held = Acquired::HeldBy { node_id: node(1), remaining: Millis::from_secs(40) };
    assert_eq!(rig.acquire("b", 2).await, held);
    assert_eq!(rig.acquired("b", 1).await, first);
}

/// Goal: an ownership stands until its end has come *and* another node wants the bot; then the epoch
/// grows.
pub async fn an_ended_ownership_passes_with_a_higher_epoch(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let first = rig.bot("b").await;
    clock.advance(TTL);
    assert_eq!(rig.acquired("b", 1).await, first, "nobody else took it");
    clock.advance(TTL);
    let second = rig.acquired("b", 2).await;
    assert!(second.epoch > first.epoch);
    let held = Acquired::HeldBy { node_id: node(2), remaining: TTL };
    assert_eq!(rig.acquire("b", 1).await, held);
}

/// Goal: releasing frees the bot at once and keeps the epoch, so it is never given twice.
pub async fn a_released_bot_never_reuses_an_epoch(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let mut last = rig.bot("b").await;
    for owner in [2, 1, 1] {
        rig.twice(StoreRequest::ReleaseBot(last.clone())).await;
        let next = rig.acquired("b", owner).await;
        assert!(next.epoch > last.epoch);
        last = next;
    }
}

/// Goal: renewing prolongs what the node owns under the epochs it believes in, and names the rest.
pub async fn renewing_names_the_bots_that_are_lost(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (kept, lost, freed) =
        (rig.bot("kept").await, rig.bot("lost").await, rig.bot("freed").await);
    rig.ask(StoreRequest::ReleaseBot(freed.clone())).await;
    clock.advance(TTL);
    rig.acquired("lost", 2).await;
    let wrong_epoch = Fence { bot_id: "kept".into(), epoch: Epoch(kept.epoch.0 + 1) };
    let unknown = Fence { bot_id: "unknown".into(), epoch: Epoch(1) };
    let asked = [&kept, &lost, &freed, &wrong_epoch, &unknown];
    let lost = renew(&rig, node(1), &asked).await;
    assert_eq!(lost, ["lost", "freed", "kept", "unknown"].map(Into::into));
    clock.advance(Millis::from_secs(59));
    let held = Acquired::HeldBy { node_id: node(1), remaining: Millis::from_secs(1) };
    assert_eq!(rig.acquire("kept", 2).await, held);
}

/// Goal: a shorter renewal never takes time away.
pub async fn renewing_never_shortens(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let ttl = Millis::from_secs(1);
    let bots = vec![(fence.bot_id.clone(), fence.epoch)];
    rig.twice(StoreRequest::RenewBots { node_id: node(1), bots, ttl }).await;
    let held = Acquired::HeldBy { node_id: node(1), remaining: TTL };
    assert_eq!(rig.acquire("b", 2).await, held);
}

async fn renew(rig: &Rig<'_>, node_id: NodeId, fences: &[&Fence]) -> Vec<anteroom_core::id::BotId> {
    let bots = fences.iter().map(|fence| (fence.bot_id.clone(), fence.epoch)).collect();
    match rig.twice(StoreRequest::RenewBots { node_id, bots, ttl: TTL }).await {
        StoreReply::RenewBots(lost) => lost,
        other => panic!("expected lost bots, got {other:?}"),
    }
}

/// Goal: a name is one node's until its time is over.
pub async fn a_singleton_has_one_holder_for_a_while(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let acquire = |n: u64| StoreRequest::AcquireSingleton {
        name: "janitor".to_owned(),
        node_id: node(n),
        ttl: TTL,
    };
    let (ours, theirs) = (StoreReply::AcquireSingleton(true), StoreReply::AcquireSingleton(false));
    assert_eq!(rig.twice(acquire(1)).await, ours);
    assert_eq!(rig.twice(acquire(2)).await, theirs);
    clock.advance(Millis::from_secs(30));
    assert_eq!(rig.twice(acquire(1)).await, ours, "which prolongs it");
    clock.advance(Millis::from_secs(30));
    assert_eq!(rig.twice(acquire(2)).await, theirs);
    clock.advance(Millis::from_secs(30));
    assert_eq!(rig.twice(acquire(2)).await, ours);
    assert_eq!(rig.twice(acquire(1)).await, theirs);
}
