//! The distributed store against a real MongoDB: the store contract, and what is its own: how it is
//! opened, who is fenced, what is not lost when answers are, and how the server executes what it asks.
#![cfg(unix)]

use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, OpenError, StoreTime};
use anteroom_runtime::store::{Clock, Store};
use anteroom_tests::mongod::{Mongod, SharedMongod};
use anteroom_tests::store_contract::{TestClock, backlog, lists};
use mongodb::Database;
use mongodb::bson::{Document, doc};

#[path = "store_mongodb/end_to_end.rs"]
mod mongodb_end_to_end;
#[path = "store_mongodb/fencing.rs"]
mod mongodb_fencing;
#[path = "store_mongodb/idle.rs"]
mod mongodb_idle;
#[path = "store_mongodb/large_bots.rs"]
mod mongodb_large_bots;
#[path = "store_mongodb/lost_answers.rs"]
mod mongodb_lost_answers;
#[path = "store_mongodb/migrations.rs"]
mod mongodb_migrations;
#[path = "store_mongodb/next_ids.rs"]
mod mongodb_next_ids;
#[path = "store_mongodb/opening.rs"]
mod mongodb_opening;
#[path = "store_mongodb/outages.rs"]
mod mongodb_outages;
#[path = "store_mongodb/plans.rs"]
mod mongodb_plans;
#[path = "store_mongodb/presence.rs"]
mod mongodb_presence;
#[path = "store_mongodb/quarantine.rs"]
mod mongodb_quarantine;
#[path = "store_mongodb/races.rs"]
mod mongodb_races;
#[path = "store_mongodb/two_nodes.rs"]
mod mongodb_two_nodes;
#[path = "store_mongodb/wake_ups.rs"]
mod mongodb_wake_ups;

mod mongodb_contract {
    use super::fresh;

    anteroom_tests::store_contract!(fresh);
}

/// A store in a database of its own.
struct Home {
    store: MongoStore,
    _server: SharedMongod,
}

impl AsRef<dyn Store> for Home {
    fn as_ref(&self) -> &(dyn Store + 'static) {
        &self.store
    }
}

async fn fresh(clock: Clock) -> Home {
    let server = Mongod::shared().await;
    let uri = server.uri(&SharedMongod::fresh_database());
    let store = open(&uri, clock).await;
    Home { store, _server: server }
}

async fn open(uri: &str, clock: Clock) -> MongoStore {
    try_open(uri, clock).await.expect("the database can be opened")
}

async fn try_open(uri: &str, clock: Clock) -> Result<MongoStore, OpenError> {
    MongoStore::open(MongoSettings::new(uri), StoreTime::Given(clock)).await
}

/// A database in which stores are opened, and its own view of itself.
struct Place {
    server: SharedMongod,
    name: String,
    clock: TestClock,
    /// Past the stores.
    database: Database,
}

impl Place {
    async fn new() -> Self {
        let server = Mongod::shared().await;
        let name = SharedMongod::fresh_database();
        let database = server.database(&name).await;
        Self { server, name, clock: TestClock::default(), database }
    }

    fn uri(&self) -> String {
        self.server.uri(&self.name)
    }

    async fn open(&self) -> MongoStore {
        open(&self.uri(), self.clock.as_clock()).await
    }

    /// Makes the server keep a record of every command from now on, or of none.
    async fn record_commands(&self, all: bool) {
        let level = if all { 2 } else { 0 };
        let switched = self.database.run_command(doc! { "profile": level }).await;
        switched.expect("the server's profiler can be switched");
    }

    /// How many of the recorded commands match.
    async fn count_commands(&self, filter: Document) -> u64 {
        let record = self.database.collection::<Document>("system.profile");
        record.count_documents(filter).await.expect("the server answers")
    }
}

/// Why a store does not open.
async fn refusal(uri: &str) -> OpenError {
    match MongoStore::open(MongoSettings::new(uri), StoreTime::Server).await {
        Ok(_) => panic!("it is not to be opened"),
        Err(error) => error,
    }
}

/// Goal and method: those of the two cases.
#[tokio::test]
async fn what_waits_is_counted() {
    for case in ["jobs", "callbacks"] {
        let clock = TestClock::default();
        let home = fresh(clock.as_clock()).await;
        match case {
            "jobs" => backlog::waiting_jobs_are_counted_by_pool(home.as_ref(), &clock).await,
            _ => backlog::owed_callbacks_are_counted(home.as_ref(), &clock).await,
        }
        home.as_ref().shutdown().await;
    }
}

/// Goal: operators' lists and counts have jobs that are worked on, which are not in the index of lists.
#[tokio::test]
async fn leased_jobs_are_listed_in_their_places() {
    let clock = TestClock::default();
    let home = fresh(clock.as_clock()).await;
    lists::leased_jobs_are_listed_in_their_places(&home.store, &clock).await;
    home.store.shutdown().await;
}
