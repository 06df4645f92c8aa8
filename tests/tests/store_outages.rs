//! A store that is away for a while: the real binary says so, takes in what it can hold, sends the rest
//! back to its provider, and goes on by itself.

use anteroom_tests::held_store::HeldStore;
use anteroom_tests::{Acknowledge, Connection, Consumer, PATIENCE, Provider, Server, frames};
use serde_json::Value;

const BOT: &str = "demo";

/// So many that no queue is full before the line is.
const CORRESPONDENTS: u64 = 8;

fn frame(number: u64) -> Value {
    let correspondent = format!("c{}", number % CORRESPONDENTS);
    frames::text(&correspondent, &format!("m{number}"), &format!("text {number:03}"))
}

/// A text is accepted; then the store goes away.
async fn running(server: &Server) -> Connection {
    let mut provider = Connection::hello(server, BOT).await;
    let receipt = provider.receipt(&frame(0)).await;
    assert_eq!(receipt["outcome"], "accepted", "{receipt}");
    provider
}

/// Sends more than a line may have open. The last of it is to come again later; what is open has no
/// receipt, because it is not durable. Returns its number.
async fn refused_for_a_while(mut provider: Connection) -> u64 {
    let window = provider.welcome()["window"].as_u64().expect("welcome names the window");
    let mut last_seq = 0;
    for number in 1..=window + 1 {
        last_seq = provider.message(&frame(number)).await;
    }
    let receipt = provider.receipt_of(last_seq).await;
    assert_eq!(
        (&receipt["outcome"], &receipt["reason"]),
        (&"rejected".into(), &"retry_later".into())
    );
    assert!(receipt["retry_after_ms"].is_u64(), "{receipt}");
    window + 1
}

/// A provider sends everything again, and everything is called back once.
async fn goes_on(server: &Server, last: u64) {
    let provider = Provider::connect(server, BOT);
    let consumer = Consumer::connect(server, BOT, Acknowledge::Promptly);
    for number in 0..=last {
        provider.send(frame(number)).await;
    }
    let count = usize::try_from(last + 1).expect("a window is small");
    provider.settled(count).await;
    consumer.confirmed(count).await;
    let mut contents = consumer.contents();
    contents.sort();
    let expected: Vec<String> = (0..=last).map(|number| format!("text {number:03}")).collect();
    assert_eq!(contents, expected);
}

/// Waits until the server's log has a line with all of the words.
async fn says(server: &Server, words: &[&str]) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let is_said = || server.log().lines().any(|line| words.iter().all(|word| line.contains(word)));
    while !is_said() {
        assert!(tokio::time::Instant::now() < deadline, "{words:?} is not in the log");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Goal: while another process holds the embedded store, messages go back to their provider, and the
/// log says why; afterwards everything comes through, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_database_is_waited_for() {
    let server = Server::start_with(&["--store", "sqlite:anteroom-data"]).await;
    let provider = running(&server).await;
    let held = HeldStore::of(&server);
    let last = refused_for_a_while(provider).await;
    says(&server, &["another process holds the database"]).await;
    held.release();
    goes_on(&server, last).await;
}

/// Goal: the same while MongoDB is down. Method: it is killed, and started again on its data.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_mongodb_that_died_is_waited_for() {
    let mut mongod = anteroom_tests::mongod::Mongod::start().await;
    let server = Server::start_with(&["--store", &mongod.uri("d")]).await;
    let provider = running(&server).await;
    mongod.kill9().await;
    let last = refused_for_a_while(provider).await;
    says(&server, &["MongoDB"]).await;
    mongod.restart().await;
    goes_on(&server, last).await;
}
