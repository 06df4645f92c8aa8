//! `cargo xtask torture …`: builds the binary and the torture, and hands over to it.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::step;

/// What is asked for, as the torture understands it.
struct Asked {
    seconds: u64,
    passed_on: Vec<String>,
}

/// Runs the torture; its exit code is the command's.
///
/// # Errors
/// When the arguments are not understood, or something does not build or start.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let asked = asked(arguments)?;
    // By itself, so that it has the features that users get and none that only tests ask for.
    let build = ["build", "--package", "anteroom-runtime", "--bin", "anteroom"];
    step::run("the binary under torture", &mut step::cargo(build))?;
    let build = ["build", "--package", "anteroom-tests", "--bin", "torture"];
    step::run("the torture", &mut step::cargo(build))?;
    let run = ["run", "--quiet", "--package", "anteroom-tests", "--bin", "torture", "--"];
    let mut command = step::cargo(run);
    command.args(["--seconds", &asked.seconds.to_string()]).args(asked.passed_on);
    let status = command.status().context("cannot start the torture")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map(ExitCode::from).with_context(|| format!("the torture ended by itself: {status}"))
}

fn asked(arguments: &[&str]) -> Result<Asked> {
    let mut asked = Asked { seconds: 60, passed_on: Vec::new() };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { bail!("{} needs a value", pair.join(" ")) };
        let minutes = || value.parse::<f64>().ok().filter(|minutes| (0.0..=1e6).contains(minutes));
        match *name {
            "--minutes" => {
                let minutes = minutes().with_context(|| format!("no minutes: {value}"))?;
                // Whole seconds below a bound that fits.
                asked.seconds = (minutes * 60.0).round() as u64;
            }
            "--seed" | "--store" | "--nodes" | "--home" => {
                asked.passed_on.extend([name, value].map(|it| it.to_string()))
            }
            _ => bail!("unknown option: {name}"),
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: minutes become seconds, options of the torture are passed on, and anything else is
    /// refused.
    #[test]
    fn arguments_are_understood_or_refused() {
        let asked_for = |arguments: &[&str]| asked(arguments).map(|it| (it.seconds, it.passed_on));
        assert_eq!(asked_for(&[]).expect("nothing is needed"), (60, Vec::<String>::new()));
        let good = asked_for(&["--minutes", "0.5", "--seed", "7"]).expect("all are known");
        assert_eq!(good, (30, vec!["--seed".to_owned(), "7".to_owned()]));
        for bad in [&["--minutes"][..], &["--minutes", "x"], &["--minutes", "-1"], &["--x", "1"]] {
            assert!(asked(bad).is_err(), "{bad:?}");
        }
    }
}
