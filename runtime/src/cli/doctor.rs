//! `anteroom doctor`: what a node here would use, and what would be in its way.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::engines_here::{EnginesHere, Here};
use super::exit::Exit;
use crate::media::staging::{self, Inspection, StagingError, StagingLimits};

/// How to say it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    here: EnginesHere,
}

const EXAMPLES: &str = "\
Examples:
  anteroom doctor
  anteroom doctor --data-dir /var/lib/anteroom --json

A pool without an engine is no problem: its media end as unsupported, and say so.
Exit codes: 0 nothing is in the way, 1 something is, 2 wrong usage";

/// Says what each pool uses and how staging stands.
pub(super) async fn run(args: DoctorArgs) -> Exit {
    let here = match args.here.find().await {
        Ok(here) => here,
        Err(error) => return error.complain(),
    };
    let staging = Checkup::of(&here.config.staging_directory(), here.config.staging_limits());
    let printed = match args.json {
        true => print_json(&here, &staging),
        false => print(&here, &staging),
    };
    match printed {
        Err(error) => Exit::failed(error),
        Ok(()) if staging.problems.is_empty() => Exit::Done,
        Ok(()) => Exit::Refused,
    }
}

/// How the staging directory stands.
struct Checkup {
    /// None for a directory that is still to be made.
    found: Option<Inspection>,
    problems: Vec<String>,
}

impl Checkup {
    fn of(directory: &Path, limits: StagingLimits) -> Self {
        let found = match staging::inspect(directory) {
            Ok(found) => found,
            Err(StagingError::Io(error)) if error.kind() == ErrorKind::NotFound => {
                return Self { found: None, problems: Vec::new() };
            }
            Err(error) => return Self { found: None, problems: vec![error.to_string()] },
        };
        let mut problems = Vec::new();
        if !found.is_writable {
            problems.push("nothing may be written into the staging directory".to_owned());
        }
        if found.bytes >= limits.quota_bytes {
            problems.push("the media quota is used up".to_owned());
        }
        if found.free_bytes < limits.min_free_bytes {
            problems.push("the disk is nearly full".to_owned());
        }
        Self { found: Some(found), problems }
    }
}

fn print(here: &Here, staging: &Checkup) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "pools")?;
    for report in &here.engines.reports {
        writeln!(out, "  {:<12} {}", report.pool.as_str(), report.line)?;
    }
    let StagingLimits { quota_bytes, min_free_bytes, .. } = here.config.staging_limits();
    writeln!(out, "staging")?;
    writeln!(out, "  {:<12} {}", "directory", here.config.staging_directory().display())?;
    match staging.found {
        Some(Inspection { files, bytes, free_bytes, .. }) => {
            let (used, quota) = (shown(bytes), shown(quota_bytes));
            writeln!(out, "  {:<12} {used} of {quota}, {files} files", "used")?;
            let (free, kept) = (shown(free_bytes), shown(min_free_bytes));
            writeln!(out, "  {:<12} {free}, of which {kept} stay free", "free disk")?;
        }
        None if staging.problems.is_empty() => {
            writeln!(out, "  {:<12} made when a node starts", "")?;
        }
        None => {}
    }
    for problem in &staging.problems {
        writeln!(out, "  {:<12} {problem}", "PROBLEM")?;
    }
    Ok(())
}

fn print_json(here: &Here, staging: &Checkup) -> io::Result<()> {
    let pools = here.engines.reports.iter().map(|report| {
        json!({ "pool": report.pool, "engine": report.line, "has_engine": report.has_engine })
    });
    let StagingLimits { quota_bytes, min_free_bytes, .. } = here.config.staging_limits();
    let object = json!({
        "pools": pools.collect::<Vec<_>>(),
        "staging": {
            "directory": here.config.staging_directory().display().to_string(),
            "files": staging.found.map(|found| found.files),
            "used_bytes": staging.found.map(|found| found.bytes),
            "free_bytes": staging.found.map(|found| found.free_bytes),
            "quota_bytes": quota_bytes,
            "min_free_bytes": min_free_bytes,
            "problems": staging.problems,
        },
    });
    writeln!(io::stdout().lock(), "{object}")
}

/// Bytes as people read them.
fn shown(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: sizes are readable, whatever they are.
    #[test]
    fn sizes_are_readable() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_536, "1.5 KiB"),
            (25 * 1_024 * 1_024 * 1_024, "25.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(shown(bytes), expected);
        }
    }

    /// Goal: what would keep a node from taking files is a problem, and a directory that is still to be
    /// made is none.
    #[test]
    fn what_is_in_the_way_is_a_problem() {
        let home = tempfile::tempdir().expect("a directory");
        let limits = StagingLimits { min_free_bytes: 0, ..StagingLimits::default() };
        assert!(Checkup::of(&home.path().join("none"), limits).problems.is_empty());
        assert!(Checkup::of(home.path(), limits).problems.is_empty());
        let used_up = StagingLimits { quota_bytes: 0, ..limits };
        assert_eq!(Checkup::of(home.path(), used_up).problems, ["the media quota is used up"]);
        let full = StagingLimits { min_free_bytes: u64::MAX, ..limits };
        assert_eq!(Checkup::of(home.path(), full).problems, ["the disk is nearly full"]);
        let file = home.path().join("file");
        std::fs::write(&file, b"x").expect("written");
        assert_eq!(Checkup::of(&file, limits).problems.len(), 1);
    }
}
