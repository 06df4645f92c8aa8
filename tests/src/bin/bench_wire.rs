//! The wire under load: a thousand providers on one process, texts in and called back over the stream, the memory of
//! an idle connection, and how long receipts take meanwhile.
//!
//! Prints a table. A benchmark and no test: it asserts no figure, but every text must have come back once.
//! `cargo xtask bench wire` builds what it needs and runs it.

use std::time::Instant;

use anteroom_tests::wire_load::{consume, provide};
use anteroom_tests::{Connection, Server, process};

/// Providers that are connected.
const CONNECTIONS: usize = 1_000;

/// Providers that talk at once.
const TALKING: usize = 50;

/// Texts of each of them.
const TEXTS: u64 = 4_000;

#[tokio::main]
async fn main() {
    let server = Server::start().await;
    let before = process::resident_kib(server.id());
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        idle.push(Connection::hello(&server, &format!("bot-{number}")).await);
    }
    let after = process::resident_kib(server.id());
    let each = after.saturating_sub(before) as f64 / CONNECTIONS as f64;
    println!(
        "{CONNECTIONS} providers are connected, each with a bot of its own: {before} KiB, then {after} KiB"
    );
    println!("{:<48}{each:>10.1} KiB", "an idle connection and its bot");
    idle.drain(..TALKING);

    let begun = Instant::now();
    let mut talking = Vec::new();
    let mut listening = Vec::new();
    for number in 0..TALKING {
        let bot = format!("bot-{number}");
        talking.push(tokio::spawn(provide(server.url().to_owned(), bot.clone(), TEXTS)));
        listening.push(tokio::spawn(consume(server.url().to_owned(), bot, TEXTS)));
    }
    let mut receipts = Vec::new();
    for provider in talking {
        receipts.extend(provider.await.expect("a provider does not panic"));
    }
    let received = begun.elapsed();
    for consumer in listening {
        consumer.await.expect("a consumer does not panic");
    }
    let called_back = begun.elapsed();
    let texts = TALKING as f64 * TEXTS as f64;
    println!(
        "{texts} texts of {TALKING} providers, called back over WebSockets, acknowledged and confirmed"
    );
    println!("{:<48}{:>10.0} /s", "accepted", texts / received.as_secs_f64());
    println!("{:<48}{:>10.0} /s", "called back and confirmed", texts / called_back.as_secs_f64());
    receipts.sort();
    let at = |per_mille: usize| {
        let place = (receipts.len() - 1) * per_mille / 1_000;
        receipts[place].as_secs_f64() * 1_000.0
    };
    println!("{:<48}{:>10.1} ms", "a receipt under this load, median", at(500));
    println!("{:<48}{:>10.1} ms", "p99", at(990));
    println!("{:<48}{:>10} KiB", "resident at the end", process::resident_kib(server.id()));
}
