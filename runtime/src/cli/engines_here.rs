//! The engines that a node here would use: what `transcribe` and `doctor` share with `serve`.

use std::env;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tempfile::TempDir;

use super::exit::{Exit, complain};
use crate::config::{Config, ConfigError, Flag, Sources};
use crate::media::engines::{self, Engines, Workshop};
use crate::media::scratch::Scratch;

/// Where the node's data are, and what it is configured to do.
#[derive(Debug, Args)]
pub(super) struct EnginesHere {
    /// The configuration file [default: anteroom.toml, if it is there] [env: ANTEROOM_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where media files and the embedded store are [default: ./anteroom-data]
    /// [env: ANTEROOM_DATA_DIR]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
}

/// What a node here is configured to do, and its engines.
pub(super) struct Here {
    pub config: Config,
    pub engines: Engines,
    /// What the engines make on the way is in here for as long.
    _scratch: TempDir,
}

/// Why it is not known what a node here would use.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotHere {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl EnginesHere {
    /// Looks for the engines as a node does when it starts, and touches none of its directories.
    pub async fn find(self) -> Result<Here, NotHere> {
        let flag = |value| Flag { name: "--data-dir", key: "data_dir", value };
        let flags = self.data_dir.map(flag).into_iter().collect();
        let config = Config::load(&Sources::of_process(self.config, flags))?.config;
        let own_program = env::current_exe().context("our own path is not known")?;
        let directory = tempfile::tempdir().context("no temporary directory could be made")?;
        let scratch = Scratch::open(directory.path(), 0).context("the temporary directory")?;
        let workshop = Workshop { own_program, scratch };
        let engines = engines::assemble(&config.pool_choices(), &config.engines, workshop).await;
        let engines = engines.map_err(anyhow::Error::from)?;
        Ok(Here { config, engines, _scratch: directory })
    }
}

impl NotHere {
    /// Says it on stderr.
    pub fn complain(self) -> Exit {
        match self {
            Self::Config(problems) => {
                problems.problems().iter().for_each(complain);
                Exit::Usage
            }
            Self::Other(error) => Exit::failed(format_args!("{error:#}")),
        }
    }
}
