//! What it costs to have Anteroom running.

use std::time::Duration;

use anteroom_tests::{Acknowledge, Consumer, Provider, Server, frames, process};

const BOT: &str = "demo";

/// Goal: a server that has worked and has clients connected uses next to no processor time when
/// nothing happens: it polls nothing faster than it must.
/// Method: the processor time over four seconds, against a generous bound of 5 % of a core.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_hardly_uses_the_processor() {
    const WATCHED: Duration = Duration::from_secs(4);
    let server = Server::start().await;
    let provider = Provider::connect(&server, BOT);
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    for number in 0..100 {
        let frame = frames::text(&format!("c{}", number % 7), &format!("m{number}"), "hello");
        provider.send(frame).await;
    }
    consumer.confirmed(100).await;

    let before = process::cpu_time(server.id());
    tokio::time::sleep(WATCHED).await;
    let used = process::cpu_time(server.id()) - before;
    println!("idle: {used:?} of processor time in {WATCHED:?}");
    assert!(used <= WATCHED / 20, "an idle server used {used:?} in {WATCHED:?}");
}

/// Goal: memory does not grow with what has passed through.
/// Method: texts of 700 four-byte characters, 2.8 kB each. After 2,000 of them every buffer and
/// window has its size; another 18,000 are 50 MB of text, of which no more than 16 MiB may stay.
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_what_has_passed_through() {
    const EARLY: usize = 2_000;
    const LATE: usize = 20_000;
    const GROWTH_KIB_MAX: u64 = 16 * 1_024;
    let server = Server::start().await;
    let provider = Provider::connect(&server, BOT);
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let text = "🦀".repeat(700);

    send(&provider, 0..EARLY, &text).await;
    passed_through(&consumer, EARLY).await;
    let early = process::resident_kib(server.id());
    send(&provider, EARLY..LATE, &text).await;
    passed_through(&consumer, LATE).await;
    let late = process::resident_kib(server.id());

    println!("resident: {early} KiB after {EARLY} messages, {late} KiB after {LATE}");
    let growth = late.saturating_sub(early);
    assert!(growth <= GROWTH_KIB_MAX, "{growth} KiB more after {LATE} than after {EARLY}");
}

/// As many messages of 64 correspondents as `numbers` holds.
async fn send(provider: &Provider, numbers: std::ops::Range<usize>, text: &str) {
    for number in numbers {
        let correspondent_id = format!("c{}", number % 64);
        provider.send(frames::text(&correspondent_id, &format!("m{number}"), text)).await;
    }
}

/// Waits until so many messages have been confirmed, for as long as more and more of them are.
async fn passed_through(consumer: &Consumer, count: usize) {
    let patience = Duration::from_secs(60);
    let mut confirmed = 0;
    while confirmed < count {
        let before = confirmed;
        let more = |seen: &anteroom_tests::consumer::Seen| {
            Some(seen.confirmed.len()).filter(|confirmed| *confirmed > before)
        };
        let counted = consumer.seen().seen_within(patience, more).await;
        confirmed = counted.unwrap_or_else(|| {
            panic!("nothing passed through for {patience:?}, after {before} of {count} messages")
        });
    }
}
