//! Texts, alone and around media: once each, in order, and resends told apart.

use anteroom_tests::frames::{self, Media};
use anteroom_tests::{Acknowledge, Connection, Consumer, PATIENCE, Server, fixtures, staging};

const BOT: &str = "demo";

/// Goal: what was written before, between and after media reaches the consumer once each, in order;
/// media do not hold it back and do come.
/// Method: one correspondent sends text, document, text, document, text.
#[tokio::test(flavor = "multi_thread")]
async fn texts_around_media_come_once_each_in_order() {
    let server = Server::start().await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(&server, BOT).await;
    let directory = staging::directory(provider.welcome());

    for number in 1..=5 {
        let id = format!("m{number}");
        let receipt = if number % 2 == 1 {
            provider.receipt(&frames::text("alice", &id, &format!("text {number}"))).await
        } else {
            let file = format!("page {number}").into_bytes();
            let media = Media::document("text/plain", "page.txt", &file);
            staging::share(&directory, media.media_id, &file);
            provider.receipt(&frames::media("alice", &id, "", &media)).await
        };
        assert_eq!(receipt["outcome"], "accepted", "{receipt}");
        assert_eq!(receipt["message_id"], number, "ids count from 1, without gaps here");
    }
    consumer.confirmed(5).await;

    let contents = consumer.contents();
    let (texts, media): (Vec<String>, Vec<String>) =
        contents.into_iter().partition(|content| content.starts_with("text"));
    assert_eq!(texts, ["text 1", "text 3", "text 5"]);
    let mut media = media;
    media.sort();
    assert_eq!(media, ["[Document text (page.txt): page 2]", "[Document text (page.txt): page 4]"]);
}

/// Goal: texts of several correspondents keep each one's order, and none waits for another.
/// Method: interleave 20 texts of each of five correspondents.
#[tokio::test(flavor = "multi_thread")]
async fn each_correspondents_texts_keep_their_order() {
    let server = Server::start().await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(&server, BOT).await;
    let correspondents = ["ada", "bob", "cy", "dan", "eve"];

    let mut last_seq = 0;
    for number in 1..=20 {
        for who in correspondents {
            let frame = frames::text(who, &format!("{who}-{number}"), &number.to_string());
            last_seq = provider.message(&frame).await;
        }
    }
    for seq in 1..=last_seq {
        assert_eq!(provider.receipt_of(seq).await["outcome"], "accepted");
    }
    consumer.confirmed(100).await;

    let expected: Vec<String> = (1..=20).map(|number: u32| number.to_string()).collect();
    for who in correspondents {
        let contents: Vec<String> = consumer.seen().read(|seen| {
            seen.callbacks()
                .filter(|callback| callback.correspondent_id() == who)
                .map(|callback| callback.content().to_owned())
                .collect()
        });
        assert_eq!(contents, expected, "of {who}");
    }
}

/// Goal: a message that comes again under the same provider id is answered `duplicate` with the id
/// it has, on the same connection, on a new one and after a restart, and is called back once.
#[tokio::test(flavor = "multi_thread")]
async fn a_resend_is_a_duplicate_with_the_same_id() {
    let mut server = Server::start().await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let frame = frames::text("alice", "the-one", "hello");

    let mut provider = Connection::hello(&server, BOT).await;
    provider.receipt(&frames::text("alice", "zero", "before")).await;
    let first = provider.receipt(&frame).await;
    assert_eq!(first["outcome"], "accepted", "{first}");
    let expect_duplicate = |receipt: serde_json::Value| {
        assert_eq!(receipt["outcome"], "duplicate", "{receipt}");
        assert_eq!(receipt["message_id"], first["message_id"], "{receipt}");
    };
    expect_duplicate(provider.receipt(&frame).await);
    let mut provider = Connection::hello(&server, BOT).await;
    expect_duplicate(provider.receipt(&frame).await);
    consumer.confirmed(2).await;

    assert!(server.terminate(PATIENCE).await.success());
    server.restart().await;
    let mut provider = Connection::hello(&server, BOT).await;
    expect_duplicate(provider.receipt(&frame).await);

    // One correspondent's callbacks come in order: behind the last one nothing is left to come.
    let after = provider.receipt(&frames::text("alice", "last", "after")).await;
    assert_eq!(after["outcome"], "accepted", "{after}");
    consumer.confirmed(3).await;
    assert_eq!(consumer.contents(), ["before", "hello", "after"]);
}

/// Goal: a resent medium is a duplicate too: it becomes text once.
#[tokio::test(flavor = "multi_thread")]
async fn a_resent_medium_is_called_back_once() {
    let server = Server::start().await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(&server, BOT).await;
    let directory = staging::directory(provider.welcome());
    let file = fixtures::pdf(&["only once"]);
    let media = Media::document(fixtures::PDF, "once.pdf", &file);
    staging::share(&directory, media.media_id, &file);
    let frame = frames::media("alice", "m1", "", &media);

    let first = provider.receipt(&frame).await;
    let early = provider.receipt(&frame).await;
    consumer.confirmed(1).await;
    let late = provider.receipt(&frame).await;

    assert_eq!(first["outcome"], "accepted", "{first}");
    for receipt in [early, late] {
        assert_eq!(receipt["outcome"], "duplicate", "{receipt}");
        assert_eq!(receipt["message_id"], first["message_id"], "{receipt}");
    }
    provider.receipt(&frames::text("alice", "m2", "after")).await;
    consumer.confirmed(2).await;
    assert_eq!(consumer.contents(), ["[Document text (once.pdf): only once]", "after"]);
}

/// Goal: two bots never see each other's messages, even where one's name begins the other's.
#[tokio::test(flavor = "multi_thread")]
async fn bots_do_not_see_each_other() {
    let server = Server::start().await;
    let bots = ["wa-7", "wa-77"];
    let mut consumers = Vec::new();
    for bot in bots {
        consumers.push(Consumer::connect(&server, bot, Acknowledge::Promptly));
        let mut provider = Connection::hello(&server, bot).await;
        let receipt = provider.receipt(&frames::text("alice", "same-id", bot)).await;
        assert_eq!(receipt["outcome"], "accepted", "{receipt}");
    }
    for (bot, consumer) in bots.iter().zip(&consumers) {
        consumer.confirmed(1).await;
        assert_eq!(consumer.contents(), [*bot]);
    }
}
