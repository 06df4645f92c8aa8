//! Who is let in, and what is refused.

use std::fs;

use anteroom_tests::http_client;
use serde_json::json;
use tempfile::TempDir;

use crate::{BOT, On, World, on_both_stores, read};

/// The SHA-256 of `abc`, of `root` and of `eyes`.
const BOTS_HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The tokens as `anteroom token --hash` hashes them.
async fn hash(token: &str, home: &TempDir) -> String {
    let file = home.path().join("token");
    fs::write(&file, token).expect("it can be written to");
    let mut command =
        anteroom_tests::cli::command("http://127.0.0.1:1", home.path(), &["token", "--hash"]);
    command.stdin(fs::File::open(file).expect("it is there"));
    let ended = anteroom_tests::cli::ended(command.spawn().expect("the binary can be run")).await;
    ended.succeeded().stdout.trim().to_owned()
}

async fn guarded(on: On) -> (World, TempDir) {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let (root, eyes) = (hash("root", &home).await, hash("eyes", &home).await);
    let file = home.path().join("guarded.toml");
    let configuration = format!(
        "[tokens]\noperators = [\"{root}\"]\nreaders = [\"{eyes}\"]\n\
         [bots.{BOT}]\ntokens = [\"{BOTS_HASH}\"]\n"
    );
    fs::write(&file, configuration).expect("it can be written to");
    let file = file.to_string_lossy().into_owned();
    (World::start(on, &["--config", &file]).await, home)
}

/// Goal: without a token nobody is let in; a bot's token sees nothing of operators'; a reader looks and
/// changes nothing; an operator does both, and leaves a line that names the token, never shows it.
/// Method: each token at each kind of endpoint, and at commands.
async fn each_token_opens_what_it_should(on: On) {
    let (world, _home) = guarded(on).await;
    let status = async |token: Option<&str>, method: &str, path: &str| {
        let url = format!("{}{path}", world.server.url());
        let client = http_client();
        let request = if method == "GET" { client.get(url) } else { client.post(url) };
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.json(&json!({ "dry_run": true })).send().await;
        read(answer.expect("the server answers")).await
    };
    let looks = [
        "/v1/bots",
        "/v1/jobs",
        "/v1/jobs/count",
        "/v1/callbacks/owed",
        "/v1/callbacks/undeliverable",
        "/v1/nodes",
    ];
    for path in looks {
        assert_eq!(status(None, "GET", path).await.0, 401, "{path}");
        assert_eq!(status(Some("wrong"), "GET", path).await.0, 401, "{path}");
        let (code, problem) = status(Some("abc"), "GET", path).await;
        assert_eq!((code, &problem["type"]), (403, &json!("urn:anteroom:problem:wrong_role")));
        assert_eq!(status(Some("eyes"), "GET", path).await.0, 200, "{path}");
        assert_eq!(status(Some("root"), "GET", path).await.0, 200, "{path}");
    }
    for path in ["/v1/jobs/retry", "/v1/jobs/discard", "/v1/callbacks/redeliver"] {
        assert_eq!(status(None, "POST", path).await.0, 401, "{path}");
        assert_eq!(status(Some("abc"), "POST", path).await.0, 403, "{path}");
        assert_eq!(status(Some("eyes"), "POST", path).await.0, 403, "{path}");
        assert_eq!(status(Some("root"), "POST", path).await.0, 200, "{path}");
    }
    assert_eq!(status(Some("abc"), "GET", &format!("/v1/bots/{BOT}")).await.0, 403);
    assert_eq!(status(None, "GET", "/v1/events").await.0, 401);
    assert_eq!(status(None, "GET", "/openapi.json").await.0, 200, "it holds nothing of anybody");

    let add = ["bots", "add", "wa-7", "--provider", "whatsapp", "--token"];
    world.run(&[&add[..], &["eyes"]].concat()).await.failed_saying(&["may only look"]);
    world.run(&[&add[..], &["root"]].concat()).await.succeeded();
    let log = world.server.log();
    let audits: Vec<_> = log.lines().filter(|line| line.contains("audit")).collect();
    assert!(
        audits.iter().any(|line| line.contains("add_bot") && line.contains("sha256:")),
        "{log}"
    );
    assert!(audits.iter().all(|line| !line.contains("root")), "{audits:#?}");
}

/// Goal: what is not understood is refused by its name, and changes nothing; what is too large is refused.
async fn nonsense_is_refused(on: On) {
    let world = World::start(on, &[]).await;
    for (path, field) in [
        ("/v1/jobs?stat=failed", "stat"),
        ("/v1/jobs?state=lost", "state"),
        ("/v1/jobs?state=failed&reason=bad_luck", "reason"),
        ("/v1/jobs?limit=0", "limit"),
        ("/v1/jobs?limit=501", "limit"),
        ("/v1/jobs?after=x", "after"),
        ("/v1/jobs?bot=a&bot=b", "bot"),
        ("/v1/jobs?older_than_ms=-1", "older_than_ms"),
        ("/v1/callbacks/owed?after=1", "after"),
    ] {
        let (status, problem) = world.get(path).await;
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{path}: {problem}");
    }
    for (path, status) in [
        ("/v1/jobs/not-a-uuid", 400),
        ("/v1/jobs/8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11", 404),
        ("/v1/media/not-a-uuid/explain", 400),
        ("/v1/media/8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11/explain", 404),
        ("/v1/callbacks/nonsense/explain", 400),
        ("/v1/messages/demo%2Fada%2F1/explain", 404),
        ("/v1/bots/nobody", 404),
        ("/v1/bots/nobody/settings", 404),
        ("/v1/bots/nobody/correspondents/ada", 404),
        ("/v1/bots/%01", 400),
    ] {
        assert_eq!(world.get(path).await.0, status, "{path}");
    }
    for (path, body, status) in [
        ("/v1/jobs/retry", json!({ "raeson": "engine" }), 422),
        ("/v1/jobs/retry", json!({ "bot": ["a"] }), 422),
        ("/v1/jobs/retry", json!({ "dry_run": "maybe" }), 422),
        ("/v1/jobs/retry", json!([1]), 400),
        ("/v1/jobs/retry", json!({ "bot": "x".repeat(70_000) }), 413),
        ("/v1/jobs/discard", json!({ "state": "failed" }), 422),
        ("/v1/bots", json!({ "bot_id": "b" }), 422),
        ("/v1/bots/nobody/start", json!({}), 404),
        ("/v1/bots/nobody/stop", json!({}), 404),
        ("/v1/jobs/8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11/retry", json!({}), 404),
        ("/v1/jobs/8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11/discard", json!({}), 404),
        ("/v1/callbacks/nobody%2Fada%2F1/redeliver", json!({}), 404),
    ] {
        let (code, problem) = world.post(path, body).await;
        assert_eq!(code, status, "{path}: {problem}");
    }
}

on_both_stores! {
    each_token_opens_what_it_should
    nonsense_is_refused
}
