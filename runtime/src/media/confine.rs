//! Limits that a process sets for itself before it touches a hostile file, and
//! `anteroom confined`: a program that runs under them.
//!
//! Programs that read what strangers sent (`ffmpeg`, `pdftoppm`) cannot be asked to limit themselves,
//! and a process cannot limit another one without `unsafe`. So our own binary is started, limits
//! itself, and *becomes* the program: process id, group and limits stay.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::process::Command;

/// How much address space a reader may have, its engines too.
pub(super) const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How large a file may be that a confined program writes.
const WRITTEN_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// The name of the subcommand.
pub const SUBCOMMAND: &str = "confined";

/// The arguments were not understood.
const USAGE: u8 = 2;

/// The limits could not be set, or the program not be started.
const NOT_CONFINED: u8 = 3;

/// The environment that a confined program keeps: where programs and their data are, and nothing
/// secret.
const VARIABLES_KEPT: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "TESSDATA_PREFIX"];

/// What our own program has in its environment when it limits itself. Its allocator would otherwise have reserved as
/// many addresses as it may have, before the limit is set.
pub(super) const FRUGAL: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "0");

/// What a process and what it starts may use, each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Confinement {
    /// Seconds of processor time.
    pub processor_seconds: u64,
    /// Bytes of address space.
    pub memory_bytes_max: u64,
}

impl Confinement {
    /// Limits this process, without core dumps. There is no way back.
    ///
    /// # Errors
    /// The system refused a limit; nothing must be read then.
    pub fn apply(self) -> io::Result<()> {
        limit(Resource::Core, 0)?;
        limit(Resource::Cpu, self.processor_seconds.max(1))?;
        limit(Resource::Fsize, WRITTEN_BYTES_MAX)?;
        // Other systems have no working limit on address space.
        #[cfg(target_os = "linux")]
        limit(Resource::As, self.memory_bytes_max)?;
        Ok(())
    }

    /// A command that runs `program` within these limits through `own_program`, which is this
    /// project's binary. The program's own arguments are still to be added.
    pub fn command(self, own_program: &Path, program: &Path) -> Command {
        let mut command = own_command(own_program);
        command
            .arg(SUBCOMMAND)
            .arg("--cpu-seconds")
            .arg(self.processor_seconds.to_string())
            .arg("--memory-bytes")
            .arg(self.memory_bytes_max.to_string())
            .arg(program);
        command
    }
}

/// A command that runs our own program, which limits itself, with nothing in its environment but what it needs.
pub(super) fn own_command(own_program: &Path) -> Command {
    let mut command = Command::new(own_program);
    command.env_clear().env("OMP_THREAD_LIMIT", "1");
    for name in VARIABLES_KEPT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs the subcommand with the arguments after its name; returns only when that failed.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let Some((confinement, program)) = parse(&mut arguments) else {
        eprintln!(
            "usage: anteroom {SUBCOMMAND} --cpu-seconds N --memory-bytes N PROGRAM ARGUMENT…"
        );
        return ExitCode::from(USAGE);
    };
    let error = match confinement.apply() {
        Ok(()) => {
            let mut command = std::process::Command::new(&program);
            command.args(arguments);
            replace_with(command)
        }
        Err(error) => error,
    };
    eprintln!("{} could not be run confined: {error}", program.display());
    ExitCode::from(NOT_CONFINED)
}

/// Starts our own program anew with these arguments, unless its allocator is frugal already; returns only then, or when
/// that failed.
///
/// # Errors
/// The program could not be found or started.
pub(super) fn be_frugal(arguments: &[OsString]) -> io::Result<()> {
    let (name, value) = FRUGAL;
    if !cfg!(target_os = "linux") || std::env::var_os(name).is_some_and(|it| it == value) {
        return Ok(());
    }
    let mut program = std::process::Command::new(std::env::current_exe()?);
    program.args(arguments).env(name, value);
    Err(replace_with(program))
}

fn parse(arguments: &mut impl Iterator<Item = OsString>) -> Option<(Confinement, OsString)> {
    let mut number = |name: &str| {
        (arguments.next()? == OsStr::new(name)).then(|| arguments.next())??.to_str()?.parse().ok()
    };
    let processor_seconds = number("--cpu-seconds")?;
    let memory_bytes_max = number("--memory-bytes")?;
    Some((Confinement { processor_seconds, memory_bytes_max }, arguments.next()?))
}

#[cfg(unix)]
fn replace_with(mut program: std::process::Command) -> io::Error {
    use std::os::unix::process::CommandExt;
    program.exec()
}

#[cfg(not(unix))]
fn replace_with(_: std::process::Command) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    // A lower limit that is already in force stays.
    let hard = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let most = Some(most.min(hard));
    setrlimit(resource, Rlimit { current: most, maximum: most }).map_err(io::Error::from)
}
