//! The configuration as an operator meets it: the file, the variables, and what the commands say.

use std::fs;
use std::path::{Path, PathBuf};

use anteroom_tests::cli::Ended;
use anteroom_tests::{PATIENCE, Server, cli};
use serde_json::Value;
use tempfile::TempDir;

/// A directory whose `anteroom.toml` says `text`.
fn home(text: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    fs::write(home.path().join("anteroom.toml"), text).expect("the home can be written to");
    home
}

async fn run(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = cli::command("http://127.0.0.1:1", home, arguments);
    let child = command.envs(variables.iter().copied()).spawn();
    cli::ended(child.expect("the binary can be run")).await
}

/// Goal: one run names every problem of every layer, with place, key and what was likely meant, and ends
/// with 1; `serve` says the same, ends with 2, and touches nothing.
#[tokio::test(flavor = "multi_thread")]
async fn all_problems_are_said_and_nothing_is_started() {
    let home = home("[pools.audio]\nslosts = 3\n[lease]\nttl = \"15\"\n");
    let variables = [("ANTEROOM_LISTN", "127.0.0.1:0")];
    let expected = "\
anteroom: anteroom.toml:2: pools.audio.slosts: unknown key; did you mean pools.audio.slots?
anteroom: anteroom.toml:4: lease.ttl: \"15\" is not understood: expected a time with its unit, as in \
\"15s\" or \"1h 30min\"
anteroom: ANTEROOM_LISTN: listn: unknown key; did you mean listen?
";
    for (arguments, code) in
        [(&["config", "check"][..], 1), (&["config", "print"], 1), (&["serve"], 2)]
    {
        let ended = run(home.path(), &variables, arguments).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), expected), "{arguments:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    let left: Vec<_> = fs::read_dir(home.path()).expect("the home is there").collect();
    assert_eq!(left.len(), 1, "only the file is there: {left:?}");
}

/// Goal: a configuration that makes sense is said to, and printed with where each value came from, for
/// people and for programs; a secret from a file is nowhere in it.
#[tokio::test(flavor = "multi_thread")]
async fn values_are_printed_with_their_origins() {
    let home = home("store_file = \"address\"\n[lease]\nttl = \"90s\"\n");
    fs::write(home.path().join("address"), "mongodb://user:hidden@127.0.0.1/a\n")
        .expect("the home can be written to");
    fs::rename(home.path().join("anteroom.toml"), home.path().join("other.toml"))
        .expect("the home can be written to");
    let variables = [("ANTEROOM_CONFIG", "other.toml"), ("ANTEROOM_POOLS__AUDIO__SLOTS", "3")];
    let checked = run(home.path(), &variables, &["config", "check"]).await.succeeded();
    assert_eq!(checked.stdout, "other.toml: no problem\n");
    let print = ["config", "print", "--json", "--log-level", "debug"];
    let printed = run(home.path(), &variables, &print).await.succeeded().stdout;
    assert!(!printed.contains("hidden"), "{printed}");
    let values: Value = serde_json::from_str(&printed).expect("it is JSON");
    for (key, value, from) in [
        ("listen", Value::from("127.0.0.1:8787"), "default"),
        ("log_level", "debug".into(), "--log-level"),
        ("store", "(set)".into(), "other.toml:1"),
        ("lease.ttl", "1m 30s".into(), "other.toml:3"),
        ("pools.audio.slots", 3.into(), "ANTEROOM_POOLS__AUDIO__SLOTS"),
    ] {
        assert_eq!((&values[key]["value"], &values[key]["from"]), (&value, &from.into()), "{key}");
    }
    let printed = run(home.path(), &variables, &["config", "print"]).await.succeeded().stdout;
    assert!(!printed.contains("hidden") && printed.contains("# store = (set)"), "{printed}");
    let absent = ["config", "check", "--config", "absent.toml"];
    let absent = run(home.path(), &[], &absent).await;
    assert_eq!(absent.code, Some(1));
    absent.failed_saying(&["absent.toml: the file cannot be read"]);
}

/// Goal: what `serve` would refuse to start with is no configuration without a problem, whichever keys make it
/// so together.
#[tokio::test(flavor = "multi_thread")]
async fn what_serve_refuses_is_a_problem() {
    for (file, why) in [
        ("listen = \"0.0.0.0:8787\"\n", "0.0.0.0:8787"),
        ("role = \"workers\"\n", "role must be all"),
    ] {
        let home = home(file);
        let checked = run(home.path(), &[], &["config", "check"]).await;
        assert_eq!((checked.code, checked.stdout.as_str()), (Some(1), ""), "{file}");
        let served = run(home.path(), &[], &["serve"]).await;
        assert_eq!(checked.stderr, served.stderr, "{file}");
        checked.failed_saying(&[why]);
    }
}

/// Goal: the reference that is printed is the one in the documentation.
#[tokio::test(flavor = "multi_thread")]
async fn the_reference_is_printed() {
    let home = home("");
    let printed = run(home.path(), &[], &["config", "reference"]).await.succeeded().stdout;
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    assert_eq!(printed, fs::read_to_string(page).expect("the page is there"));
}

/// Goal: a running node obeys its file, down to the core, staging and the session. Method: a bot's texts
/// are cut at five characters, files are bounded, and unknown bots are not created.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_obeys_its_file() {
    let home = home(
        "[bots.demo.limits]\nmax_characters_single_message = 5\n\
         [media]\nmax_file_bytes = \"1KiB\"\n",
    );
    let mut server = Server::lent(home.path(), &[]);
    server.restart().await;
    let send = ["send", "--bot", "demo", "--from", "alice", "--text", "hello world"];
    cli::run(&server, &send).await.succeeded();
    let tail = ["tail", "--bot", "demo", "--json", "--count", "1", "--timeout", "20"];
    let printed = cli::run(&server, &tail).await.succeeded().stdout;
    let callback: Value = serde_json::from_str(&printed).expect("one line of JSON");
    assert_eq!(callback["message"]["content"], "hello");

    fs::write(home.path().join("large.txt"), [b'a'; 1_025]).expect("the home can be written to");
    let large = ["send", "--bot", "demo", "--from", "alice", "--file", "large.txt"];
    cli::run(&server, &large).await.failed_saying(&["1024"]);

    fs::write(home.path().join("anteroom.toml"), "[session]\nauto_create_bots = false\n")
        .expect("the home can be written to");
    server.terminate(PATIENCE).await;
    server.restart().await;
    let other = ["send", "--bot", "other", "--from", "alice", "--text", "hello"];
    cli::run(&server, &other).await.failed_saying(&["the bot is not known here"]);
    cli::run(&server, &send).await.succeeded();
}
