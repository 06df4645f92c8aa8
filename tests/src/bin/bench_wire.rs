//! The wire under load: a thousand providers on one process, texts in and called back over the stream, the memory of
//! an idle connection, and how long receipts take: under a flood, at a pace, and while operators ask.
//!
//! Prints lines `case | value | unit | how`. A benchmark and no test: it asserts no figure, but every text must have
//! come back once. `cargo xtask bench wire` builds what it needs and runs it.

use std::time::{Duration, Instant};

use anteroom_tests::wire_load::{Pace, consume, provide};
use anteroom_tests::{Connection, Server, http_client, process};
use tokio::task::JoinSet;

/// Providers that are connected.
const CONNECTIONS: usize = 1_000;

/// Providers that talk at once.
const TALKING: usize = 50;

/// Texts of each of them in the flood.
const TEXTS: u64 = 4_000;

/// Texts of each of them at a pace.
const PACED_TEXTS: u64 = 300;

/// The pause after a receipt: fifty providers send about a tenth of the flood.
const PAUSE: Duration = Duration::from_millis(18);

/// Operators that ask one question after the other.
const OPERATORS: usize = 4;

/// What they ask, in turns.
const QUESTIONS: [&str; 6] = [
    "/v1/bots",
    "/v1/jobs?limit=100",
    "/v1/jobs/count",
    "/v1/callbacks/owed?limit=100",
    "/v1/nodes",
    "/metrics",
];

#[tokio::main]
async fn main() {
    let server = Server::start().await;
    let before = process::resident_kib(server.id());
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        idle.push(Connection::hello(&server, &bot(number)).await);
    }
    let after = process::resident_kib(server.id());
    let each = after.saturating_sub(before) as f64 / CONNECTIONS as f64;
    println!("idle | {each:.1} | KiB | of {CONNECTIONS}, from {before} to {after} KiB");

    // Talkers take their bots' places, and the server ends these.
    let flood = Load::run(&server, 0, TEXTS, Pace::FLOOD).await;
    let texts = TALKING as f64 * TEXTS as f64;
    let how = format!("{texts} texts of {TALKING} providers");
    println!("accepted | {:.0} | /s | {how}", texts / flood.received.as_secs_f64());
    println!(
        "called back | {:.0} | /s | {how}, over WebSockets",
        texts / flood.called_back.as_secs_f64()
    );
    flood.print_receipts("receipt", &how);

    let pace = Pace::one_every(PAUSE);
    let paced = Load::run(&server, TALKING, PACED_TEXTS, pace).await;
    paced.print_receipts("paced", &paced.rate(PACED_TEXTS));

    let mut operators = JoinSet::new();
    for number in 0..OPERATORS {
        operators.spawn(ask(server.url().to_owned(), number));
    }
    let beside = Load::run(&server, 2 * TALKING, PACED_TEXTS, pace).await;
    operators.shutdown().await;
    let how = format!("{}, {OPERATORS} operators ask all the time", beside.rate(PACED_TEXTS));
    beside.print_receipts("operated", &how);
    println!("resident | {} | KiB | of the node", process::resident_kib(server.id()));
}

fn bot(number: usize) -> String {
    format!("bot-{number}")
}

/// What a load showed.
struct Load {
    /// Until every text had its receipt.
    received: Duration,
    /// Until every callback's acknowledgement was confirmed.
    called_back: Duration,
    /// How long receipts took, the shortest first.
    receipts: Vec<Duration>,
}

impl Load {
    /// Lets the bots from the `first` on be talked to.
    async fn run(server: &Server, first: usize, texts: u64, pace: Pace) -> Self {
        let begun = Instant::now();
        let (mut talking, mut listening) = (Vec::new(), Vec::new());
        for number in first..first + TALKING {
            let url = server.url().to_owned();
            talking.push(tokio::spawn(provide(url.clone(), bot(number), texts, pace)));
            listening.push(tokio::spawn(consume(url, bot(number), texts)));
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
        receipts.sort();
        Self { received, called_back, receipts }
    }

    fn rate(&self, texts: u64) -> String {
        let rate = TALKING as f64 * texts as f64 / self.received.as_secs_f64();
        format!("{rate:.0} texts a second, one at a time from each of {TALKING} providers")
    }

    fn print_receipts(&self, case: &str, how: &str) {
        let at = |per_mille: usize| {
            let place = (self.receipts.len() - 1) * per_mille / 1_000;
            self.receipts[place].as_secs_f64() * 1_000.0
        };
        println!("{case} | {:.1} | ms | {how}", at(500));
        println!("{case} p99 | {:.1} | ms | {how}", at(990));
    }
}

/// Asks one question after the other.
async fn ask(url: String, first: usize) {
    let client = http_client();
    for question in QUESTIONS.iter().cycle().skip(first) {
        let answer = client.get(format!("{url}{question}")).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.expect("it is answered").bytes().await.expect("it is answered whole");
    }
}
