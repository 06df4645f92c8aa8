//! Two nodes on one database: the real binary, twice.

use std::time::Duration;

use anteroom_tests::mongod::{Mongod, SharedMongod};
use anteroom_tests::{Acknowledge, Consumer, Provider, Server, frames};

/// Goal: a bot goes on on another node once its node has stopped, and what was accepted is called back
/// there. Method: a text is accepted while no consumer listens; then its node is stopped in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_bot_goes_on_on_another_node() {
    let mongod = Mongod::shared().await;
    let uri = mongod.uri(&SharedMongod::fresh_database());
    let mut first = Server::start_with(&["--store", &uri]).await;
    let second = Server::start_with(&["--store", &uri]).await;
    let provider = Provider::connect(&first, "demo");
    provider.send(frames::text("alice", "m1", "hello")).await;
    provider.settled(1).await;
    first.terminate(Duration::from_secs(30)).await;
    drop(provider);

    let provider = Provider::connect(&second, "demo");
    let consumer = Consumer::connect(&second, "demo", Acknowledge::Promptly);
    provider.send(frames::text("alice", "m2", "again")).await;
    provider.settled(1).await;
    consumer.confirmed(2).await;
    assert_eq!(consumer.contents(), ["hello", "again"]);
}
