//! What an idle node costs its server.

use std::time::Duration;

use anteroom_tests::mongod::Mongod;
use anteroom_tests::{Acknowledge, Consumer, Provider, Server, frames};
use mongodb::Database;
use mongodb::bson::{Bson, doc};

/// How long the server is watched, and how many operations it may be asked for in that time: two a
/// second.
const WATCHED: Duration = Duration::from_secs(12);
const OPERATIONS_MAX: i64 = 24;

/// Goal: a node that has worked and has its provider and its consumer connected asks for less than two
/// operations a second when nothing happens. Method: the server's own count.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_hardly_asks() {
    let mongod = Mongod::start().await;
    let server = Server::start_with(&["--store", &mongod.uri("d")]).await;
    let provider = Provider::connect(&server, "demo");
    let consumer = Consumer::connect(&server, "demo", Acknowledge::Promptly);
    for number in 0..50 {
        let frame = frames::text(&format!("c{}", number % 7), &format!("m{number}"), "hello");
        provider.send(frame).await;
    }
    consumer.confirmed(50).await;

    let uri = format!("{}&directConnection=true", mongod.uri("admin"));
    let client = mongodb::Client::with_uri_str(uri).await.expect("the address is valid");
    let admin = client.database("admin");
    let before = operations(&admin).await;
    tokio::time::sleep(WATCHED).await;
    let asked = operations(&admin).await - before;
    println!("idle: {asked} operations in {WATCHED:?}");
    assert!(asked <= OPERATIONS_MAX, "an idle node asked for {asked} operations in {WATCHED:?}");
}

/// How many operations the server has been asked for.
async fn operations(admin: &Database) -> i64 {
    let status = admin.run_command(doc! { "serverStatus": 1 }).await.expect("the server answers");
    let counters = status.get_document("opcounters").expect("a server counts");
    counters
        .iter()
        .filter(|(name, _)| {
            ["insert", "query", "update", "delete", "getmore", "command"].contains(&name.as_str())
        })
        .map(|(_, count)| match count {
            Bson::Int32(count) => i64::from(*count),
            Bson::Int64(count) => *count,
            other => panic!("{other} is no count"),
        })
        .sum()
}
