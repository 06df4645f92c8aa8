//! Where the binary under test is.

use std::path::{Path, PathBuf};

/// The `anteroom` binary: `ANTEROOM_BIN`, or the one that was built beside this executable.
///
/// # Panics
/// When there is none, saying how to build it.
pub fn anteroom() -> PathBuf {
    if let Some(path) = std::env::var_os("ANTEROOM_BIN") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "ANTEROOM_BIN names {}, which is no file", path.display());
        return path;
    }
    let executable = std::env::current_exe().expect("a running process knows its executable");
    let mut directories = executable.ancestors().skip(1);
    let built =
        |directory: &Path| directory.join(format!("anteroom{}", std::env::consts::EXE_SUFFIX));
    // Test executables live in `<target>/<profile>/deps`, benches in `<target>/<profile>`.
    let found = directories.by_ref().take(2).map(built).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no `anteroom` binary beside {}: run `cargo build --bin anteroom` (with `--release` for \
             a release test), or set ANTEROOM_BIN",
            executable.display()
        )
    })
}

/// The target directory that this executable was built in.
///
/// # Panics
/// When it lives nowhere.
pub fn target_directory() -> PathBuf {
    let executable = std::env::current_exe().expect("a running process knows its executable");
    // Test executables live in `<target>/<profile>/deps`, others in `<target>/<profile>`.
    let profile = executable.ancestors().skip(1).find(|directory| !directory.ends_with("deps"));
    let target = profile.and_then(Path::parent).expect("an executable lives in a target directory");
    target.to_owned()
}

/// How much of the disk a node leaves free.
pub const MIN_FREE_BYTES: &str = "ANTEROOM_MEDIA__MIN_FREE_BYTES";

/// Makes `command` independent of the environment that the tests happen to run in, and of how full
/// its disk is.
pub fn isolate(command: &mut tokio::process::Command) -> &mut tokio::process::Command {
    for (name, _) in std::env::vars_os() {
        let inherited = name.to_string_lossy();
        if ["ANTEROOM_", "OPENAI_", "OTEL_"].iter().any(|ours| inherited.starts_with(ours)) {
            command.env_remove(&name);
        }
    }
    command.env_remove("RUST_LOG").env("NO_COLOR", "1").env(MIN_FREE_BYTES, "0").kill_on_drop(true)
}
