//! The simulation's store: the same contract as the stores that ship, so that what is proven against it
//! holds for them.

use anteroom_runtime::store::{Clock, Store};
use anteroom_tests::model_store::ModelStore;

anteroom_tests::store_contract!(fresh);

struct Home(ModelStore);

impl AsRef<dyn Store> for Home {
    fn as_ref(&self) -> &(dyn Store + 'static) {
        &self.0
    }
}

async fn fresh(clock: Clock) -> Home {
    Home(ModelStore::new(clock))
}
