//! Several nodes on one MongoDB: the real binary, more than once.

#![cfg(unix)]

use std::path::Path;
use std::time::Duration;

use anteroom_tests::frames::Media;
use anteroom_tests::mongod::{Mongod, SharedMongod};
use anteroom_tests::series::Series;
use anteroom_tests::torture::{Deaths, StoreKind, world};
use anteroom_tests::{
    Acknowledge, Connection, Consumer, PATIENCE, Provider, Server, cli, frames, http_client,
    staging,
};
use serde_json::Value;

const BOT: &str = "demo";

/// A node in a directory of its own, with the staging directory and the store that all share.
async fn node(home: &Path, name: &str, store: &str, more: &str, arguments: &[&str]) -> Server {
    let directory = home.join(name);
    std::fs::create_dir_all(&directory).expect("the home can be written to");
    let file = format!(
        "store = {store:?}\n\
         [media]\nstaging_dir = {staging:?}\n\
         [ownership]\nttl = \"4s\"\nrenew_every = \"500ms\"\nmargin = \"1s\"\n\
         [lease]\nttl = \"4s\"\nrenew_every = \"1s\"\n\
         [janitor]\nreclaim_every = \"500ms\"\n\
         {more}",
        staging = home.join("staging").display().to_string()
    );
    std::fs::write(directory.join("anteroom.toml"), file).expect("the home can be written to");
    let mut server = Server::lent(&directory, arguments);
    server.restart().await;
    server
}

/// Documents are never done on such a node.
const NEVER_DONE: &str = "[engines.slow]\nprocessor = \"stub\"\ndelay = \"1h\"\n\
                          [pools.document]\nengine = \"slow\"\n";

fn document(words: &str) -> (Media, Vec<u8>) {
    let file = words.as_bytes().to_vec();
    (Media::document("text/plain", "page.txt", &file), file)
}

/// Goal: when a node is killed, its bots go on on another one, and the jobs that it worked on are taken away
/// from it and done there; what it had acknowledged is called back there, once. Method: a text without a
/// consumer and a document that is never done, on a node that is killed; the series of the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_nodes_bots_and_jobs_move() {
    let mongod = Mongod::shared().await;
    let store = mongod.uri(&SharedMongod::fresh_database());
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let mut first = node(home.path(), "first", &store, NEVER_DONE, &[]).await;
    let mut provider = Connection::hello(&first, BOT).await;
    let directory = staging::directory(provider.welcome());
    let second = node(home.path(), "second", &store, "", &[]).await;
    let (media, file) = document("some words");
    staging::share(&directory, media.media_id, &file);
    for frame in [frames::media("alice", "m1", "", &media), frames::text("alice", "m2", "hello")] {
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
    }
    let documents = [("pool", "document")];
    assert_eq!(Series::of(&first).await.value("anteroom_pool_busy", &documents), 1.0);
    assert_eq!(Series::of(&second).await.value("anteroom_bots_running", &[]), 0.0);

    first.kill().await;
    let consumer = Consumer::connect(&second, BOT, Acknowledge::Promptly);
    consumer.confirmed(2).await;
    let mut contents = consumer.contents();
    contents.sort();
    assert_eq!(contents, ["[Document text (page.txt): some words]", "hello"]);
    let series = Series::of(&second).await;
    assert_eq!(series.value("anteroom_lease_reclaims_total", &[]), 1.0);
    assert_eq!(series.value("anteroom_bots_running", &[]), 1.0);
}

/// Goal: a node may run bots alone, another one work alone; who asks the latter for a bot is sent away.
/// Both are listed, the one that holds nothing too, until it ends. Method: a document that is taken in by one
/// node, and done by the other, which is then stopped.
#[tokio::test(flavor = "multi_thread")]
async fn bots_and_workers_may_have_nodes_of_their_own() {
    let mongod = Mongod::shared().await;
    let store = mongod.uri(&SharedMongod::fresh_database());
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let bots = node(home.path(), "bots", &store, "", &["--role", "bots"]).await;
    let mut workers = node(home.path(), "workers", &store, "", &["--role", "workers"]).await;
    let consumer = Consumer::connect(&bots, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(&bots, BOT).await;
    let directory = staging::directory(provider.welcome());
    let (media, file) = document("some words");
    staging::share(&directory, media.media_id, &file);
    let receipt = provider.receipt(&frames::media("alice", "m1", "", &media)).await;
    assert_eq!(receipt["outcome"], "accepted");
    consumer.confirmed(1).await;
    assert_eq!(consumer.contents(), ["[Document text (page.txt): some words]"]);
    let done = |series: &Series| series.sum("anteroom_processing_seconds_count");
    assert_eq!(done(&Series::of(&bots).await), 0.0);
    assert_eq!(done(&Series::of(&workers).await), 1.0);

    let asked = async |path: String| {
        let answer = http_client().get(format!("{}/v1/{path}", bots.url())).send().await;
        answer.expect("the server answers").json::<Value>().await.expect("it is JSON")
    };
    let nodes = asked("nodes".to_owned()).await;
    let mut all = nodes["nodes"].as_array().into_iter().flatten();
    let worker = all.find(|node| node["role"] == "workers").expect("it is listed");
    let story = asked(format!("media/{}/explain", media.media_id)).await;
    let mut steps = story["steps"].as_array().into_iter().flatten();
    let claimed = steps.find(|step| step["what"] == "claimed").expect("it was claimed");
    let by_whom = format!("by worker {}", worker["node_id"].as_str().expect("an id"));
    assert_eq!(claimed["detail"], by_whom, "{story}");

    let posted = http_client()
        .post(format!("{}/v1/bots/{BOT}/messages", workers.url()))
        .json(&frames::text("alice", "m2", "hello"))
        .send()
        .await
        .expect("the server answers");
    assert_eq!(posted.status(), 421);
    let problem: Value = posted.json().await.expect("it is JSON");
    assert_eq!(problem["type"], "urn:anteroom:problem:no_bots_here");
    assert!(Connection::open(workers.url()).await.is_err(), "a provider is sent away");
    let ready = http_client().get(format!("{}/readyz", workers.url())).send().await;
    assert_eq!(ready.expect("the server answers").status(), 200);

    let listed = cli::run(&bots, &["nodes", "list"]).await.succeeded().stdout;
    for (role, url) in [("bots", bots.url()), ("workers", workers.url())] {
        let listens_at = url.trim_start_matches("http://");
        let line = listed.lines().find(|line| line.contains(listens_at));
        assert!(line.is_some_and(|line| line.contains(role)), "{role} {listens_at}: {listed}");
    }
    workers.terminate(PATIENCE).await;
    let nodes = asked("nodes".to_owned()).await;
    let roles: Vec<_> =
        nodes["nodes"].as_array().into_iter().flatten().map(|node| &node["role"]).collect();
    assert_eq!(roles, ["bots"], "{nodes}");
}

/// Goal: a role that the embedded store cannot have is refused with what to do. Method: both of them.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_has_one_node_that_does_everything() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    for role in ["bots", "workers"] {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--role", role];
        let child = cli::command("http://127.0.0.1:1", home.path(), &serve).spawn();
        let ended = cli::ended(child.expect("the binary can be run")).await;
        ended.failed_saying(&["role must be all", "--store mongodb://"]);
    }
    let left = std::fs::read_dir(home.path()).expect("the home is there").count();
    assert_eq!(left, 0, "nothing was touched");
}

/// Goal: a rolling restart under load loses nothing and repeats nothing. Method: each of two nodes is stopped
/// in order and started again, twice, while messages and media are under way; the torture's rules judge, and
/// no callback comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_and_repeats_nothing() {
    let counts =
        world::keeps_every_promise(StoreKind::Mongodb, 20_260_103, 2, Deaths::InTurn(2)).await;
    assert_eq!(counts.kills, 0);
    assert!(counts.messages >= 240, "hardly anything was under way: {counts}");
    assert!(counts.media_called_back >= 20, "hardly any media were under way: {counts}");
    assert_eq!(counts.called_back, counts.messages, "something was lost: {counts}");
    assert_eq!(counts.received, counts.called_back, "something came again: {counts}");
}

/// Goal: three nodes of which one after the other is killed at random keep every promise. Method: one seed of
/// the torture; here only that enough happened for its rules to mean something.
#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_killed_at_random_keep_every_promise() {
    let deaths = Deaths::AtRandom(Duration::from_secs(12));
    let counts = world::keeps_every_promise(StoreKind::Mongodb, 20_260_104, 3, deaths).await;
    assert!(counts.kills >= 2, "hardly anything died: {counts}");
    assert!(counts.media_called_back >= 20, "hardly any media were under way: {counts}");
    assert!(counts.written > counts.messages, "nothing was sent again: {counts}");
}

/// Goal: a provider that connects to a node that does not have its bot is sent to another one, and is served
/// where the bot is. Method: it tries the nodes in turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_finds_the_node_that_has_its_bot() {
    let mongod = Mongod::shared().await;
    let store = mongod.uri(&SharedMongod::fresh_database());
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let first = node(home.path(), "first", &store, "", &[]).await;
    let _owner = Provider::connect(&first, BOT);
    Series::when(&first, "the bot to run", |series| {
        series.value("anteroom_bots_running", &[]) == 1.0
    })
    .await;
    let second = node(home.path(), "second", &store, "", &[]).await;
    let mut stray = Connection::open(second.url()).await.expect("the server takes connections");
    stray.send(&frames::hello(BOT, "stray")).await;
    let frame = tokio::time::timeout(PATIENCE, stray.next()).await.expect("an answer in time");
    let frame = frame.expect("a frame before the end");
    assert_eq!((&frame["type"], &frame["code"]), (&"error".into(), &"bot_lost".into()), "{frame}");
    assert_eq!(stray.next().await, None, "the connection ends");
}

/// Goal: whoever stops a bot on one node learns that another one runs it, and where to go. Method: the node
/// that does not run it is told first.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_bot_says_which_node_still_runs_it() {
    let mongod = Mongod::shared().await;
    let store = mongod.uri(&SharedMongod::fresh_database());
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let first = node(home.path(), "first", &store, "", &[]).await;
    let mut provider = Connection::hello(&first, BOT).await;
    let receipt = provider.receipt(&frames::text("alice", "m1", "hello")).await;
    assert_eq!(receipt["outcome"], "accepted");
    let second = node(home.path(), "second", &store, "", &[]).await;
    let shown = http_client().get(format!("{}/v1/bots/{BOT}", first.url())).send().await;
    let shown: Value = shown.expect("the server answers").json().await.expect("it is JSON");
    let owner = shown["owner"]["node_id"].as_str().expect("it has an owner");

    let stopped = cli::run(&second, &["bots", "stop", BOT]).await;
    assert_eq!(stopped.code, Some(1));
    stopped.failed_saying(&[&format!("{BOT} runs on node {owner}: it has to be stopped there")]);
    cli::run(&first, &["bots", "stop", BOT]).await.succeeded();
    cli::run(&second, &["bots", "stop", BOT]).await.succeeded();
}
