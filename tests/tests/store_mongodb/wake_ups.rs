//! Hints: what one node does is told to the others.

use std::time::Duration;

use anteroom_runtime::store::{Hint, Store};
use anteroom_tests::proxy::Proxy;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{POOL, job, lease, media, token, words};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::{Place, open};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a hint is among those that come.
async fn told(hints: &mut Receiver<Hint>, wanted: &Hint) {
    let waiting = async {
        while let Some(hint) = hints.recv().await {
            if hint == *wanted {
                return;
            }
        }
        panic!("the hints have ended");
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never told of {wanted:?}"));
}

fn work() -> Hint {
    Hint::WorkWaiting { pool: POOL.into() }
}

fn results() -> Hint {
    Hint::ResultsWaiting { bot_id: "b".into() }
}

/// Inserts a job on one node and completes it on the other; each is told what concerns it.
async fn work_is_told(place: &Place, owner: &dyn Store, worker: &dyn Store) {
    let mut for_worker = worker.hints().expect("there may be other nodes");
    let mut for_owner = owner.hints().expect("there may be other nodes");
    let rig = Rig::new(owner, &place.clock);
    let fence = rig.bot("b").await;
    for n in 1..=3 {
        rig.inserted(&fence, &job(&fence, "c", n, n, place.clock.now())).await;
        told(&mut for_worker, &work()).await;
        let elsewhere = Rig::new(worker, &place.clock);
        assert_eq!(elsewhere.claim(POOL, None, lease(n), 1).await.jobs.len(), 1);
        elsewhere.complete(media(n), token(n), words("x")).await;
        told(&mut for_owner, &results()).await;
    }
}

/// Goal: a job and its result are told between nodes as they happen.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_told_of_work_and_of_results() {
    let place = Place::new().await;
    let (owner, worker) = (place.open().await, place.open().await);
    work_is_told(&place, &owner, &worker).await;
}

/// Goal: where changes cannot be told, they are found by looking. Method: a line that refuses to watch.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_look_where_they_are_not_told() {
    let place = Place::new().await;
    let Some(port) = place.server.port() else { return };
    let proxy = Proxy::to(port).await;
    let _ready = place.open().await;
    let owner = open(&proxy.uri(&place.name), place.clock.as_clock()).await;
    let worker = open(&proxy.uri(&place.name), place.clock.as_clock()).await;
    proxy.refuse(Some("$changeStream"));
    work_is_told(&place, &owner, &worker).await;
}

/// Goal: what happened before anybody watched is told as soon as somebody does.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_already_is_told_at_once() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.inserted(&fence, &job(&fence, "c", 1, 1, place.clock.now())).await;
    rig.inserted_leased(&fence, &job(&fence, "c", 2, 2, place.clock.now()), lease(2)).await;
    rig.complete(media(2), token(2), words("x")).await;
    let mut hints = store.hints().expect("there may be other nodes");
    told(&mut hints, &work()).await;
    told(&mut hints, &results()).await;
}

/// Goal: hints end with the store, so nobody waits for them.
#[tokio::test]
async fn hints_end_with_the_store() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut hints = store.hints().expect("there may be other nodes");
    store.shutdown().await;
    let ended = timeout(PATIENCE, async { while hints.recv().await.is_some() {} }).await;
    assert!(ended.is_ok());
}
