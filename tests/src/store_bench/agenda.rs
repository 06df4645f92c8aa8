//! Agenda on the same server: the neighbour that Anteroom is held against.
//!
//! Installed from its registry beneath the target directory, at a version that is named here. Where it
//! cannot be installed or run, why is said, and the design's figure stands for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::mongod::{Mongod, SharedMongod};

/// What is installed.
const PACKAGES: [&str; 2] = ["agenda@6.2.6", "@agendajs/mongo-backend@4.0.3"];

/// What is run.
const SCRIPT: &str = include_str!("agenda.mjs");

/// Jobs that it is given.
pub const JOBS: usize = 2_000;

/// How long it may take, in seconds.
const SECONDS_MAX: u32 = 30;

/// How Agenda gets its jobs.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// While it runs: storing them is part of what it does.
    Arriving,
    /// Before it starts.
    Waiting,
}

/// How many jobs a second Agenda does.
///
/// # Errors
/// When it cannot be installed or run.
pub async fn jobs_a_second(mongod: &Mongod, manner: Manner) -> Result<f64> {
    let address =
        format!("{}&w=majority&journal=true", mongod.uri(&SharedMongod::fresh_database()));
    tokio::task::spawn_blocking(move || run(&address, manner)).await?
}

fn run(address: &str, manner: Manner) -> Result<f64> {
    let home = installed()?;
    fs::write(home.join("agenda.mjs"), SCRIPT)?;
    let mut node = Command::new("node");
    let manner = match manner {
        Manner::Arriving => "arriving",
        Manner::Waiting => "waiting",
    };
    node.args(["agenda.mjs", address, manner]);
    node.arg(JOBS.to_string()).arg(SECONDS_MAX.to_string());
    let output = node.current_dir(&home).output().context("node cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it ended with {}: {said}", output.status);
    let figures: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("it said what is no figure: {said}"))?;
    let of = |name: &str| figures[name].as_f64().with_context(|| format!("no figure {name:?}"));
    let (jobs, seconds) = (of("jobs")?, of("seconds")?);
    ensure!(jobs > 0.0 && seconds > 0.0, "it did nothing: {said}");
    Ok(jobs / seconds)
}

/// Where it is installed.
fn installed() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent).context("no target directory")?;
    let home = target.join("agenda");
    if PACKAGES.iter().all(|package| is_there(&home, package)) {
        return Ok(home);
    }
    fs::create_dir_all(&home)?;
    fs::write(home.join("package.json"), "{\"private\":true,\"type\":\"module\"}\n")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--no-save"]);
    let output = npm.args(PACKAGES).current_dir(&home).output().context("npm cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "npm installs no Agenda: {said}");
    Ok(home)
}

/// Whether a package is installed at its version.
fn is_there(home: &Path, package: &str) -> bool {
    let Some((name, version)) = package.rsplit_once('@') else { return false };
    let manifest = home.join("node_modules").join(name).join("package.json");
    let Ok(manifest) = fs::read(manifest) else { return false };
    serde_json::from_slice::<Value>(&manifest).is_ok_and(|manifest| manifest["version"] == version)
}
