//! A whole node in this process, less its listeners, its files and the work of its processors.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use anteroom_core::Seed;
use anteroom_core::id::{MediaId, NodeId};
use anteroom_core::message::{Extracted, Outcome};
use anteroom_core::settings::{NodeSettings, PoolSettings};
use anteroom_core::time::Millis;
use anteroom_runtime::clock::BootClock;
use anteroom_runtime::driver::ports::{BoxFuture, FileError};
use anteroom_runtime::driver::{self, Handle, Node as Described, Ports, StagedFiles};
use anteroom_runtime::media::processor::{Failure, Processor, Work};
use anteroom_runtime::store::Store;
use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The one pool, which takes everything.
pub const POOL: &str = "everything";

/// Jobs at a time: as many as eight providers may have without a receipt, so that a job that arrives is
/// inserted under its lease.
const SLOTS: u32 = 2_048;

/// A running node.
pub struct Node {
    /// The way in.
    pub handle: Handle,
    driver: JoinHandle<()>,
    store: Arc<dyn Store>,
}

impl Node {
    /// Starts a node on `store`, with workers or without.
    ///
    /// # Errors
    /// When the store does not list its bots.
    pub async fn start(store: Arc<dyn Store>, runs_workers: bool) -> Result<Self> {
        let bots = store.list_bots().await.context("the store does not list its bots")?;
        let settings = settings();
        let node = Described { settings, seed: seed(), bots, runs_bots: true, runs_workers };
        let processor: Arc<dyn Processor> = Arc::new(Instant);
        let ports = Ports {
            clock: Arc::new(BootClock::start()),
            store: Arc::clone(&store),
            processors: [(POOL.into(), processor)].into(),
            files: Arc::new(NoFiles),
        };
        let (handle, driver) = driver::start(node, ports)?;
        Ok(Self { handle, driver, store })
    }

    /// Stops it in order and closes its store.
    ///
    /// # Errors
    /// When the driver broke.
    pub async fn stop(self) -> Result<()> {
        self.handle.shutdown().await;
        self.driver.await.context("the driver broke")?;
        self.store.shutdown().await;
        Ok(())
    }
}

fn seed() -> Seed {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    Seed(seed)
}

/// As `serve` has them, but for one pool with room.
fn settings() -> NodeSettings {
    let mut settings = NodeSettings::new(NodeId::from(Uuid::new_v4()));
    settings.session.auto_create_bots = true;
    settings.lease.poll_every = Millis::from_minutes(1);
    let everything = |pool: PoolSettings| PoolSettings {
        name: POOL.into(),
        mime_types: vec!["*".to_owned()],
        slots: NonZeroU32::MIN.saturating_add(SLOTS - 1),
        buffer: SLOTS,
        ..pool
    };
    settings.pools = settings.pools.into_iter().take(1).map(everything).collect();
    settings
}

/// A processor that needs no time.
struct Instant;

impl Processor for Instant {
    fn name(&self) -> &str {
        "instant"
    }

    fn process(&self, _work: Work) -> BoxFuture<'static, std::result::Result<Outcome, Failure>> {
        Box::pin(async {
            let text = "see you at eight".to_owned();
            Ok(Outcome::Text(Extracted { text, ..Extracted::default() }))
        })
    }
}

/// Files that nobody looks at.
struct NoFiles;

impl StagedFiles for NoFiles {
    fn path(&self, media_id: MediaId) -> PathBuf {
        PathBuf::from("/staging").join(media_id.to_string())
    }

    fn delete(&self, _media_ids: Vec<MediaId>) -> BoxFuture<'_, Vec<(MediaId, FileError)>> {
        Box::pin(async { Vec::new() })
    }

    fn list(&self) -> BoxFuture<'_, std::result::Result<Vec<MediaId>, FileError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
