//! A stop that is asked for ends soon, loses nothing, and deletes no file of a job in flight.

use std::time::Duration;

use anteroom_tests::frames::{self, Media};
use anteroom_tests::{Acknowledge, Consumer, Provider, Server, fixtures, staging};
use uuid::Uuid;

const BOT: &str = "demo";
const DOCUMENTS: usize = 24;

/// How long a stop may take: the grace for workers, and some more.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Goal: `SIGTERM` with media in flight and both lines open ends with exit code 0 soon; after a
/// restart the jobs are finished from the files that are still there, once each; new work follows.
/// Method: more documents than there are workers, each long enough to take a while; the stop is
/// asked for as soon as all are accepted.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_media_in_flight_loses_nothing() {
    let mut server = Server::start().await;
    let provider = Provider::connect(&server, BOT);
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let directory = provider.staging_directory().await;

    let mut media_ids = Vec::new();
    for number in 0..DOCUMENTS {
        let first = format!("document {number}.");
        let mut pages = vec![first.as_str()];
        pages.resize(300, "and so on");
        let file = fixtures::pdf(&pages);
        let media = Media::document(fixtures::PDF, "long.pdf", &file);
        staging::share(&directory, media.media_id, &file);
        provider.send(frames::media("alice", &format!("m{number}"), "", &media)).await;
        media_ids.push(media.media_id);
    }
    provider.settled(DOCUMENTS).await;

    let status = server.terminate(STOP_PATIENCE).await;
    assert!(status.success(), "SIGTERM ended the server with {status}");
    // A finished job has no file, so one that is left proves that the stop fell among them. That
    // none of an unfinished job was deleted shows below: all become their words, none a failure.
    let is_left = |id: &Uuid| directory.join(id.to_string()).exists();
    assert!(media_ids.iter().any(is_left), "the stop deleted the files, or fell behind all jobs");

    server.restart().await;
    consumer.confirmed(DOCUMENTS).await;
    provider.send(frames::text("alice", "after", "new work")).await;
    let last = consumer.callback_of("after").await;
    assert_eq!(last.content(), "new work");
    consumer.seen().read(|seen| {
        assert_eq!(seen.callbacks().count(), DOCUMENTS + 1, "each is called back once");
        for callback in seen.callbacks().filter(|it| it.provider_message_id() != "after") {
            let number = callback.provider_message_id().trim_start_matches('m');
            let words = format!("[Document text (long.pdf): document {number}.");
            assert!(callback.content().starts_with(&words), "{}", callback.content());
        }
    });
}

/// Goal: a stop with nothing to do but two open lines is quick, and says goodbye to neither with an
/// error.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stop_is_quick() {
    let mut server = Server::start().await;
    let provider = Provider::connect(&server, BOT);
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    provider.send(frames::text("alice", "m1", "hello")).await;
    consumer.confirmed(1).await;
    let status = server.terminate(Duration::from_secs(10)).await;
    assert!(status.success(), "SIGTERM ended the server with {status}");
    server.restart().await;
    provider.send(frames::text("alice", "m2", "again")).await;
    consumer.confirmed(2).await;
    assert_eq!(consumer.contents(), ["hello", "again"]);
}
