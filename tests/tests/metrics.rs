//! What a running node says at `/metrics`, against what happened to it and what the page says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anteroom_tests::frames::{self, Media};
use anteroom_tests::series::Series;
use anteroom_tests::{Acknowledge, Connection, Consumer, Server, fixtures, http_client, staging};

const BOT: &str = "demo";

/// A server after a text that came twice, a document, a document that nobody can read, and a message that
/// is none; with a consumer that has acknowledged.
async fn used(server: &Server) {
    let consumer = Consumer::connect(server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(server, BOT).await;
    let directory = staging::directory(provider.welcome());
    let text = frames::text("alice", "m1", "hello");
    assert_eq!(provider.receipt(&text).await["outcome"], "accepted");
    assert_eq!(provider.receipt(&text).await["outcome"], "duplicate");
    for (id, file) in [("m2", fixtures::pdf(&["a page"])), ("m3", b"%PDF-no".to_vec())] {
        let media = Media::document(fixtures::PDF, "file.pdf", &file);
        staging::share(&directory, media.media_id, &file);
        let frame = frames::media("alice", id, "", &media);
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
    }
    let mut invalid = frames::text("alice", "m4", "hello");
    invalid["correspondent_id"] = 7.into();
    assert_eq!(provider.receipt(&invalid).await["reason"], "invalid");
    consumer.confirmed(3).await;
}

/// Goal: the series tell what happened, each thing once. Method: a text, a resend, two documents, an
/// invalid message, all called back; then the numbers.
#[tokio::test(flavor = "multi_thread")]
async fn series_tell_what_happened() {
    let server = Server::start().await;
    used(&server).await;
    let series = Series::of(&server).await;
    let receipts = |outcome, reason| {
        series.value("anteroom_receipts_total", &[("outcome", outcome), ("reason", reason)])
    };
    assert_eq!(receipts("accepted", ""), 3.0);
    assert_eq!(receipts("duplicate", ""), 1.0);
    assert_eq!(receipts("rejected", "invalid"), 1.0);
    assert_eq!(receipts("evicted", "age"), 0.0);
    let outcomes = |outcome, reason| {
        series.value("anteroom_media_outcomes_total", &[("outcome", outcome), ("reason", reason)])
    };
    assert_eq!(outcomes("text", ""), 1.0);
    assert_eq!(outcomes("failed", "unreadable"), 1.0);
    for (histogram, count) in [
        ("anteroom_archiving_seconds", 1.0),
        ("anteroom_completion_seconds", 2.0),
        ("anteroom_callback_seconds", 3.0),
        ("anteroom_message_seconds", 3.0),
    ] {
        assert_eq!(series.value(&format!("{histogram}_count"), &[]), count, "{histogram}");
    }
    let documents = [("pool", "document")];
    assert_eq!(series.value("anteroom_claim_seconds_count", &documents), 2.0);
    assert_eq!(series.sum("anteroom_processing_seconds_count"), 2.0);
    assert_eq!(series.value("anteroom_pool_busy", &documents), 0.0);
    assert_eq!(series.value("anteroom_callback_attempts_total", &[]), 3.0);
    let acknowledged = [("answer", "acknowledged")];
    assert_eq!(series.value("anteroom_callback_answers_total", &acknowledged), 3.0);
    let duplicates = [("notice", "duplicate_message")];
    assert_eq!(series.value("anteroom_notices_total", &duplicates), 1.0);
    let archived = [("operation", "archive"), ("result", "ok")];
    assert!(series.value("anteroom_store_seconds_count", &archived) >= 2.0);
    assert_eq!(series.value("anteroom_bots_running", &[]), 1.0);
    assert_eq!(series.value("anteroom_ready", &[]), 1.0);
    assert!(series.value("anteroom_staging_quota_bytes", &[]) > 0.0);
    Series::when(&server, "the connections to be gone", |series| {
        series.value("anteroom_provider_connections", &[]) == 0.0
            && series.value("anteroom_consumers", &[]) == 0.0
    })
    .await;
}

/// What waits on a store, and what the series say of it.
async fn what_waits_is_counted(server: &Server) {
    // No consumer listens, and the processors take their time.
    let mut provider = Connection::hello(server, BOT).await;
    let directory = staging::directory(provider.welcome());
    for number in 0..7 {
        let frame = frames::text("alice", &format!("t{number}"), "hello");
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
    }
    for number in 0..5 {
        let file = b"some words";
        let media = Media::document("text/plain", "page.txt", file);
        staging::share(&directory, media.media_id, file);
        let frame = frames::media("alice", &format!("d{number}"), "", &media);
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
    }
    let documents = [("pool", "document")];
    let series = Series::when(server, "the backlog to be counted", |series| {
        series.value("anteroom_callbacks_owed", &[]) == 7.0
            && series.value("anteroom_pool_waiting_jobs", &documents) == 4.0
    })
    .await;
    assert_eq!(series.value("anteroom_pool_busy", &documents), 1.0);
    assert_eq!(series.value("anteroom_pool_slots", &documents), 1.0);
    assert!(series.value("anteroom_staging_bytes", &[]) >= 50.0);
    assert!(series.value("anteroom_pool_oldest_waiting_seconds", &documents) > 0.0);
    assert!(series.value("anteroom_callbacks_oldest_seconds", &[]) > 0.0);
    assert_eq!(series.value("anteroom_pool_waiting_jobs", &[("pool", "audio")]), 0.0);

    let consumer = Consumer::connect(server, BOT, Acknowledge::Promptly);
    consumer.confirmed(7).await;
    let series = Series::when(server, "nothing to be owed", |series| {
        series.value("anteroom_callbacks_owed", &[]) == 0.0
    })
    .await;
    assert_eq!(series.value("anteroom_callbacks_oldest_seconds", &[]), 0.0);
}

/// One processor for documents, which takes longer than any test.
const SLOW: &str = "[engines.slow]\nprocessor = \"stub\"\ndelay = \"1h\"\n\
                    [pools.document]\nengine = \"slow\"\nslots = 1\n";

/// Goal: jobs that wait and callbacks that are owed are counted with their age, and no more once they are
/// gone. Method: a slow processor and no consumer, on the embedded store.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_embedded_store_is_counted() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(home.path().join("anteroom.toml"), SLOW).expect("the home can be written to");
    let mut server = Server::lent(home.path(), &[]);
    server.restart().await;
    what_waits_is_counted(&server).await;
}

/// Goal and method: as above, on MongoDB.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_mongodb_is_counted() {
    use anteroom_tests::mongod::{Mongod, SharedMongod};
    let mongod = Mongod::shared().await;
    let uri = mongod.uri(&SharedMongod::fresh_database());
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(home.path().join("anteroom.toml"), SLOW).expect("the home can be written to");
    let mut server = Server::lent(home.path(), &["--store", &uri]);
    server.restart().await;
    what_waits_is_counted(&server).await;
}

/// Goal: the number of series does not grow with correspondents, messages or bots. Method: the same work
/// for one bot and correspondent, and for many.
#[tokio::test(flavor = "multi_thread")]
async fn series_do_not_grow_with_correspondents() {
    let server = Server::start().await;
    used(&server).await;
    let before = Series::of(&server).await.len();
    for bot in ["b1", "b2", "b3"] {
        let consumer = Consumer::connect(&server, bot, Acknowledge::Promptly);
        let mut provider = Connection::hello(&server, bot).await;
        for number in 0..40 {
            let who = format!("correspondent-{number}");
            let frame = frames::text(&who, &format!("{bot}-{number}"), "hello");
            assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
        }
        consumer.confirmed(40).await;
    }
    let series = Series::of(&server).await;
    // Operations of the store that were not asked for before may have been since.
    let (buckets, others) = (15, 2);
    let grown = series.len() - before;
    assert!(grown <= 4 * (buckets + others), "{grown} more of {before}");
    assert!(
        grown.is_multiple_of(buckets + others),
        "only histograms of the store are new: {grown}"
    );
}

/// A row of the page: type, labels, meaning.
type Row = (String, BTreeSet<String>, String);

/// Goal: `docs/metrics.md` describes every series, and no other, with its type, its labels and the words
/// that the node itself uses. Method: the page's table beside what a used node says.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_describes_every_series() {
    let server = Server::start().await;
    used(&server).await;
    let series = Series::of(&server).await;
    let said: BTreeMap<String, Row> = series
        .families
        .iter()
        .map(|(name, family)| {
            let labels = series.labels_of(name).into_iter().map(str::to_owned).collect();
            let help = family.help.trim_end_matches('.').to_owned();
            (shown(name, &family.kind), (family.kind.clone(), labels, help))
        })
        .collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let described: BTreeMap<String, Row> = page.lines().filter_map(row).collect();
    for (name, row) in &said {
        let labels: Vec<String> = row.1.iter().map(|label| format!("`{label}`")).collect();
        let line = format!("| `{name}` | {} | {} | {} |", row.0, labels.join(", "), row.2);
        assert_eq!(described.get(name), Some(row), "the page lacks this line:\n{line}");
    }
    let unknown: Vec<_> = described.keys().filter(|name| !said.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "the page describes what no node says: {unknown:?}");
}

/// The name by which a family is asked for.
fn shown(family: &str, kind: &str) -> String {
    if kind == "counter" { format!("{family}_total") } else { family.to_owned() }
}

/// A line of the table.
fn row(line: &str) -> Option<(String, Row)> {
    let cells: Vec<&str> =
        line.strip_prefix("| `anteroom_")?.strip_suffix(" |")?.split(" | ").collect();
    let [name, kind, labels, help] = cells[..] else { panic!("a row has four cells: {line}") };
    let name = format!("anteroom_{}", name.trim_end_matches('`'));
    let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
    let labels = labels.filter(|label| !label.is_empty()).collect();
    Some((name, (kind.to_owned(), labels, help.to_owned())))
}

/// Goal: where there are tokens, only an operator's opens the series; liveness and readiness need none.
/// Method: without a token, with a bot's, with an operator's.
#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_sees_the_series() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let hash = |token: &str| anteroom_runtime::tokens::TokenHash::of(token).to_string();
    let file = format!(
        "[tokens]\noperators = [{:?}]\n[bots.demo]\ntokens = [{:?}]\n",
        hash("the operator"),
        hash("the bot")
    );
    std::fs::write(home.path().join("anteroom.toml"), file).expect("the home can be written to");
    let mut server = Server::lent(home.path(), &[]);
    server.restart().await;
    let asked = async |path: &str, token: Option<&str>| {
        let request = http_client().get(format!("{}{path}", server.url()));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.expect("the server answers").status().as_u16()
    };
    assert_eq!(asked("/metrics", None).await, 401);
    assert_eq!(asked("/metrics", Some("the bot")).await, 401);
    assert_eq!(asked("/metrics", Some("the operator")).await, 200);
    assert_eq!(asked("/readyz", None).await, 200);
    assert_eq!(asked("/healthz", None).await, 200);
}

/// Goal: a node that is told to keep no series says so, and works.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_series_says_so() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let file = "[observe]\nmetrics = false\n";
    std::fs::write(home.path().join("anteroom.toml"), file).expect("the home can be written to");
    let mut server = Server::lent(home.path(), &[]);
    server.restart().await;
    used(&server).await;
    let answer = http_client().get(format!("{}/metrics", server.url())).send().await;
    let answer = answer.expect("the server answers");
    assert_eq!(answer.status(), 404);
    let problem = answer.text().await.expect("it is a text");
    assert!(problem.contains("observe.metrics"), "{problem}");
}
