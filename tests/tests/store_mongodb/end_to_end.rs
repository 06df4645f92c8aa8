//! The real binary on MongoDB: from a provider's frame to the callback, and across a restart.

use std::time::Duration;

use anteroom_tests::frames::{self, Media};
use anteroom_tests::{Acknowledge, Connection, Consumer, Server, staging};

const BOT: &str = "demo";

/// Goal: text and media pass through a node on MongoDB, and what was not called back before it stopped
/// is called back after.
#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_through_and_survive_a_restart() {
    let mut server = Server::start_on_mongodb(&[]).await;
    let mut provider = Connection::hello(&server, BOT).await;
    let directory = staging::directory(provider.welcome());
    let file = b"page".to_vec();
    let media = Media::document("text/plain", "page.txt", &file);
    staging::share(&directory, media.media_id, &file);
    let mut receipts = Vec::new();
    receipts.push(provider.receipt(&frames::text("alice", "m1", "before")).await);
    receipts.push(provider.receipt(&frames::media("alice", "m2", "", &media)).await);
    for receipt in receipts {
        assert_eq!(receipt["outcome"], "accepted", "{receipt}");
    }
    server.terminate(Duration::from_secs(40)).await;
    server.restart().await;

    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(&server, BOT).await;
    let receipt = provider.receipt(&frames::text("alice", "m1", "before")).await;
    assert_eq!(receipt["outcome"], "duplicate", "{receipt}");
    consumer.confirmed(2).await;
    let mut contents = consumer.contents();
    contents.sort();
    assert_eq!(contents, ["[Document text (page.txt): page]", "before"]);
}
