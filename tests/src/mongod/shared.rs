//! The server that all test processes of a run share.
//!
//! Owns its directory under the cache, with two locks: `join.lock`, held while somebody finds out
//! whether there is a server and starts one if not, and `users.lock`, held by every process for as
//! long as it uses the server.

use std::fs::{self, File};
use std::path::Path;

use super::{SMALL_CACHE_GIB, answers, arguments, initiate, install, keeper};

/// A process's hold on the shared server.
#[derive(Debug)]
pub(super) struct Membership {
    port: u16,
    _users: File,
}

impl Membership {
    /// Where the server listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

/// Finds the run's server, or starts it.
pub(super) async fn join() -> Membership {
    let run = std::os::unix::process::parent_id();
    let home = install::cache().join(format!("run-{run}"));
    loop {
        fs::create_dir_all(&home).expect("the cache can be written");
        let joining = lock(&home, "join.lock", File::lock).await;
        // Who waited for the lock may hold one whose directory was removed meanwhile.
        if !home.join("join.lock").is_file() {
            continue;
        }
        let users = lock(&home, "users.lock", File::lock_shared).await;
        let port = match running(&home) {
            Some(port) => port,
            None => start(run, &home).await,
        };
        drop(joining);
        return Membership { port, _users: users };
    }
}

async fn lock(home: &Path, name: &str, take: fn(&File) -> std::io::Result<()>) -> File {
    let file = File::create(home.join(name)).expect("the cache can be written");
    let taking = tokio::task::spawn_blocking(move || take(&file).map(|()| file));
    taking.await.expect("locking does not panic").expect("a file of the cache can be locked")
}

/// The port of the server that runs already.
fn running(home: &Path) -> Option<u16> {
    let port = fs::read_to_string(home.join("port")).ok()?.parse().ok()?;
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(port)
}

async fn start(run: u32, home: &Path) -> u16 {
    let port = crate::server::quiet_port();
    let _ = fs::remove_dir_all(home.join("data"));
    keeper::share(&arguments(home, port, true, SMALL_CACHE_GIB), run, home);
    answers(port, home).await;
    initiate(port).await;
    fs::write(home.join("port"), port.to_string()).expect("the cache can be written");
    port
}
