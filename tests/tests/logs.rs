//! What a node logs: ids as fields, in the form that was asked for, and never what anybody said.

use anteroom_tests::contents::{self, BOT};
use anteroom_tests::{PATIENCE, Server, cli};
use serde_json::Value;

async fn logged(arguments: &[&str]) -> (String, Vec<String>) {
    let mut server = Server::start_with(arguments).await;
    let ids = contents::say_all(&server).await;
    assert!(server.terminate(PATIENCE).await.success());
    (server.log(), ids)
}

/// Goal: above `debug`, nothing of what anybody said is logged, in any form, whatever became of it; ids are.
/// Method: words that only contents hold, in every place that has contents, looked for in the log.
#[tokio::test(flavor = "multi_thread")]
async fn contents_are_not_logged_above_debug() {
    for format in ["compact", "json", "pretty"] {
        let (log, ids) = logged(&["--log-level", "info", "--log-format", format]).await;
        for word in contents::WORDS {
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
