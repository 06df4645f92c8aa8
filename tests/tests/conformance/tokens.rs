//! Tokens of the real binary, from the command that makes one to the connection that shows it.

use anteroom_tests::cli;
use serde_json::json;

use crate::Configured;

/// Goal: `anteroom token` makes what the configuration and the clients need; with it a bot's own provider and
/// consumer are served, and nobody else is. Method: `send` and `tail` with the token, without, and with another.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_its_bot_to_send_and_tail() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let made = cli::command("http://127.0.0.1:1", home.path(), &["token"]).spawn();
    let made = cli::ended(made.expect("the binary can be run")).await.succeeded().stdout;
    let field = |name: &str| {
        let line = made.lines().find_map(|line| line.strip_prefix(name));
        line.expect("it is printed").trim().to_owned()
    };
    let (token, hash) = (field("token"), field("hash"));
    let world = Configured::start(&format!("[bots.demo]\ntokens = [\"{hash}\"]\n")).await;
    let send =
        |bot, token| ["send", "--bot", bot, "--from", "ada", "--text", "hello", "--token", token];
    cli::run(&world.server, &send("demo", "at_wrong")).await.failed_saying(&["token"]);
    cli::run(&world.server, &send("other", &token)).await.failed_saying(&["token"]);
    cli::run(&world.server, &send("demo", &token)).await.succeeded();
    let tail = ["tail", "--bot", "demo", "--count", "1", "--token"];
    let tailed =
        cli::run(&world.server, &[&tail[..], &[token.as_str()]].concat()).await.succeeded();
    assert!(tailed.stdout.contains("hello"), "{}", tailed.stdout);
    let wrong = cli::run(&world.server, &[&tail[..], &["at_wrong"]].concat()).await;
    wrong.failed_saying(&["token"]);
    assert!(!world.server.log().contains(&token), "a token is logged nowhere");
}

/// Goal: a listener that others reach serves with an operator's token, and asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_others_reach_asks_for_a_token() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let configuration = format!("[tokens]\noperators = [\"{hash}\"]\n");
    std::fs::write(home.path().join("anteroom.toml"), configuration).expect("it can be written to");
    let mut server = anteroom_tests::Server::lent_everywhere(home.path(), &[]);
    server.restart().await;
    let url = format!("{}/v1/bots/demo/callbacks/ack", server.local_url());
    let client = anteroom_tests::http_client();
    let ask = |token: &str| {
        let request = client.post(&url).bearer_auth(token).json(&json!({"callback_ids": ["odd"]}));
        request.send()
    };
    assert_eq!(ask("abd").await.expect("an answer").status(), 401);
    assert_eq!(ask("abc").await.expect("an answer").status(), 200);
}
