//! The page of a trace, in a real browser.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anteroom_sim::plan::Plan;
use anteroom_sim::world::{Looks, Report, World};
use anteroom_tests::browser::{self, Light, Seen};
use anteroom_tests::{Acknowledge, Connection, Consumer, Server, cli, frames};
use anteroom_trace::page::Pages;
use anteroom_trace::replay::Replay;

/// The elements of a class in the drawing, or in its heads.
fn count(seen: &Seen, class: &str) -> usize {
    let of_class = |attribute: &&str| {
        let classes = attribute.split('"').next().unwrap_or_default();
        classes.split(' ').any(|it| it == class)
    };
    seen.document.split("class=\"").skip(1).filter(of_class).count()
}

/// The trace of a world that gets one thing wrong, replayed into a page.
async fn page_of_a_canary(home: &Path) -> std::path::PathBuf {
    let looks = Looks { trace: true, ..Looks::default() };
    let report = World::new(Plan::canary(1), looks).run();
    assert!(report.broken.is_some(), "a canary breaks a rule");
    let (trace, page) = (home.join("canary.jsonl"), home.join("canary.html"));
    fs::write(&trace, report.trace).expect("it can be written");
    let arguments = ["replay", "canary.jsonl", "--html", "canary.html"];
    let command = cli::command("http://127.0.0.1:9", home, &arguments).spawn();
    cli::ended(command.expect("it can be started")).await.succeeded();
    page
}

/// The first run of the simulation with at least 5,000 events and a fault among them.
fn a_long_run() -> Report {
    let run =
        |seed| World::new(Plan::from_seed(seed), Looks { trace: true, ..Looks::default() }).run();
    let is_long = |run: &Report| run.steps >= 5_000 && run.trace.contains(r#""fault":"#);
    (1..).map(run).find(is_long).expect("there is no end of seeds")
}

/// How many rows are shown, of how many, as the page says while none is chosen.
fn rows_of(seen: &Seen) -> (usize, usize) {
    let (before, _) = seen.document.split_once(" rows. Click a row").expect("none is chosen");
    let said = before.rsplit('>').next().unwrap_or_default();
    let (shown, all) = said.split_once(" of ").expect("so many of so many");
    (shown.parse().expect("a number"), all.parse().expect("a number"))
}

/// Goal: the page of a broken run shows its lanes, arrows, faults, and first of all the offending
/// moment, by day and by night, without a complaint and without fetching anything. Method: a canary of
/// the simulation, whose trace is replayed by the binary.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_run_is_shown_in_chromium() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let page = page_of_a_canary(home.path()).await;
    let text = fs::read_to_string(&page).expect("it is there");
    for outside in ["src=\"", "url(", "@import", "href=\"http"] {
        assert!(!text.contains(outside), "the page asks for more: {outside}");
    }
    for light in [Light::Light, Light::Dark] {
        let seen = browser::open(&page, light).await;
        assert_eq!(seen.complaints, Vec::<String>::new());
        for lane in ["node", "store", "provider", "consumer"] {
            let heads = seen.document.matches(&format!("class=\"head {lane}\"")).count();
            assert!(heads > 0, "no lane of a {lane}");
        }
        assert!(count(&seen, "arrow") > 10, "{} arrows", count(&seen, "arrow"));
        assert_eq!(seen.document.matches("class=\"row broken chosen\"").count(), 1);
        assert!(count(&seen, "lane") >= 4);
    }
}

/// Goal: the page can be gone through with the keyboard, and shows what one message went through when
/// that is asked for. Method: a healthy run of the simulation, with a script of ours added that presses
/// keys and chooses a subject.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_filtered_and_walked_through_in_chromium() {
    let report = a_long_run();
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut pages = Pages::default();
    let mut replay = Replay::default();
    for line in report.trace.lines() {
        let replayed = replay.line(line).expect("it replays");
        pages.line(replay.lines(), replayed);
    }
    let page = pages.page("seed 28".to_owned());
    let open = async |script: &str| {
        let page = page.replace("</body>", &format!("<script>{script}</script></body>"));
        let file = home.path().join("page.html");
        fs::write(&file, page).expect("it can be written");
        let seen = browser::open(&file, Light::Light).await;
        assert_eq!(seen.complaints, Vec::<String>::new());
        seen
    };
    let press = |key: &str| {
        format!("document.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}' }}));")
    };

    let seen = open("").await;
    let (shown, all) = rows_of(&seen);
    assert!(shown == all && all > 5_000, "{shown} of {all} rows are shown");
    assert!(count(&seen, "row") < 200, "only what can be seen is drawn");
    let seen = open(&press("n")).await;
    assert_eq!(seen.document.matches("class=\"row fault chosen\"").count(), 1);
    let seen = open(&format!("{}{}", press("ArrowDown"), press("ArrowDown"))).await;
    assert_eq!(count(&seen, "chosen"), 1);
    let choose = "const it = document.getElementById('subject');
        it.value = document.querySelector('#subjects option').value;
        it.dispatchEvent(new Event('input'));";
    let seen = open(choose).await;
    let (shown, _) = rows_of(&seen);
    assert!((5..200).contains(&shown), "{shown} rows are about one message, or are faults");
    let seen = open(&format!("{choose}{}", press("Escape"))).await;
    assert_eq!(rows_of(&seen), (all, all));
}

/// Goal: what a node recorded can be looked at. Method: a text through the real binary, its trace
/// replayed into a page.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_node_is_shown_in_chromium() {
    let mut server = Server::start_with(&["--record", "trace.jsonl"]).await;
    let consumer = Consumer::connect(&server, "demo", Acknowledge::Promptly);
    let mut provider = Connection::hello(&server, "demo").await;
    provider.receipt(&frames::text("ada", "m1", "hello")).await;
    consumer.confirmed(1).await;
    assert!(server.terminate(Duration::from_secs(20)).await.success());
    let arguments = ["replay", "trace.jsonl", "--html", "trace.html"];
    cli::run(&server, &arguments).await.succeeded();
    let seen = browser::open(&server.home().join("trace.html"), Light::Light).await;
    assert_eq!(seen.complaints, Vec::<String>::new());
    assert!(count(&seen, "arrow") > 5, "{} arrows", count(&seen, "arrow"));
    for words in ["message demo/ada/1", "consumer of demo", "xxxxx"] {
        assert!(seen.document.contains(words), "{words} is not on the page");
    }
}
