//! The wire under load: a thousand providers on one process, texts in and called back over the stream, the memory of
//! an idle connection, and how long receipts take: under a flood, at a pace, and while operators ask.
//!
//! Operators take a processor's time as well by asking and reading as by being answered. So receipts are measured in
//! three ways, in turns: with nobody asking, with operators who ask the node, and with operators who ask a stand-in
//! that says what the node said, at the same pace. What the last costs is what any such program costs beside a node.
//!
//! Prints lines `case | value | unit | how`. A benchmark and no test: it asserts no figure, but every text must have
//! come back once. `cargo xtask bench wire` builds what it needs and runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anteroom_tests::wire_load::{Pace, consume, provide};
use anteroom_tests::{Connection, Server, http_client, process};
use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Providers that are connected.
const CONNECTIONS: usize = 1_000;

/// Providers that talk at once.
const TALKING: usize = 50;

/// Texts of each of them in the flood.
const TEXTS: u64 = 4_000;

/// Texts of each of them at a pace, a turn.
const PACED_TEXTS: u64 = 200;

/// Turns of each way to be asked.
const TURNS: usize = 5;

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

    let stand_in = stand_in(&server).await;
    let mut ways = [
        Way { case: "paced", asked: None, loads: Vec::new(), answers: 0 },
        Way {
            case: "operated",
            asked: Some(server.url().to_owned()),
            loads: Vec::new(),
            answers: 0,
        },
        Way { case: "beside", asked: Some(stand_in), loads: Vec::new(), answers: 0 },
    ];
    for turn in 0..TURNS {
        for (place, way) in ways.iter_mut().enumerate() {
            way.measure(&server, TALKING * (1 + turn * 3 + place)).await;
        }
    }
    let [paced, operated, beside] = &ways;
    for (case, way) in [("operated ratio", operated), ("beside ratio", beside)] {
        let ratio = way.against(paced);
        println!("{case} | {ratio:.2} | × | median of {TURNS} turns, each against nobody asking");
    }
    ways.into_iter().for_each(Way::print);
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

    /// Several as one, the one after the other.
    fn together(loads: Vec<Self>) -> Self {
        let received = loads.iter().map(|load| load.received).sum();
        let called_back = loads.iter().map(|load| load.called_back).sum();
        let mut receipts: Vec<_> = loads.into_iter().flat_map(|load| load.receipts).collect();
        receipts.sort();
        Self { received, called_back, receipts }
    }

    fn rate(&self, texts: u64) -> String {
        let rate = TALKING as f64 * texts as f64 / self.received.as_secs_f64();
        format!("{rate:.0} texts a second, one at a time from each of {TALKING} providers")
    }

    fn print_receipts(&self, case: &str, how: &str) {
        println!("{case} | {:.1} | ms | {how}", self.at(500));
        println!("{case} p99 | {:.1} | ms | {how}", self.at(990));
    }

    /// Within how many milliseconds so many of a thousand receipts came.
    fn at(&self, per_mille: usize) -> f64 {
        let place = (self.receipts.len() - 1) * per_mille / 1_000;
        self.receipts[place].as_secs_f64() * 1_000.0
    }
}

/// One way in which the node is asked, or is not, while receipts are measured.
struct Way {
    case: &'static str,
    /// Whom operators ask.
    asked: Option<String>,
    loads: Vec<Load>,
    /// What operators were answered.
    answers: u64,
}

impl Way {
    /// Takes its turn, with the bots from the `first` on.
    async fn measure(&mut self, server: &Server, first: usize) {
        let operators = self.asked.clone().map(Operators::ask);
        self.loads.push(Load::run(server, first, PACED_TEXTS, Pace::one_every(PAUSE)).await);
        self.answers += operators.map_or(0, Operators::stop);
    }

    /// How many times as long the slowest receipts of a turn take as another way's: the median of all turns.
    fn against(&self, other: &Self) -> f64 {
        let turns = self.loads.iter().zip(&other.loads);
        let mut ratios: Vec<_> = turns.map(|(own, other)| own.at(990) / other.at(990)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }

    fn print(self) {
        let all = Load::together(self.loads);
        let mut how = all.rate(PACED_TEXTS * TURNS as u64);
        if self.asked.is_some() {
            let rate = self.answers as f64 / all.called_back.as_secs_f64();
            how = format!("{how}; {OPERATORS} operators, {rate:.0} answers a second");
        }
        all.print_receipts(self.case, &how);
    }
}

/// Operators who ask all the time, on a thread that gives way to all others.
struct Operators {
    stop: CancellationToken,
    thread: JoinHandle<u64>,
}

impl Operators {
    fn ask(url: String) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = aside(async move {
            let answers = AtomicU64::new(0);
            let asking = join_all((0..OPERATORS).map(|number| ask(&url, number, &answers)));
            stopped.run_until_cancelled(asking).await;
            answers.into_inner()
        });
        Self { stop, thread }
    }

    /// Has them stop, and tells how often they were answered.
    fn stop(self) -> u64 {
        self.stop.cancel();
        self.thread.join().expect("operators do not panic")
    }
}

/// Asks one question after the other.
async fn ask(url: &str, first: usize, answers: &AtomicU64) {
    let client = http_client();
    for question in QUESTIONS.iter().cycle().skip(first) {
        asked(&client, url, question).await;
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

async fn asked(client: &reqwest::Client, url: &str, question: &str) -> Bytes {
    let answer = client.get(format!("{url}{question}")).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    answer.expect("it is answered").bytes().await.expect("it is answered whole")
}

/// Starts what says what the node said, as often as the node would, on a thread that gives way to all others; and
/// tells where it is.
async fn stand_in(server: &Server) -> String {
    let client = http_client();
    let mut app = Router::new();
    // The node's own pace: a hundred answers a second.
    let mut pace = interval(Duration::from_millis(10));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let turns = Arc::new(Mutex::new(pace));
    for question in QUESTIONS {
        let answer = asked(&client, server.url(), question).await;
        let turns = Arc::clone(&turns);
        let says = async move || {
            turns.lock().await.tick().await;
            answer
        };
        let (path, _) = question.split_once('?').unwrap_or((question, ""));
        app = app.route(path, get(says));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let listener = listener.into_std().expect("nobody waits for it");
    aside(async move {
        let listener = TcpListener::from_std(listener).expect("it is one of tokio's");
        axum::serve(listener, app).await.expect("a listener goes on listening");
    });
    format!("http://{address}")
}

/// Runs on a thread of its own, of the lowest priority.
fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(move || {
        process::give_way();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the system gives threads").block_on(work)
    })
}
