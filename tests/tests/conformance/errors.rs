//! Every error of a provider's connection, and what ends it.

use anteroom_tests::held_store::HeldStore;
use anteroom_tests::{Connection, frames};
use serde_json::{Value, json};

use crate::Configured;

const TWO_BOTS: &str = "[session]\nbots_max = 2\n";

async fn refused(connection: &mut Connection, code: &str, fatal: bool) -> Value {
    let error = connection.next().await.expect("an answer");
    assert_eq!(error["type"], "error", "{error}");
    assert_eq!((&error["code"], &error["fatal"]), (&json!(code), &json!(fatal)), "{error}");
    assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{error}");
    if fatal {
        assert_eq!(connection.next().await, None, "a fatal error is the last word");
    }
    error
}

/// Goal: a connection that says nothing is told so, and ends.
#[tokio::test]
async fn a_connection_without_a_hello_ends() {
    let world = Configured::start("[session]\nhello_timeout = \"1s\"\n").await;
    let mut silent = Connection::open(world.server.url()).await.expect("it connects");
    refused(&mut silent, "hello_timeout", true).await;
}

/// Goal: a bot has one kind of provider; another is told which, and ends.
#[tokio::test]
async fn another_provider_is_told_which_one_the_bot_has() {
    let world = Configured::start("").await;
    let _first = Connection::hello(&world.server, "demo").await;
    let mut other = Connection::open(world.server.url()).await.expect("it connects");
    let mut hello = frames::hello("demo", "other");
    hello["provider_name"] = "telegram".into();
    other.send(&hello).await;
    let error = refused(&mut other, "provider_mismatch", true).await;
    assert_eq!(error["expected"], frames::PROVIDER_NAME);
    assert_eq!(error["field"], "provider_name");
}

/// Goal: a connection carries as many bots as it may, and each of its frames says which one is meant once
/// there are several; a bot that it has not introduced is told so.
#[tokio::test]
async fn a_connection_of_several_bots_says_which_one_is_meant() {
    let world = Configured::start(TWO_BOTS).await;
    let mut connection = Connection::hello(&world.server, "one").await;
    connection.send(&frames::hello("two", "connection")).await;
    let welcome = connection.next().await.expect("an answer");
    assert_eq!((&welcome["type"], &welcome["bot_id"]), (&json!("welcome"), &json!("two")));
    connection.send(&frames::hello("three", "connection")).await;
    let error = connection.next().await.expect("an answer");
    assert_eq!(error["code"], "too_many_bots", "{error}");
    assert_eq!(error["fatal"], true);

    let mut connection = Connection::hello(&world.server, "one").await;
    connection.send(&frames::hello("two", "connection")).await;
    connection.next().await.expect("a welcome");
    connection.message(&frames::text("ada", "m1", "whose?")).await;
    refused(&mut connection, "hello_expected", false).await;
    for (bot, other) in [("one", "two"), ("two", "one")] {
        let mut frame = frames::text("ada", &format!("for {bot}"), "words");
        frame["bot_id"] = bot.into();
        let receipt = connection.receipt(&frame).await;
        assert_eq!((&receipt["outcome"], &receipt["bot_id"]), (&json!("accepted"), &json!(bot)));
        assert_ne!(receipt["bot_id"], other);
    }
    let mut frame = frames::text("ada", "m2", "whose?");
    frame["bot_id"] = "three".into();
    connection.message(&frame).await;
    let error = refused(&mut connection, "hello_expected", false).await;
    assert_eq!(error["bot_id"], "three");
}

/// Goal: a newer connection of the same instance replaces the older, which is told, and whose late end
/// changes nothing (K43); one of another instance stands beside it, and each has its own receipts.
#[tokio::test]
async fn a_newer_connection_replaces_the_older_of_its_instance() {
    let world = Configured::start("").await;
    let mut older = Connection::hello(&world.server, "demo").await;
    let mut newer = Connection::hello(&world.server, "demo").await;
    refused(&mut older, "replaced", true).await;
    drop(older);
    let receipt = newer.receipt(&frames::text("ada", "m1", "still here")).await;
    assert_eq!(receipt["outcome"], "accepted");

    let mut beside = Connection::open(world.server.url()).await.expect("it connects");
    beside.send(&frames::hello("demo", "another")).await;
    beside.welcomed().await.expect("a welcome");
    // Both count from 1, and neither hears of the other's.
    let (first, second) = (frames::text("ada", "m2", "a"), frames::text("ada", "m3", "b"));
    let (first, second) = tokio::join!(newer.receipt(&first), beside.receipt(&second));
    assert_eq!((&first["seq"], &second["seq"]), (&json!(2), &json!(1)));
    assert_eq!((&first["outcome"], &second["outcome"]), (&json!("accepted"), &json!("accepted")));
}

/// Goal: a node that cannot say any more that a bot is its own tells the bot's provider so and lets it go; once it
/// can, the provider connects anew, and everything is as it was. Method: a store that is held for longer than an
/// ownership lasts.
#[tokio::test]
async fn a_bot_that_its_node_has_lost_is_let_go() {
    let world =
        Configured::start("[ownership]\nttl = \"4s\"\nrenew_every = \"1s\"\nmargin = \"1s\"\n")
            .await;
    let mut connection = Connection::hello(&world.server, "demo").await;
    let message = frames::text("ada", "m1", "hello");
    assert_eq!(connection.receipt(&message).await["outcome"], "accepted");
    let held = HeldStore::of(&world.server);
    let error = refused(&mut connection, "bot_lost", true).await;
    assert_eq!(error["bot_id"], "demo");
    held.release();
    let mut connection = Connection::hello(&world.server, "demo").await;
    let receipt = connection.receipt(&message).await;
    assert_eq!((&receipt["outcome"], &receipt["message_id"]), (&json!("duplicate"), &json!(1)));
}

/// Goal: a peer that does not answer pings is gone; one that does stays, however silent.
#[tokio::test]
async fn a_silent_peer_is_gone() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = Configured::start("[session]\nping_every = \"1s\"\nsilence_max = \"5s\"\n").await;
    let mut stays = Connection::hello(&world.server, "stays").await;
    // A WebSocket by hand, which answers nothing.
    let mut stream =
        tokio::net::TcpStream::connect(world.server.authority()).await.expect("it connects");
    let upgrade = format!(
        "GET /v1/provider HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        world.server.authority()
    );
    stream.write_all(upgrade.as_bytes()).await.expect("it is open");
    // A `hello`, masked with zeros.
    let hello = frames::hello("silent", "x").to_string();
    let length = u16::try_from(hello.len()).expect("it is short").to_be_bytes();
    let frame = [&[0x81, 0xfe][..], &length, &[0; 4], hello.as_bytes()].concat();
    stream.write_all(&frame).await.expect("it is open");
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(anteroom_tests::PATIENCE, stream.read_to_end(&mut heard));
    tokio::select! {
        biased;
        ended = ended => {
            ended.expect("it ends").expect("it ends in order");
        }
        // Reading is what answers its pings.
        frame = stays.next() => panic!("the one that answers heard {frame:?}"),
    }
    assert!(String::from_utf8_lossy(&heard).contains("welcome"), "it was there before");
    let receipt = stays.receipt(&frames::text("ada", "m1", "here")).await;
    assert_eq!(receipt["outcome"], "accepted");
}

/// Goal: where the earlier version is accepted, its messages are taken beside those of the present one, one bad
/// one takes no neighbour along, and receipts name the provider's id (K40); a connection of the present version
/// resumes as ever. Where it is not accepted, they are refused.
#[tokio::test]
async fn messages_of_version_0_are_taken_where_they_are_accepted() {
    let earlier = |name: &str| {
        json!({"provider_message_id": name, "sender": "ada", "direction": "incoming",
            "originating_time": 1_790_000_000_000_u64, "message": name})
    };
    let world = Configured::start("[protocol]\naccept_v0 = true\n").await;
    let mut connection = Connection::hello(&world.server, "demo").await;
    let mut bad = earlier("bad");
    bad["direction"] = "sideways".into();
    connection.send(&json!([earlier("m1"), bad, earlier("m2"), {"sender": "nobody"}])).await;
    connection.send(&earlier("m1")).await;
    let now = connection.receipt(&frames::text("ada", "m3", "present")).await;
    assert_eq!((&now["outcome"], &now["seq"]), (&json!("accepted"), &json!(1)));
    let mut outcomes = std::collections::BTreeMap::new();
    let mut errors = 0;
    while outcomes.len() < 3 || errors < 1 {
        let frame = connection.next().await.expect("an answer");
        if frame["type"] == "error" {
            errors += 1;
            continue;
        }
        assert_eq!(
            (&frame["type"], &frame["payload_version"]),
            (&json!("receipt"), &json!(0)),
            "{frame}"
        );
        assert_eq!(frame["seq"], Value::Null, "{frame}");
        let name = frame["provider_message_id"].as_str().expect("a name").to_owned();
        outcomes.entry(name).or_insert(frame["outcome"].clone());
    }
    assert_eq!(outcomes["m1"], "accepted");
    assert_eq!(outcomes["m2"], "accepted");
    assert_eq!(outcomes["bad"], "rejected");

    let world = Configured::start("").await;
    let mut connection = Connection::hello(&world.server, "demo").await;
    connection.send(&earlier("m1")).await;
    refused(&mut connection, "missing_field", false).await;
}
