//! `PUT /v1/media/{media_id}`.

use anteroom_runtime::http::HttpLimits;
use anteroom_runtime::media::staging::StagingLimits;
use futures_util::stream;
use reqwest::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Answer, World, client, hello};

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
    let staging = StagingLimits {
        quota_bytes: 3_000_000,
        file_bytes_max: 2_000_000,
        min_free_bytes: 0,
        ..StagingLimits::default()
    };
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
