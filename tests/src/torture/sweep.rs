//! The last look at the staging directory: a node that is in a hurry sweeps it.
//!
//! A process that dies while it deletes a file leaves it to the sweep for orphans, which takes its
//! time: hours. Here the runtime itself runs it on what a torture has left, with nothing to wait for,
//! so that a run can say that really no file is left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::Seed;
use anteroom_core::id::{MediaId, NodeId};
use anteroom_core::settings::NodeSettings;
use anteroom_core::time::Millis;
use anteroom_runtime::clock::BootClock;
use anteroom_runtime::driver::ports::{BoxFuture, FileError};
use anteroom_runtime::driver::{self, Node, Ports, StagedFiles};
use anteroom_runtime::media::staging::{Staging, StagingLimits};
use anteroom_runtime::store::Store;
use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::torture::remains;

/// How long the sweep may take.
const SWEEP_PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Sweeps a data directory whose node has ended, and returns the names of the files that are left.
///
/// # Errors
/// When the node cannot be run.
pub async fn sweep(
    data_directory: &Path,
    clock: Arc<BootClock>,
    store: Arc<dyn Store>,
) -> Result<Vec<String>> {
    let limits = StagingLimits { part_age_max: Duration::ZERO, ..StagingLimits::default() };
    let staging = Staging::open(Staging::default_directory(data_directory), limits).await?;
    let bots = store.list_bots().await.context("the store does not list its bots")?;
    let node = Node {
        settings: hurried(),
        seed: Seed([0; 32]),
        bots,
        runs_bots: true,
        runs_workers: false,
    };
    let files = Arc::new(Files(staging));
    let ports = Ports { clock, store, processors: BTreeMap::new(), files };
    let (handle, running) = driver::start(node, ports)?;
    let deadline = Instant::now() + SWEEP_PATIENCE;
    let left = loop {
        let left = remains::files(data_directory)?;
        if left.is_empty() || Instant::now() >= deadline {
            break left;
        }
        sleep(LOOK_EVERY).await;
    };
    handle.shutdown().await;
    running.await.context("the driver broke")?;
    Ok(left)
}

/// The settings of a node that waits for nothing before it sweeps.
fn hurried() -> NodeSettings {
    let mut settings = NodeSettings::new(NodeId::from(Uuid::new_v4()));
    settings.janitor.files_every = Millis::from_ms(100);
    settings.janitor.orphan_after = Millis::from_ms(1);
    settings.janitor.failed_media_retention = Millis::ZERO;
    settings
}

/// The staging directory as the driver's port.
struct Files(Staging);

impl StagedFiles for Files {
    fn path(&self, media_id: MediaId) -> PathBuf {
        self.0.path(media_id)
    }

    fn delete(&self, media_ids: Vec<MediaId>) -> BoxFuture<'_, Vec<(MediaId, FileError)>> {
        Box::pin(async move {
            let mut failed = Vec::new();
            for media_id in media_ids {
                if let Err(error) = self.0.delete(media_id).await {
                    failed.push((media_id, error.into()));
                }
            }
            failed
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<MediaId>, FileError>> {
        Box::pin(async { Ok(self.0.list().await?) })
    }
}
