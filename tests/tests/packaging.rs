//! What is shipped beside the binary agrees with it: dashboard, alerts, unit, compose file, completions, manual.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anteroom_tests::cli;
use serde_json::Value;

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the repository").to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The series that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    words.filter(|word| word.starts_with("anteroom_")).map(str::to_owned).collect()
}

/// The series that the page describes, histograms by what is asked for of them.
fn described() -> BTreeSet<String> {
    let page = text("docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let names = rows.flat_map(|(name, rest)| {
        let ends: &[&str] = match rest.starts_with("histogram") {
            true => &["_bucket", "_count", "_sum"],
            false => &[""],
        };
        ends.iter().map(move |end| format!("{name}{end}"))
    });
    names.collect()
}

/// Goal: every series in the dashboard and in the alerts is one that `docs/metrics.md` describes (and another
/// test compares that page with a running node); the dashboard leaves out none.
#[test]
fn dashboard_and_alerts_name_series_that_exist() {
    let described = described();
    let dashboard = text("docs/grafana/anteroom.json");
    let parsed: Value = serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    let panels = parsed["panels"].as_array().expect("it has panels");
    let expressions: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("a panel asks for something"))
        .map(|target| target["expr"].as_str().expect("a target has an expression"))
        .collect();
    let asked = named(&expressions.join("\n"));
    let alerts = named(&text("docs/alerts.yml"));
    for (what, names) in [("the dashboard", &asked), ("the alerts", &alerts)] {
        let unknown: Vec<_> = names.difference(&described).collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?} are in no node");
    }
    assert!(alerts.len() >= 8, "{alerts:?}");
    let family = |name: &String| {
        let ends = ["_bucket", "_count", "_sum"];
        let end = ends.iter().find_map(|end| name.strip_suffix(end));
        end.unwrap_or(name).to_owned()
    };
    let shown: BTreeSet<String> = asked.iter().map(family).collect();
    let all: BTreeSet<String> = described.iter().map(family).collect();
    assert_eq!(shown, all, "every series has a place in the dashboard");
}

/// Goal: every alert has made-up series under which it fires. Method: the file that `promtool test rules` runs
/// them from names each.
#[test]
fn every_alert_is_shown_to_fire() {
    let tests = text("docs/alerts.test.yml");
    for line in text("docs/alerts.yml").lines() {
        let Some(alert) = line.trim().strip_prefix("- alert: ") else { continue };
        let fires =
            format!("        alertname: {alert}\n        exp_alerts:\n          - exp_labels:");
        assert!(tests.contains(&fires), "nothing shows that {alert} fires");
    }
}

async fn run(home: &Path, variables: &[(String, String)], arguments: &[&str]) -> cli::Ended {
    let mut command = cli::command("http://127.0.0.1:1", home, arguments);
    let variables = variables.iter().map(|(name, value)| (name, value));
    cli::ended(command.envs(variables).spawn().expect("the binary can be run")).await
}

/// Goal: what the unit and the image start is understood. Method: their command lines, with `--help`.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_lines_that_are_shipped_are_understood() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let unit = text("packaging/anteroom.service");
    let started = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts");
    let from_unit: Vec<String> = started.split(' ').skip(1).map(str::to_owned).collect();
    let image = text("Dockerfile");
    let started = image.lines().find_map(|line| line.strip_prefix("CMD ")).expect("it starts");
    let from_image: Vec<String> = serde_json::from_str(started).expect("the exec form is JSON");
    // Who listens to other machines needs an operator's token.
    let hash = anteroom_runtime::tokens::TokenHash::of("token").to_string();
    let variables = [("ANTEROOM_TOKENS__OPERATORS".to_owned(), hash)];
    for arguments in [from_unit, from_image] {
        assert_eq!(arguments[0], "serve");
        // `config check` takes the same flags, and reads them.
        let mut check = vec!["config", "check"];
        check.extend(arguments[1..].iter().map(String::as_str));
        run(home.path(), &variables, &check).await.succeeded();
    }
}

/// Goal: the variables that the compose file sets are keys, and their values are understood.
#[tokio::test(flavor = "multi_thread")]
async fn the_variables_that_are_shipped_are_understood() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let compose = text("compose.yaml");
    let lines = compose.lines().map(str::trim).filter(|line| line.starts_with("ANTEROOM_"));
    let variables: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| *name != "ANTEROOM_CONFIG")
        .map(|(name, value)| {
            let hash = anteroom_runtime::tokens::TokenHash::of("token").to_string();
            (name.to_owned(), value.replace("${ANTEROOM_OPERATOR:-}", &hash))
        })
        .collect();
    assert_eq!(variables.len(), 3, "{variables:?}");
    run(home.path(), &variables, &["config", "check"]).await.succeeded();
}

/// Goal: a shell completes every command, and the manual has a page for each, of what the command line is.
/// Method: the commands that `--help` lists, looked for in every script and among the pages.
#[tokio::test(flavor = "multi_thread")]
async fn completions_and_manual_know_every_command() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let help = run(home.path(), &[], &["--help"]).await.succeeded().stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"serve") && commands.contains(&"man"), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(home.path(), &[], &["completions", shell]).await.succeeded().stdout;
        for command in &commands {
            assert!(script.contains(*command), "{shell} does not complete {command}");
        }
        assert!(script.contains("log-format"), "{shell} completes no flags");
    }
    run(home.path(), &[], &["completions", "csh"]).await.failed_saying(&["csh", "bash"]);

    let page = run(home.path(), &[], &["man"]).await.succeeded().stdout;
    assert!(page.contains(".TH anteroom 1"), "{page}");
    run(home.path(), &[], &["man", "--dir", "pages/man1"]).await.succeeded();
    let pages = home.path().join("pages/man1");
    for command in commands.iter().filter(|command| **command != "help") {
        let page = pages.join(format!("anteroom-{command}.1"));
        let page = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{page:?}: {error}"));
        assert!(page.contains(".TH"), "{page}");
    }
    let nowhere = run(home.path(), &[], &["man", "--dir", "pages/man1/anteroom.1/x"]).await;
    nowhere.failed_saying(&["pages/man1/anteroom.1/x"]);
}
