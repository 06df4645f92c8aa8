//! What `serve --record` writes, and what `replay` makes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anteroom_tests::frames::{self, Media};
use anteroom_tests::{Acknowledge, Connection, Consumer, Server, cli, fixtures, staging};

const BOT: &str = "demo";

/// Words that are in every text, caption and document.
const WORDS: &str = "Grüße aus der Küche 🦀";

/// Documents among the texts.
const DOCUMENTS: u64 = 6;

/// Messages of one load.
const MESSAGES: u64 = 120;

/// Begins to record into `trace.jsonl`, in small files.
const RECORD: [&str; 4] = ["--record", "trace.jsonl", "--record-max-bytes", "65536"];

/// The files of a trace, the oldest first.
fn files(home: &Path) -> Vec<PathBuf> {
    let numbered = |number: u32| match number {
        0 => home.join("trace.jsonl"),
        number => home.join(format!("trace.jsonl.{number}")),
    };
    let mut files: Vec<_> = (0..).map(numbered).take_while(|file| file.exists()).collect();
    files.reverse();
    files
}

/// Replays the files, as a person would.
async fn replay(server: &Server, files: &[PathBuf]) -> cli::Ended {
    let mut arguments = vec!["replay".to_owned()];
    arguments.extend(files.iter().map(|file| file.display().to_string()));
    cli::run(server, &arguments).await
}

/// Texts of several correspondents with documents among them, and a resend of each tenth, all under way
/// at once, until all are called back. `round` tells the loads of one test apart.
async fn load(server: &Server, consumer: &Consumer, round: u64) {
    let mut provider = Connection::hello(server, BOT).await;
    let directory = staging::directory(provider.welcome());
    let mut last = 0;
    for number in 0..MESSAGES {
        let id = format!("m{round}-{number}");
        let who = ["ada", "bob", "cy"][number as usize % 3];
        let frame = if number % (MESSAGES / DOCUMENTS) == 0 {
            let file = fixtures::pdf(&["page one of the kitchen book"]);
            let media = Media::document(fixtures::PDF, "Küche.pdf", &file);
            staging::share(&directory, media.media_id, &file);
            frames::media(who, &id, WORDS, &media)
        } else {
            frames::text(who, &id, &format!("{WORDS} {number}"))
        };
        last = provider.message(&frame).await;
        if number % 10 == 1 {
            last = provider.message(&frame).await;
        }
    }
    for seq in 1..=last {
        provider.receipt_of(seq).await;
    }
    consumer.confirmed((MESSAGES * (round + 1)) as usize).await;
}

/// Whether any of the files has these words.
fn is_said(files: &[PathBuf], words: &str) -> bool {
    let has = |file: &PathBuf| fs::read_to_string(file).expect("it can be read").contains(words);
    files.iter().any(has)
}

/// Goal: a node that is recorded under load replays to identical effects, file by file, over an orderly
/// restart, a kill and a turn of its files; none of them shows what people wrote, what was found in
/// their media, or a file's name. Method: three loads.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_under_load_replays_to_identical_effects() {
    let mut server = Server::start_with(&[&RECORD[..], &["--record-files", "40"]].concat()).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    load(&server, &consumer, 0).await;
    assert!(server.terminate(Duration::from_secs(20)).await.success());
    server.restart().await;
    load(&server, &consumer, 1).await;
    server.kill().await;
    server.restart().await;
    load(&server, &consumer, 2).await;
    assert!(server.terminate(Duration::from_secs(20)).await.success());

    let files = files(server.home());
    assert!(files.len() > 4, "a load fills more than one file: {files:?}");
    let replayed = replay(&server, &files).await.succeeded();
    let identical = replayed.stdout.lines().filter(|line| line.contains(": identical: "));
    assert_eq!(identical.count(), files.len(), "{}", replayed.stdout);
    let steps = replayed.stdout.lines().filter_map(|line| {
        line.split_once("identical: ")?.1.split(' ').next()?.parse::<u64>().ok()
    });
    let steps: u64 = steps.sum();
    // Each frame of a load is a step, and so is each resend.
    assert!(steps > 3 * (MESSAGES + MESSAGES / 10), "{steps} steps are too few for three loads");
    assert!(is_said(&files, "ada") && is_said(&files, BOT));
    for words in ["Küche", "kitchen", "Grüße"] {
        assert!(!is_said(&files, words), "{words} is in a trace");
    }
}

/// Goal: contents are recorded only when that is asked for, and replay as well; there are never more
/// files than asked for.
#[tokio::test(flavor = "multi_thread")]
async fn contents_are_recorded_when_asked_for() {
    let more = ["--record-contents", "--record-files", "2"];
    let mut server = Server::start_with(&[&RECORD[..], &more[..]].concat()).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    load(&server, &consumer, 0).await;
    assert!(server.terminate(Duration::from_secs(20)).await.success());
    let files = files(server.home());
    assert_eq!(files.len(), 2);
    assert!(is_said(&files, "Küche"));
    replay(&server, &files).await.succeeded();
}

/// Goal: a trace that was tampered with, cut off or is none says so, where, and with an exit code of
/// its own. Method: a short trace, changed in each way.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_replay_is_told() {
    let mut server = Server::start_with(&["--record", "trace.jsonl"]).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(&server, BOT).await;
    provider.receipt(&frames::text("ada", "m1", "hello")).await;
    consumer.confirmed(1).await;
    assert!(server.terminate(Duration::from_secs(20)).await.success());
    let trace = fs::read_to_string(server.home().join("trace.jsonl")).expect("it is there");
    let file = server.home().join("changed.jsonl");
    let changed = [file.clone()];

    let (before, after) = trace.split_once(r#""outcome":"accepted""#).expect("it was accepted");
    let line = before.lines().count();
    fs::write(&file, format!(r#"{before}"outcome":"rejected"{after}"#)).expect("it is written");
    let ended = replay(&server, &changed).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let place = format!("changed.jsonl: line {line}: effect ");
    ended.failed_saying(&[&place, "\n  event: ", "\n  expected: ", r#""outcome":"accepted""#]);

    let arguments = ["replay", "changed.jsonl", "--html", "changed.html"];
    assert_eq!(cli::run(&server, &arguments).await.code, Some(1));
    let page = fs::read_to_string(server.home().join("changed.html")).expect("it is there");
    assert!(page.contains("the replay does something else: line "), "the moment is on the page");

    fs::write(&file, &trace[..trace.len() - 10]).expect("it is written");
    let ended = replay(&server, &changed).await.succeeded();
    assert!(ended.stdout.contains("the last one, was cut off and is left out"), "{ended:?}");

    let lines: Vec<&str> = trace.lines().collect();
    let mut spoilt = lines.clone();
    spoilt[3] = "{";
    for (text, said) in [
        (spoilt.join("\n"), "line 4 is no line of a trace"),
        (lines[1..].join("\n"), "line 1 is no line of a trace: the first line is no header"),
        (trace.replacen(r#""trace":1"#, r#""trace":2"#, 1), "the trace has format 2"),
        (trace.replacen(r#""machine":{"#, r#""machine":{"x":"#, 1), "line 2"),
        ("no trace at all".to_owned(), "line 1 is no line of a trace"),
        (String::new(), "it is empty"),
    ] {
        fs::write(&file, &text).expect("it is written");
        let ended = replay(&server, &changed).await;
        assert_eq!(ended.code, Some(3), "{ended:?}");
        ended.failed_saying(&["changed.jsonl: ", said]);
    }
    let nowhere = [server.home().join("nowhere.jsonl")];
    assert_eq!(replay(&server, &nowhere).await.code, Some(3));
}

/// Goal: a file that cannot be made is told before anything is begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_cannot_begin_is_told() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--record", "no/such/trace.jsonl"];
    let command = cli::command("http://127.0.0.1:9", home.path(), &arguments).spawn();
    let ended = cli::ended(command.expect("it can be started")).await;
    ended.failed_saying(&["cannot record into no/such/trace.jsonl"]);
    assert!(!home.path().join("anteroom-data").exists(), "nothing was made");
}

/// Goal: a trace that can be written no more ends with an error in the log, and the service goes on.
/// Method: the directory of the trace is deleted under a node that fills its files.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_cannot_be_written_ends_alone() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let directory = home.path().join("traces");
    fs::create_dir(&directory).expect("it can be made");
    let arguments = ["--record", "traces/trace.jsonl", "--record-max-bytes", "65536"];
    let mut server = Server::lent(home.path(), &arguments);
    server.try_start().await.expect("it starts");
    server.allow_error("the trace cannot be written: the recording ends, the service goes on");
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    fs::remove_dir_all(&directory).expect("it can be deleted");
    load(&server, &consumer, 0).await;
    load(&server, &consumer, 1).await;
    let said = "the recording ends, the service goes on";
    assert_eq!(server.log().matches(said).count(), 1, "{}", server.log());
    assert!(server.terminate(Duration::from_secs(20)).await.success());
}
