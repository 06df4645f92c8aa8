//! A node tells the others that it runs.

use std::sync::Arc;

use anteroom_core::id::NodeId;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::store::presence::{Presence, SIGN_EVERY};
use crate::store::views::Views;

/// A node that says so for as long as this is kept.
pub(super) struct SignedIn {
    store: Arc<dyn Views>,
    node_id: NodeId,
    signing: AbortOnDropHandle<()>,
}

impl SignedIn {
    /// Says so from now on.
    pub(super) fn keep(store: Arc<dyn Views>, node: Presence) -> Self {
        let node_id = node.node_id;
        let signing = tokio::spawn(sign(Arc::clone(&store), node));
        Self { store, node_id, signing: AbortOnDropHandle::new(signing) }
    }

    /// Says that the node has ended.
    pub(super) async fn end(self) {
        self.signing.abort();
        // A word that is under way must not come after the last.
        let _ = self.signing.await;
        if let Err(error) = self.store.sign_out(self.node_id).await {
            debug!(%error, "the store does not hear that the node ends");
        }
    }
}

async fn sign(store: Arc<dyn Views>, node: Presence) {
    let mut turns = interval(SIGN_EVERY.into());
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        // Whatever is wrong with the store, others say it louder.
        if let Err(error) = store.sign_in(node.clone()).await {
            debug!(%error, "the store does not hear that the node runs");
        }
    }
}
