//! Spans that are sent to a collector: the ids of messages and jobs, never what anybody said, and nothing that
//! a message would wait for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteroom_tests::collector::{Collector, Heard};
use anteroom_tests::contents::{self, BOT};
use anteroom_tests::server::quiet_port;
use anteroom_tests::{Acknowledge, Connection, Consumer, PATIENCE, Server, frames};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How often a batch is sent, in milliseconds.
const EVERY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// How long one request may take, in milliseconds.
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";

/// What is logged once a collector does not take spans.
const NOT_TAKEN: &str = "the collector does not take spans";

fn times(server: &Server, words: &str) -> usize {
    server.log().lines().filter(|line| line.contains(words)).count()
}

/// Sends texts one after the other, each once the one before it has been called back and acknowledged.
async fn texts(provider: &mut Connection, consumer: &Consumer, ids: std::ops::Range<usize>) {
    for id in ids {
        let frame = frames::text("alice", &format!("m{id}"), "a text");
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
        consumer.confirmed(id + 1).await;
    }
}

/// A node with these variables, its provider and its consumer, after the first text.
async fn after_one_text(variables: &[(&'static str, &str)]) -> (Server, Connection, Consumer) {
    let server = Server::start_in(variables, &[]).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(&server, BOT).await;
    texts(&mut provider, &consumer, 0..1).await;
    (server, provider, consumer)
}

/// Goal: each message has a span from its handing over to its acknowledgement, each job one of its work, with
/// the ids that the log has; nothing of what anybody said leaves the node, however much is logged and however little.
/// Method: everything that may carry contents is said; the node is stopped, long before a batch would be due; its requests are
/// read as a collector reads them, and searched for words as they are.
#[tokio::test(flavor = "multi_thread")]
async fn spans_have_ids_and_no_contents() {
    for level in ["error", "info", "anteroom_runtime=trace"] {
        let collector = Collector::start().await;
        let variables = [(ENDPOINT, collector.url()), (EVERY, "60000".to_owned())];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut server = Server::start_in(&variables, &["--log-level", level]).await;
        let ids = contents::say_all(&server).await;
        assert!(server.terminate(PATIENCE).await.success());
        collector.heard().read(|heard| {
            assert_eq!(heard.requests, 1, "{level}: the last spans are sent when the node stops");
            has_ids(heard, &ids);
            for word in contents::WORDS {
                let found = heard.bytes.windows(word.len()).any(|bytes| bytes == word.as_bytes());
                assert!(!found, "{level}: {word} was sent");
            }
        });
    }
}

fn has_ids(heard: &Heard, media_ids: &[String]) {
    assert!(heard.spans.iter().all(|span| span.service == "anteroom"), "{:?}", heard.spans);
    let mut messages: Vec<_> = heard.named("message").collect();
    messages.sort_by_key(|span| span.attribute("callback_id").to_owned());
    assert_eq!(messages.len(), 3, "{messages:?}");
    let expected_media = media_ids.iter().map(String::as_str).chain([""]);
    for ((number, media_id), span) in (1..).zip(expected_media).zip(messages) {
        assert_eq!(span.attribute("bot_id"), BOT);
        assert_eq!(span.attribute("correspondent_id"), "alice");
        assert_eq!(span.attribute("callback_id"), format!("{BOT}/alice/{number}"));
        assert_eq!(span.attribute("media_id"), media_id);
    }
    for media_id in media_ids {
        let jobs: Vec<_> =
            heard.named("job").filter(|span| span.attribute("media_id") == media_id).collect();
        let [job] = jobs[..] else { panic!("{media_id} has {jobs:?}") };
        assert_eq!(job.attribute("bot_id"), BOT);
        assert_eq!(job.attribute("pool"), "document");
    }
}

/// Goal: a collector that is not there costs no message and no stop, and is spoken of once, until it is there.
/// Method: a batch every 20 ms to a port where nobody listens; later a collector listens there.
#[tokio::test(flavor = "multi_thread")]
async fn an_absent_collector_is_spoken_of_once() {
    let address = SocketAddr::from(([127, 0, 0, 1], quiet_port()));
    let url = format!("http://user:secret@{address}");
    let variables = [
        (ENDPOINT, url.as_str()),
        (EVERY, "20"),
        (TIMEOUT, "200"),
        ("OTEL_SERVICE_NAME", "node-7"),
    ];
    let (mut server, mut provider, consumer) = after_one_text(&variables).await;
    anteroom_tests::eventually("it says so", || times(&server, NOT_TAKEN) == 1).await;
    texts(&mut provider, &consumer, 1..200).await;
    assert_eq!(times(&server, NOT_TAKEN), 1, "{}", server.log());
    assert!(server.log().contains(&format!("http://{address}")), "{}", server.log());
    assert!(!server.log().contains("secret"), "{}", server.log());

    let collector = Collector::start_at(address).await;
    texts(&mut provider, &consumer, 200..201).await;
    let last = format!("{BOT}/alice/201");
    let arrived =
        |heard: &Heard| heard.named("message").any(|it| it.attribute("callback_id") == last);
    collector.heard().until("the span of the last message", arrived).await;
    let is_named = |heard: &Heard| heard.spans.iter().all(|span| span.service == "node-7");
    assert!(collector.heard().read(is_named), "the environment names the node");
    assert!(server.terminate(PATIENCE).await.success());
    assert_eq!(times(&server, "the collector takes spans again"), 1, "{}", server.log());
    assert_eq!(times(&server, NOT_TAKEN), 1, "{}", server.log());
}

/// Goal: a collector that takes requests and never answers delays no message; and no stop for longer than its bound
/// of 3 s. Method: a request might take a minute, and one is on its way while texts are sent; far more spans end than
/// the node keeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_collector_delays_nothing() {
    let collector = Collector::start_silent().await;
    let url = collector.url();
    let variables = [
        (ENDPOINT, url.as_str()),
        (EVERY, "20"),
        (TIMEOUT, "60000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
    ];
    let (mut server, mut provider, consumer) = after_one_text(&variables).await;
    collector.heard().until("a request", |heard| heard.requests == 1).await;
    texts(&mut provider, &consumer, 1..100).await;
    assert_eq!(collector.heard().read(|heard| heard.requests), 1, "the first has no answer yet");

    let stopping = Instant::now();
    assert!(server.terminate(PATIENCE).await.success());
    let took = stopping.elapsed();
    assert!(took < Duration::from_secs(15), "stopping took {took:?}");
    assert_eq!(times(&server, "the last spans were not sent"), 1, "{}", server.log());
}

/// Goal: an endpoint that is none keeps the node from starting, and is named.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_none_is_refused() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let mut command = anteroom_tests::cli::command(
        "http://127.0.0.1:1",
        home.path(),
        &["serve", "--listen", "127.0.0.1:0"],
    );
    command.env(ENDPOINT, "not an address");
    let ended = anteroom_tests::cli::ended(command.spawn().expect("the binary can be run")).await;
    ended.failed_saying(&["OpenTelemetry"]);
}
