//! What the driver needs from the world: its ports, filled in by whoever composes a node.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use anteroom_core::Seed;
#[cfg(madsim)]
use anteroom_core::effect::Effect;
#[cfg(madsim)]
use anteroom_core::event::Event;
use anteroom_core::id::{MediaId, PoolName};
#[cfg(madsim)]
use anteroom_core::machine::Machine;
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::BotRecord;
#[cfg(madsim)]
use anteroom_core::time::Timestamp;

use crate::clock::Clock;
use crate::media::processor::Processor;
use crate::store::Store;

/// A future of a port that is used as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is wrong with a file; it is only ever shown.
pub type FileError = Box<dyn Error + Send + Sync>;

/// What a node is, before it runs.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it needs to know.
    pub settings: NodeSettings,
    /// Where its tokens and its jitter come from.
    pub seed: Seed,
    /// The bots that the store knows.
    pub bots: Vec<BotRecord>,
    /// Whether it runs bots.
    pub runs_bots: bool,
    /// Whether it runs workers.
    pub runs_workers: bool,
}

/// What carries out a node's effects.
#[derive(Clone)]
pub struct Ports {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Keeps what must be durable.
    pub store: Arc<dyn Store>,
    /// The processor of each pool; media of a pool that has none end as unsupported.
    pub processors: BTreeMap<PoolName, Arc<dyn Processor>>,
    /// The staged media files.
    pub files: Arc<dyn StagedFiles>,
    /// Looks on.
    #[cfg(madsim)]
    pub watch: Arc<dyn Watch>,
}

/// Looks on while a node's machine is stepped. Only simulations have one.
#[cfg(madsim)]
pub trait Watch: Send + Sync + 'static {
    /// The machine is about to be told an event.
    fn hears(&self, now: Timestamp, event: &Event);

    /// The machine was told an event, and these are the effects, before the first is carried out.
    fn says(&self, now: Timestamp, effects: &[Effect], machine: &Machine);
}

/// The staged media files, as the driver sees them.
pub trait StagedFiles: Send + Sync + 'static {
    /// Where the file of a medium is.
    fn path(&self, media_id: MediaId) -> PathBuf;

    /// Deletes files and returns those that could not be deleted. Deleting what is already gone is
    /// success.
    fn delete(&self, media_ids: Vec<MediaId>) -> BoxFuture<'_, Vec<(MediaId, FileError)>>;

    /// The files that are there.
    fn list(&self) -> BoxFuture<'_, Result<Vec<MediaId>, FileError>>;
}
