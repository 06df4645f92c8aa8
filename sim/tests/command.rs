//! The command as people and programs meet it: its words and its exit codes.

use std::path::Path;
use std::process::{Command, Output};

use anteroom_trace::replay::{Replay, Replayed};

fn sim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom-sim"));
    command.args(arguments).output().expect("the simulation can be started")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Goal: what passed, a broken promise, one that was never kept, a situation that never occurred and a
/// plan that is not there have exit codes of their own. Method: a seed, two worlds that get one thing
/// wrong, a gate that one seed cannot pass, a file that is not there.
#[test]
fn exit_codes_tell_what_broke() {
    let code = |arguments: &[&str]| sim(arguments).status.code();
    assert_eq!(code(&["--seed", "1", "--quiet"]), Some(0));
    assert_eq!(code(&["--plan", "nowhere.json"]), Some(2));
    assert_eq!(code(&["--seed", "1", "--canary", "--quiet"]), Some(11));
    assert_eq!(code(&["--seed", "6", "--canary", "--quiet"]), Some(12));
    assert_eq!(code(&["--from", "1", "--seeds", "1", "--gate", "--quiet"]), Some(13));
    assert_eq!(code(&["--from", "1", "--seeds", "7", "--canary", "--quiet"]), Some(0));
}

/// Goal: a failure is told in a line for programs, a paragraph with the rule in words, and the one
/// command that brings it back. Method: a world that calls back twice.
#[test]
fn a_failure_is_told_with_its_command() {
    let told = told(&sim(&["--seed", "1", "--canary"]));
    assert!(told.starts_with("FAILED rule=S1 seed=1\n"), "{told}");
    assert!(told.contains("Seed 1 broke S1, by which"), "{told}");
    assert!(
        told.contains("\n    cargo xtask sim --seed 1 --canary --trace trace.jsonl\n"),
        "{told}"
    );
}

/// Goal: a run that comes to no end says what waits for what. Method: consumers that never answer.
#[test]
fn a_stuck_run_explains_itself() {
    let told = told(&sim(&["--seed", "6", "--canary"]));
    for what in ["Nothing moves.", "Node 0 is up", "is owned by node", "owes its callback"] {
        assert!(told.contains(what), "{what:?} is missing: {told}");
    }
}

/// Goal: a failing seed's plan is shrunk and kept, and breaks the same rule when it is replayed from
/// there. Method: the canary again, with a folder.
#[test]
fn a_failing_plan_is_kept_and_fails_again() {
    let folder = std::env::temp_dir().join(format!("anteroom-sim-{}", std::process::id()));
    let kept = folder.join("s1-seed-1.json");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let told = told(&sim(&["--seed", "1", "--canary", "--keep", &text(&folder)]));
    assert!(told.contains("It was shrunk from"), "{told}");
    let again = sim(&["--plan", &text(&kept), "--quiet"]);
    assert_eq!(again.status.code(), Some(11), "{told}");
    std::fs::remove_dir_all(&folder).expect("the folder is there");
}

/// Goal: the trace of one run is in the one format: it replays to the same effects, tells the faults and
/// the broken rule, and makes a page. Method: a canary.
#[test]
fn a_trace_of_a_run_replays() {
    let folder = std::env::temp_dir().join(format!("anteroom-sim-trace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let (trace, page) = (folder.join("out.jsonl"), folder.join("out.html"));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let arguments = ["--seed", "1", "--canary", "--quiet", "--trace", &text(&trace)];
    sim(&[&arguments[..], &["--html", &text(&page)]].concat());
    let mut replay = Replay::default();
    let mut broken = Vec::new();
    for line in std::fs::read_to_string(&trace).expect("it was written").lines() {
        match replay.line(line).expect("it replays") {
            Replayed::Broken(it) => broken.push(it.broken.rule),
            Replayed::Header(_)
            | Replayed::Machine(_)
            | Replayed::Step(_)
            | Replayed::Fault(_)
            | Replayed::Applied(_) => {}
        }
    }
    assert_eq!(broken, ["S1"]);
    assert!(replay.steps() > 10, "{} steps", replay.steps());
    let page = std::fs::read_to_string(&page).expect("it was written");
    assert!(page.contains(r#""broken",null,null,"S1: at "#), "the broken rule is on the page");
    std::fs::remove_dir_all(&folder).expect("the folder is there");
}
