//! The copy of the tree in which a bug is planted, with a build of its own.
//!
//! Files keep their times unless they differ, so that a build compiles only what a patch has changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::patch::Patch;
use crate::sim::MADSIM;
use crate::step;

/// A copy of the tree.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    build: PathBuf,
}

impl Tree {
    /// Copies every tracked file of the tree as it is.
    ///
    /// # Errors
    /// When git cannot list the files, or one cannot be copied.
    pub fn copy(number: usize) -> Result<Self> {
        let folder = step::root().join("target/planted");
        let tree = Self {
            root: folder.join(format!("tree-{number}")),
            build: folder.join(format!("build-{number}")),
        };
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let output = git.current_dir(step::root()).output().context("git ls-files")?;
        if !output.status.success() {
            bail!("git ls-files: {}", output.status);
        }
        let listed = String::from_utf8_lossy(&output.stdout);
        let files = listed.split('\0').filter(|file| !file.is_empty());
        let files: BTreeSet<&str> =
            files.filter(|file| step::root().join(file).is_file()).collect();
        tree.remove_all_but(&files, &tree.root)?;
        files.into_iter().try_for_each(|file| tree.copy_file(file))?;
        Ok(tree)
    }

    /// Removes what an earlier tree had and this one has not.
    fn remove_all_but(&self, files: &BTreeSet<&str>, folder: &Path) -> Result<()> {
        if !folder.exists() {
            return Ok(());
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.remove_all_but(files, &path)?;
            } else if path
                .strip_prefix(&self.root)
                .is_ok_and(|it| !files.contains(&*it.to_string_lossy()))
            {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn copy_file(&self, file: &str) -> Result<()> {
        let (from, to) = (step::root().join(file), self.root.join(file));
        let content = std::fs::read(&from).with_context(|| format!("read {file}"))?;
        if std::fs::read(&to).is_ok_and(|copied| copied == content) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&to, content).with_context(|| format!("copy {file}"))
    }

    /// Applies a patch.
    ///
    /// # Errors
    /// When it does not apply.
    pub fn plant(&self, patch: &Patch) -> Result<()> {
        let mut git = Command::new("git");
        git.arg("apply").arg(&patch.path).current_dir(&self.root);
        // The copy lies within a repository, and is none of its business.
        git.env("GIT_CEILING_DIRECTORIES", self.root.parent().unwrap_or(Path::new("/")));
        let output = git.output().context("git apply")?;
        if !output.status.success() {
            bail!("{}: {}", patch.name, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Puts the files that a patch changed back as they were.
    ///
    /// # Errors
    /// When one cannot be copied.
    pub fn restore(&self, patch: &Patch) -> Result<()> {
        patch.files.iter().try_for_each(|file| self.copy_file(file))
    }

    /// Builds the simulation's programs.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn build(&self) -> Result<()> {
        let arguments = ["build", "--profile", "planted", "--package", "anteroom-sim", "--bins"];
        let mut cargo = step::cargo(arguments);
        cargo.arg("--quiet").current_dir(&self.root).env("CARGO_TARGET_DIR", &self.build);
        cargo.env("RUSTFLAGS", "--allow warnings");
        let output = cargo.output().context("cargo build")?;
        if !output.status.success() {
            bail!("does not build:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Builds the simulation's program of tier 2.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn build_driven(&self) -> Result<()> {
        let arguments = ["build", "--profile", "planted", "--package", "anteroom-sim", "--bin"];
        let mut cargo = step::cargo(arguments);
        cargo.args(["anteroom-sim", "--quiet"]).current_dir(&self.root);
        cargo.env("CARGO_TARGET_DIR", self.build.join("madsim"));
        cargo.env("RUSTFLAGS", MADSIM);
        let output = cargo.output().context("cargo build")?;
        if !output.status.success() {
            bail!("does not build:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// The simulation's program of tier 2.
    pub fn driven_program(&self) -> PathBuf {
        self.build.join("madsim/planted/anteroom-sim")
    }

    /// One of the simulation's programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.build.join("planted").join(name)
    }
}
