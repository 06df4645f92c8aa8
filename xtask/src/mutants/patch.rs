//! What a planted bug says of itself: a paragraph on the mistake, what it stands for, the rule that is
//! expected to name it and, when it is one of the driver, `Tier: 2`; then the diff.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step;

/// A planted bug.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    pub name: String,
    pub path: PathBuf,
    /// The mistake, in a sentence.
    pub mistake: String,
    /// The known failure, or the place in the design, that it stands for.
    pub stands_for: String,
    /// The rule that is expected to name it.
    pub expected: String,
    /// Whether it is a mistake of the driver, which only tier 2 can find.
    pub driven: bool,
    /// The files that it changes.
    pub files: Vec<String>,
}

/// All planted bugs, by name.
///
/// # Errors
/// When one cannot be read, or does not say what it is.
pub(super) fn all() -> Result<Vec<Patch>> {
    let folder = step::root().join("sim/mutants");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    paths.sort();
    paths.into_iter().map(Patch::read).collect()
}

impl Patch {
    fn read(path: PathBuf) -> Result<Self> {
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let said = |what: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(what));
            line.map(|said| said.trim().to_owned())
                .filter(|said| !said.is_empty())
                .with_context(|| format!("{name}: does not say `{what}`"))
        };
        let (stands_for, expected) = (said("Stands for:")?, said("Expected:")?);
        let mistake: Vec<_> = text.lines().take_while(|line| !line.is_empty()).collect();
        let files = text.lines().filter_map(|line| line.strip_prefix("+++ b/"));
        let files: Vec<_> = files.map(str::to_owned).collect();
        if mistake.is_empty() || files.is_empty() {
            bail!("{name}: has no first paragraph, or no diff");
        }
        let driven = text.lines().any(|line| line == "Tier: 2");
        let mistake = mistake.join(" ");
        Ok(Self { mistake, stands_for, expected, driven, files, name, path })
    }

    /// Whether the patch fits the tree as it is.
    ///
    /// # Errors
    /// What git says when it does not.
    pub fn check_applies(&self) -> Result<()> {
        let mut git = Command::new("git");
        git.args(["apply", "--check"]).arg(&self.path).current_dir(step::root());
        let output = git.output().context("git apply --check")?;
        if !output.status.success() {
            let what = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("{} does not apply any more: make it anew\n{what}", self.name);
        }
        Ok(())
    }
}
