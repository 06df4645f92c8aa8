//! A world of tier 2 in a process of its own: started, awaited, and what it came to.
//!
//! One process runs one world: what libraries count for themselves (wakers, channels, hash maps) goes on
//! counting in a second one, and a run would depend on those before it.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::campaign::{Subject, broke_down};
use crate::checker::rule::Rule;
use crate::world::{Looks, Report};

/// How long a world may take before it counts as one that goes in circles.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of a plan that this same program runs in a process of its own.
pub fn run(subject: Subject<'_>, looks: Looks) -> Report {
    match ask(subject, looks) {
        Ok(printed) => read(&printed),
        Err(error) => broke_down(Rule::Panic, format!("no process can be started: {error}")),
    }
}

fn ask(subject: Subject<'_>, looks: Looks) -> io::Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--quiet", "--report"]);
    let seed = |seed: u64| seed.to_string();
    match subject {
        Subject::Seed(number) => command.args(["--seed", &seed(number)]),
        Subject::Canary(number) => command.args(["--canary", "--seed", &seed(number)]),
        Subject::Plan(_) => command.args(["--plan", "-"]),
    };
    for (wanted, argument) in [(looks.digest, "--digest"), (looks.replay, "--replay")] {
        if wanted {
            command.arg(argument);
        }
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let (Some(mut stdin), Subject::Plan(plan)) = (child.stdin.take(), subject) {
        stdin.write_all(plan.to_json().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The report, which is the last line of a run.
fn read(printed: &str) -> Report {
    let report = printed.lines().last().and_then(|line| serde_json::from_str(line).ok());
    report.unwrap_or_else(|| broke_down(Rule::Panic, "the process ended without a word".to_owned()))
}

/// Has this process end, with a report that says so, when its world does not.
#[expect(clippy::disallowed_methods, reason = "outside of the world there is real time")]
pub fn limit() {
    std::thread::spawn(|| {
        std::thread::sleep(PATIENCE);
        let what = format!("no end in {PATIENCE:?} of real time");
        tell(&broke_down(Rule::Loop, what));
        std::process::exit(1);
    });
}

/// Tells whoever started this process what it came to.
fn tell(report: &Report) {
    let line = serde_json::to_string(report).expect("a report is made of numbers, text and lists");
    let mut out = io::stdout().lock();
    // Nobody is left to be told when this fails.
    let _told = writeln!(out, "{line}").and_then(|()| out.flush());
}
