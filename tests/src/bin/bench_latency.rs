//! How long a text takes through an idle server: from the provider's frame to the callback at the
//! consumer, and to the acknowledgement that the server has confirmed.
//!
//! Prints lines `case | value | unit | how`. A benchmark and no test: it asserts no time. `cargo xtask bench latency` builds
//! what it needs and runs it.

use std::time::{Duration, Instant};

use anteroom_tests::{Acknowledge, Connection, Consumer, Server, frames};

const BOT: &str = "bench";
const WARM_UP: usize = 20;
const TEXTS: usize = 300;

/// How long the server is left alone between two texts.
const PAUSE: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() {
    let server = Server::start().await;
    let mut provider = Connection::hello(&server, BOT).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let mut accepted = Vec::with_capacity(TEXTS);
    let mut received = Vec::with_capacity(TEXTS);
    let mut confirmed = Vec::with_capacity(TEXTS);
    for number in 0..WARM_UP + TEXTS {
        tokio::time::sleep(PAUSE).await;
        let frame = frames::text("alice", &format!("m{number}"), "hello");
        let begun = Instant::now();
        let seq = provider.message(&frame).await;
        let receipt = async {
            provider.receipt_of(seq).await;
            begun.elapsed()
        };
        let callback = async {
            let what = "the callback";
            consumer.seen().until(what, |seen| seen.called_back.len() > number).await;
            begun.elapsed()
        };
        let confirmation = async {
            consumer.confirmed(number + 1).await;
            begun.elapsed()
        };
        let (receipt, callback, confirmation) = tokio::join!(receipt, callback, confirmation);
        if number >= WARM_UP {
            accepted.push(receipt);
            received.push(callback);
            confirmed.push(confirmation);
        }
    }
    print_case("receipt", accepted);
    print_case("callback", received);
    print_case("confirmed", confirmed);
}

fn print_case(case: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    let most = at(100);
    println!("{case} | {:.2} | ms | of {TEXTS} texts", at(50));
    println!("{case} p95 | {:.2} | ms | of {TEXTS} texts, the slowest {most:.2}", at(95));
}
