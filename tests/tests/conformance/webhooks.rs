//! A webhook of the real binary, and the commands that come with it.

use std::process::Stdio;

use anteroom_tests::{Connection, PATIENCE, cli, frames};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;

use crate::Configured;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An `anteroom listen`, and what it says on standard error.
struct Listening {
    child: Child,
    says: mpsc::UnboundedReceiver<String>,
}

impl Listening {
    /// Waits until it says something with these words.
    async fn until_it_says(&mut self, words: &str) {
        let said = async {
            while let Some(line) = self.says.recv().await {
                if line.contains(words) {
                    return;
                }
            }
            panic!("it ended and never said {words:?}");
        };
        tokio::time::timeout(PATIENCE, said).await.expect("it says so in time");
    }
}

/// Starts `anteroom listen` and waits until it says that it listens.
async fn listen(home: &std::path::Path, arguments: &[&str]) -> Listening {
    let all = [&["listen", "--json"], arguments].concat();
    let mut command = cli::command("http://127.0.0.1:1", home, &all);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary can be run");
    let stderr = child.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(stderr).lines();
    // All of it is taken, whoever wants to know: the pipe must not be full.
    let (said, says) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = said.send(line);
        }
    });
    let mut listening = Listening { child, says };
    listening.until_it_says("listening on ").await;
    listening
}

/// Goal: a bot's callbacks reach `anteroom listen`, which believes the signature, prints each once and answers; the
/// answer reaches the provider. A receiver that was away gets everything, in order, under growing attempts.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_called_and_answers() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let port = anteroom_tests::server::quiet_port();
    let address = format!("127.0.0.1:{port}");
    let world = Configured::start(&format!(
        "[bots.demo.webhook]\nurl = \"http://{address}/hook\"\nsecret = \"{SECRET}\"\n\
         allow_private_addresses = true\n\
         [bots.demo.callbacks.unavailable_back_off]\nfirst = \"20ms\"\nmost = \"100ms\"\n\
         [bots.demo.callbacks.refused_back_off]\nfirst = \"20ms\"\nmost = \"1s\"\n"
    ))
    .await;
    let mut provider = Connection::hello(&world.server, "demo").await;
    for number in 1..=3 {
        provider
            .receipt(&frames::text("ada", &format!("m{number}"), &format!("text {number}")))
            .await;
    }
    // Nobody is there yet; somebody who does not know the secret comes and refuses, and goes.
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let mut stranger = listen(home.path(), &["--listen", &address, "--secret", other]).await;
    stranger.until_it_says("a request is not believed").await;
    stranger.child.kill().await.expect("our own child can be killed");

    let arguments = ["--listen", &address, "--secret", SECRET, "--reply", "got it", "--count", "3"];
    let receiver = listen(home.path(), &arguments).await;
    let printed = cli::ended(receiver.child).await.succeeded().stdout;
    let callbacks: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ids: Vec<_> = callbacks.iter().map(|it| it["callback_id"].clone()).collect();
    assert_eq!(ids, ["demo/ada/1", "demo/ada/2", "demo/ada/3"]);
    assert!(callbacks[0]["attempt"].as_u64() > Some(1), "it was tried in vain: {}", callbacks[0]);
    let mut sends = Vec::new();
    while sends.len() < 3 {
        let frame = provider.next().await.expect("a send");
        if frame["type"] == "send" && !sends.contains(&frame["send_id"]) {
            assert_eq!(frame["message"], "got it");
            sends.push(frame["send_id"].clone());
            let sent =
                json!({"type": "sent", "send_id": frame["send_id"], "provider_message_id": "o"});
            provider.send(&sent).await;
        }
    }
    assert_eq!(sends, ids);
    assert!(!world.server.log().contains("whsec"), "a secret is logged nowhere");
}

/// Goal: an address of this machine is refused at the start, unless that is allowed, and the error says how to
/// allow it; a secret that is none is refused without being shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_cannot_be_is_refused_at_the_start() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let check = async |configuration: String| {
        std::fs::write(home.path().join("anteroom.toml"), configuration)
            .expect("it can be written to");
        let child = cli::command("http://127.0.0.1:1", home.path(), &["config", "check"]).spawn();
        cli::ended(child.expect("the binary can be run")).await
    };
    let webhook = |url: &str, secret: &str| {
        format!("[bots.demo.webhook]\nurl = \"{url}\"\nsecret = \"{secret}\"\n")
    };
    let ended = check(webhook("http://127.0.0.1:9/hook", SECRET)).await;
    ended.failed_saying(&["bots.demo.webhook.url", "allow_private_addresses"]);
    let ended = check(webhook("https://bot.example/hook", "hunter2")).await;
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    ended.failed_saying(&["bots.demo.webhook.secret", "whsec_"]);
    let ended = check("[bots.demo.webhook]\nurl = \"https://bot.example/hook\"\n".to_owned()).await;
    ended.failed_saying(&["secret"]);
    check(webhook("https://bot.example/hook", SECRET)).await.succeeded();
}

/// Goal: what `webhook sign` signs, `webhook verify` believes, and nothing else; a secret that it made is one.
#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_made_and_checked_by_hand() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let run = async |arguments: &[&str]| {
        let child = cli::command("http://127.0.0.1:1", home.path(), arguments).spawn();
        cli::ended(child.expect("the binary can be run")).await
    };
    let secret = run(&["webhook", "secret"]).await.succeeded().stdout.trim().to_owned();
    std::fs::write(home.path().join("body"), r#"{"a": 1}"#).expect("it can be written to");
    std::fs::write(home.path().join("other"), r#"{"a":1}"#).expect("it can be written to");
    let sign = ["webhook", "sign", "--secret", &secret, "--id", "x", "--timestamp", "7", "body"];
    let signed = run(&sign).await.succeeded().stdout;
    let signature = signed.lines().find_map(|line| line.strip_prefix("webhook-signature: "));
    let signature = signature.expect("it is printed");
    let verify = |now, body| {
        let arguments = ["webhook", "verify", "--secret", &secret, "--id", "x", "--timestamp", "7"];
        [&arguments[..], &["--signature", signature, "--now", now, body]].concat()
    };
    assert_eq!(run(&verify("8", "body")).await.succeeded().stdout, "ok\n");
    run(&verify("8", "other")).await.failed_saying(&["webhook-signature"]);
    run(&verify("1000", "body")).await.failed_saying(&["five minutes"]);
}
