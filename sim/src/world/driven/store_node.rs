//! The store's node: requests come in datagrams, each is executed by the model when it takes effect, and
//! answered in a datagram. Requests, answers and hints can be lost.

use std::net::SocketAddr;

use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use anteroom_runtime::store::Hint;
use madsim::net::Endpoint;
use madsim::time::sleep;

use super::network;
use super::stage::Stage;
use crate::world::durable::unavailable;
use crate::world::store_line::By;

/// The tag of requests.
pub(super) const ASKED: u64 = 1;

/// The tag of what comes back.
pub(super) const TOLD: u64 = 2;

/// A request.
pub(super) struct Asked {
    pub number: u64,
    pub by: By,
    pub what: What,
}

/// What is asked.
pub(super) enum What {
    Execute(StoreRequest),
    ListBots,
}

/// What comes back. An answer names who asked: a process that died may be gone from the address by then, and
/// the next one counts its own requests.
pub(super) enum Told {
    Executed { to: By, number: u64, result: StoreResult },
    Bots { to: By, number: u64, result: Result<Vec<BotRecord>, StoreError> },
    Hint(Hint),
}

/// Takes requests as long as the world lasts.
pub(super) async fn listen(stage: Stage) {
    let endpoint = Endpoint::bind(network::store()).await.expect("the store's address is free");
    while let Ok((payload, from)) = endpoint.recv_from_raw(ASKED).await {
        let asked = payload.downcast::<Asked>().expect("only requests come to the store");
        tokio::spawn(serve(stage.clone(), endpoint.clone(), *asked, from));
    }
}

async fn serve(stage: Stage, endpoint: Endpoint, asked: Asked, from: SocketAddr) {
    let (wait, answered) = stage.with(|world| world.store_takes());
    sleep(wait.into()).await;
    let Asked { number, by, what } = asked;
    let told = match what {
        What::Execute(request) => {
            let result = stage.with(|world| world.store_acts(by, &request, answered));
            result.map(|result| Told::Executed { to: by, number, result })
        }
        What::ListBots => stage.with(|world| {
            let silent = world.store_is_silent();
            let bots = || world.store.bots().cloned().collect();
            let result = if silent { Err(unavailable("no list")) } else { Ok(bots()) };
            answered.then_some(Told::Bots { to: by, number, result })
        }),
    };
    if let Some(told) = told {
        // A node that has gone does not hear it.
        let _ = endpoint.send_to_raw(from, TOLD, Box::new(told)).await;
    }
}

/// Tells a node what another may have done.
pub(super) async fn hint(node: usize, hint: Hint) {
    if let Ok(endpoint) = Endpoint::bind("0.0.0.0:0").await {
        let told = Box::new(Told::Hint(hint));
        let _ = endpoint.send_to_raw(network::asker(node), TOLD, told).await;
    }
}
