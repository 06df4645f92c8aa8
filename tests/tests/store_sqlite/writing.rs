//! The one writer: group commit, and what happens when nothing can be written.

use std::sync::Arc;
use std::time::Duration;

use anteroom_core::store::{
    ArchiveAnswer, Fence, StoreError, StoreReply, StoreRequest, StoreResult,
};
use anteroom_runtime::store::Store;
use anteroom_runtime::store::sqlite::SqliteStore;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{
    POOL, TTL, id, item, job, lease, node, placeholder, text, unleased,
};
use tokio::task::JoinHandle;

use crate::Place;

pub(crate) fn archive(fence: &Fence, correspondent: &str, n: u64) -> StoreRequest {
    StoreRequest::Archive { fence: fence.clone(), items: vec![item(correspondent, text(n))] }
}

/// A batch whose first message is sound and whose second one cannot be archived.
pub(crate) fn half_invalid(fence: &Fence, correspondent: &str, n: u64) -> StoreRequest {
    let items = vec![item(correspondent, text(n)), item(correspondent, placeholder(n + 1, n + 1))];
    StoreRequest::Archive { fence: fence.clone(), items }
}

pub(crate) fn ask(store: &Arc<SqliteStore>, request: StoreRequest) -> JoinHandle<StoreResult> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.execute(request).await })
}

fn unavailable(result: &StoreResult) -> &str {
    match result {
        Err(StoreError::Unavailable { detail }) => detail,
        other => panic!("expected the store to be unavailable, got {other:?}"),
    }
}

/// Goal: requests that wait are committed together, each answered on its own, and a refused one takes
/// nothing of the others with it. Method: another connection holds the database while the requests
/// gather; one request in five fails half-way; the commits are counted in the log.
#[tokio::test]
async fn a_group_answers_all_and_rolls_back_the_refused_alone() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let rig = Rig::new(&*store, &place.clock);
    let fence = rig.bot("b").await;
    let commits_before = commits(&place);
    let elsewhere = place.database();
    elsewhere.execute_batch("BEGIN IMMEDIATE").unwrap();
    let requests = (0..100_u64).map(|n| match n % 5 {
        0 => half_invalid(&fence, "c", 10 * n + 1),
        _ => archive(&fence, "c", 10 * n + 1),
    });
    let waiting: Vec<_> = requests.map(|request| ask(&store, request)).collect();
    tokio::task::yield_now().await;
    elsewhere.execute_batch("COMMIT").unwrap();
    for (n, answer) in waiting.into_iter().enumerate() {
        match (n % 5, answer.await.unwrap()) {
            (0, Err(StoreError::Invalid { .. })) => {}
            (1.., Ok(StoreReply::Archive(answers))) => {
                assert!(matches!(answers[..], [ArchiveAnswer::Stored { .. }]), "{answers:?}");
            }
            (_, other) => panic!("request {n} was answered by {other:?}"),
        }
    }
    let commits = commits(&place) - commits_before;
    assert!((1..=50).contains(&commits), "100 requests took {commits} commits");
    let owed = rig.owed(&fence).await;
    assert_eq!(owed.len(), 80, "no half of a refused batch");
    assert!(owed.is_sorted_by(|a, b| a.seq < b.seq), "no place given twice");
}

/// How many commits the write-ahead log holds: the frames that name a database size.
fn commits(place: &Place) -> usize {
    let log = place.directory.path().join("anteroom.sqlite3-wal");
    let log = std::fs::read(log).expect("the log can be read");
    let page_bytes =
        u32::from_be_bytes(log[8..12].try_into().expect("four bytes are four bytes")) as usize;
    log[32..].chunks_exact(24 + page_bytes).filter(|frame| frame[4..8] != [0; 4]).count()
}

/// Goal: while another process holds the database, calls end as unavailable, naming it; afterwards the
/// same calls go through.
#[tokio::test]
async fn a_held_database_is_unavailable_for_a_while() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.call_timeout = Duration::from_millis(400);
    let store = Arc::new(SqliteStore::open(settings, place.clock.as_clock()).unwrap());
    let rig = Rig::new(&*store, &place.clock);
    let fence = rig.bot("b").await;
    let elsewhere = place.database();
    elsewhere.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = store.execute(archive(&fence, "c", 1)).await;
    assert!(unavailable(&first).contains("another process holds the database"), "{first:?}");
    assert_eq!(rig.next_id(&fence, "c").await, id(1), "reading goes on");
    elsewhere.execute_batch("COMMIT").unwrap();
    rig.archived(&fence, item("c", text(1))).await;
}

/// Goal: a call ends by its time-out, also while it waits behind others.
#[tokio::test]
async fn a_call_ends_by_its_time_out() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.call_timeout = Duration::from_millis(100);
    let store = Arc::new(SqliteStore::open(settings, place.clock.as_clock()).unwrap());
    let rig = Rig::new(&*store, &place.clock);
    let fence = rig.bot("b").await;
    let elsewhere = place.database();
    elsewhere.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting: Vec<_> = (1..=20).map(|n| ask(&store, archive(&fence, "c", n))).collect();
    let mut timed_out = 0;
    for answer in waiting {
        let answer = answer.await.unwrap();
        timed_out += usize::from(unavailable(&answer).contains("no answer within 100ms"));
    }
    assert!(timed_out > 10, "the writer can refuse only a few itself in that time: {timed_out}");
    elsewhere.execute_batch("COMMIT").unwrap();
}

/// Goal: when the space is used up, writes end as unavailable with a text that says so, what was
/// stored stays readable, and nothing of a refused write is left.
#[tokio::test]
async fn a_full_disk_is_unavailable_and_loses_nothing() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.size_bytes_max = Some(1 << 20);
    let store = SqliteStore::open(settings, place.clock.as_clock()).unwrap();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    let mut stored = 0;
    let refusal = loop {
        let mut message = text(stored + 1);
        message.content = "x".repeat(20_000);
        let items = vec![item("c", message)];
        let request = StoreRequest::Archive { fence: fence.clone(), items };
        match store.execute(request).await {
            Ok(_) => stored += 1,
            refused => break refused,
        }
        assert!(stored < 1_000, "the limit never bites");
    };
    assert!(unavailable(&refusal).contains("no space left"), "{refusal:?}");
    assert!(stored > 10);
    assert_eq!(rig.next_id(&fence, "c").await, id(stored + 1));
    drop(store);
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.acquired("b", 2).await;
    assert_eq!(rig.owed(&fence).await.len() as u64, stored, "with more space all of it is there");
    rig.archived(&fence, item("c", text(stored + 1))).await;
}

/// Goal: after a shutdown every call ends as unavailable, and a second shutdown does nothing.
#[tokio::test]
async fn after_a_shutdown_nothing_is_answered() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    store.shutdown().await;
    store.shutdown().await;
    let answer = store.execute(archive(&fence, "c", 1)).await;
    assert!(unavailable(&answer).contains("shut down"), "{answer:?}");
    assert!(store.list_bots().await.is_err());
}

/// Goal: what was asked before a shutdown is answered, not dropped.
#[tokio::test]
async fn a_shutdown_answers_what_was_asked_before() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let rig = Rig::new(&*store, &place.clock);
    let fence = rig.bot("b").await;
    let waiting: Vec<_> = (1..=50).map(|n| ask(&store, archive(&fence, "c", n))).collect();
    tokio::task::yield_now().await;
    store.shutdown().await;
    for answer in waiting {
        assert!(matches!(answer.await.unwrap(), Ok(StoreReply::Archive(_))));
    }
}

/// A bot of 3,000 jobs, and another one.
async fn large_bot(rig: &Rig<'_>) -> (Fence, Fence) {
    let (fence, other) = (rig.bot("b").await, rig.bot("b2").await);
    let jobs = |of: std::ops::Range<u64>| {
        of.map(|n| unleased(job(&fence, &format!("c{n}"), n, n, rig.clock.now()))).collect()
    };
    for from in (0..3_000).step_by(500) {
        rig.insert(&fence, jobs(from + 1..from + 501)).await;
    }
    (fence, other)
}

/// Goal: a bot with many jobs is held in pieces, and others are answered in between, whoever renews ownership first
/// of all. Method: the jobs of one bot are held while another archives and the node renews; who is answered when is
/// written down.
#[tokio::test]
async fn a_large_bot_is_held_in_pieces() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let rig = Rig::new(&*store, &place.clock);
    let (fence, other) = large_bot(&rig).await;
    let ended = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = |name: &'static str, asked: JoinHandle<StoreResult>| {
        let ended = Arc::clone(&ended);
        async move {
            let answer = asked.await.unwrap();
            ended.lock().unwrap().push(name);
            answer
        }
    };
    let bots = vec![("b2".into(), other.epoch)];
    let renew = StoreRequest::RenewBots { node_id: node(1), bots, ttl: TTL };
    let holding = told("hold", ask(&store, StoreRequest::HoldBot(fence.clone())));
    let archiving = told("archive", ask(&store, archive(&other, "c", 1)));
    let renewing = told("renew", ask(&store, renew));
    let (held, archived, renewed) = tokio::join!(holding, archiving, renewing);
    assert_eq!(held, Ok(StoreReply::HoldBot(3_000)));
    assert!(matches!(archived, Ok(StoreReply::Archive(_))), "{archived:?}");
    assert_eq!(renewed, Ok(StoreReply::RenewBots(Vec::new())));
    assert_eq!(ended.lock().unwrap().last(), Some(&"hold"), "the others did not wait for it");
}

/// Goal: a hold that has begun goes on when whoever asked for it has given up: the bot may have stopped by then, and
/// nobody asks again. Method: it is given up when something that was asked for after it is answered; what is left active
/// could be claimed.
#[tokio::test]
async fn a_hold_that_has_begun_does_not_end_with_its_caller() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let (fence, other) = large_bot(&Rig::new(&*store, &place.clock)).await;
    let holding = ask(&store, StoreRequest::HoldBot(fence));
    let archived = ask(&store, archive(&other, "c", 1)).await.unwrap();
    assert!(matches!(archived, Ok(StoreReply::Archive(_))), "{archived:?}");
    holding.abort();
    assert!(holding.await.is_err(), "it has not ended by then");
    store.shutdown().await;
    drop(store);
    let store = place.open();
    let left = Rig::new(&store, &place.clock).claim_once(POOL, lease(1), 9).await;
    assert_eq!(left.jobs, []);
}
