//! The programs of `docs/examples`, run as whoever copies them runs them.
//!
//! Owns one process and what it prints. What a program needs is installed once, under the target directory.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use tokio::process::{Child, Command};

use crate::binary;

/// What the Python programs need: this and the standard library.
const WEBSOCKETS: &str = "websockets==15.0.1";

/// A program of `docs/examples`.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    arguments: Vec<String>,
    home: PathBuf,
    child: Option<Child>,
}

impl Program {
    /// Starts a program in a directory; what it prints is in `<name>.log` there.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn start(name: &'static str, arguments: &[&str], home: &Path) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut program = Self { name, arguments, home: home.to_owned(), child: None };
        program.restart();
        program
    }

    /// Starts it again with the same arguments.
    ///
    /// # Panics
    /// When it runs, or cannot be run.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "stop {} before it is started again", self.name);
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.expect("the log can be opened");
        let mut command = command(self.name);
        command
            .args(&self.arguments)
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle can be copied"))
            .stderr(log)
            .kill_on_drop(true);
        let child = command.spawn();
        self.child =
            Some(child.unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.name)));
    }

    /// Kills it as a power cut would, and waits until it is gone.
    ///
    /// # Panics
    /// When it is stopped already, or has ended by itself.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the program runs");
        let ended = child.try_wait().expect("our own child can be asked");
        assert!(ended.is_none(), "{} ended by itself: {ended:?}; {}", self.name, self.log());
        child.kill().await.expect("our own child can be killed");
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        let printed = fs::read(self.log_path()).unwrap_or_default();
        format!("{}:\n{}", self.name, String::from_utf8_lossy(&printed))
    }

    fn log_path(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.name))
    }
}

/// The command that runs a program.
fn command(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name);
    if name.ends_with(".py") {
        let mut command = Command::new("python3");
        command.arg(path).env("PYTHONPATH", python_packages());
        command
    } else {
        let mut command = Command::new("node");
        // Node 20 has a WebSocket behind this flag; later ones take it for what they do anyway.
        command.arg("--experimental-websocket").arg("--no-warnings").arg(path);
        command
    }
}

/// The directory of the Python packages, installed when they are missing.
fn python_packages() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        install().unwrap_or_else(|why| {
            panic!("{WEBSOCKETS} cannot be installed ({why}): install python3 and its pip")
        })
    });
    installed.clone()
}

fn install() -> Result<PathBuf, String> {
    let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let cache = binary::target_directory().join("python");
    fs::create_dir_all(&cache).map_err(said("the cache cannot be made"))?;
    let lock = File::create(cache.join("install.lock")).map_err(said("the cache's lock"))?;
    lock.lock().map_err(said("the cache's lock"))?;
    let packages = cache.join(WEBSOCKETS);
    if packages.is_dir() {
        return Ok(packages);
    }
    let fresh = cache.join("fresh");
    let _ = fs::remove_dir_all(&fresh);
    let mut pip = std::process::Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
    let output = pip.arg(&fresh).arg(WEBSOCKETS).output().map_err(said("python3"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    fs::rename(&fresh, &packages).map_err(said("the cache"))?;
    Ok(packages)
}
