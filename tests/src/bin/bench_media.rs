//! Whether media pools are full while work waits, and whether a slow one disturbs the others: the real
//! binary with engines of fixed duration.
//!
//! Prints one line a figure: case, value, unit, and how it was obtained, with a bar between. A benchmark
//! and no test: it asserts no figure. `cargo xtask bench media` builds what it needs and runs it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anteroom_core::content::{self, About};
use anteroom_core::message::{Extracted, MediaKind, Outcome};
use anteroom_core::pool::routing::Routing;
use anteroom_core::settings::default_pools;
use anteroom_tests::frames;
use anteroom_tests::{Acknowledge, Connection, Consumer, Server, staging};
use tempfile::TempDir;

const BOT: &str = "bench";

/// A pool that is to be full, and its work.
#[derive(Clone, Copy)]
struct Pool {
    slots: u32,
    delay_ms: u64,
    jobs: u32,
}

/// Long jobs and short ones, in pools that are configured in nothing but their slots.
const POOLS: [Pool; 4] = [
    Pool { slots: 1, delay_ms: 50, jobs: 200 },
    Pool { slots: 2, delay_ms: 500, jobs: 40 },
    Pool { slots: 4, delay_ms: 200, jobs: 120 },
    Pool { slots: 8, delay_ms: 100, jobs: 480 },
];

/// Media that come one at a time.
const SINGLE_MEDIA: usize = 100;

/// How often what takes no time is done.
const ROUNDS: u32 = 100_000;

#[tokio::main]
async fn main() {
    for pool in POOLS {
        utilisation(pool).await;
    }
    let alone = latency(0).await;
    let beside = latency(50).await;
    print(
        "quick alone",
        ms(alone),
        "ms",
        "median from the frame to the callback, an instant engine",
    );
    print(
        "quick beside slow",
        ms(beside),
        "ms",
        "the same while 50 jobs fill and wait for another pool",
    );
    print("quick ratio", beside.as_secs_f64() / alone.as_secs_f64(), "×", "in one run");
    routing_and_formatting();
}

fn print(case: &str, value: f64, unit: &str, how: &str) {
    println!("{case} | {value:.4} | {unit} | {how}");
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// A server whose recordings go to such a pool, and whose documents take no time.
async fn server(pool: Pool) -> (TempDir, Server) {
    let Pool { slots, delay_ms, .. } = pool;
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let file = home.path().join("anteroom.toml");
    let mut text = format!("[pools.audio]\nslots = {slots}\n");
    text.push_str("engine = \"slow\"\ntimeout = \"1h\"\n");
    let stub = "processor = \"stub\"\ntext = \"x\"\n";
    let _ = write!(text, "[pools.document]\nengine = \"quick\"\n[engines.quick]\n{stub}");
    let _ = write!(text, "[engines.slow]\n{stub}delay = \"{delay_ms} ms\"\n");
    std::fs::write(&file, text).expect("it can be written");
    let server = Server::start_with(&["--config", file.to_str().expect("UTF-8")]).await;
    (home, server)
}

fn media(kind: &'static str, mime_type: &'static str) -> frames::Media {
    frames::Media { kind, original_filename: None, ..frames::Media::document(mime_type, "", b"x") }
}

async fn hand_in(provider: &mut Connection, number: usize, media: &frames::Media) {
    staging::share(&staging::directory(provider.welcome()), media.media_id, b"x");
    let frame = frames::media(&format!("c{number}"), &format!("m{}", media.media_id), "", media);
    provider.receipt(&frame).await;
}

/// How much of its slots' time a pool is at work while jobs wait.
async fn utilisation(pool: Pool) {
    let Pool { slots, delay_ms, jobs } = pool;
    let (_home, server) = server(pool).await;
    let mut provider = Connection::hello(&server, BOT).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let begun = Instant::now();
    for number in 0..jobs {
        let note = media("audio", "audio/ogg; codecs=opus");
        hand_in(&mut provider, number as usize, &note).await;
    }
    let all = jobs as usize;
    consumer
        .seen()
        .seen_within(Duration::from_secs(600), |seen| (seen.called_back.len() >= all).then_some(()))
        .await
        .expect("all jobs end");
    let elapsed = begun.elapsed();
    let work = Duration::from_millis(delay_ms) * jobs;
    let share = work.as_secs_f64() / (elapsed.as_secs_f64() * f64::from(slots)) * 100.0;
    let how = format!("{jobs} jobs of {delay_ms} ms, from the first frame to the last callback");
    print(&format!("utilisation {slots}"), share, "%", &how);
}

/// The median from a document's frame to its callback, while `slow` jobs are in another pool.
async fn latency(slow: usize) -> Duration {
    let (_home, server) = server(Pool { slots: 2, delay_ms: 3_000_000, jobs: 0 }).await;
    let mut provider = Connection::hello(&server, BOT).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    for number in 0..slow {
        hand_in(&mut provider, number, &media("audio", "audio/ogg")).await;
    }
    let mut times = Vec::new();
    for number in 0..SINGLE_MEDIA {
        let document = media("document", "text/plain");
        let begun = Instant::now();
        hand_in(&mut provider, slow, &document).await;
        consumer.seen().until("the callback", |seen| seen.called_back.len() > number).await;
        times.push(begun.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// What it costs to find a pool, and to put a message together.
fn routing_and_formatting() {
    let routing = Routing::new(&default_pools()).expect("the default pools are a routing");
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(routing.route(std::hint::black_box("audio/ogg; codecs=opus")));
    }
    let each = begun.elapsed() / ROUNDS;
    print("routing", each.as_secs_f64() * 1e6, "µs", "mean of 100,000");
    let about = About {
        kind: MediaKind::Document,
        mime_type: "text/plain",
        filename: Some("note.txt"),
        caption: Some("a caption"),
    };
    let text = "word ".repeat(1_000);
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        let text = Extracted { text: text.clone(), ..Extracted::default() };
        std::hint::black_box(content::of(about, &mut Outcome::Text(text), 4_000));
    }
    let each = begun.elapsed() / ROUNDS;
    print(
        "formatting",
        each.as_secs_f64() * 1e6,
        "µs",
        "mean of 100,000, 5,000 characters cut to 4,000",
    );
}
