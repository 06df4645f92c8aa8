//! What is run against a planted bug: tier 0 and the crash points, then seeds of tier 1 from several
//! starts; against one of the driver, seeds of tier 2 from the same starts.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::patch::Patch;
use super::tree::Tree;

/// Where tier 1 starts; the median of all is told.
const STARTS: [u64; 3] = [1, 1_000_001, 2_000_001];

/// How many seeds a start may take.
const SEEDS_MAX: u64 = 10_000;

/// How many it may take when the bug has been caught without.
const SEEDS_AFTER_A_CATCH_MAX: u64 = 500;

/// How many seeds of tier 2 a start may take.
const DRIVEN_SEEDS_MAX: u64 = 400;

/// How many states of each tiny world are visited.
const STATES_MAX: u64 = 1_500;

/// How long one program may run. It is for what never ends: on a busy machine everything takes long.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// What is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tiers {
    /// Everything.
    #[default]
    All,
    /// Tier 0 and the crash points, for bugs of the core.
    Exhaustive,
    /// Tier 2, for bugs of the driver.
    Driven,
}

impl Tiers {
    /// Whether a planted bug is one for these tiers.
    pub fn take(self, patch: &Patch) -> bool {
        match self {
            Self::All => true,
            Self::Exhaustive => !patch.driven,
            Self::Driven => patch.driven,
        }
    }
}

/// Who caught a planted bug.
#[derive(Debug, Clone, Default)]
pub(super) struct Catches {
    /// Tier 0: the rule and the world.
    pub tier_0: Option<(String, String)>,
    /// The crash points: the rule and the point.
    pub crash_points: Option<(String, String)>,
    /// Tier 1, or tier 2 for a bug of the driver: the rule of the first start, and how many seeds each
    /// start took.
    pub seeds: Option<(String, Vec<u64>)>,
}

impl Catches {
    pub fn is_empty(&self) -> bool {
        self.tier_0.is_none() && self.crash_points.is_none() && self.seeds.is_none()
    }

    /// The median number of seeds that it takes.
    pub fn seeds_median(&self) -> Option<u64> {
        let mut seeds = self.seeds.as_ref()?.1.clone();
        seeds.sort_unstable();
        seeds.get(seeds.len() / 2).copied()
    }
}

/// Builds the undisturbed tree and sees that nothing is caught there.
///
/// # Errors
/// When it does not build, or when something is caught.
pub(super) fn undisturbed(tree: &Tree, tiers: Tiers) -> Result<()> {
    let begun = Instant::now();
    if tiers != Tiers::Exhaustive {
        tree.build_driven()?;
        if let Some(line) = seeds(&tree.driven_program(), STARTS[0], DRIVEN_SEEDS_MAX / 4)? {
            bail!("the undisturbed tree fails in tier 2: {line}");
        }
    }
    if tiers == Tiers::Driven {
        return Ok(());
    }
    tree.build()?;
    println!("the undisturbed copy is built after {:.0} s", begun.elapsed().as_secs_f64());
    let mut caught = exhaustive(tree, "worlds")?.or(exhaustive(tree, "points")?);
    for start in STARTS {
        if caught.is_none() && tiers == Tiers::All {
            caught = seeds(&tree.program("anteroom-sim"), start, SEEDS_AFTER_A_CATCH_MAX)?;
        }
    }
    match caught {
        Some(line) => bail!("the undisturbed tree fails: {line}"),
        None => Ok(()),
    }
}

/// Runs everything against the bug planted in the tree.
///
/// # Errors
/// When the tree does not build, or a program cannot be run.
pub(super) fn hunt(tree: &Tree, patch: &Patch, tiers: Tiers) -> Result<Catches> {
    let mut catches = Catches::default();
    if patch.driven {
        tree.build_driven().with_context(|| patch.name.clone())?;
        catches.seeds = starts(&tree.driven_program(), DRIVEN_SEEDS_MAX)?;
        return Ok(catches);
    }
    tree.build().with_context(|| patch.name.clone())?;
    if let Some(line) = exhaustive(tree, "worlds")? {
        catches.tier_0 = Some((word(&line, "rule="), word(&line, "world=")));
    }
    if let Some(line) = exhaustive(tree, "points")? {
        catches.crash_points = Some((word(&line, "rule="), word(&line, "point=")));
    }
    if tiers == Tiers::Exhaustive {
        return Ok(catches);
    }
    let seeds_max = if catches.is_empty() { SEEDS_MAX } else { SEEDS_AFTER_A_CATCH_MAX };
    catches.seeds = starts(&tree.program("anteroom-sim"), seeds_max)?;
    Ok(catches)
}

/// The rule of the first start that catches something, and how many seeds each start takes.
fn starts(program: &Path, seeds_max: u64) -> Result<Option<(String, Vec<u64>)>> {
    let (mut rule, mut counts) = (None, Vec::new());
    for start in STARTS {
        let Some(line) = seeds(program, start, seeds_max)? else { break };
        let seed: u64 = word(&line, "seed=").parse().unwrap_or(start);
        counts.push(seed.saturating_sub(start) + 1);
        rule = rule.or_else(|| Some(word(&line, "rule=")));
    }
    Ok(rule.map(|rule| (rule, counts)))
}

fn exhaustive(tree: &Tree, what: &str) -> Result<Option<String>> {
    let mut command = Command::new(tree.program("anteroom-exhaustive"));
    let states = STATES_MAX.to_string();
    command.args(["--quiet", "--first", "--only", what, "--states", &states, "--singles"]);
    failure(&mut command, &format!("world=all point={what}"))
}

fn seeds(program: &Path, from: u64, count: u64) -> Result<Option<String>> {
    let mut command = Command::new(program);
    command.args(["--from", &from.to_string(), "--seeds", &count.to_string()]);
    command.args(["--quiet", "--threads", "1"]);
    failure(&mut command, &format!("seed={from}"))
}

/// Runs a program to its end, or for as long as patience lasts. Its line that begins with `FAILED`; one
/// that names `panic` or `hang` when it ends in another way. `place` is where such an end was.
fn failure(command: &mut Command, place: &str) -> Result<Option<String>> {
    let program = Path::new(command.get_program()).display().to_string();
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(|| program.clone())?;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        use std::io::Read;
        let mut text = String::new();
        match stdout {
            Some(mut stdout) => stdout.read_to_string(&mut text).map(|_| text),
            None => Ok(text),
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let Ok(text) = reader.join() else { bail!("the output of {program} cannot be read") };
    let text = text?;
    let line = text.lines().find(|line| line.starts_with("FAILED")).map(str::to_owned);
    Ok(match (line, status) {
        (Some(line), _) => Some(line),
        (None, Some(status)) if status.success() => None,
        (None, Some(_)) => Some(format!("FAILED rule=panic {place}")),
        // Out of patience and nothing found: that is no catch.
        (None, None) => None,
    })
}

fn word(line: &str, what: &str) -> String {
    let found = line.split_whitespace().find_map(|word| word.strip_prefix(what));
    found.unwrap_or("?").to_owned()
}
