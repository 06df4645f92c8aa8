//! One step: a heading, a command, and how long it took.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Cargo, at the root of the workspace.
pub(crate) fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    // Cargo names itself to the programs it runs.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    // Cargo also tells them of the package they belong to. Some build scripts look at that, and would have
    // all behind them built again whenever it is cargo itself and not this program that is called.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_this_package(name)) {
        command.env_remove(name);
    }
    command
}

fn is_of_this_package(variable: &OsStr) -> bool {
    const PREFIXES: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    let name = variable.to_string_lossy();
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Runs a step to its end, with its output where it belongs.
///
/// # Errors
/// When the command cannot be started, or fails.
pub(crate) fn run(title: &str, command: &mut Command) -> Result<()> {
    println!("\n=== {title}\n    {}", shown(command));
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("cannot start {title}"))?;
    if !status.success() {
        bail!("{title}: {status} after {:.1} s", begun.elapsed().as_secs_f64());
    }
    println!("--- {title}: {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Runs the last step, whose own closing lines are the last output. Without a failure nothing is
/// printed behind them.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_last(title: &str, command: &mut Command) -> Result<()> {
    println!("\n=== {title}\n    {}", shown(command));
    let status = command.status().with_context(|| format!("cannot start {title}"))?;
    if !status.success() {
        bail!("{title}: {status}");
    }
    Ok(())
}

/// Runs a step to its end, shows what it printed and returns it.
///
/// # Errors
/// As [`run`], and when the output is no text.
pub(crate) fn output(title: &str, command: &mut Command) -> Result<String> {
    println!("\n=== {title}\n    {}", shown(command));
    command.stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {title}"))?;
    if !output.status.success() {
        bail!("{title}: {}", output.status);
    }
    let printed = String::from_utf8(output.stdout).with_context(|| format!("output of {title}"))?;
    print!("{printed}");
    Ok(printed)
}

/// Whether a program starts and succeeds; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        Some(format!("{}={value:?}", name.to_string_lossy()))
    });
    let words = std::iter::once(program).chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy().into_owned());
    variables.chain(words).collect::<Vec<_>>().join(" ")
}
