//! Results, and where they are kept: a table on the screen, a line each in `docs/benchmarks.jsonl`,
//! a section of `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::step;

/// One figure, and the one it is to be held against.
#[derive(Debug)]
pub(crate) struct Figure {
    pub what: String,
    pub target: String,
    /// The figure, and its unit.
    pub value: f64,
    pub unit: &'static str,
    /// Of how many samples it is the median, how it was obtained.
    pub method: String,
    /// Whether the target is met; none where there is none.
    pub met: Option<bool>,
}

/// Where and on what the figures were obtained.
struct Circumstances {
    revision: String,
    cores: usize,
    cpu: String,
    load: String,
}

impl Circumstances {
    fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu_info.lines().find(|line| line.starts_with("model name"));
        let cpu = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned();
        let load = load();
        Self { revision: revision().unwrap_or_else(|| "unknown".to_owned()), cores, cpu, load }
    }
}

/// How much the machine has to do, over one, five and fifteen minutes.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The commit that is measured, with a mark when the tree differs from it.
fn revision() -> Option<String> {
    let root = step::root();
    let describe = ["describe", "--always", "--dirty", "--abbrev=12"];
    let output = Command::new("git").args(describe).current_dir(root).output().ok()?;
    let revision = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !revision.is_empty()).then_some(revision)
}

/// Prints the figures, and keeps them as those of `bench`.
///
/// # Errors
/// When a file cannot be written, or lacks the section's marks.
pub(crate) fn publish(bench: &str, figures: &[Figure]) -> Result<()> {
    let circumstances = Circumstances::here();
    let table = table(figures);
    let Circumstances { revision, cores, cpu, load } = &circumstances;
    println!("\n{table}\nrevision {revision}, {cores} cores ({cpu}), load {load}");
    append(bench, figures, &circumstances)?;
    let section = format!(
        "Revision `{revision}`, {cores} cores ({cpu}), load average {load} at the end.\n\n{table}"
    );
    rewrite(bench, &section)
}

fn table(figures: &[Figure]) -> String {
    let mut table = "| what | target | result | met | how |\n|---|---|---|---|---|\n".to_owned();
    for Figure { what, target, value, unit, method, met } in figures {
        let met = match met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        let value = shown(*value);
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {what} | {target} | {value} {unit} | {met} | {method} |");
    }
    table
}

/// Three significant digits at least, thousands apart.
pub(crate) fn shown(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn append(bench: &str, figures: &[Figure], circumstances: &Circumstances) -> Result<()> {
    let path = docs("benchmarks.jsonl");
    let Circumstances { revision, cores, cpu, load } = circumstances;
    let mut lines = String::new();
    for Figure { what, target, value, unit, method, met } in figures {
        let line = json!({
            "bench": bench, "what": what, "target": target, "value": value, "unit": unit,
            "method": method, "met": met, "revision": revision, "cores": cores, "cpu": cpu,
            "load": load,
        });
        let _ = writeln!(lines, "{line}");
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    file.write_all(lines.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// Puts `section` between the marks of `bench`.
fn rewrite(bench: &str, section: &str) -> Result<()> {
    let path = docs("benchmarks.md");
    let page =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (begin, end) = (format!("<!-- {bench}: begin -->\n"), format!("<!-- {bench}: end -->"));
    let Some((before, rest)) = page.split_once(&begin) else {
        bail!("{} lacks the line {begin:?}", path.display());
    };
    let Some((_, after)) = rest.split_once(&end) else {
        bail!("{} lacks the line {end:?}", path.display());
    };
    fs::write(&path, format!("{before}{begin}{section}{end}{after}"))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn docs(name: &str) -> PathBuf {
    step::root().join("docs").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: small figures keep their digits, large ones can be read.
    #[test]
    fn figures_are_readable() {
        for (value, expected) in
            [(1.234, "1.23"), (99.9, "99.90"), (672.4, "672"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(shown(value), expected);
        }
    }
}
