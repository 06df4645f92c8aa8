//! A run is a pure function of its plan: in another process it is the same, event by event.

use std::process::Command;

fn digests(threads: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_anteroom-sim"))
        .args(["--from", "1", "--seeds", "40", "--digest", "--quiet", "--threads", threads])
        .output()
        .expect("the simulation can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Goal: the hash over every event, effect and state, and over their number, is the same in two
/// processes. Method: a sample of seeds, on one thread and on two.
#[test]
fn two_processes_run_the_same() {
    let first = digests("1");
    assert_eq!(first.lines().filter(|line| line.starts_with("DIGEST")).count(), 40);
    assert_eq!(first, digests("2"));
}
