//! The server under test: one `anteroom serve` in a directory of its own.
//!
//! Owns the process, its directory and its log. A restart keeps the directory and the port, so
//! clients find it again by themselves. A line of level ERROR in the log fails the test.

use std::fs::File;
use std::io;
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
use crate::{PATIENCE, RECONNECT_AFTER, binary, process};

/// Names the store of servers that are given none: `mongodb` for a database of their own in the shared
/// server, so that every test here can be run on either store.
const STORE: &str = "ANTEROOM_TEST_STORE";

/// What the server prints when it is ready, before its address.
const READY: &str = "listening on ";

/// One `anteroom serve`.
#[derive(Debug)]
pub struct Server {
    home: Home,
    arguments: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    url: String,
    child: Option<Child>,
    stdout: Arc<Mutex<String>>,
    allowed_errors: Vec<String>,
    /// Kept for as long as the server needs it.
    #[cfg(unix)]
    mongod: Option<SharedMongod>,
}

/// The directory a server runs in.
#[derive(Debug)]
enum Home {
    /// Deleted with the server.
    Temporary(TempDir),
    /// Its owner's.
    Lent(PathBuf),
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
                let mut server = Self::at_home(arguments);
                server.restart().await;
                server
            }
            other => panic!("{STORE} is {other}: only sqlite and mongodb are known"),
        }
    }

    /// Starts a server with more arguments and these variables of the environment.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_in(variables: &[(&'static str, &str)], arguments: &[&str]) -> Self {
        let mut server = Self::at_home(arguments);
        for (name, value) in variables {
            server.set_variable(name, Path::new(value));
        }
        server.restart().await;
        server
    }

    /// Starts a server with more arguments on an empty database of the shared MongoDB.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[cfg(unix)]
    pub async fn start_on_mongodb(arguments: &[&str]) -> Self {
        let mongod = Mongod::shared().await;
        let uri = mongod.uri(&SharedMongod::fresh_database());
        let mut server = Self::at_home(&[arguments, &["--store", &uri]].concat());
        server.mongod = Some(mongod);
        server.restart().await;
        server
    }

    /// A server in a directory that stays when it is gone; [`Self::try_start`] starts it.
    pub fn lent(home: &Path, arguments: &[&str]) -> Self {
        Self::at(Home::Lent(home.to_owned()), arguments)
    }

    /// As [`Self::lent`], on all of the machine's addresses; [`Self::local_url`] reaches it.
    pub fn lent_everywhere(home: &Path, arguments: &[&str]) -> Self {
        let mut server = Self::at(Home::Lent(home.to_owned()), arguments);
        server.url = server.url.replace("127.0.0.1", "0.0.0.0");
        server
    }

    /// Sets a variable, a path, that it has from its next start on.
    pub fn set_variable(&mut self, name: &'static str, path: &Path) {
        self.environment.retain(|(other, _)| *other != name);
        self.environment.push((name, path.to_owned()));
    }

    /// The address by which this machine reaches it.
    pub fn local_url(&self) -> String {
        self.url.replace("0.0.0.0", "127.0.0.1")
    }

    fn at_home(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        Self::at(Home::Temporary(home), arguments)
    }

    fn at(home: Home, arguments: &[&str]) -> Self {
        Self {
            home,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            environment: Vec::new(),
            url: format!("http://127.0.0.1:{}", quiet_port()),
            child: None,
            stdout: Arc::default(),
            allowed_errors: Vec::new(),
            #[cfg(unix)]
            mongod: None,
        }
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
        match &self.home {
            Home::Temporary(directory) => directory.path(),
            Home::Lent(directory) => directory,
        }
    }

    /// The directory it keeps its store and its staged files in.
    pub fn data_directory(&self) -> PathBuf {
        self.home().join("anteroom-data")
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
        let status = self.try_terminate(patience).await;
        let status = status.expect("our own child can be waited for");
        status.unwrap_or_else(|| {
            panic!("the server went on {patience:?} after SIGTERM; {}", self.log())
        })
    }

    /// As [`Self::terminate`]; none when it goes on for longer, and then it is killed.
    ///
    /// # Errors
    /// When it cannot be waited for.
    ///
    /// # Panics
    /// When the server is stopped already.
    pub async fn try_terminate(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let mut child = self.child.take().expect("the server runs");
        process::terminate(child.id().expect("it was not waited for"));
        match tokio::time::timeout(patience, child.wait()).await {
            Ok(status) => status.map(Some),
            Err(_) => child.kill().await.map(|()| None),
        }
    }

    /// Starts it again on the same data directory and the same port.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn restart(&mut self) {
        let ready = self.try_start().await;
        ready.unwrap_or_else(|NotReady(why)| panic!("the server {why}; {}", self.log()));
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it ends instead, or takes too long.
    ///
    /// # Panics
    /// When it runs already, or there is no binary.
    pub async fn try_start(&mut self) -> Result<(), NotReady> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let is_ready = self.spawn();
            match tokio::time::timeout_at(deadline, is_ready).await {
                Ok(Ok(url)) => {
                    self.url = url;
                    return Ok(());
                }
                // Somebody else's for the moment: another test's, or a child's of the one before that
                // has not become another program yet.
                Ok(Err(_)) if self.found_its_address_taken() => {
                    self.kill().await;
                    tokio::time::sleep(RECONNECT_AFTER).await;
                }
                Ok(Err(_)) => return Err(NotReady("ended before it was ready".to_owned())),
                Err(_) => return Err(NotReady(format!("was not ready within {PATIENCE:?}"))),
            }
        }
    }

    /// Whether the last thing that it said is that it cannot listen.
    fn found_its_address_taken(&self) -> bool {
        let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        log.lines().next_back().is_some_and(|line| line.contains("Address already in use"))
    }

    /// Starts it and kills it `after` so long, ready or not.
    ///
    /// # Panics
    /// As [`Self::try_start`].
    pub async fn start_and_kill(&mut self, after: Duration) {
        let _is_ready = self.spawn();
        tokio::time::sleep(after).await;
        self.kill().await;
    }

    /// Lets lines of level ERROR that contain `fragment` pass; those of an empty one are all lines.
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
        self.home().join("server.log")
    }

    /// Starts the process. What is returned brings its address once it is ready.
    fn spawn(&mut self) -> oneshot::Receiver<String> {
        assert!(self.child.is_none(), "stop the server before it is started again");
        let log = File::options().create(true).append(true).open(self.log_path());
        let mut command = Command::new(binary::anteroom());
        binary::isolate(&mut command)
            .arg("serve")
            .args(["--listen", self.authority()])
            .arg("--data-dir")
            .arg(self.data_directory())
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, path)| (name, path)))
            .current_dir(self.home())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("the log can be opened"));
        let mut child = command.spawn().expect("the binary can be run");
        let stdout = child.stdout.take().expect("standard output is piped");
        let (ready, is_ready) = oneshot::channel();
        tokio::spawn(read_stdout(stdout, Arc::clone(&self.stdout), ready));
        self.child = Some(child);
        is_ready
    }

    /// The lines of level ERROR, and panics, that were not allowed.
    pub fn errors(&self) -> Vec<String> {
        self.log()
            .lines()
            .filter(|line| is_error(line))
            .filter(|line| !self.allowed_errors.iter().any(|allowed| line.contains(allowed)))
            .map(str::to_owned)
            .collect()
    }
}

/// Why a server is not ready.
#[derive(Debug)]
pub struct NotReady(pub String);

/// A free port that the system gives to no client by itself. While a killed server is away, a
/// client that reconnects to an ephemeral port may be given that very port, and meet itself there.
///
/// # Panics
/// When there is none.
pub fn quiet_port() -> u16 {
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
