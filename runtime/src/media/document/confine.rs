//! The child's limits, set by itself before it opens a file.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// How much address space the child may have, its engines too.
const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Limits this process, and what it starts, to 1 GiB of memory each and `processor_seconds` of
/// processor time each, without core dumps. There is no way back.
///
/// # Errors
/// The system refused a limit; nothing must be read then.
pub(super) fn confine(processor_seconds: u64) -> io::Result<()> {
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, processor_seconds.max(1))?;
    // Other systems have no working limit on address space.
    #[cfg(target_os = "linux")]
    limit(Resource::As, MEMORY_BYTES_MAX)?;
    Ok(())
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    // A lower limit that is already in force stays.
    let hard = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let most = Some(most.min(hard));
    setrlimit(resource, Rlimit { current: most, maximum: most }).map_err(io::Error::from)
}
