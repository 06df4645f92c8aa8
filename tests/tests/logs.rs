//! What a node logs: ids as fields, in the form that was asked for, and never what anybody said.

use anteroom_tests::frames::{self, Media};
use anteroom_tests::{Acknowledge, Connection, Consumer, PATIENCE, Server, cli, fixtures, staging};
use serde_json::Value;

const BOT: &str = "demo";

/// Words that only contents hold, each in a place of its own.
const TEXT: &str = "xylophone-in-a-text";
const CAPTION: &str = "quagmire-in-a-caption";
const PAGE: &str = "zeppelin-on-a-page";
const FILENAME: &str = "kerfuffle-in-a-name.pdf";
const SENDER: &str = "Wolpertinger Display-Name";
const GROUP: &str = "Nincompoop Group-Name";
const NO_FRAME: &str = "bamboozle-in-no-frame";
const BROKEN: &str = "gobbledygook-in-a-broken-file";
const SEND: &str = "flabbergast-in-a-send";

const CONTENTS: [&str; 9] = [TEXT, CAPTION, PAGE, FILENAME, SENDER, GROUP, NO_FRAME, BROKEN, SEND];

/// Everything that may carry contents: texts, captions, documents, files that cannot be read, frames that
/// are none, replies, and sends. Returns the ids that are worth finding.
async fn talk(server: &Server) -> Vec<String> {
    let consumer = Consumer::connect(server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(server, BOT).await;
    let directory = staging::directory(provider.welcome());
    let mut ids = Vec::new();
    for (id, file) in [("m1", fixtures::pdf(&[PAGE])), ("m2", BROKEN.as_bytes().to_vec())] {
        let media = Media::document(fixtures::PDF, FILENAME, &file);
        staging::share(&directory, media.media_id, &file);
        let mut frame = frames::media("alice", id, CAPTION, &media);
        frame["sender"]["display_name"] = SENDER.into();
        frame["group"] = serde_json::json!({ "identifier": "g@g.us", "display_name": GROUP });
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
        ids.push(media.media_id.to_string());
    }
    assert_eq!(provider.receipt(&frames::text("alice", "m3", TEXT)).await["outcome"], "accepted");
    provider.send_text(format!("{{\"type\": \"{NO_FRAME}\"}}")).await;
    provider.send_text(NO_FRAME.to_owned()).await;
    let mut wrong = frames::text("alice", "m4", TEXT);
    wrong["originating_time"] = NO_FRAME.into();
    assert_eq!(provider.receipt(&wrong).await["reason"], "invalid");
    let url = format!("{}/v1/bots/{BOT}/sends", server.url());
    let send = serde_json::json!({ "send_id": "s1", "correspondent_id": "alice", "message": SEND });
    let sent = anteroom_tests::http_client().post(url).json(&send).send().await;
    assert!(sent.expect("the server answers").status().is_success());
    consumer.confirmed(3).await;
    ids
}

async fn logged(arguments: &[&str]) -> (String, Vec<String>) {
    let mut server = Server::start_with(arguments).await;
    let ids = talk(&server).await;
    assert!(server.terminate(PATIENCE).await.success());
    (server.log(), ids)
}

/// Goal: above `debug`, nothing of what anybody said is logged, in any form, whatever became of it; ids are.
/// Method: words that only contents hold, in every place that has contents, looked for in the log.
#[tokio::test(flavor = "multi_thread")]
async fn contents_are_not_logged_above_debug() {
    for format in ["compact", "json", "pretty"] {
        let (log, ids) = logged(&["--log-level", "info", "--log-format", format]).await;
        for word in CONTENTS {
            assert!(!log.contains(word), "{format}: {word} is in the log:\n{log}");
        }
        for id in ids {
            assert!(log.contains(&id), "{format}: {id} is not in the log:\n{log}");
        }
    }
}

/// Goal: as JSON every line is an object, and a message and a job can be followed by the ids in its fields:
/// made, worked on, archived, called back. Method: the lines of a run at `debug`, by their fields.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_followed_by_its_ids() {
    let (log, ids) =
        logged(&["--log-level", "anteroom_runtime=debug", "--log-format", "json"]).await;
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let stderr = log.lines().take_while(|line| *line != "standard output:").skip(1).count();
    assert_eq!(lines.len(), stderr, "every line is an object:\n{log}");
    let has = |message: &str, fields: &[(&str, &str)]| {
        let found = lines.iter().any(|line| {
            line["message"] == message && fields.iter().all(|(name, value)| line[*name] == *value)
        });
        assert!(found, "no line {message:?} with {fields:?}:\n{log}");
    };
    let media_id = ids[0].as_str();
    has("job made", &[("media_id", media_id), ("pool", "document")]);
    has("media job ended", &[("media_id", media_id), ("bot_id", BOT), ("outcome", "text")]);
    has("message archived", &[("media_id", media_id), ("correspondent_id", "alice")]);
    has("callback handed over", &[("media_id", media_id)]);
    let handed = lines
        .iter()
        .find(|line| line["message"] == "callback handed over" && line["media_id"] == media_id)
        .expect("it was found above");
    let callback_id = handed["callback_id"].as_str().expect("it is a text");
    assert!(callback_id.starts_with("demo/alice/"), "{callback_id}");
    has("callback answered", &[("callback_id", callback_id), ("answer", "acknowledged")]);
}

/// Goal: a form that is none is refused, with those that there are.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_none_is_refused() {
    let server = Server::start().await;
    let serve = ["serve", "--log-format", "xml"];
    cli::run(&server, &serve).await.failed_saying(&["compact", "json", "pretty"]);
}
