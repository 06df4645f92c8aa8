//! How long operators wait for a page, a count and a story where much has been kept: 1,000,000 archived messages
//! and 100,000 failed jobs, on each store.
//!
//! Prints lines `case | value | unit | how`. A benchmark and no test: it asserts no time, but every answer must be
//! the one that was asked for. `cargo xtask bench operate` builds what it needs and runs it.

use std::time::{Duration, Instant};

use anteroom_tests::frames::{self, Media};
use anteroom_tests::mongod::{Mongod, SharedMongod};
use anteroom_tests::{Acknowledge, Connection, Consumer, PATIENCE, Server, http_client};
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, Uuid, doc};
use reqwest::Client;
use rusqlite::Connection as Sqlite;
use serde_json::Value;

const BOT: &str = "bench";

/// Messages that are kept, their callbacks acknowledged.
const ARCHIVED: i64 = 1_000_000;

/// Failed jobs that are kept.
const FAILED: i64 = 100_000;

/// How many documents are written at once.
const CHUNK: i64 = 5_000;

/// How often each question is asked; pages lead on from one to the next.
const TIMES: usize = 20;

/// What is asked, and what it is called.
const QUESTIONS: [(&str, &str); 6] = [
    ("failed jobs", "/v1/jobs?state=failed&limit=100"),
    ("failed jobs of a bot", "/v1/jobs?state=failed&limit=100&bot=bench"),
    ("failed jobs by reason", "/v1/jobs?state=failed&limit=100&reason=file_missing"),
    ("open jobs", "/v1/jobs?limit=100"),
    ("owed callbacks", "/v1/callbacks/owed?limit=100"),
    ("count of failed jobs", "/v1/jobs/count?state=failed"),
];

#[tokio::main]
async fn main() {
    let mut server = Server::start_with(&["--store", "sqlite:anteroom-data"]).await;
    live_through_one_of_each(&server).await;
    let _ = server.terminate(PATIENCE).await;
    fill_sqlite(&server);
    measure("SQLite", &mut server).await;
    drop(server);

    let mongod = Mongod::shared().await;
    let name = SharedMongod::fresh_database();
    let mut server = Server::start_with(&["--store", &mongod.uri(&name)]).await;
    live_through_one_of_each(&server).await;
    let _ = server.terminate(PATIENCE).await;
    fill_mongodb(&mongod.database(&name).await).await;
    measure("MongoDB", &mut server).await;
}

/// One text that is called back, and one document whose file never comes: what is copied then.
async fn live_through_one_of_each(server: &Server) {
    let mut provider = Connection::hello(server, BOT).await;
    let media = Media::document("text/plain", "note.txt", b"gone");
    for frame in [frames::text("alice", "t", "hello"), frames::media("alice", "d", "", &media)] {
        let receipt = provider.receipt(&frame).await;
        assert_eq!(receipt["outcome"], "accepted", "{receipt}");
    }
    Consumer::connect(server, BOT, Acknowledge::Promptly).confirmed(2).await;
}

fn fill_sqlite(server: &Server) {
    let file = server.data_directory().join("anteroom.sqlite3");
    let database = Sqlite::open(file).expect("the store's file is there");
    let script = format!(
        "BEGIN;
         WITH RECURSIVE copies(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM copies WHERE n < 999)
         INSERT INTO correspondents (bot_id, correspondent_id) SELECT '{BOT}', 'c' || n FROM copies;
         WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {ARCHIVED}),
              model AS (SELECT * FROM archive WHERE media_id IS NULL LIMIT 1)
         INSERT INTO archive (bot_id, provider_name, correspondent_id, correspondent, id, provider_message_id,
                              seq, revision, callback, attempts, failures, archived_at, ended_at, retained, body)
         SELECT model.bot_id, provider_name, named.correspondent_id, named.correspondent, n + 100, 'p' || n,
                n + 100, revision, callback, attempts, failures, archived_at, ended_at, retained, body
         FROM copies, model
         JOIN correspondents AS named
            ON named.bot_id = model.bot_id AND named.correspondent_id = 'c' || (n % 1000);
         WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {FAILED}),
              ids(n, id) AS (SELECT n, printf('%032x', n) FROM copies),
              model AS (SELECT * FROM failed LIMIT 1)
         INSERT INTO failed (media_id, failed_at, body, bot_id, pool, reason)
         SELECT unhex(id), failed_at - n,
                json_set(body, '$.job.media_id', substr(id, 1, 8) || '-' || substr(id, 9, 4) || '-'
                    || substr(id, 13, 4) || '-' || substr(id, 17, 4) || '-' || substr(id, 21)),
                bot_id, pool, reason
         FROM ids, model;
         UPDATE ownership SET archive_seq = archive_seq + {ARCHIVED};
         COMMIT;"
    );
    database.execute_batch(&script).expect("the store can be written to while its node is away");
}

async fn fill_mongodb(database: &Database) {
    copy(database, "queues", ARCHIVED, doc! { "media_id": Bson::Null }, |n, copy| {
        copy.insert("_id", ObjectId::new());
        copy.insert("correspondent_id", format!("c{}", n % 1_000));
        copy.insert("id", n + 100);
        copy.insert("provider_message_id", format!("p{n}"));
        copy.insert("archive_seq", n + 100);
    })
    .await;
    copy(database, "media_processing_jobs_failed", FAILED, doc! {}, |n, copy| {
        let id = Uuid::from_bytes(u128::from(n.unsigned_abs()).to_be_bytes());
        copy.insert("_id", id);
        let failed_at = copy.get_datetime("failed_at").expect("it has its time");
        copy.insert("failed_at", DateTime::from_millis(failed_at.timestamp_millis() - n));
        copy.get_document_mut("job").expect("it has its job").insert("_id", id);
    })
    .await;
}

/// Copies a document many times, each changed.
async fn copy(
    database: &Database,
    collection: &str,
    count: i64,
    which: Document,
    change: impl Fn(i64, &mut Document),
) {
    let documents = database.collection::<Document>(collection);
    let model = documents.find_one(which).await.expect("the server answers").expect("there is one");
    for chunk in 0..count / CHUNK {
        let copies = (chunk * CHUNK..(chunk + 1) * CHUNK).map(|n| {
            let mut copy = model.clone();
            change(n + 1, &mut copy);
            copy
        });
        documents.insert_many(copies.collect::<Vec<_>>()).await.expect("the server answers");
    }
}

async fn measure(store: &str, server: &mut Server) {
    server.restart().await;
    let operator = Operator { url: server.url().to_owned(), client: http_client() };
    for (name, path) in QUESTIONS {
        let mut times = Vec::with_capacity(TIMES);
        let mut page = operator.ask(path, &mut times).await;
        check(name, &page);
        while times.len() < TIMES {
            page = match page["next"].as_str() {
                Some(next) => operator.ask(&format!("{path}&after={next}"), &mut times).await,
                None => operator.ask(path, &mut times).await,
            };
        }
        print_case(&format!("{store}: {name}"), times, TIMES);
    }
    let jobs = operator.ask(QUESTIONS[0].1, &mut Vec::new()).await;
    let media_id = jobs["jobs"][50]["media_id"].as_str().expect("an id").to_owned();
    let mut times = Vec::with_capacity(TIMES);
    while times.len() < TIMES {
        let job = operator.ask(&format!("/v1/jobs/{media_id}"), &mut times).await;
        assert_eq!(job["failed"]["media_id"], media_id.as_str(), "{job}");
    }
    print_case(&format!("{store}: one failed job"), times, TIMES);
}

/// Whether an answer is what was asked for.
fn check(name: &str, answer: &Value) {
    let length = |list: &str| answer[list].as_array().map(|list| list.len() as i64);
    let (count, expected) = match name {
        "count of failed jobs" => (answer["matched"].as_i64(), FAILED + 1),
        "owed callbacks" => (length("callbacks"), 0),
        "open jobs" => (length("jobs"), 0),
        _ => (length("jobs"), 100),
    };
    assert_eq!(count, Some(expected), "{name}: {answer}");
}

/// Who asks, over one line.
struct Operator {
    url: String,
    client: Client,
}

impl Operator {
    async fn ask(&self, path: &str, times: &mut Vec<Duration>) -> Value {
        let begun = Instant::now();
        let request = self.client.get(format!("{}{path}", self.url)).timeout(PATIENCE);
        let answer = request.send().await.expect("the server answers");
        assert_eq!(answer.status(), 200, "{path}");
        let body = answer.text().await.expect("the answer has an end");
        times.push(begun.elapsed());
        serde_json::from_str(&body).expect("JSON")
    }
}

fn print_case(case: &str, mut times: Vec<Duration>, count: usize) {
    times.sort();
    let ms = |time: &Duration| time.as_secs_f64() * 1_000.0;
    let (median, most) = (ms(&times[count / 2]), ms(&times[count - 1]));
    println!("{case} | {median:.2} | ms | {count} requests, the slowest {most:.1}");
}
