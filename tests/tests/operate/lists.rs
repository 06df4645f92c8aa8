//! What the endpoints show.

use anteroom_tests::frames;
use serde_json::{Value, json};

use crate::{BOT, On, SECRET, World, listed, on_both_stores};

/// Goal: jobs, bots, callbacks, correspondents, nodes and settings are shown as they are, and what anybody
/// wrote never is, nor is it logged. Method: failed media, an owed and an acknowledged text, every endpoint.
async fn everything_is_shown_but_contents(on: On) {
    let world = World::start(on, &[]).await;
    let mut provider = world.provider().await;
    let media = world.fail(&mut provider, "ada", 2).await;
    let text = provider.receipt(&frames::text("bob", "t-1", SECRET)).await;
    assert_eq!(text["outcome"], "accepted");

    let mut shown: Vec<Value> = Vec::new();
    let bots = world.seen("/v1/bots").await;
    let bot = &listed(&bots, "bots")[0];
    assert_eq!((&bot["bot_id"], &bot["phase"]), (&json!(BOT), &json!("running")));
    assert_eq!((&bot["consumer"], &bot["connections"]), (&json!("absent"), &json!(1)));
    assert_eq!(bot["owner"]["here"], json!(true));

    let owed = world.until("/v1/callbacks/owed", |it| listed(it, "callbacks").len() == 3).await;
    let first = &listed(&owed, "callbacks")[0];
    assert_eq!((&first["state"], &first["bot_id"]), (&json!("owed"), &json!(BOT)));

    let jobs = world.seen("/v1/jobs?state=failed&reason=file_missing").await;
    assert_eq!(listed(&jobs, "jobs").len(), 2);
    assert_eq!(listed(&jobs, "jobs")[0]["reason"], json!("file_missing"));
    let nobodys = world.seen("/v1/jobs?state=failed&bot=nobody").await;
    assert!(listed(&nobodys, "jobs").is_empty());
    let job = world.seen(&format!("/v1/jobs/{}", media[0].media_id)).await;
    assert_eq!(job["failed"]["status"], json!("completed"));
    assert_eq!((&job["open"], &job["file_is_here"]), (&Value::Null, &json!(false)));
    assert_eq!(job["archived"]["state"], json!("owed"));

    let bob = world.seen(&format!("/v1/bots/{BOT}/correspondents/bob")).await;
    assert_eq!(listed(&bob["in_memory"], "callbacks").len(), 1);
    let nodes = world.seen("/v1/nodes").await;
    assert_eq!(listed(&nodes, "nodes")[0]["bots"], json!(1));
    let settings = world.seen(&format!("/v1/bots/{BOT}/settings")).await;
    assert!(settings["callbacks"].is_object(), "{settings}");

    let consumer = world.consumer();
    consumer.confirmed(3).await;
    let none_owed = |it: &Value| listed(it, "callbacks").is_empty();
    let settled = world.until("/v1/callbacks/owed", none_owed).await;
    shown.extend([bots, owed, jobs, job, bob, nodes, settings, settled]);
    for shown in shown {
        assert!(!shown.to_string().contains(SECRET), "{shown}");
    }
    assert!(!world.server.log().contains(SECRET), "contents are logged at debug only");
}

/// Goal: pages lead on from one to the next, in either order, with nothing twice and nothing left out.
async fn pages_hold_everything_once(on: On) {
    let world = World::start(on, &[]).await;
    let mut provider = world.provider().await;
    world.fail(&mut provider, "ada", 7).await;
    for (path, name, id) in [
        ("/v1/jobs?state=failed&limit=3", "jobs", "media_id"),
        ("/v1/jobs?state=failed&order=oldest&limit=3", "jobs", "media_id"),
        ("/v1/callbacks/owed?limit=3", "callbacks", "callback_id"),
        (&format!("/v1/callbacks/owed?limit=3&bot={BOT}"), "callbacks", "callback_id"),
    ] {
        let all = world.until(path, |it| listed(it, name).len() == 3).await;
        let mut page = all;
        let mut ids = Vec::new();
        loop {
            let entries = listed(&page, name).iter();
            ids.extend(entries.map(|entry| entry[id].as_str().unwrap_or_default().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            page = world.seen(&format!("{path}&after={next}")).await;
        }
        assert_eq!(ids.len(), 7, "{path}: {ids:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 7, "{path}: nothing comes twice");
    }
}

/// Goal: notices come as they happen, to whoever listens, without contents.
async fn notices_come_as_they_happen(on: On) {
    let world = World::start(on, &[]).await;
    let url = format!("{}/v1/events", world.server.url());
    let stream = anteroom_tests::http_client().get(url).send().await;
    let mut stream = stream.expect("the server answers");
    assert_eq!(stream.status(), 200);
    let mut provider = world.provider().await;
    world.fail(&mut provider, "ada", 1).await;
    let mut parser = anteroom_tests::sse::Parser::default();
    let mut noticed = Vec::new();
    while !noticed.iter().any(|notice: &Value| notice["notice"] == "media_ended") {
        let bytes = tokio::time::timeout(anteroom_tests::PATIENCE, stream.chunk()).await;
        let bytes = bytes.expect("a notice comes").expect("the stream goes on");
        for event in parser.feed(&bytes.expect("the stream goes on")) {
            assert_eq!(event.kind, "notice");
            noticed.push(serde_json::from_str(&event.data).expect("notices are JSON"));
        }
    }
    let ended = noticed.iter().find(|notice| notice["notice"] == "media_ended");
    let ended = ended.expect("there is one");
    assert_eq!(ended["outcome"], json!("failed"), "{ended}");
    assert!(noticed.iter().any(|notice| notice["notice"] == "bot_started"), "{noticed:?}");
}

on_both_stores! {
    everything_is_shown_but_contents
    pages_hold_everything_once
    notices_come_as_they_happen
}
