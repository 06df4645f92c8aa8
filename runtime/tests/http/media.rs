//! `PUT /v1/media/{media_id}`.

use anteroom_core::store::{OperatorAnswer, StoreReply, StoreRequest};
use anteroom_runtime::http::HttpLimits;
use anteroom_runtime::media::staging::StagingLimits;
use anteroom_runtime::store::Store;
use futures_util::stream;
use reqwest::Body;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Answer, BOT, PATIENCE, World, client, hello, message, roomy};

const MEDIA_ID: &str = "8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11";

async fn put(world: &World, media_id: &str, body: impl Into<Body>) -> Answer {
    let address = world.at(&format!("/v1/media/{media_id}"));
    Answer::of(client().put(address).body(body).send().await.expect("an answer")).await
}

fn staged(world: &World) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(world.staging.directory()).expect("staging is there");
    entries
        .map(|entry| {
            let entry = entry.expect("it can be listed");
            let name = entry.file_name().into_string().expect("names are ASCII");
            (name, std::fs::read(entry.path()).expect("it can be read"))
        })
        .collect()
}

async fn small() -> World {
    let staging = StagingLimits { quota_bytes: 3_000_000, file_bytes_max: 2_000_000, ..roomy() };
    World::within(HttpLimits::default(), staging).await
}

/// Goal: a file is in staging once it is answered, with and without an announced length; a second
/// upload replaces it; the next provider is told how much is used.
#[tokio::test]
async fn an_upload_is_staged() {
    let world = small().await;
    let answer = put(&world, MEDIA_ID, "first").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body, serde_json::json!({"media_id": MEDIA_ID, "size_bytes": 5}));
    assert_eq!(staged(&world), [(MEDIA_ID.to_owned(), b"first".to_vec())]);

    let pieces = stream::iter([Ok::<_, std::io::Error>("se"), Ok("cond")]);
    assert_eq!(put(&world, MEDIA_ID, Body::wrap_stream(pieces)).await.body["size_bytes"], 6);
    assert_eq!(staged(&world), [(MEDIA_ID.to_owned(), b"second".to_vec())]);

    let mut provider = world.socket().await;
    provider.say(&hello("demo", "cli")).await;
    assert_eq!(provider.next().await["media"]["used_bytes"], 6);
}

/// Goal: only a UUID is a media id, and no path is made of anything else.
#[tokio::test]
async fn only_a_uuid_is_a_media_id() {
    let world = small().await;
    for id in ["x", "..%2f..%2fetc%2fpasswd", "8c7a2f0e41e44d4f9d402f6f5f0f9a11", "%00", "a%20b"] {
        put(&world, id, "x").await.problem(400, "invalid_media_id");
    }
    put(&world, "a/b", "x").await.problem(404, "not_found");
    assert_eq!(staged(&world), []);
}

/// Goal: what is too large, or has no room, is refused whether its length was announced or not, is
/// answered although its body is unread, and leaves nothing behind.
#[tokio::test]
async fn what_has_no_room_is_refused_and_leaves_nothing() {
    let world = small().await;
    let unannounced = |bytes: usize| {
        let pieces = vec![vec![b'x'; 64 * 1024]; bytes / (64 * 1024)];
        Body::wrap_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
    };
    put(&world, MEDIA_ID, vec![b'x'; 5_000_000]).await.problem(413, "too_large");
    put(&world, MEDIA_ID, unannounced(5_000_000)).await.problem(413, "too_large");
    assert_eq!(staged(&world), []);

    assert_eq!(put(&world, MEDIA_ID, vec![b'x'; 2_000_000]).await.status, 201);
    let other = "00000000-0000-4000-8000-000000000001";
    put(&world, other, vec![b'x'; 1_500_000]).await.problem(507, "quota_exceeded");
    put(&world, other, unannounced(1_500_000)).await.problem(507, "quota_exceeded");
    assert_eq!(staged(&world).len(), 1);
    assert_eq!(world.staging.used_bytes(), 2_000_000);
}

/// Goal: an upload that breaks off leaves nothing behind.
/// Method: half of the announced body, then the end of the connection; the listener's shutdown waits
/// for the request.
#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let world = small().await;
    let mut line =
        TcpStream::connect(world.url.trim_start_matches("http://")).await.expect("there");
    let head = format!(
        "PUT /v1/media/{MEDIA_ID} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"
    );
    line.write_all(head.as_bytes()).await.expect("it reads");
    line.write_all(&[b'x'; 50_000]).await.expect("it reads");
    line.shutdown().await.expect("our half ends");
    let mut answer = Vec::new();
    let _ = line.read_to_end(&mut answer).await;
    world.shutdown.cancel();
    let World { listener, .. } = world;
    listener.await.expect("it does not panic").expect("it ends well");
}

/// Goal: a provider is told when files begin to be refused, and when there is room again, once each and
/// by itself; one that connects meanwhile hears it in its welcome.
#[tokio::test]
async fn a_provider_is_told_of_a_full_quota_and_of_its_end() {
    let world = small().await;
    let mut provider = world.provider(BOT).await;
    assert_eq!(put(&world, MEDIA_ID, vec![b'x'; 2_000_000]).await.status, 201);
    let other = "00000000-0000-4000-8000-000000000001";
    for _ in 0..3 {
        put(&world, other, vec![b'x'; 1_500_000]).await.problem(507, "quota_exceeded");
    }
    let quota = json!({"type": "quota", "quota_bytes": 3_000_000, "used_bytes": 2_000_000});
    assert_eq!(provider.next().await, quota);
    let mut late = world.socket().await;
    late.say(&hello("late", "cli")).await;
    assert_eq!(late.next().await["media"]["used_bytes"], 2_000_000);

    let media_id = MEDIA_ID.parse::<uuid::Uuid>().expect("a UUID").into();
    world.staging.delete(media_id).await.expect("deleted");
    let room = json!({"type": "quota", "quota_bytes": 3_000_000, "used_bytes": 0});
    assert_eq!(provider.next().await, room);
    assert_eq!(late.next().await, room);
    assert_eq!(put(&world, other, vec![b'x'; 1_500_000]).await.status, 201);
}

/// Goal: what a provider wrote into the shared directory, or only announced, counts from its message on.
#[tokio::test]
async fn a_file_counts_from_its_message_on() {
    let world = small().await;
    let mut frame = message(1, "");
    frame["media"] = json!({
        "media_id": MEDIA_ID, "kind": "audio", "mime_type": "audio/ogg", "size_bytes": 1_000_000,
    });
    // The audio pool of this world has no engine, but the file is not looked for before its job ends.
    let mut provider = world.provider(BOT).await;
    world.store.go_away();
    provider.say(&frame).await;
    let counted = async {
        while world.staging.used_bytes() != 1_000_000 {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, counted).await.is_ok(), "it was announced");
}

/// Goal: a job that failed keeps its file; an operator's retry reads it again, and the bot is told by a
/// revision of the message. Method: a file that is no text, and becomes one before the retry.
#[tokio::test]
async fn a_retried_job_revises_its_message() {
    let world = World::start().await;
    let mut events = world.events(BOT).await;
    let mut provider = world.provider(BOT).await;
    assert_eq!(put(&world, MEDIA_ID, b"\xff\xfe\xfd".to_vec()).await.status, 201);
    let mut frame = message(1, "look");
    frame["media"] = json!({"media_id": MEDIA_ID, "kind": "document", "mime_type": "text/plain"});
    provider.say(&frame).await;
    assert_eq!(provider.next().await["outcome"], "accepted");
    let event = events.next().await.expect("a callback");
    assert!(event.data.contains("[Document processing failed]\\nlook"), "{}", event.data);
    let ack = json!({"callback_ids": [event.id]}).to_string();
    assert_eq!(world.post("/v1/bots/demo/callbacks/ack", ack).await.body["acknowledged"], 1);
    assert_eq!(staged(&world).len(), 1, "the failed job's file is kept");

    assert_eq!(put(&world, MEDIA_ID, "words after all").await.status, 201);
    let media_id = MEDIA_ID.parse::<uuid::Uuid>().expect("a UUID").into();
    let answer = world.store.execute(StoreRequest::RetryJob { media_id, routing: None }).await;
    assert!(matches!(answer, Ok(StoreReply::RetryJob(OperatorAnswer::Done { .. }))), "{answer:?}");
    let event = events.next().await.expect("a revision");
    assert_eq!((event.id.as_str(), event.event.as_str()), ("demo/alice/1/r1", "message.revised"));
    assert!(event.data.contains("[Document text: words after all]\\nlook"), "{}", event.data);
}
