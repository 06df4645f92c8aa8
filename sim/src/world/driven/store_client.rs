//! The store as a node of tier 2 reaches it: the port of the runtime, over the simulated network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anteroom_core::id::NodeId;
use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use anteroom_runtime::store::{BoxFuture, Hint, Store};
use madsim::net::Endpoint;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::network;
use super::ports::Place;
use super::store_node::{ASKED, Asked, TOLD, Told, What};
use crate::checker::seen::Seen;
use crate::world::durable::unavailable;
use crate::world::store_line::PATIENCE;

/// Hints that may wait to be taken.
const HINTS_MAX: usize = 64;

/// A store at the other end of the network.
pub(super) struct RemoteStore {
    endpoint: Endpoint,
    by: (usize, NodeId),
    place: Place,
    open: Arc<Mutex<Open>>,
    hints: Mutex<Option<mpsc::Receiver<Hint>>>,
}

/// Requests without an answer.
#[derive(Default)]
struct Open {
    last_number: u64,
    executed: BTreeMap<u64, oneshot::Sender<StoreResult>>,
    bots: BTreeMap<u64, oneshot::Sender<Result<Vec<BotRecord>, StoreError>>>,
}

impl RemoteStore {
    /// The store, for a node's process.
    pub async fn open(place: Place, process: NodeId) -> Self {
        let node = place.node;
        let endpoint = Endpoint::bind(network::asker(node)).await.expect("the address is free");
        let open = Arc::new(Mutex::new(Open::default()));
        let (sender, hints) = mpsc::channel(HINTS_MAX);
        let by = (node, process);
        tokio::spawn(take_answers(endpoint.clone(), by, Arc::clone(&open), sender));
        Self { endpoint, by, place, open, hints: Mutex::new(Some(hints)) }
    }

    async fn ask<T>(
        &self,
        what: What,
        number: u64,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let asked = Asked { number, by: Some(self.by), what };
        let asking = async {
            let sent = self.endpoint.send_to_raw(network::store(), ASKED, Box::new(asked)).await;
            sent.map_err(|_| unavailable("not sent"))?;
            answer.await.map_err(|_| unavailable("closed"))?
        };
        timeout(PATIENCE.into(), asking).await.unwrap_or_else(|_| Err(unavailable("no answer")))
    }
}

async fn take_answers(
    endpoint: Endpoint,
    by: (usize, NodeId),
    open: Arc<Mutex<Open>>,
    hints: mpsc::Sender<Hint>,
) {
    while let Ok((payload, _)) = endpoint.recv_from_raw(TOLD).await {
        // Nobody waits any longer for what comes too late.
        match *payload.downcast::<Told>().expect("only answers come here") {
            Told::Executed { to, .. } | Told::Bots { to, .. } if to != Some(by) => {}
            Told::Executed { number, result, .. } => {
                let asker = held(&open).executed.remove(&number);
                let _ = asker.map(|asker| asker.send(result));
            }
            Told::Bots { number, result, .. } => {
                let asker = held(&open).bots.remove(&number);
                let _ = asker.map(|asker| asker.send(result));
            }
            Told::Hint(hint) => {
                let _ = hints.try_send(hint);
            }
        }
    }
}

impl Store for RemoteStore {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        let (answers, answer) = oneshot::channel();
        let number = {
            let mut open = held(&self.open);
            open.last_number += 1;
            let number = open.last_number;
            open.executed.insert(number, answers);
            number
        };
        Box::pin(async move {
            self.place.show(&Seen::StoreAsked { node: self.by.0, number, request: &request });
            let result = self.ask(What::Execute(request), number, answer).await;
            held(&self.open).executed.remove(&number);
            self.place.show(&Seen::StoreAnswered { node: self.by.0, number, result: &result });
            result
        })
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        let (answers, answer) = oneshot::channel();
        let number = {
            let mut open = held(&self.open);
            open.last_number += 1;
            let number = open.last_number;
            open.bots.insert(number, answers);
            number
        };
        Box::pin(async move {
            let result = self.ask(What::ListBots, number, answer).await;
            held(&self.open).bots.remove(&number);
            result
        })
    }

    fn hints(&self) -> Option<mpsc::Receiver<Hint>> {
        held(&self.hints).take()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
