//! A server that is away, takes no writes or has no space: every call ends within its time and says why,
//! and the same store goes on by itself when the server does.

use std::time::{Duration, Instant};

use anteroom_core::store::{Fence, StoreError, StoreRequest, StoreResult};
use anteroom_runtime::store::Store;
use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, StoreTime};
use anteroom_tests::mongod::Mongod;
use anteroom_tests::store_contract::fixtures::{item, text};
use anteroom_tests::store_contract::{Rig, TestClock};
use mongodb::bson::{Document, doc};

const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a server may take to come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store on a server that is not shared, with a bot that has one message.
struct Served {
    store: MongoStore,
    clock: TestClock,
    fence: Fence,
}

impl Served {
    async fn by(mongod: &Mongod) -> Self {
        let clock = TestClock::default();
        let settings = MongoSettings {
            call_timeout: CALL_TIMEOUT,
            selection_timeout: Duration::from_secs(1),
            ..MongoSettings::new(mongod.uri("d"))
        };
        let time = StoreTime::Given(clock.as_clock());
        let store = MongoStore::open(settings, time).await.expect("a new server");
        let rig = Rig::new(&store, &clock);
        let fence = rig.bot("b").await;
        rig.archived(&fence, item("c", text(1))).await;
        Self { store, clock, fence }
    }

    async fn archive(&self, number: u64) -> StoreResult {
        let items = vec![item("c", text(number))];
        self.store.execute(StoreRequest::Archive { fence: self.fence.clone(), items }).await
    }

    /// What is said of a message that cannot be archived; soon.
    async fn refusal(&self, number: u64) -> String {
        let asked = Instant::now();
        let refused = self.archive(number).await;
        assert!(asked.elapsed() < CALL_TIMEOUT * 2, "it took {:?}", asked.elapsed());
        match refused {
            Err(StoreError::Unavailable { detail }) => detail,
            other => panic!("expected the store to be unavailable, got {other:?}"),
        }
    }

    /// Archives the message as soon as the server lets it, and finds each message once.
    async fn goes_on(&self, number: u64) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.archive(number).await {
            assert!(Instant::now() < deadline, "still {error}");
        }
        let owed = Rig::new(&self.store, &self.clock).owed(&self.fence).await;
        let ids: Vec<u64> = owed.iter().map(|callback| callback.message.id.get()).collect();
        assert_eq!(ids, (1..=number).collect::<Vec<_>>());
    }
}

async fn admin(mongod: &Mongod, command: Document) -> mongodb::error::Result<Document> {
    let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", mongod.port());
    let client = mongodb::Client::with_uri_str(uri).await.expect("the address is valid");
    client.database("admin").run_command(command).await
}

/// Goal: a server that died is unavailable within the time of a call, and the same store uses it again
/// once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_died_is_used_again_when_it_is_back() {
    let mut mongod = Mongod::start().await;
    let served = Served::by(&mongod).await;
    mongod.kill9().await;
    let said = served.refusal(2).await;
    assert!(said.contains("MongoDB"), "{said}");
    mongod.restart().await;
    served.goes_on(2).await;
}

/// Goal: the same of a server that takes no writes for a while. Method: it steps down for longer than
/// a call may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_primary_is_used_again_when_it_has_one() {
    let mongod = Mongod::start().await;
    let served = Served::by(&mongod).await;
    admin(&mongod, doc! { "replSetStepDown": 5, "force": true }).await.expect("it steps down");
    let said = served.refusal(2).await;
    assert!(said.contains("MongoDB"), "{said}");
    served.goes_on(2).await;
}

/// Goal: a full disk is said in words, nothing of what was refused is left, and with more space the
/// same request goes through. Method: the server is told to refuse writes as it does without space.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_loses_nothing() {
    const OUT_OF_DISK_SPACE: i32 = 14_031;
    let mongod = Mongod::with_fail_points().await;
    let served = Served::by(&mongod).await;
    for refused in ["insert", "commitTransaction"] {
        let fail = doc! {
            "configureFailPoint": "failCommand",
            "mode": "alwaysOn",
            "data": { "errorCode": OUT_OF_DISK_SPACE, "failCommands": [refused] },
        };
        admin(&mongod, fail).await.expect("the server was started for this");
        let said = served.refusal(2).await;
        assert!(said.contains("OutOfDiskSpace"), "{refused}: {said}");
    }
    admin(&mongod, doc! { "configureFailPoint": "failCommand", "mode": "off" })
        .await
        .expect("the server was started for this");
    served.goes_on(2).await;
}
