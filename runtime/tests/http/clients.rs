//! `anteroom send` and `anteroom tail`, the built commands, against a real node and against servers
//! that misbehave on purpose.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::world::{BOT, PATIENCE, World, message, posted};

fn anteroom(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
    command
        .args(arguments)
        .args(["--server", url])
        .env_remove("ANTEROOM_SERVER")
        .env_remove("ANTEROOM_TOKEN")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(world: &World, arguments: &[&str]) -> Output {
    let running = anteroom(&world.url, arguments).output();
    timeout(PATIENCE, running).await.expect("it ends in time").expect("it can be run")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Goal: `send` prints the one line it promises; sent again under its id it is a duplicate, and a
/// message of a group belongs to the group.
#[tokio::test]
async fn send_says_what_became_of_the_message() {
    let world = World::start().await;
    let send = ["send", "--bot", BOT, "--from", "alice", "--text", "hello", "--id", "m1"];
    let output = run(&world, &send).await;
    assert_eq!((code(&output), stdout(&output)), (Some(0), "accepted demo/alice/1\n"));
    let output = run(&world, &send).await;
    assert_eq!((code(&output), stdout(&output)), (Some(0), "duplicate demo/alice/1\n"));
    let group = ["send", "--bot", BOT, "--from", "bob", "--group", "a/b", "--text", "hi"];
    assert_eq!(stdout(&run(&world, &group).await), "accepted demo/a%2Fb/1\n");
}

/// Goal: `--text -` reads the text from stdin.
#[tokio::test]
async fn send_reads_stdin() {
    let world = World::start().await;
    let mut events = world.events(BOT).await;
    let mut child = anteroom(&world.url, &["send", "--bot", BOT, "--from", "a", "--text", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all("two\nlines\n".as_bytes()).await.expect("it reads");
    drop(stdin);
    assert!(child.wait().await.expect("it ends").success());
    let callback: Value =
        serde_json::from_str(&events.next().await.expect("a callback").data).expect("JSON");
    assert_eq!(callback["message"]["content"], "two\nlines");
}

/// Goal: a file reaches the workers whole, through the shared directory and through an upload, with
/// the type and kind that its name stands for; media that nobody could download need no file.
#[tokio::test]
async fn send_brings_a_file_either_way() {
    let world = World::start().await;
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let path = home.path().join("notes.txt");
    std::fs::write(&path, "words in a file").expect("it can be written");
    let path = path.to_str().expect("UTF-8");
    let mut events = world.events(BOT).await;
    let words = "[Document text (notes.txt): words in a file]\nlook";
    for (what, kind, content) in [
        (&["--file", path][..], "document", words),
        (&["--file", path, "--upload"], "document", words),
        (
            &["--mime", "media_corrupt_audio"],
            "audio",
            "[Corrupted audio media could not be downloaded]\nlook",
        ),
    ] {
        let send = ["send", "--bot", BOT, "--from", "alice", "--caption", "look"];
        let output = run(&world, &[&send[..], what].concat()).await;
        assert_eq!(code(&output), Some(0), "{output:?}");
        let event = events.next().await.expect("a callback");
        let callback: Value = serde_json::from_str(&event.data).expect("JSON");
        let message = &callback["message"];
        if kind == "document" {
            assert_eq!(message["content"], content, "{message}");
            assert_eq!(message["media"]["mime_type"], "text/plain");
            assert_eq!(message["media"]["original_filename"], "notes.txt");
        }
        assert_eq!(message["media"]["kind"], kind);
        let ack = json!({"callback_ids": [event.id]}).to_string();
        assert_eq!(world.post("/v1/bots/demo/callbacks/ack", ack).await.status, 200);
    }
}

/// Goal: `send` becomes the provider that the bot has, unless another was asked for.
#[tokio::test]
async fn send_becomes_the_provider_that_the_bot_has() {
    let world = World::start().await;
    let mut provider = world.socket().await;
    provider.say(&crate::world::hello(BOT, "whatsapp_baileys")).await;
    assert_eq!(provider.next().await["type"], "welcome");
    let send = ["send", "--bot", BOT, "--from", "alice", "--text", "hello"];
    assert_eq!(code(&run(&world, &send).await), Some(0));
    let output = run(&world, &[&send[..], &["--provider", "telegram"]].concat()).await;
    assert_eq!(code(&output), Some(1));
    assert!(stderr(&output).contains("--provider whatsapp_baileys"), "{}", stderr(&output));
}

/// Goal: `send` ends with the documented codes when it cannot send, and says what to do.
#[tokio::test]
async fn send_says_why_it_failed() {
    let world = World::start().await;
    let refused = ["send", "--bot", BOT, "--from", "", "--text", "x"];
    let output = run(&world, &refused).await;
    assert_eq!(code(&output), Some(1), "{output:?}");
    assert!(stderr(&output).contains("invalid"), "{}", stderr(&output));

    let absent = ["send", "--bot", BOT, "--from", "a", "--file", "absent.pdf"];
    let output = run(&world, &absent).await;
    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("absent.pdf"), "{}", stderr(&output));

    let nobody = "http://127.0.0.1:9";
    let send = ["send", "--bot", BOT, "--from", "a", "--text", "x", "--timeout", "1"];
    let output = anteroom(nobody, &send).output().await.expect("it can be run");
    assert_eq!(code(&output), Some(3));
    assert!(stderr(&output).contains("no server at http://127.0.0.1:9"), "{}", stderr(&output));
    assert!(stderr(&output).contains("anteroom serve"), "{}", stderr(&output));
}

/// Goal: a message that is rejected for now is handed over again when the server said.
/// Method: a server of our own that asks for patience once and drops the connection once.
#[tokio::test]
async fn send_is_patient_and_comes_again() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let server = tokio::spawn(async move {
        let mut ids = Vec::new();
        for connection in 0..2 {
            let (stream, _) = listener.accept().await.expect("a client comes");
            let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
            socket.next().await.expect("a hello").expect("a frame");
            let welcome = json!({
                "type": "welcome", "payload_version": 1, "window": 1,
                "session_id": "00000000-0000-4000-8000-000000000001",
                "media": {"upload_url": "/v1/media", "quota_bytes": 1, "used_bytes": 0,
                    "max_file_bytes": 1},
            });
            socket.send(Message::text(welcome.to_string())).await.expect("it reads");
            let receipts = match connection {
                0 => {
                    vec![json!({"outcome": "rejected", "reason": "overflow", "retry_after_ms": 10})]
                }
                _ => vec![
                    json!({"outcome": "rejected", "reason": "retry_later", "retry_after_ms": 10}),
                    json!({"outcome": "accepted", "message_id": 7}),
                ],
            };
            for mut receipt in receipts {
                let frame = socket.next().await.expect("a message").expect("a frame");
                let frame: Value =
                    serde_json::from_str(frame.to_text().expect("text")).expect("JSON");
                ids.push(frame["provider_message_id"].clone());
                receipt["type"] = "receipt".into();
                receipt["seq"] = frame["seq"].clone();
                socket.send(Message::text(receipt.to_string())).await.expect("it reads");
            }
            // The first connection ends here, with the message on its way again.
        }
        ids
    });
    let send = ["send", "--bot", BOT, "--from", "alice", "--text", "x"];
    let output = anteroom(&url, &send).output().await.expect("it can be run");
    assert_eq!(
        (code(&output), stdout(&output)),
        (Some(0), "accepted demo/alice/7\n"),
        "{output:?}"
    );
    let ids = server.await.expect("it got what it expected");
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// Goal: `tail --count` prints each callback once, confirmed, and the next one goes on behind it.
#[tokio::test]
async fn tail_prints_and_acknowledges() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    for (seq, text) in [(1, "one\ntwo"), (2, "three"), (3, "four")] {
        provider.say(&message(seq, text)).await;
        assert_eq!(provider.next().await["outcome"], "accepted");
    }
    let tail = ["tail", "--bot", BOT, "--timeout", "10", "--count"];
    let output = run(&world, &[&tail[..], &["2"]].concat()).await;
    assert_eq!(code(&output), Some(0), "{output:?}");
    assert_eq!(stdout(&output), "alice  #1  one\n    two\nalice  #2  three\n");

    let output = run(&world, &[&tail[..], &["1", "--json"]].concat()).await;
    assert_eq!(stdout(&output).lines().count(), 1);
    let callback: Value = serde_json::from_str(stdout(&output)).expect("JSON");
    assert_eq!(callback["message"]["content"], "four");
}

/// Goal: `tail --no-ack` only looks: what it printed comes again.
#[tokio::test]
async fn tail_can_only_look() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    provider.say(&message(1, "one")).await;
    assert_eq!(provider.next().await["outcome"], "accepted");
    let tail = ["tail", "--bot", BOT, "--timeout", "10", "--count", "1"];
    for more in [&["--no-ack"][..], &[]] {
        let output = run(&world, &[&tail[..], more].concat()).await;
        assert_eq!((code(&output), stdout(&output)), (Some(0), "alice  #1  one\n"), "{output:?}");
    }
    let output = run(&world, &["tail", "--bot", BOT, "--count", "1", "--timeout", "1"]).await;
    assert_eq!((code(&output), stdout(&output)), (Some(3), ""));
    assert!(stderr(&output).contains("0 of 1"), "{}", stderr(&output));
}

/// Goal: a `tail` whose stream is taken over says so and ends, and does not take it back.
#[tokio::test]
async fn a_replaced_tail_ends() {
    let world = World::start().await;
    let mut provider = world.provider(BOT).await;
    let mut tail = anteroom(&world.url, &["tail", "--bot", BOT])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    provider.say(&message(1, "one")).await;
    let mut lines = BufReader::new(tail.stdout.take().expect("stdout is piped")).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.expect("it prints").expect("UTF-8");
    assert_eq!(line.as_deref(), Some("alice  #1  one"));
    let _newer = world.events(BOT).await;
    let output =
        timeout(PATIENCE, tail.wait_with_output()).await.expect("it ends").expect("waited");
    assert_eq!(code(&output), Some(4));
    assert!(stderr(&output).contains("took the stream over"), "{}", stderr(&output));
}

/// Goal: Ctrl-C ends a `tail` without a goal well.
#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_ends_a_tail_well() {
    let world = World::start().await;
    let _provider = world.provider(BOT).await;
    let mut tail = anteroom(&world.url, &["tail", "--bot", BOT])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let body = posted("p1", "one").to_string();
    assert_eq!(world.post("/v1/bots/demo/messages", body).await.status, 200);
    let mut lines = BufReader::new(tail.stdout.take().expect("stdout is piped")).lines();
    timeout(PATIENCE, lines.next_line()).await.expect("it prints").expect("UTF-8");
    let pid = tail.id().expect("it runs").to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status().await;
    assert!(killed.expect("kill can be run").success());
    let status = timeout(PATIENCE, tail.wait()).await.expect("it ends").expect("waited");
    assert_eq!(status.code(), Some(0));
}
