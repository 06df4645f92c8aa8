//! Opening the store: what is missing is said, and what is there is kept.

use std::time::Duration;

use anteroom_core::settings::Run;
use anteroom_core::store::{BotRecord, StoreError, StoreRequest};
use anteroom_runtime::store::Store;
use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, OpenError, StoreTime};
use anteroom_tests::mongod::Mongod;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;

use super::{Place, refusal};

fn record() -> BotRecord {
    BotRecord { bot_id: "b".into(), provider_name: "p".into(), run: Run::Always }
}

/// Goal: what was stored is there for whoever opens the database next; two may have it open.
#[tokio::test]
async fn a_database_is_opened_again_as_it_was_left() {
    let place = Place::new().await;
    let first = place.open().await;
    first.execute(StoreRequest::RegisterBot(record())).await.expect("a bot is registered");
    let second = place.open().await;
    assert_eq!(second.list_bots().await, Ok(vec![record()]));
    first.shutdown().await;
    assert_eq!(second.list_bots().await, Ok(vec![record()]));
    let closed = first.list_bots().await;
    assert!(matches!(closed, Err(StoreError::Unavailable { .. })), "{closed:?}");
}

/// Goal: two nodes that start on an empty database at once both get it into shape.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_open_an_empty_database_at_once() {
    let place = Place::new().await;
    let (one, other) = tokio::join!(place.open(), place.open());
    one.execute(StoreRequest::RegisterBot(record())).await.expect("a bot is registered");
    assert_eq!(other.list_bots().await, Ok(vec![record()]));
}

/// Goal: a server without a replica set is refused with what to do, however it is addressed.
#[tokio::test]
async fn a_server_without_a_replica_set_is_refused() {
    let mongod = Mongod::without_replica_set().await;
    for options in ["", "?replicaSet=rs0", "?directConnection=true"] {
        let error = refusal(&format!("mongodb://127.0.0.1:{}/d{options}", mongod.port())).await;
        assert!(matches!(error, OpenError::NoReplicaSet { .. }), "{options}: {error:?}");
        assert!(error.to_string().contains("rs.initiate()"), "{error}");
    }
}

/// Goal: a replica set that was never initiated, and one of another name, are told apart from none.
#[tokio::test]
async fn another_replica_set_is_refused() {
    let fresh = Mongod::not_initiated().await;
    let error = refusal(&format!("mongodb://127.0.0.1:{}/d?replicaSet=rs0", fresh.port())).await;
    assert!(matches!(error, OpenError::NotInitiated { .. }), "{error:?}");
    let place = Place::new().await;
    let uri = place.uri().replace("replicaSet=rs0", "replicaSet=other");
    let error = refusal(&uri).await;
    assert!(
        matches!(&error, OpenError::OtherReplicaSet { found, .. } if found == "rs0"),
        "{error:?}"
    );
}

/// Goal: nobody at the address is said soon, with the address and without its password.
#[tokio::test]
async fn nobody_at_the_address_is_said() {
    let mut settings = MongoSettings::new("mongodb://u:secret@127.0.0.1:1/d?replicaSet=rs0");
    settings.selection_timeout = Duration::from_millis(300);
    let error = MongoStore::open(settings, StoreTime::Server).await.err().expect("it is refused");
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("127.0.0.1:1") && !said.contains("secret"), "{said}");
}

/// Goal: a wrong password is told apart from a server that is away, and a user without rights is told
/// which are missing.
#[tokio::test]
async fn users_and_their_rights_are_checked() {
    let mongod = Mongod::with_users(&[("reader", "read"), ("writer", "readWrite")]).await;
    let uri = |user: &str, password: &str| {
        let port = mongod.port();
        format!("mongodb://{user}:{password}@127.0.0.1:{port}/d?authSource=admin&replicaSet=rs0")
    };
    let error = refusal(&uri("writer", "wrong")).await;
    assert!(matches!(error, OpenError::NotAuthenticated { .. }), "{error:?}");
    assert!(!error.to_string().contains("wrong"), "{error}");
    let error = refusal(&uri("reader", "password")).await;
    assert!(matches!(error, OpenError::NoRights { .. }), "{error:?}");
    assert!(error.to_string().contains("readWrite"), "{error}");
    let settings = MongoSettings::new(uri("writer", "password"));
    let store = MongoStore::open(settings, StoreTime::Server).await;
    let store = store.expect("readWrite is enough");
    store.execute(StoreRequest::RegisterBot(record())).await.expect("also for transactions");
}

/// Goal: an address that makes no sense is refused, and its password not repeated.
#[tokio::test]
async fn an_address_that_makes_no_sense_is_refused() {
    for uri in ["mongodb://", "mongodb://u:secret@h:x/d", "mongodb://u:secret@/d"] {
        let error = refusal(uri).await;
        assert!(matches!(error, OpenError::Address { .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

/// Goal: a database that a newer version has made is refused and left as it is.
#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let place = Place::new().await;
    place.open().await;
    let records = place.database.collection::<Document>("schema_migrations");
    records.insert_one(doc! { "_id": 99, "name": "later" }).await.expect("it can be written");
    let error = refusal(&place.uri()).await;
    assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }), "{error:?}");
}

/// Goal: an index in the way is named.
#[tokio::test]
async fn an_index_in_the_way_is_named() {
    let place = Place::new().await;
    let options = IndexOptions::builder().name("archived_at".to_owned()).build();
    let index = IndexModel::builder().keys(doc! { "other": 1 }).options(options).build();
    let queues = place.database.collection::<Document>("queues");
    queues.create_index(index).await.expect("an index can be made");
    let error = refusal(&place.uri()).await;
    assert!(matches!(error, OpenError::Index { .. }), "{error:?}");
    assert!(error.to_string().contains("archived_at"), "{error}");
}
