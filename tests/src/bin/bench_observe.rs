//! What it costs to be seen: texts through a node that counts, logs and is looked at every second, against one
//! that keeps no series and logs nothing, in turns in one run.
//!
//! Prints a line for each turn, and lines `case | value | unit | how`. A benchmark and no test: it asserts no figure.
//! `cargo xtask bench observe` builds what it needs and runs it. A number as the argument is how many texts each
//! provider sends.

use std::time::{Duration, Instant};

use anteroom_tests::series::Series;
use anteroom_tests::wire_load::{Pace, consume, provide};
use anteroom_tests::{Connection, Server, process};

/// Turns of each kind.
const TURNS: usize = 11;

/// Providers that talk at once, each with a bot and a consumer.
const TALKING: usize = 20;

/// Texts of each of them, unless another number is given.
const TEXTS: u64 = 4_000;

/// How often a node is looked at that may be seen. Prometheus looks every 15 s, or every minute.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() {
    let texts = std::env::args().nth(1).map_or(TEXTS, |texts| texts.parse().expect("a number"));
    let (mut rates, mut processor_times) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        // Whoever comes second finds a warmer machine, or a busier one.
        let (seen, unseen) = if turn % 2 == 0 {
            let seen = Turn::run(true, texts).await;
            (seen, Turn::run(false, texts).await)
        } else {
            let unseen = Turn::run(false, texts).await;
            (Turn::run(true, texts).await, unseen)
        };
        println!("seen {seen}   unseen {unseen}");
        rates.push(seen.texts_per_second / unseen.texts_per_second);
        processor_times.push(seen.micros_a_text / unseen.micros_a_text);
    }
    print_case("rate", rates);
    print_case("processor time", processor_times);
}

fn print_case(case: &str, mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    let (least, median, most) = (ratios[0], ratios[TURNS / 2], ratios[TURNS - 1]);
    println!("{case} | {median:.3} | × | median of {TURNS} pairs, from {least:.2} to {most:.2}");
}

/// What one node did.
struct Turn {
    /// Texts accepted, called back, acknowledged and confirmed.
    texts_per_second: f64,
    /// Processor time of the node, in microseconds.
    micros_a_text: f64,
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>8.0} /s {:>6.1} µs", self.texts_per_second, self.micros_a_text)
    }
}

impl Turn {
    async fn run(is_seen: bool, texts: u64) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let (file, level) =
            if is_seen { ("", "info") } else { ("[observe]\nmetrics = false\n", "off") };
        std::fs::write(home.path().join("anteroom.toml"), file)
            .expect("the home can be written to");
        let mut server = Server::lent(home.path(), &["--log-level", level, "--log-format", "json"]);
        server.restart().await;
        for number in 0..TALKING {
            Connection::hello(&server, &format!("bot-{number}")).await;
        }
        let used = process::cpu_time(server.id());
        let begun = Instant::now();
        let mut everybody = Vec::new();
        for number in 0..TALKING {
            let (url, bot) = (server.url().to_owned(), format!("bot-{number}"));
            everybody.push(tokio::spawn(consume(url.clone(), bot.clone(), texts)));
            everybody.push(tokio::spawn(async move {
                drop(provide(url, bot, texts, Pace::FLOOD).await)
            }));
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
        let took = begun.elapsed().as_secs_f64();
        let used = process::cpu_time(server.id()).saturating_sub(used).as_secs_f64();
        let texts = TALKING as f64 * texts as f64;
        Self { texts_per_second: texts / took, micros_a_text: used * 1e6 / texts }
    }
}
