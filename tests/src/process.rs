//! What the kernel says of a process: its signals, its processor time, its memory.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, setpriority_process};

/// Sends `SIGTERM`.
///
/// # Panics
/// When there is no such process.
pub fn terminate(id: u32) {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id is positive");
    kill_process(id, Signal::TERM).expect("the process is our own child");
}

/// Lets the calling thread work only while no other wants its processor; a process, where priorities are not a
/// thread's own.
///
/// # Panics
/// When the system refuses, which it has no reason to.
pub fn give_way() {
    setpriority_process(None, 19).expect("less may always be asked for");
}

/// The processor time that a process has used, in user and system mode.
///
/// # Panics
/// When there is no such process, or no procfs.
pub fn cpu_time(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("the process runs");
    // The second field is the command in parentheses and may hold spaces; utime and stime are the
    // 14th and 15th, so the 12th and 13th behind it.
    let (_, fields) = stat.rsplit_once(')').expect("stat names the command in parentheses");
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("times are numbers"))
        .sum();
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}

/// The memory of a process that is resident, in KiB.
///
/// # Panics
/// When there is no such process, or no procfs.
pub fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number of kB")
}

/// The most memory of a process that has been resident so far, in KiB.
///
/// # Panics
/// When there is no such process, or no procfs.
pub fn peak_resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("VmHWM is a number of kB")
}
