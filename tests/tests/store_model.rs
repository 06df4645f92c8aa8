//! The simulation's store: the same contract as the stores that ship, so that what is proven against it
//! holds for them.

use std::sync::Mutex;

use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use anteroom_runtime::store::{BoxFuture, Clock, Store};
use anteroom_sim::store::StoreModel;

anteroom_tests::store_contract!(fresh);

/// The model behind the port.
struct Model {
    model: Mutex<StoreModel>,
    clock: Clock,
}

struct Home(Model);

impl AsRef<dyn Store> for Home {
    fn as_ref(&self) -> &(dyn Store + 'static) {
        &self.0
    }
}

async fn fresh(clock: Clock) -> Home {
    Home(Model { model: Mutex::new(StoreModel::new()), clock })
}

impl Store for Model {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        let mut model = self.model.lock().expect("no test panics while it holds the lock");
        let result = model.apply((self.clock)(), &request);
        Box::pin(std::future::ready(result))
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        let model = self.model.lock().expect("no test panics while it holds the lock");
        Box::pin(std::future::ready(Ok(model.bots().cloned().collect())))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
