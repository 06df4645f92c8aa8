//! The commands as a person types them: what they do, what they print, how they end.

use std::time::{Duration, Instant};

use anteroom_tests::{Connection, Server, cli, fixtures, frames};
use serde_json::Value;

/// What `tail --json` printed, one callback a line.
fn callbacks(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

/// Goal: a text that `send` got a receipt for is what `tail` prints, and once it is acknowledged
/// the next `tail` does not print it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_goes_from_send_to_tail_once() {
    let server = Server::start().await;
    for text in ["hello", "are you there?"] {
        let send = ["send", "--bot", "demo", "--from", "alice", "--text", text];
        cli::run(&server, &send).await.succeeded();
    }
    let tail = ["tail", "--bot", "demo", "--json", "--count", "1", "--timeout", "20"];
    for (text, id) in [("hello", 1), ("are you there?", 2)] {
        let printed = cli::run(&server, &tail).await.succeeded().stdout;
        let callbacks = callbacks(&printed);
        assert_eq!(callbacks.len(), 1, "{printed}");
        assert_eq!(callbacks[0]["type"], "message");
        assert_eq!(callbacks[0]["bot_id"], "demo");
        assert_eq!(callbacks[0]["correspondent_id"], "alice");
        assert_eq!(callbacks[0]["message"]["content"], text);
        assert_eq!(callbacks[0]["message"]["id"], id);
    }
}

/// Goal: `send --file` with a caption becomes a callback with the file's words and the caption on
/// its own line; the type and kind are found out, or as said.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_from_send_to_tail_as_words() {
    let server = Server::start().await;
    let note = fixtures::pdf(&["Invoice 2041"]);
    std::fs::write(server.home().join("note.pdf"), &note).expect("the home can be written to");
    std::fs::write(server.home().join("odd.bin"), note).expect("the home can be written to");
    let send = ["send", "--bot", "demo", "--from", "alice"];
    let guessed = [&send[..], &["--file", "note.pdf", "--caption", "the invoice"]].concat();
    cli::run(&server, &guessed).await.succeeded();
    let said = ["--file", "odd.bin", "--mime", "application/pdf", "--kind", "document"];
    cli::run(&server, &[&send[..], &said].concat()).await.succeeded();

    let tail = ["tail", "--bot", "demo", "--json", "--count", "2", "--timeout", "20"];
    let printed = cli::run(&server, &tail).await.succeeded().stdout;
    let mut contents: Vec<String> = callbacks(&printed)
        .iter()
        .map(|callback| callback["message"]["content"].as_str().unwrap_or_default().to_owned())
        .collect();
    contents.sort();
    assert_eq!(
        contents,
        [
            "[Document text (note.pdf): Invoice 2041]\nthe invoice",
            "[Document text (odd.bin): Invoice 2041]",
        ]
    );
}

/// Goal: `send --group` says in which group it was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_carried_along() {
    let server = Server::start().await;
    let send = ["send", "--bot", "demo", "--from", "alice", "--group", "family", "--text", "hi"];
    cli::run(&server, &send).await.succeeded();
    let tail = ["tail", "--bot", "demo", "--json", "--count", "1", "--timeout", "20"];
    let printed = cli::run(&server, &tail).await.succeeded().stdout;
    let callback = &callbacks(&printed)[0];
    assert_eq!(callback["message"]["group"]["identifier"], "family");
    assert_eq!(callback["message"]["sender"]["identifier"], "alice");
}

/// Goal: a `tail` that was there before the bot's first message prints it, for people, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_tail_may_come_before_the_first_message() {
    let server = Server::start().await;
    let tail = ["tail", "--bot", "demo", "--count", "1", "--timeout", "20"];
    let tail = cli::start(&server, &tail);
    let send = ["send", "--bot", "demo", "--from", "alice", "--text", "the first words"];
    cli::run(&server, &send).await.succeeded();
    let printed = cli::ended(tail).await.succeeded().stdout;
    assert!(printed.contains("the first words"), "{printed}");
    assert!(printed.contains("alice"), "{printed}");
}

/// Goal: `--server` says where to, and wins over the environment.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_flag_wins_over_the_environment() {
    let server = Server::start().await;
    let send =
        ["send", "--server", server.url(), "--bot", "demo", "--from", "alice", "--text", "hi"];
    let child = cli::command("http://127.0.0.1:1", server.home(), &send).spawn();
    cli::ended(child.expect("the binary can be run")).await.succeeded();
}

/// Goal: `tail --timeout` ends in time when too little came, and its exit code says so; what did
/// come was printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_waited_in_vain_says_so() {
    let server = Server::start().await;
    let send = ["send", "--bot", "demo", "--from", "alice", "--text", "only one"];
    cli::run(&server, &send).await.succeeded();
    let begun = Instant::now();
    // Long enough for the one that is there to come, on a machine that is busy with something else.
    let tail = ["tail", "--bot", "demo", "--json", "--count", "2", "--timeout", "5"];
    let ended = cli::run(&server, &tail).await.failed_saying(&["1 of 2"]);
    assert_eq!(callbacks(&ended.stdout).len(), 1, "{ended:#?}");
    assert!(begun.elapsed() >= Duration::from_secs(5), "it gave up early");
}

/// Goal: without a server, clients say which address does not answer, and fail.
#[tokio::test(flavor = "multi_thread")]
async fn clients_without_a_server_say_so() {
    // A port that no other test is ever given.
    let address = "127.0.0.1:1";
    let home = tempfile_home();
    for arguments in [
        &["send", "--bot", "demo", "--from", "alice", "--text", "hi", "--timeout", "1"][..],
        &["tail", "--bot", "demo", "--count", "1", "--timeout", "1"],
    ] {
        let child = cli::command(&format!("http://{address}"), home.path(), arguments).spawn();
        let ended = cli::ended(child.expect("the binary can be run")).await;
        ended.failed_saying(&[address]);
    }
}

/// Goal: what cannot be meant is refused with words that name it, and with clap's exit code 2.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_named() {
    let home = tempfile_home();
    for (arguments, named) in [
        (&["send", "--bott", "demo"][..], "--bott"),
        (&["serve", "--listen", "nowhere"], "--listen"),
        (&["send", "--bot", "demo", "--text", "hi"], "--from"),
        (&["send", "--from", "alice", "--text", "hi"], "--bot"),
        (&["send", "--bot", "demo", "--from", "alice"], "--text"),
        (&["tail"], "--bot"),
        (&["tail", "--bot", "demo", "--count", "many"], "--count"),
        (&["sing"], "sing"),
    ] {
        let child = cli::command("http://127.0.0.1:1", home.path(), arguments).spawn();
        let ended = cli::ended(child.expect("the binary can be run")).await;
        let ended = ended.failed_saying(&[named]);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:#?}");
    }
}

/// Goal: a file that is not there is named, and nothing is sent in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_is_named() {
    let server = Server::start().await;
    let send = ["send", "--bot", "demo", "--from", "alice", "--file", "absent.pdf"];
    cli::run(&server, &send).await.failed_saying(&["absent.pdf"]);
    let mut provider = Connection::hello(&server, "demo").await;
    let receipt = provider.receipt(&frames::text("alice", "m1", "first")).await;
    assert_eq!(receipt["message_id"], 1, "{receipt}");
}

/// Goal: each command explains its flags.
#[tokio::test(flavor = "multi_thread")]
async fn each_command_explains_its_flags() {
    let home = tempfile_home();
    for (arguments, explained) in [
        (&["--help"][..], &["serve", "send", "tail"][..]),
        (&["serve", "--help"], &["--listen", "--data-dir", "--store", "127.0.0.1:8787"]),
        (
            &["send", "--help"],
            &[
                "--bot",
                "--from",
                "--text",
                "--file",
                "--mime",
                "--kind",
                "--caption",
                "--group",
                "--server",
                "ANTEROOM_SERVER",
                "Exit",
            ],
        ),
        (
            &["tail", "--help"],
            &["--bot", "--json", "--count", "--timeout", "--server", "ANTEROOM_SERVER", "Exit"],
        ),
    ] {
        let child = cli::command("http://127.0.0.1:1", home.path(), arguments).spawn();
        let ended = cli::ended(child.expect("the binary can be run")).await.succeeded();
        for word in explained {
            assert!(ended.stdout.contains(word), "{arguments:?} does not explain {word}");
        }
    }
}

/// Goal: a server that cannot have its address says so and fails, and harms nobody's data.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_named() {
    let server = Server::start().await;
    let arguments = ["serve", "--listen", server.authority(), "--data-dir", "elsewhere"];
    cli::run(&server, &arguments).await.failed_saying(&[server.authority()]);
}

/// Goal: two servers never share an embedded store.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_in_use_is_named() {
    let server = Server::start().await;
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "anteroom-data"];
    cli::run(&server, &arguments).await.failed_saying(&["anteroom-data"]);
}

/// Goal: without an operator token the server does not listen beyond this machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_without_a_token_is_refused() {
    let home = tempfile_home();
    let arguments = ["serve", "--listen", "0.0.0.0:0", "--data-dir", "data"];
    let child = cli::command("http://127.0.0.1:1", home.path(), &arguments).spawn();
    let ended = cli::ended(child.expect("the binary can be run")).await;
    ended.failed_saying(&["0.0.0.0", "token"]);
}

fn tempfile_home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}
