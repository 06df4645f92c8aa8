//! Answers that are lost on their way: applied or not, repeating gives the one right answer.
//!
//! Method: a line between the store and its server loses the reply of the n-th command of a request,
//! for every n there is; then the request is repeated. The model, which is asked the same once, twice or
//! three times, says what may come out: the answer, and everything that can be asked afterwards.

use anteroom_core::id::ArchiveSeq;
use anteroom_core::job::ReleaseReason;
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::settings::Run;
use anteroom_core::store::{
    BotRecord, CallbackPlan, Completion, Fence, Mark, NewJob, OwedScope, Release, Send, StoreError,
    StoreRequest, StoreResult,
};
use anteroom_core::time::{Millis, Timestamp};
use anteroom_runtime::store::Store;
use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, StoreTime};
use anteroom_tests::model_store::ModelStore;
use anteroom_tests::proxy::Proxy;
use anteroom_tests::store_contract::fixtures::{
    POOL, TTL, acknowledged, ended, failure, item, item_of_lease, job, key, lease, media, node,
    text, token, unleased, words,
};
use mongodb::bson::{Document, doc};

use super::Place;

/// More commands than any request has.
const COMMANDS_MAX: usize = 40;

fn fence() -> Fence {
    Fence { bot_id: "b".into(), epoch: anteroom_core::id::Epoch(1) }
}

/// What every case begins with: a bot with an owner, messages in several states, and jobs 1 (leased
/// under token 1), 2 (waiting), 3 (failed, called back), 4 (its retry is completed).
fn setup(now: Timestamp) -> Vec<StoreRequest> {
    let record =
        BotRecord { bot_id: "b".into(), provider_name: "provider".into(), run: Run::Always };
    let new = |n: u64, leased: bool| NewJob {
        job: job(&fence(), "c", n, n, now),
        lease: leased.then(|| lease(n)),
    };
    let jobs = vec![new(1, true), new(2, false), new(3, true), new(4, true)];
    let failed = [3, 4].map(|n| item_of_lease("c", ended(n, n, failure()), n));
    let texts = [10, 11].map(|n| item("d", text(n)));
    let marks = [3, 4].map(|n| acknowledged(key("c", n, 0)));
    let completion = Completion { media_id: media(4), token: token(40), outcome: words("again") };
    vec![
        StoreRequest::RegisterBot(record),
        StoreRequest::AcquireBot { bot_id: "b".into(), node_id: node(1), ttl: TTL },
        StoreRequest::InsertJobs { fence: fence(), jobs },
        StoreRequest::Archive { fence: fence(), items: failed.to_vec() },
        StoreRequest::Archive { fence: fence(), items: texts.to_vec() },
        StoreRequest::MarkCalledBack { fence: fence(), marks: marks.to_vec() },
        StoreRequest::HoldBot(fence()),
        StoreRequest::RestoreBot {
            fence: fence(),
            after: None,
            limit: 9,
            offers: Vec::new(),
            routing: None,
        },
        StoreRequest::RetryJob { media_id: media(4), routing: None },
        StoreRequest::DiscardJob { media_id: media(2) },
        StoreRequest::Claim { pool: POOL.into(), after_bot: None, lease: lease(40), limit: 1 },
        StoreRequest::Complete { completions: vec![completion] },
        StoreRequest::InsertJobs {
            fence: fence(),
            jobs: vec![unleased(job(&fence(), "c", 5, 5, now))],
        },
    ]
}

/// Everything that can be seen of the store. What looking changes, it changes everywhere alike.
fn looks() -> Vec<StoreRequest> {
    let next_id = |correspondent: &str| StoreRequest::NextId {
        bot_id: "b".into(),
        correspondent_id: correspondent.into(),
    };
    let scope = OwedScope::Bot { after: ArchiveSeq(0), except: Vec::new() };
    vec![
        next_id("c"),
        next_id("d"),
        StoreRequest::KnownMedia { media_ids: (1..=9).map(media).collect() },
        StoreRequest::CompletedJobs { fence: fence(), after: None, limit: 99 },
        StoreRequest::OwedSends { fence: fence(), limit: 99 },
        StoreRequest::OwedCallbacks { fence: fence(), scope, limit: 99 },
        StoreRequest::Claim { pool: POOL.into(), after_bot: None, lease: lease(99), limit: 99 },
        StoreRequest::RestoreBot {
            fence: fence(),
            after: None,
            limit: 99,
            offers: Vec::new(),
            routing: None,
        },
        StoreRequest::AcquireBot { bot_id: "b".into(), node_id: node(2), ttl: TTL },
    ]
}

async fn seen(store: &dyn Store) -> Vec<StoreResult> {
    let mut seen = Vec::new();
    for look in looks() {
        seen.push(store.execute(look).await);
    }
    seen
}

/// Loses every reply of a request in turn.
async fn lose_every_reply(place: &Place, port: u16, request: &StoreRequest) {
    let direct = place.open().await;
    let proxy = Proxy::to(port).await;
    let settings =
        MongoSettings::new(format!("{}&heartbeatFrequencyMS=500", proxy.uri(&place.name)));
    let time = StoreTime::Given(place.clock.as_clock());
    let cut = MongoStore::open(settings, time).await.expect("the line is whole");
    for passing in 0.. {
        assert!(passing < COMMANDS_MAX, "there is no end of commands");
        clear(place).await;
        let model = ModelStore::new(place.clock.as_clock());
        for request in setup(place.clock.now()) {
            let stored = direct.execute(request.clone()).await;
            assert_eq!(stored, model.ask(&request), "{request:?}");
        }
        proxy.lose_reply_after(passing);
        let first = cut.execute(request.clone()).await;
        if !proxy.has_lost_a_reply() {
            assert!(passing > 0, "no command was sent");
            assert!(first.is_ok(), "{first:?} although nothing was lost");
            return;
        }
        // With its reply lost, a request is answered all the same where the driver asks again by
        // itself; else nobody knows.
        if let Err(error) = &first {
            assert!(matches!(error, StoreError::Unavailable { .. }), "{passing}: {error:?}");
        }
        let again = direct.execute(request.clone()).await;
        let after = (again, seen(&direct).await);
        let mut may_be = Vec::new();
        for _ in 0..3 {
            let answer = model.ask(request);
            may_be.push((answer, seen(&model.fork()).await));
        }
        assert!(
            may_be.contains(&after),
            "reply {passing} lost: {first:?}\nafterwards\n{after:#?}\nbut it may be\n{may_be:#?}"
        );
    }
}

async fn clear(place: &Place) {
    let names = place.database.list_collection_names().await.expect("the server answers");
    for name in names.iter().filter(|name| *name != "schema_migrations") {
        let collection = place.database.collection::<Document>(name);
        collection.delete_many(doc! {}).await.expect("the server answers");
    }
}

/// A test a request.
macro_rules! lost_answers {
    ($($(#[$doc:meta])* $name:ident: $request:expr;)*) => {
        $($(#[$doc])*
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let place = Place::new().await;
            let Some(port) = place.server.port() else { return };
            let request: fn(Timestamp) -> StoreRequest = $request;
            let request = request(place.clock.now());
            lose_every_reply(&place, port, &request).await;
        })*
    };
}

lost_answers! {
    /// Goal: a bot is acquired once.
    acquiring: |_| StoreRequest::AcquireBot { bot_id: "other".into(), node_id: node(1), ttl: TTL };
    /// Goal: a bot is registered once.
    registering: |_| StoreRequest::RegisterBot(BotRecord {
        bot_id: "other".into(),
        provider_name: "provider".into(),
        run: Run::Always,
    });
    /// Goal: an ownership is prolonged.
    renewing_bots: |_| StoreRequest::RenewBots {
        node_id: node(1),
        bots: vec![("b".into(), fence().epoch)],
        ttl: Millis::from_secs(90),
    };
    /// Goal: a job is inserted once, with its lease.
    inserting: |now| StoreRequest::InsertJobs {
        fence: fence(),
        jobs: vec![NewJob { job: job(&fence(), "c", 6, 6, now), lease: Some(lease(6)) }],
    };
    /// Goal: a message is archived once, with the end of its job and its failed copy.
    archiving: |_| StoreRequest::Archive {
        fence: fence(),
        items: vec![item_of_lease("c", ended(1, 1, failure()), 1), item("d", text(12))],
    };
    /// Goal: a message is revised once.
    revising: |_| StoreRequest::Revise {
        fence: fence(),
        media_id: media(4),
        revision: 1,
        message: std::sync::Arc::new(ended(4, 4, words("again"))),
        correspondent_id: "c".into(),
        callback: CallbackPlan::OwedInWindow,
    };
    /// Goal: attempt numbers grow, and none is told twice.
    paging_callbacks: |_| StoreRequest::OwedCallbacks {
        fence: fence(),
        scope: OwedScope::Bot { after: ArchiveSeq(0), except: Vec::new() },
        limit: 9,
    };
    /// Goal: the same of single callbacks.
    raising: |_| StoreRequest::RaiseAttempts { fence: fence(), callbacks: vec![(key("d", 10, 0), 2)] };
    /// Goal: a callback ends once, with one reply.
    marking: |_| StoreRequest::MarkCalledBack {
        fence: fence(),
        marks: vec![
            Mark { reply: Some("hello".to_owned()), ..acknowledged(key("d", 10, 0)) },
            acknowledged(key("d", 11, 0)),
        ],
    };
    /// Goal: the same without a reply.
    marking_without_a_reply: |_| StoreRequest::MarkCalledBack {
        fence: fence(),
        marks: vec![acknowledged(key("d", 10, 0))],
    };
    /// Goal: a message is sent once.
    enqueuing: |_| StoreRequest::EnqueueSend {
        bot_id: "b".into(),
        send: Send { send_id: "s".into(), correspondent_id: "c".into(), message: "m".to_owned() },
    };
    /// Goal: jobs are moved, none is lost or doubled.
    holding: |_| StoreRequest::HoldBot(fence());
    /// Goal: the same on the way back.
    restoring: |_| StoreRequest::RestoreBot { fence: fence(), after: None, limit: 9, offers: Vec::new(), routing: None };
    /// Goal: jobs that are leased on the way get no second place.
    restoring_under_leases: |_| StoreRequest::RestoreBot {
        fence: fence(),
        after: None,
        limit: 9,
        offers: vec![LeaseOffer { pool: POOL.into(), lease: lease(50), places: 1 }],
        routing: None,
    };
    /// Goal: a claim gets the jobs that it leased.
    claiming: |_| StoreRequest::Claim {
        pool: POOL.into(),
        after_bot: None,
        lease: lease(50),
        limit: 2,
    };
    /// Goal: a lease is prolonged.
    renewing: |_| StoreRequest::Renew {
        leases: vec![(media(1), token(1)), (media(9), token(9))],
        ttl: Millis::from_secs(90),
    };
    /// Goal: a job is given back once.
    releasing: |_| StoreRequest::Release {
        releases: vec![Release {
            media_id: media(1),
            token: token(1),
            delay: Millis::ZERO,
            reason: ReleaseReason::Transient,
        }],
    };
    /// Goal: a result is stored once.
    completing: |_| StoreRequest::Complete {
        completions: vec![Completion { media_id: media(1), token: token(1), outcome: words("x") }],
    };
    /// Goal: the same of a failure, with its copy.
    completing_by_failure: |_| StoreRequest::Complete {
        completions: vec![Completion { media_id: media(1), token: token(1), outcome: failure() }],
    };
    /// Goal: a job is given up once.
    discarding: |_| StoreRequest::DiscardJob { media_id: media(1) };
    /// Goal: a job is retried once.
    retrying: |_| StoreRequest::RetryJob { media_id: media(3), routing: None };
    /// Goal: a bot is given up once, and nobody but its owner does it.
    giving_a_bot_up: |_| StoreRequest::ReleaseBot(fence());
}
