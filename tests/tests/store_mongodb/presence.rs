//! Nodes that say that they run.

use std::time::{SystemTime, UNIX_EPOCH};

use anteroom_core::id::NodeId;
use anteroom_core::time::{Millis, Timestamp};
use anteroom_runtime::store::Store;
use anteroom_runtime::store::mongodb::MongoStore;
use anteroom_runtime::store::presence::{Presence, Present};
use anteroom_runtime::store::views::{Question, View, Views};
use uuid::Uuid;

use super::Place;

/// A node whose words would be expressions if they were taken for some.
fn node(number: u128) -> Presence {
    Presence {
        node_id: NodeId::from(Uuid::from_u128(number)),
        role: "workers".to_owned(),
        listen: "$started_at".to_owned(),
        version: "1.2.3".to_owned(),
    }
}

async fn listed(store: &MongoStore) -> Vec<Present> {
    match store.look(Question::Nodes).await {
        Ok(View::Nodes(nodes)) => nodes,
        other => panic!("the nodes are listed: {other:?}"),
    }
}

/// Goal: a node is listed with what it says, since when it runs and since when it has been silent, until it
/// says that it ends. Method: two nodes; time passes; one says so again, then ends, twice.
#[tokio::test]
async fn a_node_is_listed_until_it_ends() {
    let place = Place::new().await;
    // The server forgets nodes by its own time, whatever the test's clock says.
    let present = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let present = Timestamp::from_ms(Millis::from(present).as_ms());
    place.clock.advance(present.since(place.clock.now()));
    let store = place.open().await;
    assert_eq!(listed(&store).await, []);
    for number in [2, 1] {
        store.sign_in(node(number)).await.expect("the server answers");
    }
    place.clock.advance(Millis::from_secs(10));
    store.sign_in(node(1)).await.expect("the server answers");
    place.clock.advance(Millis::from_secs(5));
    let present = |number, silent| Present {
        node: node(number),
        up: Millis::from_secs(15),
        silent: Millis::from_secs(silent),
    };
    assert_eq!(listed(&store).await, [present(1, 5), present(2, 15)]);
    for _ in 0..2 {
        store.sign_out(node(1).node_id).await.expect("the server answers");
    }
    assert_eq!(listed(&store).await, [present(2, 15)]);
    store.shutdown().await;
}
