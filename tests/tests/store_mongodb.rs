//! The distributed store against a real MongoDB: the store contract, and what is its own.

use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, StoreTime};
use anteroom_runtime::store::{Clock, Store};
use anteroom_tests::mongod::{Mongod, SharedMongod};

mod contract {
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
    let store = MongoStore::open(MongoSettings::new(uri), StoreTime::Given(clock))
        .await
        .expect("a new database can be opened");
    Home { store, _server: server }
}
