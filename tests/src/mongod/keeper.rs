//! Who ends a server, however its test or its run ends.
//!
//! Owns two small shell programs, each the parent of one `mongod`, in a process group of its own. One
//! waits for the end of its standard input, which comes when the test's process is gone. The other
//! looks every second whether the run's process is there and anybody still holds the users' lock.

use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Ends the server when standard input ends.
const UNTIL_INPUT_ENDS: &str = r#"
"$@" >/dev/null 2>&1 &
server=$!
read -r _
kill -KILL "$server" 2>/dev/null
wait
"#;

/// Ends the server when the run is gone, or nobody has used it for a while.
const UNTIL_UNUSED: &str = r#"
run=$1 home=$2
shift 2
"$@" >/dev/null 2>&1 &
server=$!
idle=0
while kill -0 "$server" 2>/dev/null; do
    sleep 1
    if flock --exclusive --nonblock "$home/users.lock" true; then idle=$((idle + 1)); else idle=0; fi
    [ "$idle" -gt 0 ] || continue
    if [ "$idle" -ge 20 ] || ! kill -0 "$run" 2>/dev/null; then
        # Nobody joins while the lock is held; who joined before it was taken keeps the server.
        exec 9>"$home/join.lock"
        flock --exclusive 9
        if flock --exclusive --nonblock "$home/users.lock" true; then
            rm -f "$home/port"
            kill -KILL "$server"
            wait
            rm -rf "$home"
            exit
        fi
        exec 9>&-
        idle=0
    fi
done
rm -f "$home/port"
"#;

/// A server that ends with this value, or with this process.
#[derive(Debug)]
pub(super) struct Kept {
    keeper: Child,
}

impl Kept {
    /// Runs a server for as long as the value lives.
    pub(super) fn private(server: &[String]) -> Self {
        let mut command = shell(UNTIL_INPUT_ENDS);
        command.args(server).stdin(Stdio::piped());
        Self { keeper: command.spawn().expect("a shell can be run") }
    }

    /// Ends the server at once and waits until it is gone.
    pub(super) async fn kill(mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().await.expect("our own child can be waited for");
    }
}

impl Drop for Kept {
    /// Waits until the server is gone, so that its directory is nobody's when it is deleted.
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        while let Ok(None) = self.keeper.try_wait() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// Runs a server for as long as the process `run` and any holder of the users' lock in `home`.
pub(super) fn share(server: &[String], run: u32, home: &Path) {
    let mut command = shell(UNTIL_UNUSED);
    command.arg(run.to_string()).arg(home).args(server).stdin(Stdio::null());
    // It is on its own from here on: it ends by what it sees.
    drop(command.spawn().expect("a shell can be run"));
}

fn shell(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", program, "mongod-keeper"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    #[cfg(unix)]
    command.process_group(0);
    command
}
