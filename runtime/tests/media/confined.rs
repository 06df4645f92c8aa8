//! `anteroom confined`: a program within limits that it cannot leave.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use crate::ANTEROOM;

fn confined(seconds: &str, bytes: &str, script: &str) -> Output {
    Command::new(ANTEROOM)
        .args([
            "confined",
            "--cpu-seconds",
            seconds,
            "--memory-bytes",
            bytes,
            "/bin/sh",
            "-c",
            script,
        ])
        .stdin(Stdio::null())
        .output()
        .expect("started")
}

/// Goal: the limits are those that were asked for, hard, and hold for what the program starts.
#[test]
fn limits_are_set_and_inherited() {
    let output = confined("7", "536870912", "sh -c 'ulimit -Ht; ulimit -Hv; ulimit -Hc'");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "7\n524288\n0\n", "{output:?}");
}

/// Goal: a program that computes for ever, or takes all memory, is ended by the system.
#[test]
fn limits_end_what_goes_beyond() {
    let endless = confined("1", "536870912", "while :; do :; done");
    assert!(endless.status.signal().is_some(), "{endless:?}");
    // The shell doubles a text until there is no memory for it.
    let greedy = confined("20", "134217728", "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done");
    assert!(!greedy.status.success(), "{greedy:?}");
}

/// Goal: a call that makes no sense, or a program that is not there, is told apart from success.
#[test]
fn what_cannot_be_run_is_told() {
    let usage = Command::new(ANTEROOM).args(["confined", "ls"]).output().expect("started");
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    let missing = Command::new(ANTEROOM)
        .args([
            "confined",
            "--cpu-seconds",
            "1",
            "--memory-bytes",
            "536870912",
            "/nonexistent/program",
        ])
        .output()
        .expect("started");
    assert_eq!(missing.status.code(), Some(3), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nonexistent/program"));
}
