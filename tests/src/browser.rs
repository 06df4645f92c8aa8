//! A real browser, without a window: opens a page, and says what became of it.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use crate::PATIENCE;

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// By day.
    Light,
    /// By night.
    Dark,
}

/// What became of a page once its scripts had run.
#[derive(Debug)]
pub struct Seen {
    /// The document as it is then.
    pub document: String,
    /// What its scripts complained about.
    pub complaints: Vec<String>,
}

/// Opens a file, waits until its scripts have run, and reads the document.
///
/// # Panics
/// When there is no browser, or it does not answer in time.
pub async fn open(page: &Path, light: Light) -> Seen {
    visit(&format!("file://{}", page.display()), light).await
}

/// Opens what is at an address, waits until its scripts have run, and reads the document.
///
/// # Panics
/// When there is no browser, or it does not answer in time.
pub async fn visit(address: &str, light: Light) -> Seen {
    let profile = tempfile::tempdir().expect("a temporary directory can be made");
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
        .args(["--disable-sync", "--disable-quic", "--disable-extensions"])
        .args(["--enable-logging=stderr", "--window-size=1400,900", "--dump-dom"])
        .args(["--virtual-time-budget=20000"])
        .arg(format!("--user-data-dir={}", profile.path().display()));
    if light == Light::Dark {
        command.arg("--blink-settings=preferredColorScheme=0");
    }
    command.arg(address);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("the browser did not end within {PATIENCE:?}"));
    let output = output.expect("the browser can be started");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the browser broke: {log}");
    let complaints = log.lines().filter(|line| line.contains(":CONSOLE"));
    Seen {
        document: String::from_utf8_lossy(&output.stdout).into_owned(),
        complaints: complaints.map(str::to_owned).collect(),
    }
}
