//! Connections, their bounds, and what every endpoint has in common.

use std::time::{Duration, Instant};

use anteroom_runtime::http::{HttpLimits, Rate};
use reqwest::header::{HOST, ORIGIN};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::world::{Answer, BOT, PATIENCE, World, client, message, roomy};

async fn line(world: &World) -> TcpStream {
    TcpStream::connect(world.url.trim_start_matches("http://")).await.expect("it listens")
}

/// What comes until the listener ends the connection.
async fn to_its_end(line: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, line.read_to_end(&mut answer)).await;
    let _ = read.expect("the listener ends the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Goal: the node says what it is, that it lives, and whether it takes work.
#[tokio::test]
async fn the_node_says_how_it_is() {
    let world = World::start().await;
    for (path, word) in [("/", "/v1/provider"), ("/healthz", "ok"), ("/readyz", "ready")] {
        let response = client().get(world.at(path)).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.text().await.expect("text").contains(word), "{path}");
    }
    world.handle.shutdown().await;
    let response = client().get(world.at("/readyz")).send().await.expect("an answer");
    Answer::of(response).await.problem(503, "not_ready");
}

/// Goal: paths and methods that are none are told as problems.
#[tokio::test]
async fn what_is_not_there_is_told() {
    let world = World::start().await;
    let response = client().get(world.at("/v1/nowhere")).send().await.expect("an answer");
    Answer::of(response).await.problem(404, "not_found");
    let response =
        client().delete(world.at("/v1/bots/demo/sends")).send().await.expect("an answer");
    Answer::of(response).await.problem(405, "method_not_allowed");
}

/// Goal: a path that names no bot is told so.
#[tokio::test]
async fn a_path_that_names_no_bot_is_told() {
    let world = World::start().await;
    for bot in ["%ff", "%00", "x".repeat(513).as_str()] {
        let answer = world.post(&format!("/v1/bots/{bot}/sends"), "{}").await;
        answer.problem(400, "invalid_bot_id");
    }
}

/// Goal: neither a foreign web page nor a foreign name of this machine is served.
#[tokio::test]
async fn foreign_pages_are_not_served() {
    let world = World::start().await;
    for (header, value, code) in
        [(ORIGIN, "http://evil.example", "foreign_origin"), (HOST, "evil.example", "foreign_host")]
    {
        for path in ["/v1/provider", "/v1/bots/demo/callbacks"] {
            let request = client().get(world.at(path)).header(header.clone(), value);
            Answer::of(request.send().await.expect("an answer")).await.problem(403, code);
        }
    }
}

/// Goal: a head that is too large, or that never ends, costs its own connection only.
#[tokio::test]
async fn heads_are_bounded() {
    let limits = HttpLimits { head_time_max: Duration::from_millis(200), ..HttpLimits::default() };
    let world = World::within(limits, roomy()).await;
    let mut large = line(&world).await;
    let head = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let _ = large.write_all(head.as_bytes()).await;
    let answer = to_its_end(&mut large).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");

    let mut slow = line(&world).await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: 127").await.expect("it reads");
    to_its_end(&mut slow).await;
    let response = client().get(world.at("/healthz")).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
}

/// Goal: a body that never comes ends its request.
#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let limits =
        HttpLimits { request_time_max: Duration::from_millis(200), ..HttpLimits::default() };
    let world = World::within(limits, roomy()).await;
    let mut slow = line(&world).await;
    let head =
        "POST /v1/bots/demo/sends HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.expect("it reads");
    let answer = to_its_end(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("timed_out"), "{answer}");
}

/// Goal: connections beyond the bound wait, and are served when there is room; a WebSocket takes its
/// place for as long as it lasts.
#[tokio::test]
async fn connections_are_bounded() {
    let limits = HttpLimits { connections_max: 2, ..HttpLimits::default() };
    let world = World::within(limits, roomy()).await;
    let first = world.provider("first").await;
    let _second = world.provider("second").await;
    let request = client().get(world.at("/healthz")).send();
    let mut request = std::pin::pin!(request);
    let soon = timeout(Duration::from_millis(300), request.as_mut()).await;
    assert!(soon.is_err(), "there is no room for a third");
    drop(first);
    let response = timeout(PATIENCE, request).await.expect("there is room").expect("an answer");
    assert_eq!(response.status(), 200);
}

/// Goal: operators take turns at one pace, and nobody else waits for them.
/// Method: as many at once as take a minute; messages meanwhile.
#[tokio::test]
async fn operators_take_turns_and_nobody_waits_for_them() {
    let operators = Rate { per_second: 1, burst: 1 };
    let world = World::within(HttpLimits { operators, ..HttpLimits::default() }, roomy()).await;
    let begun = Instant::now();
    let mut asked: JoinSet<_> =
        (0..60).map(|_| client().get(world.at("/metrics")).send()).collect();
    for turn in 0..2 {
        let answered = timeout(PATIENCE, asked.join_next()).await.expect("their turn comes");
        answered.expect("one of them").expect("it ran").expect("an answer");
        assert!(begun.elapsed() >= Duration::from_secs(turn));
    }
    let mut provider = world.provider(BOT).await;
    provider.say(&message(1, "hello")).await;
    assert_eq!(provider.next().await["outcome"], "accepted");
    assert!(!asked.is_empty(), "the others wait for theirs");
    asked.abort_all();
}

/// Goal: an idle connection does not keep the node from stopping.
#[tokio::test]
async fn idle_connections_do_not_hold_a_stop_up() {
    let world = World::start().await;
    let mut idle = line(&world).await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.expect("it reads");
    let mut first = [0; 16];
    idle.read_exact(&mut first).await.expect("an answer");
    let _silent = line(&world).await;
    world.shutdown.cancel();
    let ended = timeout(PATIENCE, world.listener).await.expect("it ends in time");
    ended.expect("it does not panic").expect("it ends well");
}
