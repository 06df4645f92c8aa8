//! The nodes under torture: one, or several on one store.
//!
//! Owns the processes and where they keep things. Several nodes share one staging directory, that of the
//! first; and ownerships and leases are short, so that what a killed node had moves while a run lasts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::Server;
use crate::torture::Options;
use crate::torture::dice::Dice;
use crate::torture::place::Place;

/// How long what a killed node had stays its own, in seconds. Long enough for a busy machine.
const TENURE_S: u64 = 6;

/// The nodes.
#[derive(Debug)]
pub struct Fleet {
    servers: Vec<Server>,
    data_directory: PathBuf,
}

impl Fleet {
    /// Nodes that are not started yet.
    ///
    /// # Errors
    /// When their directories cannot be made.
    pub fn new(options: &Options, place: &Place) -> Result<Self> {
        let home = &options.home;
        fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
        if options.nodes == 1 {
            let arguments = place.arguments();
            let server = Server::lent(home, &as_texts(&arguments));
            let data_directory = server.data_directory();
            return Ok(Self { servers: vec![server], data_directory });
        }
        let homes: Vec<PathBuf> =
            (0..options.nodes).map(|number| home.join(format!("node-{number}"))).collect();
        let data_directory = homes[0].join("anteroom-data");
        let file = home.join("nodes.toml");
        fs::write(&file, configuration(&staging_of(&data_directory)))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let mut arguments = place.arguments();
        arguments.extend(["--config".to_owned(), file.display().to_string()]);
        let mut servers = Vec::new();
        for home in homes {
            fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
            servers.push(Server::lent(&home, &as_texts(&arguments)));
        }
        Ok(Self { servers, data_directory })
    }

    /// Where clients find the nodes.
    pub fn urls(&self) -> Arc<[String]> {
        self.servers.iter().map(|server| server.url().to_owned()).collect()
    }

    /// The nodes, in their order.
    pub fn servers(&mut self) -> &mut [Server] {
        &mut self.servers
    }

    /// Whether there is only one.
    pub fn is_one(&self) -> bool {
        self.servers.len() == 1
    }

    /// One of them; a draw is made only where there is a choice.
    pub fn pick(&mut self, dice: &mut Dice) -> &mut Server {
        let count = self.servers.len() as u64;
        let number = if count == 1 { 0 } else { dice.below(count) };
        let number = usize::try_from(number).expect("it is below a length");
        &mut self.servers[number]
    }

    /// The data directory of the first, in which all media files wait.
    pub fn data_directory(&self) -> &Path {
        &self.data_directory
    }

    /// Where media files wait.
    pub fn staging_directory(&self) -> PathBuf {
        staging_of(&self.data_directory)
    }

    /// What the nodes logged that they should not have. It is allowed from here on: it is judged with
    /// everything else.
    pub fn take_errors(&mut self) -> Vec<String> {
        let errors = self.servers.iter().flat_map(Server::errors).collect();
        self.servers.iter_mut().for_each(|server| server.allow_error(""));
        errors
    }
}

fn as_texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn staging_of(data_directory: &Path) -> PathBuf {
    data_directory.join("media_store").join("pending_media")
}

fn configuration(staging: &Path) -> String {
    format!(
        "[media]\nstaging_dir = {:?}\n\n\
         [ownership]\nttl = \"{TENURE_S}s\"\nrenew_every = \"1s\"\nmargin = \"2s\"\n\n\
         [lease]\nttl = \"{TENURE_S}s\"\nrenew_every = \"2s\"\n\n\
         [janitor]\nreclaim_every = \"1s\"\n",
        staging.display().to_string()
    )
}
