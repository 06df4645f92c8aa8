//! The kill table.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::hunt::{Catches, Tiers};
use super::patch::{self, Patch};
use crate::step;

/// One planted bug and who caught it.
#[derive(Debug)]
pub(super) struct Row {
    pub patch: Patch,
    pub catches: Catches,
}

/// All planted bugs of a run so far.
///
/// **Invariant**: what a row says is on its page as soon as it is known; rows of bugs that this run does not
/// plant stay as they are.
#[derive(Debug)]
pub(super) struct Table {
    tiers: Tiers,
    revision: String,
    rows: Vec<Row>,
}

impl Table {
    /// An empty table, whose heading is printed.
    pub fn begin(tiers: Tiers) -> Self {
        println!("{:<40} {:<10} {:<28} {:<44} seeds", "planted bug", "expected", "tier 0", "crash");
        Self { tiers, revision: revision(), rows: Vec::new() }
    }

    /// Adds a row, prints it, and writes it down unless it is only a part of one.
    ///
    /// # Errors
    /// When its page cannot be read or written.
    pub fn add(&mut self, row: Row) -> Result<()> {
        let Row { patch, catches } = &row;
        let (tier_0, crash) = (named(&catches.tier_0), named(&catches.crash_points));
        let verdict = if catches.is_empty() { "   SURVIVES" } else { "" };
        let (name, expected, seeds) = (&patch.name, &patch.expected, seeds(catches));
        println!("{name:<40} {expected:<10} {tier_0:<28} {crash:<44} {seeds}{verdict}");
        if self.tiers != Tiers::Exhaustive {
            write(&row, &self.revision)?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// Whether all were caught.
    ///
    /// # Errors
    /// The names of those that were not.
    pub fn verdict(&self) -> Result<()> {
        let survivors = self.rows.iter().filter(|row| row.catches.is_empty());
        let survivors: Vec<_> = survivors.map(|row| row.patch.name.as_str()).collect();
        if !survivors.is_empty() {
            bail!("{} of {} survive: {}", survivors.len(), self.rows.len(), survivors.join(", "));
        }
        println!("all {} planted bugs are caught", self.rows.len());
        Ok(())
    }
}

/// Puts a row in its place on its page: `docs/mutants-sim.md`, or `docs/mutants-driver.md`.
fn write(row: &Row, revision: &str) -> Result<()> {
    let driven = row.patch.driven;
    let name = if driven { "docs/mutants-driver.md" } else { "docs/mutants-sim.md" };
    let path = step::root().join(name);
    let page = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let mut known = patch::all()?;
    known.retain(|patch| patch.driven == driven);
    let known: Vec<_> = known.into_iter().map(|patch| patch.name).collect();
    let page = replaced(&page, &row.patch.name, &line(row, revision), &known);
    std::fs::write(&path, page).with_context(|| format!("{}", path.display()))
}

/// A row as it stands on its page.
fn line(row: &Row, revision: &str) -> String {
    let Row { patch: Patch { name, mistake, stands_for, driven, .. }, catches } = row;
    let seeds = seeds(catches);
    if *driven {
        return format!("| {name}: {mistake} | {stands_for} | {seeds} | {revision} |");
    }
    let (tier_0, points) = (named(&catches.tier_0), named(&catches.crash_points));
    format!("| {name}: {mistake} | {stands_for} | {tier_0} | {points} | {seeds} | {revision} |")
}

/// The page with this row in its place, without rows of bugs that are not known any more, and with the
/// names of those that have no row below the table.
fn replaced(page: &str, name: &str, line: &str, known: &[String]) -> String {
    const RULE: &str = "|---|";
    let heading = page.lines().take_while(|line| !line.starts_with(RULE));
    let rule = page.lines().filter(|line| line.starts_with(RULE)).take(1);
    let mut kept: Vec<&str> = heading.chain(rule).collect();
    let of = |row: &str| row.strip_prefix("| ")?.split_once(": ").map(|(name, _)| name.to_owned());
    let rows = page.lines().skip(kept.len()).filter_map(|row| Some((of(row)?, row)));
    let mut rows: BTreeMap<String, &str> = rows.filter(|(name, _)| known.contains(name)).collect();
    rows.insert(name.to_owned(), line);
    kept.extend(rows.values());
    let mut page = kept.join("\n") + "\n";
    let missing: Vec<_> = known.iter().filter(|name| !rows.contains_key(*name)).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.into_iter().map(String::as_str).collect();
        page += &format!("\nNot run yet: {}.\n", names.join(", "));
    }
    page
}

fn named(catch: &Option<(String, String)>) -> String {
    match catch {
        Some((rule, place)) => format!("{rule} {place}"),
        None => "–".to_owned(),
    }
}

fn seeds(catches: &Catches) -> String {
    match (&catches.seeds, catches.seeds_median()) {
        (Some((rule, _)), Some(seeds)) => format!("{rule} after {seeds}"),
        (Some(_) | None, _) => "–".to_owned(),
    }
}

fn revision() -> String {
    let mut git = Command::new("git");
    git.args(["rev-parse", "--short", "HEAD"]).current_dir(step::root());
    let output = git.output().ok().filter(|output| output.status.success());
    let revision = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    revision.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a row takes the place of the one before it, the others stay, and what has no row is named.
    #[test]
    fn a_row_takes_its_place() {
        let page = "# Title\n\n| planted bug | at |\n|---|---|\n| b: old | 1 |\n| gone: it | 1 |\n\n\
                    Not run yet: a, c.\n";
        let known = ["a", "b", "c"].map(str::to_owned);
        let with_b = replaced(page, "b", "| b: new | 2 |", &known);
        assert_eq!(
            with_b,
            "# Title\n\n| planted bug | at |\n|---|---|\n| b: new | 2 |\n\nNot run yet: a, c.\n"
        );
        let all = replaced(&with_b, "c", "| c: it | 3 |", &known);
        let all = replaced(&all, "a", "| a: it | 4 |", &known);
        assert!(all.ends_with("| a: it | 4 |\n| b: new | 2 |\n| c: it | 3 |\n"), "{all}");
    }
}
