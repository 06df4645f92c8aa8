//! The engines that a node here would use: what `transcribe` and `doctor` share with `serve`.

use std::env;
use std::path::PathBuf;

use anteroom_core::settings::{PoolSettings, default_pools};
use anyhow::Context;
use clap::Args;
use tempfile::TempDir;

use crate::media::engines::{self, Engines, Workshop};
use crate::media::scratch::Scratch;
use crate::media::settings::EngineTable;
use crate::media::staging::{Staging, StagingLimits};

/// Where the node's data are, and what it is configured to do.
#[derive(Debug, Args)]
pub(super) struct EnginesHere {
    /// Where media files and the embedded store are
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "ANTEROOM_DATA_DIR",
        default_value = "./anteroom-data"
    )]
    data_dir: PathBuf,
}

/// The pools of a node here, and their engines.
pub(super) struct Here {
    pub pools: Vec<PoolSettings>,
    pub engines: Engines,
    pub staging_directory: PathBuf,
    pub staging_limits: StagingLimits,
    /// What the engines make on the way is in here for as long.
    _scratch: TempDir,
}

impl EnginesHere {
    /// Looks for the engines as a node does when it starts, and touches none of its directories.
    pub async fn find(&self) -> anyhow::Result<Here> {
        let own_program = env::current_exe().context("our own path is not known")?;
        let directory = tempfile::tempdir().context("no temporary directory could be made")?;
        let scratch = Scratch::open(directory.path(), 0).context("the temporary directory")?;
        let pools = default_pools();
        let choices: Vec<_> = pools.iter().map(|pool| (pool.name.clone(), None)).collect();
        let workshop = Workshop { own_program, scratch };
        let engines = engines::assemble(&choices, &EngineTable::new(), workshop).await?;
        Ok(Here {
            pools,
            engines,
            staging_directory: Staging::default_directory(&self.data_dir),
            staging_limits: StagingLimits::default(),
            _scratch: directory,
        })
    }
}
