//! The kill table.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::hunt::{Catches, DRIVEN_SEEDS_MAX, SEEDS_AFTER_A_CATCH_MAX, SEEDS_MAX, Tiers};
use super::patch::Patch;
use crate::step;

/// One planted bug and who caught it.
#[derive(Debug)]
pub(super) struct Row {
    pub patch: Patch,
    pub catches: Catches,
}

/// All planted bugs so far.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// An empty table, whose heading is printed.
    pub fn begin() -> Self {
        println!("{:<40} {:<10} {:<28} {:<44} seeds", "planted bug", "expected", "tier 0", "crash");
        Self { rows: Vec::new() }
    }

    /// Adds a row, and prints it.
    pub fn add(&mut self, row: Row) {
        let Row { patch, catches } = &row;
        let (tier_0, crash) = (named(&catches.tier_0), named(&catches.crash_points));
        let verdict = if catches.is_empty() { "   SURVIVES" } else { "" };
        let (name, expected, seeds) = (&patch.name, &patch.expected, seeds(catches));
        println!("{name:<40} {expected:<10} {tier_0:<28} {crash:<44} {seeds}{verdict}");
        self.rows.push(row);
    }

    /// Writes `docs/mutants-sim.md` and `docs/mutants-driver.md`, as far as these tiers go.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, tiers: Tiers) -> Result<()> {
        let pages = [
            ("docs/mutants-sim.md", tiers == Tiers::All, self.page()),
            ("docs/mutants-driver.md", tiers != Tiers::Exhaustive, self.driven_page()),
        ];
        for (name, wanted, page) in pages {
            if wanted {
                let path = step::root().join(name);
                std::fs::write(&path, page).with_context(|| format!("{}", path.display()))?;
                println!("written: {}", path.display());
            }
        }
        Ok(())
    }

    fn rows(&self, driven: bool) -> Vec<&Row> {
        let rows = self.rows.iter().filter(|row| row.patch.driven == driven);
        let mut rows: Vec<&Row> = rows.collect();
        rows.sort_by(|left, right| left.patch.name.cmp(&right.patch.name));
        rows
    }

    fn driven_page(&self) -> String {
        let mut page = format!(
            "# Planted bugs of the driver, and who finds them\n\nWritten by `cargo xtask mutants --tier \
             2` at revision {}. Each bug of `sim/mutants/` that says `Tier: 2` was\nplanted alone, and \
             seeds of tier 2 were run against it from three starts, {DRIVEN_SEEDS_MAX} at most each. \
             The last column\nnames the rule that caught it, and after how many seeds: the median of \
             the starts.\n\n| planted bug | stands for | tier 2 |\n|---|---|---|\n",
            revision()
        );
        for Row { patch, catches } in self.rows(true) {
            let (name, mistake) = (&patch.name, &patch.mistake);
            let (stands_for, seeds) = (&patch.stands_for, seeds(catches));
            let _written = writeln!(page, "| {name}: {mistake} | {stands_for} | {seeds} |");
        }
        page
    }

    fn page(&self) -> String {
        let rows = self.rows(false);
        let mut page = format!(
            "# Planted bugs, and who finds them\n\nWritten by `cargo xtask mutants` at revision {}. \
             Each bug of `sim/mutants/` was planted alone. A cell names the\nrule that caught it; for \
             tier 0 also the world, for the crash points the scenario and the point, for tier 1 how \
             many\nseeds it took (the median of three starts; {SEEDS_MAX} at most, and \
             {SEEDS_AFTER_A_CATCH_MAX} where a tier before had caught it).\n\n\
             | planted bug | stands for | tier 0 | crash points | tier 1 |\n|---|---|---|---|---|\n",
            revision()
        );
        for Row { patch, catches } in rows {
            let _written = writeln!(
                page,
                "| {}: {} | {} | {} | {} | {} |",
                patch.name,
                patch.mistake,
                patch.stands_for,
                named(&catches.tier_0),
                named(&catches.crash_points),
                seeds(catches)
            );
        }
        page
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
