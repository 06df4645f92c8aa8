//! Bad input gets an answer that names the field and the reason, and harms nobody.

use anteroom_tests::frames::{self, Media};
use anteroom_tests::{Acknowledge, Connection, Consumer, Server, staging};
use serde_json::{Value, json};

const GIB: u64 = 1 << 30;

/// A victim's connection, and a bystander's.
struct World {
    server: Server,
    provider: Connection,
    consumer: Consumer,
    bystander: Connection,
    bystanders_consumer: Consumer,
    good_messages: usize,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        Self {
            provider: Connection::hello(&server, "demo").await,
            consumer: Consumer::connect(&server, "demo", Acknowledge::Promptly),
            bystander: Connection::hello(&server, "bystander").await,
            bystanders_consumer: Consumer::connect(&server, "bystander", Acknowledge::Promptly),
            good_messages: 0,
            server,
        }
    }

    /// Sends `text` as a frame and checks that the answer names `field` and gives a reason.
    async fn expect_complaint(&mut self, text: String, field: &str) -> Value {
        let shown: String = text.chars().take(200).collect();
        self.provider.send_text(text).await;
        let answer = self.provider.next().await;
        let answer = answer.unwrap_or_else(|| panic!("the line ended over {shown}"));
        let refused = match answer["type"].as_str() {
            Some("error") => answer["fatal"] != true,
            Some("receipt") => answer["outcome"] == "rejected" && answer["reason"] == "invalid",
            _ => false,
        };
        assert!(refused, "{shown} was answered {answer}");
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty(), "no reason given: {shown} was answered {answer}");
        let named = answer["field"].as_str().unwrap_or_default();
        assert!(
            named == field || named.ends_with(&format!(".{field}")) || detail.contains(field),
            "{field} is not named: {shown} was answered {answer}"
        );
        self.goes_on().await;
        answer
    }

    /// A good message of the victim's connection, to be made bad.
    fn message(&mut self) -> Value {
        let mut frame = frames::text("mallory", "bad", "words");
        frame["seq"] = self.provider.take_seq().into();
        frame
    }

    /// A good message with media, for which nothing is staged, to be made bad.
    fn media_message(&mut self) -> Value {
        let media = Media::document("application/pdf", "x.pdf", b"x");
        let mut frame = frames::media("mallory", "bad", "words", &media);
        frame["seq"] = self.provider.take_seq().into();
        frame
    }

    /// Both connections still take a message, and both messages are called back.
    async fn goes_on(&mut self) {
        self.good_messages += 1;
        let frame = frames::text("alice", &format!("good {}", self.good_messages), "still here");
        for connection in [&mut self.provider, &mut self.bystander] {
            let receipt = connection.receipt(&frame).await;
            assert_eq!(receipt["outcome"], "accepted", "{receipt}");
        }
        for consumer in [&self.consumer, &self.bystanders_consumer] {
            consumer.confirmed(self.good_messages).await;
        }
    }
}

fn with(mut frame: Value, pointer: &str, value: Value) -> String {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    frame.pointer_mut(parent).expect("the parent is there")[key] = value;
    frame.to_string()
}

fn without(mut frame: Value, field: &str) -> String {
    frame.as_object_mut().expect("a frame is an object").remove(field).expect("it was there");
    frame.to_string()
}

/// Goal: text that is no JSON, no object, or nested without end is answered, and the line goes on.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_is_answered() {
    let mut world = World::new().await;
    let whole = world.message().to_string();
    for text in [
        "{",
        "",
        "nonsense",
        "null",
        "42",
        "[]",
        "{}",
        &whole[..whole.len() / 2],
        &format!("{whole}{whole}"),
        &"[".repeat(100_000),
        &r#"{"type":"#.repeat(20_000),
    ] {
        world.expect_complaint(text.to_owned(), "").await;
    }
}

/// Goal: a binary frame is answered, and the line goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_binary_frame_is_answered() {
    let mut world = World::new().await;
    world.provider.send_binary(vec![0xff; 64]).await;
    let answer = world.provider.next().await.expect("the line goes on");
    assert_eq!(answer["type"], "error", "{answer}");
    assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("binary")), "{answer}");
    world.goes_on().await;
}

/// Goal: a value of the wrong type is answered with the field's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_is_answered_with_its_field() {
    let mut world = World::new().await;
    for (pointer, value, field) in [
        ("/seq", json!("one"), "seq"),
        ("/seq", json!(-1), "seq"),
        ("/provider_message_id", json!(7), "provider_message_id"),
        ("/correspondent_id", json!(["alice"]), "correspondent_id"),
        ("/sender", json!("alice"), "sender"),
        ("/sender/identifier", json!(7), "identifier"),
        ("/sender/alternate_identifiers", json!("x"), "alternate_identifiers"),
        ("/originating_time", json!("yesterday"), "originating_time"),
        ("/originating_time", json!(1.5), "originating_time"),
        ("/replayed", json!("no"), "replayed"),
        ("/message", json!({"text": "hi"}), "message"),
        ("/direction", json!("sideways"), "direction"),
        ("/media", json!("x"), "media"),
    ] {
        let frame = with(world.message(), pointer, value);
        world.expect_complaint(frame, field).await;
    }
    for (pointer, value, field) in [
        ("/media/kind", json!("hologram"), "kind"),
        ("/media/mime_type", json!(null), "mime_type"),
        ("/media/size_bytes", json!("many"), "size_bytes"),
    ] {
        let frame = with(world.media_message(), pointer, value);
        world.expect_complaint(frame, field).await;
    }
}

/// Goal: a field that is missing, or empty where it must not be, is answered with its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_field_is_answered_with_its_name() {
    let mut world = World::new().await;
    for field in [
        "type",
        "seq",
        "provider_message_id",
        "correspondent_id",
        "sender",
        "direction",
        "originating_time",
        "message",
    ] {
        let frame = without(world.message(), field);
        world.expect_complaint(frame, field).await;
    }
    for field in ["provider_message_id", "correspondent_id"] {
        let frame = with(world.message(), &format!("/{field}"), json!(""));
        world.expect_complaint(frame, field).await;
    }
}

/// Goal: an unknown type of frame is answered with its name; an unknown field is no reason to.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_type_is_answered_and_an_unknown_field_is_not() {
    let mut world = World::new().await;
    let answer = world.expect_complaint(r#"{"type":"telegram"}"#.to_owned(), "type").await;
    assert!(answer.to_string().contains("telegram"), "{answer}");
    let mut frame = world.message();
    frame["mood"] = "sunny".into();
    let receipt = world.provider.receipt(&frame).await;
    assert_eq!(receipt["outcome"], "accepted", "{receipt}");
}

/// Goal: a message of another payload version is answered with the versions there are.
#[tokio::test(flavor = "multi_thread")]
async fn another_payload_version_is_answered() {
    let mut world = World::new().await;
    let frame = with(world.message(), "/payload_version", json!(9));
    world.expect_complaint(frame, "payload_version").await;
}

/// Goal: a `hello` of another payload version is refused with the versions there are, and the other
/// connections go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_hello_of_another_payload_version_is_refused() {
    let mut world = World::new().await;
    let mut newcomer = Connection::open(world.server.url()).await.expect("it takes connections");
    let mut hello = frames::hello("newcomer", "newcomer");
    hello["payload_version"] = 9.into();
    newcomer.send(&hello).await;
    let answer = newcomer.next().await.expect("an answer comes before the end");
    assert_eq!(answer["type"], "error", "{answer}");
    assert_eq!(answer["code"], "unsupported_payload_version", "{answer}");
    assert_eq!(answer["field"], "payload_version", "{answer}");
    assert!(answer["supported"].as_array().is_some_and(|it| it.contains(&json!(1))), "{answer}");
    assert_eq!(answer["fatal"], true, "{answer}");
    assert_eq!(newcomer.next().await, None, "a fatal error ends the connection");
    world.goes_on().await;
}

/// Goal: a media id is a UUID; nothing else is taken, and no path is made of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_media_id_that_is_no_uuid_is_answered() {
    let mut world = World::new().await;
    for id in [
        json!("not-a-uuid"),
        json!("../../../etc/passwd"),
        json!("/etc/passwd"),
        json!("00000000-0000-0000-0000-000000000001/../x"),
        json!(""),
        json!(7),
        json!(null),
    ] {
        let frame = with(world.media_message(), "/media/media_id", id);
        world.expect_complaint(frame, "media_id").await;
    }
}

/// Goal: a frame of 10 MB is answered with the limit it is over, and the line goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_ten_megabytes_is_answered() {
    let mut world = World::new().await;
    let frame = with(world.message(), "/message", json!("x".repeat(10_000_000)));
    world.expect_complaint(frame, "frame").await;
}

/// Goal: a caption of a million characters is answered with the limit it is over, and the line goes
/// on.
#[tokio::test(flavor = "multi_thread")]
async fn a_caption_of_a_million_characters_is_answered() {
    let mut world = World::new().await;
    let frame = with(world.media_message(), "/message", json!("ü".repeat(1_000_000)));
    world.expect_complaint(frame, "frame").await;
}

/// Goal: one bad message never takes its neighbours along.
/// Method: send good, bad, good, bad, good without waiting for an answer in between.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_message_does_not_take_its_neighbours_along() {
    let mut world = World::new().await;
    let mut seqs = Vec::new();
    for number in 1..=3 {
        let frame = frames::text("alice", &format!("n{number}"), &format!("good {number}"));
        seqs.push(world.provider.message(&frame).await);
        let bad = with(world.message(), "/direction", json!("sideways"));
        world.provider.send_text(bad).await;
        world.provider.send_text("{".to_owned()).await;
    }
    for seq in seqs {
        assert_eq!(world.provider.receipt_of(seq).await["outcome"], "accepted");
    }
    world.consumer.confirmed(3).await;
    assert_eq!(world.consumer.contents(), ["good 1", "good 2", "good 3"]);
}

/// Goal: a connection that does not begin with `hello` learns so, and harms nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_before_hello_is_answered() {
    let mut world = World::new().await;
    let mut stranger = Connection::open(world.server.url()).await.expect("it takes connections");
    stranger.message(&frames::text("alice", "m1", "too early")).await;
    let answer = stranger.next().await.expect("an answer comes before the end");
    assert!(answer.to_string().contains("hello"), "{answer}");
    assert_ne!(answer["outcome"], "accepted", "{answer}");
    world.goes_on().await;
}

/// Goal: what a stranger announces, and what nobody may bring, keeps no room from uploads. Method: files of all
/// sizes there are, announced before a `hello` and after one.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_come_keeps_no_room() {
    let mut world = World::new().await;
    let announcement = |name: &str, bytes: u64| {
        let media = Media::document("application/pdf", "x.pdf", b"x");
        let mut frame = frames::media("mallory", name, "", &media);
        frame["media"]["size_bytes"] = bytes.into();
        frame
    };
    let uploaded = async |world: &World| {
        let media = Media::document("application/pdf", "x.pdf", b"x");
        staging::upload(&world.server, &media.media_id.to_string(), b"x".to_vec()).await
    };
    let mut stranger = Connection::open(world.server.url()).await.expect("it takes connections");
    for (name, bytes) in [("s1", u64::MAX), ("s2", GIB), ("s3", GIB)] {
        for number in 0..30 {
            stranger.message(&announcement(&format!("{name}-{number}"), bytes)).await;
            let answer = stranger.next().await.expect("an answer comes before the end");
            assert!(answer.to_string().contains("hello"), "{answer}");
        }
    }
    assert_eq!(uploaded(&world).await, 201);
    let frame = announcement("too large", u64::MAX);
    world.provider.message(&frame).await;
    world.goes_on().await;
    assert_eq!(uploaded(&world).await, 201);
}
