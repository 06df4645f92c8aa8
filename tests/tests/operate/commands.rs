//! The commands, as they are typed.

use std::fs;

use anteroom_tests::frames;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{BOT, On, SECRET, World, listed, on_both_stores};

/// Goal: every command that looks prints what there is, as a table or as JSON, and contents never.
async fn commands_show_what_there_is(on: On) {
    let world = World::start(on, &[]).await;
    let mut provider = world.provider().await;
    let media = world.fail(&mut provider, "ada", 1).await[0].media_id.to_string();
    world.run(&["bots", "add", "wa-7", "--provider", "whatsapp"]).await.succeeded();
    let again = world.run(&["bots", "add", "wa-7", "--provider", "whatsapp"]).await.succeeded();
    assert!(again.stdout.contains("was known already"), "{again:?}");
    let other = world.run(&["bots", "add", "wa-7", "--provider", "telegram"]).await;
    other.failed_saying(&["known already"]);

    let bots = world.run(&["bots", "list"]).await.succeeded().stdout;
    assert!(bots.contains(BOT) && bots.contains("wa-7") && bots.contains("running"), "{bots}");
    assert!(!bots.contains('\u{1b}'), "a pipe has no colours");
    let as_json = world.run_json(&["bots", "list", "--json"]).await;
    assert_eq!(listed(&as_json, "bots").len(), 2);
    let settings = world.run_json(&["bots", "settings", BOT]).await;
    assert!(settings["limits"].is_object(), "{settings}");

    let failed = world.run(&["jobs", "list", "--state", "failed"]).await.succeeded().stdout;
    assert!(failed.contains(&media) && failed.contains("file_missing"), "{failed}");
    let old = ["jobs", "list", "--state", "failed", "--older-than", "1h", "--json"];
    assert_eq!(listed(&world.run_json(&old).await, "jobs").len(), 0);
    let one = world.run(&["jobs", "show", &media]).await.succeeded().stdout;
    assert!(one.contains("file_missing") && one.contains("is not on this node"), "{one}");

    let owed = world.run(&["callbacks", "owed", "--bot", BOT]).await.succeeded().stdout;
    assert!(owed.contains("demo/ada/1"), "{owed}");
    let nodes = world.run_json(&["nodes", "list", "--json"]).await;
    assert_eq!(listed(&nodes, "nodes").len(), 1);
    let nodes = world.run(&["nodes", "list"]).await.succeeded().stdout;
    let top = world.run(&["top", "--once"]).await.succeeded().stdout;
    assert!(top.contains("FAILED") && top.contains(BOT), "{top}");
    for printed in [bots, failed, one, owed, nodes, top] {
        assert!(!printed.contains(SECRET), "{printed}");
    }
}

/// Goal: a command says how it ended: refused, wrongly used, or without a server.
async fn commands_say_how_they_end(on: On) {
    let world = World::start(on, &[]).await;
    let unknown = "8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11";
    for (arguments, code) in [
        (&["jobs", "show", unknown][..], 1),
        (&["jobs", "retry", unknown], 1),
        (&["jobs", "discard", unknown], 1),
        (&["bots", "stop", "nobody"], 1),
        (&["callbacks", "redeliver", "nobody/ada/1"], 1),
        (&["explain", unknown], 1),
        (&["jobs", "retry"], 2),
        (&["jobs", "list", "--state", "lost"], 2),
        (&["nodes", "list", "--server", "http://127.0.0.1:1"], 3),
        (&["top", "--once", "--server", "http://127.0.0.1:1"], 3),
    ] {
        let ended = world.run(arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
    }
    let none = world.run(&["jobs", "discard", "--all"]).await.succeeded().stdout;
    assert!(none.starts_with("0 jobs"), "{none}");
    let migrate = ["migrate", "--store", "sqlite:elsewhere"];
    let migrated = world.run(&migrate).await.succeeded().stdout;
    assert!(migrated.contains("it knows 0 bots"), "{migrated}");
    world.run(&migrate).await.succeeded();
}

/// Goal: an open job is discarded: its message ends without text and says so. Method: the bot is stopped while
/// its medium waits, so that the job is held; the command with its filter.
async fn a_held_job_is_discarded(on: On) {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    // Nobody works on it.
    let file = home.path().join("slow.toml");
    let slow = "[engines.slow]\nprocessor = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"sleep 60\", \"{path}\"]\n\
                [pools.document]\nengine = \"slow\"\n";
    fs::write(&file, slow).expect("it can be written to");
    let file = file.to_string_lossy().into_owned();
    let world = World::start(on, &["--config", &file]).await;
    let mut provider = world.provider().await;
    let media = frames::Media::document("text/plain", "unspeakable.txt", SECRET.as_bytes());
    let directory = anteroom_tests::staging::directory(provider.welcome());
    anteroom_tests::staging::share(&directory, media.media_id, SECRET.as_bytes());
    provider.receipt(&frames::media("ada", "m-1", "look", &media)).await;
    let path = format!("/v1/media/{}/explain", media.media_id);
    let story = world.until(&path, |story| story["now"]["code"] == "worker").await;
    assert!(story["now"]["until"].is_u64(), "a lease has an end: {story}");
    let active = world.seen("/v1/jobs?status=processing").await;
    assert!(listed(&active, "jobs")[0]["lease"]["worker_id"].is_string(), "{active}");
    let ada = world.seen(&format!("/v1/bots/{BOT}/correspondents/ada")).await;
    assert_eq!(ada["in_memory"]["queue"][0]["placeholder"], json!(true), "{ada}");
    let nodes = world.seen("/v1/nodes").await;
    assert_eq!(listed(&nodes, "nodes")[0]["job_leases"], json!(1), "{nodes}");

    let discard = ["jobs", "discard", "--bot", BOT];
    let counted = world.run(&discard).await.succeeded().stdout;
    assert!(counted.starts_with("1 jobs would be discarded"), "{counted}");
    world.run(&[&discard[..], &["--yes"]].concat()).await.succeeded();
    let consumer = world.consumer();
    let told = consumer.callback_of("m-1").await;
    assert!(told.content().contains("discarded by an operator"), "{}", told.content());
}

/// Goal: a callback that its consumer refused too often is given up, is listed so, and is made again by hand
/// with a higher attempt. Method: a webhook that refuses until it is told to take.
async fn a_given_up_callback_is_made_again(on: On) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    let (take, takes) = tokio::sync::watch::channel(false);
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel::<Value>();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (takes, told) = (takes.clone(), told.clone());
            tokio::spawn(async move {
                let mut read = Vec::new();
                let mut buffer = [0; 8_192];
                loop {
                    let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
                    read.extend_from_slice(&buffer[..count]);
                    let Some(body) = body_of(&read) else { continue };
                    let _ = told.send(serde_json::from_slice(body).expect("a callback"));
                    let status = if *takes.borrow() { "204 No Content" } else { "422 No" };
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                    read.clear();
                }
            });
        }
    });
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let file = home.path().join("hook.toml");
    let hook = format!(
        "[bots.{BOT}.webhook]\nurl = \"http://127.0.0.1:{port}/\"\nallow_private_addresses = true\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n\
         [bots.{BOT}.callbacks]\nrefusals_max = 2\n\
         [bots.{BOT}.callbacks.refused_back_off]\nfirst = \"10ms\"\nmost = \"20ms\"\n"
    );
    fs::write(&file, hook).expect("it can be written to");
    let file = file.to_string_lossy().into_owned();
    let world = World::start(on, &["--config", &file]).await;
    let mut provider = world.provider().await;
    provider.receipt(&frames::text("ada", "t-1", SECRET)).await;

    let given_up = |it: &Value| it["callbacks"].as_array().is_some_and(|all| all.len() == 1);
    world.until("/v1/callbacks/undeliverable", given_up).await;
    let listed = world.run(&["callbacks", "owed", "--undeliverable"]).await.succeeded().stdout;
    assert!(listed.contains("demo/ada/1"), "{listed}");
    let story = world.seen(&format!("/v1/callbacks/{BOT}%2Fada%2F1/explain")).await;
    assert_eq!(story["now"]["code"], json!("undeliverable"), "{story}");

    let refused = take.send(true);
    assert!(refused.is_ok());
    let counted = world.run(&["callbacks", "redeliver", "--bot", BOT]).await.succeeded().stdout;
    assert!(counted.starts_with("1 callbacks would be"), "{counted}");
    world.run(&["callbacks", "redeliver", "demo/ada/1"]).await.succeeded();
    let path = format!("/v1/callbacks/{BOT}%2Fada%2F1/explain");
    world.until(&path, |story| story["now"]["code"] == "acknowledged").await;
    let mut attempts = Vec::new();
    while let Ok(told) = tells.try_recv() {
        attempts.push(told["attempt"].as_u64().expect("a callback has an attempt"));
    }
    assert!(attempts.len() >= 3 && attempts.is_sorted_by(|a, b| a < b), "{attempts:?}");
    let settled = world.run(&["callbacks", "redeliver", "demo/ada/1"]).await;
    settled.failed_saying(&["nothing to make again"]);
}

/// The body of a request that has come whole.
fn body_of(read: &[u8]) -> Option<&[u8]> {
    let text = String::from_utf8_lossy(read);
    let end = text.find("\r\n\r\n")? + 4;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    read.get(end..end + length)
}

on_both_stores! {
    commands_show_what_there_is
    commands_say_how_they_end
    a_held_job_is_discarded
    a_given_up_callback_is_made_again
}
