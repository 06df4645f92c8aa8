//! `/readyz`: not ready while what must get on does not, and ready again once it does.

#![cfg(unix)]

use anteroom_tests::mongod::Mongod;
use anteroom_tests::series::Series;
use anteroom_tests::{Connection, PATIENCE, Server, frames, http_client};
use tokio::time::{Instant, sleep};

async fn asked(server: &Server, path: &str) -> (u16, String) {
    let answer = http_client().get(format!("{}{path}", server.url())).send().await;
    let answer = answer.expect("the server answers");
    (answer.status().as_u16(), answer.text().await.expect("it is a text"))
}

async fn until_readyz_is(server: &Server, status: u16) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (said, words) = asked(server, "/readyz").await;
        if said == status {
            return words;
        }
        assert!(Instant::now() < deadline, "/readyz did not become {status}: {words}");
        sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Goal: a node whose store does not answer is alive and not ready, and says why; it is ready by itself once
/// the store is back, and nothing that it took is lost. Method: the store's server is killed and started again
/// with a message under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_store_is_away_is_not_ready() {
    let mut mongod = Mongod::start().await;
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let file = "[observe]\nstalled_after = \"2s\"\n[store_retry]\nmost = \"500ms\"\n";
    std::fs::write(home.path().join("anteroom.toml"), file).expect("the home can be written to");
    let mut server = Server::lent(home.path(), &["--store", &mongod.uri("anteroom")]);
    server.restart().await;
    let mut provider = Connection::hello(&server, "demo").await;
    let first = provider.receipt(&frames::text("alice", "m1", "hello")).await;
    assert_eq!(first["outcome"], "accepted");
    assert_eq!(asked(&server, "/readyz").await, (200, "ready\n".to_owned()));

    mongod.kill9().await;
    provider.message(&frames::text("alice", "m2", "again")).await;
    let why = until_readyz_is(&server, 503).await;
    assert!(why.contains("urn:anteroom:problem:stalled"), "{why}");
    assert!(why.contains("the store does not answer"), "{why}");
    assert_eq!(asked(&server, "/healthz").await, (200, "ok\n".to_owned()));
    let series = Series::of(&server).await;
    assert_eq!(series.value("anteroom_ready", &[]), 0.0);
    assert!(series.value("anteroom_backlog_measured_seconds", &[]) > 0.0);

    mongod.restart().await;
    until_readyz_is(&server, 200).await;
    // The bot may have been lost meanwhile; its provider then connects anew, and sends again.
    let mut provider = Connection::hello(&server, "demo").await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let receipt = provider.receipt(&frames::text("alice", "m2", "again")).await;
        if ["accepted", "duplicate"].map(Into::into).contains(&receipt["outcome"]) {
            break;
        }
        assert!(Instant::now() < deadline, "it was not taken again: {receipt}");
        sleep(std::time::Duration::from_millis(100)).await;
    }
}
