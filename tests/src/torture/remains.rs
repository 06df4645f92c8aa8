//! What is left when everything is over: the store's rows and the staging directory's files.
//!
//! Read past the store's adapter: [`sqlite`] from the database's file, [`mongodb`] through the official
//! driver.

#[cfg(unix)]
pub mod mongodb;
pub mod sqlite;

use std::path::Path;

use anyhow::{Context, Result};
use uuid::Uuid;

/// Everything that is left.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    /// The archived messages.
    pub archive: Vec<Archived>,
    /// Media jobs, in words.
    pub jobs: Vec<LeftJob>,
    /// Media whose failed copies are kept, with their files.
    pub failed: Vec<Uuid>,
    /// Records that could not be read, in words.
    pub unreadable: Vec<String>,
    /// The names in the staging directory.
    pub files: Vec<String>,
    /// The names that the sweep for orphans has left there.
    pub unswept: Vec<String>,
    /// What the node complained about, and how it ended otherwise than in order.
    pub complaints: Vec<String>,
}

/// A media job that is left.
#[derive(Debug, Clone)]
pub struct LeftJob {
    /// Which.
    pub media_id: Uuid,
    /// Its message, by its provider's id.
    pub provider_message_id: String,
    /// Where it is and how far.
    pub state: String,
}

/// An archived message.
#[derive(Debug, Clone)]
pub struct Archived {
    /// Whose.
    pub bot_id: String,
    /// The kind of provider.
    pub provider_name: String,
    /// With whom.
    pub correspondent_id: String,
    /// Its id.
    pub id: u64,
    /// The provider's id.
    pub provider_message_id: String,
    /// Its medium.
    pub media_id: Option<Uuid>,
    /// Its place in the bot's archive.
    pub seq: u64,
    /// How far its callback is.
    pub callback: String,
    /// Attempts at its callback.
    pub attempts: u64,
    /// When it was archived, in milliseconds since the epoch.
    pub archived_at_ms: u64,
    /// What it reads.
    pub content: String,
}

impl Remains {
    /// Whether something is under way that time alone may end.
    pub fn is_unfinished(&self) -> bool {
        !self.jobs.is_empty() || self.archive.iter().any(|row| row.callback == "owed")
    }
}

/// The names in the staging directory of a data directory.
///
/// # Errors
/// When it cannot be read.
pub fn files(data_directory: &Path) -> Result<Vec<String>> {
    let staging = data_directory.join("media_store").join("pending_media");
    let entries = std::fs::read_dir(&staging)
        .with_context(|| format!("cannot read {}", staging.display()))?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    let mut names = entries.map(name).collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
