//! The server under test: one `anteroom serve` in a directory of its own.
//!
//! Owns the process, its directory and its log. A restart keeps the directory and the port, so
//! clients find it again by themselves. A line of level ERROR in the log fails the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

#[cfg(unix)]
use crate::mongod::{Mongod, SharedMongod};
use crate::{PATIENCE, binary, process};

/// Names the store of servers that are given none: `mongodb` for a database of their own in the shared
/// server, so that every test here can be run on either store.
const STORE: &str = "ANTEROOM_TEST_STORE";

/// What the server prints when it is ready, before its address.
const READY: &str = "listening on ";

/// One `anteroom serve`.
#[derive(Debug)]
pub struct Server {
    home: TempDir,
    arguments: Vec<String>,
    url: String,
    child: Option<Child>,
    stdout: Arc<Mutex<String>>,
    allowed_errors: Vec<String>,
    /// Kept for as long as the server needs it.
    #[cfg(unix)]
    mongod: Option<SharedMongod>,
}

impl Server {
    /// Starts a server on a free port with an empty data directory and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready in time; the message holds its log.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with more arguments.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        let asked = std::env::var(STORE).unwrap_or_default();
        match asked.as_str() {
            #[cfg(unix)]
            "mongodb" if !arguments.contains(&"--store") => Self::start_on_mongodb(arguments).await,
            "" | "sqlite" | "mongodb" => {
                let mut server = Self::new(arguments);
                server.spawn_anew().await;
                server
            }
            other => panic!("{STORE} is {other}: only sqlite and mongodb are known"),
        }
    }

    /// Starts a server with more arguments on an empty database of the shared MongoDB.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[cfg(unix)]
    pub async fn start_on_mongodb(arguments: &[&str]) -> Self {
        let mongod = Mongod::shared().await;
        let uri = mongod.uri(&SharedMongod::fresh_database());
        let mut server = Self::new(&[arguments, &["--store", &uri]].concat());
        server.mongod = Some(mongod);
        server.spawn_anew().await;
        server
    }

    fn new(arguments: &[&str]) -> Self {
        Self {
            home: tempfile::tempdir().expect("a temporary directory can be made"),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            url: String::new(),
            child: None,
            stdout: Arc::default(),
            allowed_errors: Vec::new(),
            #[cfg(unix)]
            mongod: None,
        }
    }

    async fn spawn_anew(&mut self) {
        self.spawn(&format!("127.0.0.1:{}", quiet_port())).await;
    }

    /// The address clients use, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host and port of [`Self::url`].
    pub fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The directory the server was started in; its data directory is in there.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The running process.
    ///
    /// # Panics
    /// When the server is stopped.
    pub fn id(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("the server runs")
    }

    /// Kills it as a power cut would, and waits until it is gone.
    ///
    /// # Panics
    /// When the server is stopped already.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().await.expect("our own child can be killed");
    }

    /// Asks it to stop and waits until it has, for `patience` at the most.
    ///
    /// # Panics
    /// When it goes on for longer.
    pub async fn terminate(&mut self, patience: Duration) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        process::terminate(child.id().expect("it was not waited for"));
        match tokio::time::timeout(patience, child.wait()).await {
            Ok(status) => status.expect("our own child can be waited for"),
            Err(_) => panic!("the server went on {patience:?} after SIGTERM; {}", self.log()),
        }
    }

    /// Starts it again on the same data directory and the same port.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "stop the server before it is started again");
        let listen = self.authority().to_owned();
        self.spawn(&listen).await;
    }

    /// Lets lines of level ERROR that contain `fragment` pass.
    pub fn allow_error(&mut self, fragment: &str) {
        self.allowed_errors.push(fragment.to_owned());
    }

    /// Everything it has printed, over all its starts.
    pub fn log(&self) -> String {
        let stderr = std::fs::read(self.log_path()).unwrap_or_default();
        let stdout = self.stdout.lock().expect("no writer panics while it holds the lock");
        format!("standard error:\n{}standard output:\n{stdout}", String::from_utf8_lossy(&stderr))
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("server.log")
    }

    async fn spawn(&mut self, listen: &str) {
        let log = File::options().create(true).append(true).open(self.log_path());
        let mut command = Command::new(binary::anteroom());
        binary::isolate(&mut command)
            .arg("serve")
            .args(["--listen", listen])
            .arg("--data-dir")
            .arg(self.home.path().join("anteroom-data"))
            .args(&self.arguments)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("the log can be opened"));
        let mut child = command.spawn().expect("the binary can be run");
        let stdout = child.stdout.take().expect("standard output is piped");
        let (ready, is_ready) = oneshot::channel();
        tokio::spawn(read_stdout(stdout, Arc::clone(&self.stdout), ready));
        self.child = Some(child);
        match tokio::time::timeout(PATIENCE, is_ready).await {
            Ok(Ok(url)) => self.url = url,
            Ok(Err(_)) => panic!("the server ended before it was ready; {}", self.log()),
            Err(_) => panic!("the server was not ready within {PATIENCE:?}; {}", self.log()),
        }
    }

    /// The lines of level ERROR, and panics, that the test did not allow.
    fn errors(&self) -> Vec<String> {
        self.log()
            .lines()
            .filter(|line| is_error(line))
            .filter(|line| !self.allowed_errors.iter().any(|allowed| line.contains(allowed)))
            .map(str::to_owned)
            .collect()
    }
}

/// A free port that the system gives to no client by itself. While a killed server is away, a
/// client that reconnects to an ephemeral port may be given that very port, and meet itself there.
pub(crate) fn quiet_port() -> u16 {
    const QUIET: std::ops::Range<u16> = 20_000..32_000;
    let random = uuid::Uuid::new_v4().as_u128();
    let count = u128::from(QUIET.end - QUIET.start);
    let start = u16::try_from(random % count).expect("it is below the count");
    (0..QUIET.end - QUIET.start)
        .map(|step| QUIET.start + (start + step) % (QUIET.end - QUIET.start))
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one of many ports is free")
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Whether it was still alive does not matter; that it is gone before its directory does.
            let _ = child.start_kill();
            while let Ok(None) = child.try_wait() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if std::thread::panicking() {
            eprintln!("the server's log follows\n{}", self.log());
            return;
        }
        let errors = self.errors();
        assert!(errors.is_empty(), "the server logged errors:\n{}", errors.join("\n"));
    }
}

/// Keeps what the server prints and announces the address of its ready line.
async fn read_stdout(
    stdout: impl AsyncRead + Unpin,
    kept: Arc<Mutex<String>>,
    ready: oneshot::Sender<String>,
) {
    let mut lines = BufReader::new(stdout).lines();
    let mut ready = Some(ready);
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(url) = line.strip_prefix(READY)
            && let Some(ready) = ready.take()
        {
            // The test may have given up waiting.
            let _ = ready.send(url.trim().trim_end_matches('/').to_owned());
        }
        let mut kept = kept.lock().expect("no writer panics while it holds the lock");
        kept.push_str(&line);
        kept.push('\n');
    }
}

/// Whether a line of the log, pretty or JSON, is of level ERROR or tells of a panic.
fn is_error(line: &str) -> bool {
    line.contains(r#""level":"ERROR""#)
        || line.contains("panicked at")
        || line.split_whitespace().take(3).any(|word| word == "ERROR")
}

#[cfg(test)]
mod tests {
    use super::is_error;

    /// Goal: an ERROR line is found in both formats of the log, and a message about errors is not
    /// taken for one.
    #[test]
    fn error_lines_are_told_apart() {
        assert!(is_error("2026-01-01T00:00:00Z ERROR anteroom: store gone"));
        assert!(is_error(" ERROR anteroom: store gone"));
        assert!(is_error(r#"{"timestamp":"x","level":"ERROR","fields":{}}"#));
        assert!(is_error("thread 'main' panicked at src/main.rs:1:1:"));
        assert!(!is_error("2026-01-01T00:00:00Z  INFO anteroom: answered ERROR 4 times"));
        assert!(!is_error(""));
    }
}
