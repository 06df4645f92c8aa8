//! What it costs to be seen: texts through a node that counts, logs and is looked at every second, against one
//! that keeps no series and logs nothing, in turns in one run.
//!
//! Prints a line for each turn, and the ratio. A benchmark and no test: it asserts no figure.
//! `cargo xtask bench observe` builds what it needs and runs it. A number as the argument is how many texts each
//! provider sends.

use std::time::{Duration, Instant};

use anteroom_tests::series::Series;
use anteroom_tests::wire_load::{consume, provide};
use anteroom_tests::{Connection, Server};

/// Turns of each kind.
const TURNS: usize = 7;

/// Providers that talk at once, each with a bot and a consumer.
const TALKING: usize = 20;

/// Texts of each of them, unless another number is given.
const TEXTS: u64 = 4_000;

/// How often a node is looked at that may be seen. Prometheus looks every 15 s, or every minute.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() {
    let texts = std::env::args().nth(1).map_or(TEXTS, |texts| texts.parse().expect("a number"));
    let mut ratios = Vec::new();
    for turn in 0..TURNS {
        // Whoever comes second finds a warmer machine, or a busier one.
        let (seen, unseen) = if turn % 2 == 0 {
            let seen = texts_per_second(true, texts).await;
            (seen, texts_per_second(false, texts).await)
        } else {
            let unseen = texts_per_second(false, texts).await;
            (texts_per_second(true, texts).await, unseen)
        };
        let ratio = seen / unseen;
        println!("seen {seen:>8.0} /s   unseen {unseen:>8.0} /s   ratio {ratio:.3}");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let (least, most) = (ratios[0], ratios[TURNS - 1]);
    println!("median ratio {:.3} (from {least:.3} to {most:.3})", ratios[TURNS / 2]);
}

/// How many texts a second are accepted, called back, acknowledged and confirmed.
async fn texts_per_second(is_seen: bool, texts: u64) -> f64 {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let (file, level) =
        if is_seen { ("", "info") } else { ("[observe]\nmetrics = false\n", "off") };
    std::fs::write(home.path().join("anteroom.toml"), file).expect("the home can be written to");
    let mut server = Server::lent(home.path(), &["--log-level", level, "--log-format", "json"]);
    server.restart().await;
    for number in 0..TALKING {
        Connection::hello(&server, &format!("bot-{number}")).await;
    }
    let begun = Instant::now();
    let mut everybody = Vec::new();
    for number in 0..TALKING {
        let (url, bot) = (server.url().to_owned(), format!("bot-{number}"));
        everybody.push(tokio::spawn(consume(url.clone(), bot.clone(), texts)));
        everybody.push(tokio::spawn(async move { drop(provide(url, bot, texts).await) }));
    }
    let all = async {
        for task in everybody {
            task.await.expect("nobody panics");
        }
    };
    let looking = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if is_seen {
                Series::of(&server).await;
            }
        }
    };
    tokio::select! {
        () = all => {}
        () = looking => {}
    }
    TALKING as f64 * texts as f64 / begun.elapsed().as_secs_f64()
}
