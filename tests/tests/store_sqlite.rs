//! The embedded store passes the store contract.

use anteroom_runtime::store::sqlite::{SqliteSettings, SqliteStore};
use anteroom_runtime::store::{Clock, Store};
use tempfile::TempDir;

mod contract {
    use super::fresh;

    anteroom_tests::store_contract!(fresh);
}

/// A store in a directory of its own.
struct Home {
    store: SqliteStore,
    _directory: TempDir,
}

impl AsRef<dyn Store> for Home {
    fn as_ref(&self) -> &(dyn Store + 'static) {
        &self.store
    }
}

async fn fresh(clock: Clock) -> Home {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let store = SqliteStore::open(SqliteSettings::new(directory.path()), clock)
        .expect("an empty directory can be opened");
    Home { store, _directory: directory }
}
