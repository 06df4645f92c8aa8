//! TLS to the outside: to servers whose certificate the system trusts, and to nobody else.
//!
//! The system's trust is a file here, as `SSL_CERT_FILE` names it.

use std::fs;
use std::path::Path;

use anteroom_tests::https::HttpsServer;
use anteroom_tests::{Connection, PATIENCE, Server, cli, eventually, frames};
use serde_json::Value;

/// Names the certificates that the system trusts.
const TRUSTED: &str = "SSL_CERT_FILE";

/// What `transcribe` says of a recording for the server at `url`, where these certificates are trusted.
async fn transcribed(home: &Path, url: &str, trusted: &Path) -> (Option<i32>, Value) {
    let engine =
        format!("[engines.openai]\nbase_url = \"{url}/v1\"\ntranscription_model = \"m\"\n");
    fs::write(home.join("anteroom.toml"), engine).expect("the home can be written to");
    fs::write(home.join("clip.wav"), b"RIFF").expect("the home can be written to");
    let arguments = ["transcribe", "--json", "clip.wav"];
    let mut command = cli::command("http://127.0.0.1:1", home, &arguments);
    let child = command.env(TRUSTED, trusted).env_remove("SSL_CERT_DIR").spawn();
    let ended = cli::ended(child.expect("the binary can be run")).await;
    let said = serde_json::from_str(&ended.stdout);
    (ended.code, said.unwrap_or_else(|_| panic!("{ended:#?}")))
}

/// Goal: a recording goes to a server whose authority the system trusts. One of another authority, and one by
/// another name than its certificate has, are refused in words that say so, and are not told anything.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_speaks_to_whom_the_system_trusts() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let mut server = HttpsServer::start(r#"{"text": "in confidence"}"#);
    let (trusted, other) = (home.path().join("trusted.pem"), home.path().join("other.pem"));
    server.write_authority(&trusted);
    HttpsServer::start("{}").write_authority(&other);

    let (code, said) = transcribed(home.path(), server.url(), &trusted).await;
    assert_eq!((code, &said["content"]), (Some(0), &"[Audio transcript: in confidence]".into()));
    assert!(server.next_request().await.starts_with("POST /v1/audio/transcriptions "));

    let by_address = server.url().replace("localhost", "127.0.0.1");
    for (url, trusted) in [(server.url().to_owned(), &other), (by_address, &trusted)] {
        let (code, said) = transcribed(home.path(), &url, trusted).await;
        assert_eq!(code, Some(1), "{said}");
        let why = said["failure"].as_str().expect("a failure");
        assert!(why.contains("not reached") && why.contains("certificate"), "{why}");
        assert!(server.has_heard_nothing(), "{url}");
    }
}

/// Goal: a webhook is called only where the system trusts its authority; otherwise the log says why it is not, and
/// what is owed comes once it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_called_where_the_system_trusts_it() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let mut hook = HttpsServer::start("{}");
    let (trusted, other) = (home.path().join("trusted.pem"), home.path().join("other.pem"));
    hook.write_authority(&trusted);
    HttpsServer::start("{}").write_authority(&other);
    let configuration = format!(
        "[bots.demo]\nrun = \"always\"\n[bots.demo.webhook]\nurl = \"{}/hook\"\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nallow_private_addresses = true\n",
        hook.url()
    );
    fs::write(home.path().join("anteroom.toml"), configuration).expect("it can be written to");
    let mut server = Server::lent(home.path(), &[]);
    server.set_variable(TRUSTED, &other);
    server.restart().await;
    let mut provider = Connection::hello(&server, "demo").await;
    let receipt = provider.receipt(&frames::text("ada", "m1", "hello")).await;
    assert_eq!(receipt["outcome"], "accepted", "{receipt}");
    let is_said = || {
        let log = server.log();
        log.lines().any(|line| line.contains("did not answer") && line.contains("certificate"))
    };
    eventually("the operator to be told", is_said).await;
    assert!(hook.has_heard_nothing());

    assert!(server.terminate(PATIENCE).await.success());
    server.set_variable(TRUSTED, &trusted);
    server.restart().await;
    let head = hook.next_request().await;
    assert!(head.starts_with("POST /hook ") && head.contains("webhook-signature: v1,"), "{head}");
}
