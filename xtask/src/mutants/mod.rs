//! `cargo xtask mutants`: plants each bug of `sim/mutants/` in a copy of the tree and has the
//! simulation find it.
//!
//! Here: the command and its order. [`patch`]: what a planted bug says of itself. [`tree`]: the copy.
//! [`hunt`]: what is run against it. [`table`]: who caught what, on the terminal, in
//! `docs/mutants-sim.md` and, for bugs of the driver, in `docs/mutants-driver.md`.

mod hunt;
mod patch;
mod table;
mod tree;

use std::sync::Mutex;

use anyhow::{Result, bail};

use self::hunt::Tiers;
use self::patch::Patch;
use self::table::{Row, Table};
use self::tree::Tree;

/// What is asked for.
#[derive(Debug, Default)]
struct Wanted {
    only: Vec<String>,
    jobs: usize,
    tiers: Tiers,
}

/// Plants the bugs one after the other, and fails when one survives.
///
/// # Errors
/// When a patch does not apply or its tree does not build, when a planted bug survives, or when a file
/// cannot be written.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let wanted = Wanted::parse(words)?;
    let mut patches = patch::all()?;
    patches.retain(|patch| wanted.tiers.take(patch));
    if !wanted.only.is_empty() {
        patches.retain(|patch| wanted.only.contains(&patch.name));
    }
    if patches.is_empty() {
        bail!("no planted bug has that name");
    }
    for patch in &patches {
        patch.check_applies()?;
    }
    let trees = (0..wanted.jobs).map(Tree::copy).collect::<Result<Vec<_>>>()?;
    for tree in &trees {
        hunt::undisturbed(tree, wanted.tiers)?;
    }
    let queue = Mutex::new(patches.into_iter());
    let table = Mutex::new(Table::begin(wanted.tiers));
    std::thread::scope(|scope| {
        let hunts =
            trees.iter().map(|tree| scope.spawn(|| work(tree, wanted.tiers, &queue, &table)));
        let hunts: Vec<_> = hunts.collect();
        hunts.into_iter().try_for_each(|hunt| match hunt.join() {
            Ok(result) => result,
            Err(_) => bail!("a hunt panicked"),
        })
    })?;
    let table = match table.into_inner() {
        Ok(table) => table,
        Err(_) => bail!("a hunt panicked"),
    };
    table.verdict()
}

/// Takes planted bugs from the queue until it is empty.
fn work(
    tree: &Tree,
    tiers: Tiers,
    queue: &Mutex<impl Iterator<Item = Patch>>,
    table: &Mutex<Table>,
) -> Result<()> {
    loop {
        let next = match queue.lock() {
            Ok(mut queue) => queue.next(),
            Err(_) => None,
        };
        let Some(patch) = next else { return Ok(()) };
        tree.plant(&patch)?;
        let catches = hunt::hunt(tree, &patch, tiers);
        tree.restore(&patch)?;
        let row = Row { catches: catches?, patch };
        if let Ok(mut table) = table.lock() {
            table.add(row)?;
        }
    }
}

impl Wanted {
    fn parse(words: &[&str]) -> Result<Self> {
        let mut wanted = Self { jobs: 1, ..Self::default() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, words.next()) {
                ("--only", Some(name)) => wanted.only.push((*name).to_owned()),
                ("--tier", Some(&"0")) => wanted.tiers = Tiers::Exhaustive,
                ("--tier", Some(&"2")) => wanted.tiers = Tiers::Driven,
                ("--jobs", Some(jobs)) => wanted.jobs = jobs.parse::<usize>()?.max(1),
                (unknown, _) => bail!("unknown option, or one without its value: {unknown}"),
            }
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no planted bug has drifted off its place, and each says what it is.
    #[test]
    fn every_patch_applies_and_says_what_it_is() {
        let patches = patch::all().expect("patches can be read");
        let driven = patches.iter().filter(|patch| patch.driven).count();
        assert!(patches.len() - driven >= 40, "{} planted bugs", patches.len());
        assert!(driven >= 12, "{driven} planted bugs of the driver");
        for patch in patches {
            patch.check_applies().expect("the patch applies");
        }
    }

    /// Goal: every known failure of queue, archive, jobs and workers has a planted bug, or is listed as
    /// covered elsewhere.
    #[test]
    fn every_known_failure_is_planted_or_explained() {
        let patches = patch::all().expect("patches can be read");
        let docs = std::fs::read_to_string(crate::step::root().join("docs/simulation.md"));
        let docs = docs.expect("docs/simulation.md can be read");
        for number in (1..=38).chain([43]) {
            let known = format!("K{number}");
            let names_it =
                |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == known);
            let planted = patches.iter().any(|patch| names_it(&patch.stands_for));
            assert!(planted || names_it(&docs), "{known} is neither planted nor explained");
        }
    }
}
