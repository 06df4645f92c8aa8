//! A node, composed: which store, which processors, which listeners, and in which order they start and
//! stop.
//!
//! Start: store → machine (ownership, pools, janitor) → listeners → ready. Stop: machine (intake closes,
//! pools stop claiming, bots drain, workers finish or release), its lines open for a while, so that
//! whoever was called back can say so → listeners → store. **Invariants:** what is told
//! as durable is in the store before the store is closed; stopping takes a bounded time; a driver that
//! broke ends the process.

mod signals;
mod signed_in;
mod staged_files;
mod store_place;
mod usage;

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::Seed;
use anteroom_core::id::{NodeId, PoolName};
use anteroom_core::pool::routing::RoutingError;
use anteroom_core::store::StoreError;
use anteroom_core::time::Timestamp;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};
use uuid::Uuid;

use self::signals::Signals;
use self::signed_in::SignedIn;
use self::staged_files::OnDisk;
pub(crate) use self::store_place::StorePlace;
use self::store_place::StorePlaceError;
use crate::clock::{BootClock, Clock};
use crate::config::{Config, NodeSection, Role};
use crate::driver::{self, Handle, Node, Onlookers, Ports, Recording};
use crate::http::{self, HttpState, Operations};
use crate::media::engines::{self, EngineError, Engines, Workshop};
use crate::media::processor::Processor;
use crate::media::scratch::Scratch;
use crate::media::staging::{Staging, StagingError};
use crate::observe::Vitals;
use crate::record::{self, RecordError, RecordOptions};
use crate::store::mongodb::{self, MongoSettings, MongoStore, StoreTime};
use crate::store::presence::Presence;
use crate::store::sqlite::{OpenError, SqliteSettings, SqliteStore};
use crate::store::views::Views;
use crate::telemetry::{self, TelemetryError};
use crate::webhook::WebhookError;

/// How long the store may take to close when there is nothing to wait for before.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The exit code of a process that was told twice to end.
const EXIT_INTERRUPTED: i32 = 130;

/// Why a node did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Logging could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The address can be reached from elsewhere.
    #[error(
        "{0} can be reached from other machines, and there is no operator's token: put the hash of one \
         into tokens.operators (`anteroom token` makes it), or listen on a loopback address (127.0.0.1 \
         or [::1])"
    )]
    NotLoopback(SocketAddr),
    /// The embedded store has one node, which must do everything.
    #[error(
        "the embedded store has one node, so its role must be all: leave `role` out, or use MongoDB \
         (--store mongodb://…)"
    )]
    RoleNeedsMongodb,
    /// The store is none that is known.
    #[error(transparent)]
    StorePlace(#[from] StorePlaceError),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The trace cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The embedded store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// MongoDB could not be opened.
    #[error(transparent)]
    Mongodb(#[from] mongodb::OpenError),
    /// The store does not answer.
    #[error("the store does not list its bots: {0}")]
    Bots(StoreError),
    /// The staging directory cannot be used.
    #[error("{directory}: {source}", directory = directory.display())]
    Staging {
        /// Which directory.
        directory: PathBuf,
        /// What is wrong.
        source: StagingError,
    },
    /// The directory for what engines make on the way cannot be used.
    #[error("{directory}: {source}", directory = directory.display())]
    Scratch {
        /// Which directory.
        directory: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// An engine cannot be what the configuration says.
    #[error(transparent)]
    Engines(#[from] EngineError),
    /// The operating system gives no randomness, no signals or no threads.
    #[error("the operating system does not give {what}: {detail}")]
    System {
        /// What.
        what: &'static str,
        /// What it said.
        detail: String,
    },
    /// A bot's webhook cannot be called.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The pools make no sense.
    #[error(transparent)]
    Pools(#[from] RoutingError),
    /// The driver ended by a panic.
    #[error("the driver broke: this is a bug; nothing acknowledged is lost, start the node again")]
    DriverBroke,
    /// The listener ended by itself.
    #[error("the listener ended by itself: {0}")]
    ListenerEnded(String),
    /// Stopping took too long.
    #[error("the node did not stop within {0:?}; what was not finished goes on at the next start")]
    StopTimeout(Duration),
}

/// Runs a node until it is told to end (SIGINT, SIGTERM; told twice, the process exits at once), and
/// records its trace where that is asked for.
///
/// # Errors
/// Whatever kept it from starting or from ending well; the process should then exit with a failure.
pub async fn serve(config: Config, record: Option<RecordOptions>) -> Result<(), ServeError> {
    let place = check(&config)?;
    let NodeSection { listen, log, .. } = &config.node;
    let telemetry = telemetry::init(log)?;
    let signals = Signals::listen()
        .map_err(|error| ServeError::System { what: "signals", detail: error.to_string() })?;
    // Bound first: an address that is taken is found out before anything else is touched.
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| ServeError::Listen { address: *listen, source })?;
    let (recording, recorder) = record.map(record::start).transpose()?.unzip();
    let clock = Arc::new(BootClock::start());
    let store = open_store(place, Arc::clone(&clock)).await?;
    let started = Running::start(&config, listener, clock, Arc::clone(&store), recording).await;
    let served = match started {
        Ok(running) => running.until_told(signals).await,
        Err(error) => Err(error),
    };
    if let Some(recorder) = recorder {
        recorder.finish().await;
    }
    if timeout(CLOSE_MAX, store.shutdown()).await.is_err() {
        warn!("the store did not close in time");
    }
    on_a_thread(|| telemetry.finish()).await?;
    served
}

/// Whether a node would start with this configuration, as far as that can be said without touching
/// anything; where its store is.
///
/// # Errors
/// What it would refuse to start with.
pub(crate) fn check(config: &Config) -> Result<StorePlace, ServeError> {
    let NodeSection { listen, role, .. } = &config.node;
    if !listen.ip().to_canonical().is_loopback() && !config.tokens().has_operator() {
        return Err(ServeError::NotLoopback(*listen));
    }
    let place = store_place(config)?;
    if *role != Role::All && matches!(place, StorePlace::Sqlite { .. }) {
        return Err(ServeError::RoleNeedsMongodb);
    }
    Ok(place)
}

fn store_place(config: &Config) -> Result<StorePlace, ServeError> {
    let NodeSection { data_dir, store, .. } = &config.node;
    Ok(StorePlace::parse(store.as_ref().map(ExposeSecret::expose_secret), data_dir)?)
}

/// Brings the store into shape, as a start would, and tells how many bots it knows.
///
/// # Errors
/// When the store cannot be opened, or brought into shape.
pub(crate) async fn migrate(config: &Config) -> Result<usize, ServeError> {
    let place = store_place(config)?;
    let _telemetry = telemetry::init(&config.node.log)?;
    let store = open_store(place, Arc::new(BootClock::start())).await?;
    let bots = store.list_bots().await.map_err(ServeError::Bots);
    store.shutdown().await;
    Ok(bots?.len())
}

async fn open_store(
    place: StorePlace,
    clock: Arc<BootClock>,
) -> Result<Arc<dyn Views>, ServeError> {
    match place {
        StorePlace::Sqlite { directory } => {
            info!(directory = %directory.display(), "opening the embedded store");
            let now: Arc<dyn Fn() -> Timestamp + Send + Sync> = Arc::new(move || clock.now());
            let opening = move || SqliteStore::open(SqliteSettings::new(directory), now);
            Ok(Arc::new(on_a_thread(opening).await??))
        }
        StorePlace::Mongodb { uri } => {
            info!("opening MongoDB");
            let opening = MongoStore::open(MongoSettings::new(uri), StoreTime::Server);
            Ok(Arc::new(opening.await?))
        }
    }
}

/// Runs what blocks on the disk.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServeError> {
    let broke =
        |error: JoinError| ServeError::System { what: "a thread", detail: error.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(broke)
}

/// A node that takes work.
struct Running {
    handle: Handle,
    driver: JoinHandle<()>,
    http: JoinHandle<io::Result<()>>,
    stop_http: CancellationToken,
    /// How long stopping may take.
    stop_max: Duration,
    /// How long lines stay open while the machine stops.
    lines_max: Duration,
    signed_in: SignedIn,
    _measuring: AbortOnDropHandle<()>,
}

impl Running {
    async fn start(
        config: &Config,
        listener: TcpListener,
        clock: Arc<BootClock>,
        store: Arc<dyn Views>,
        recording: Option<Recording>,
    ) -> Result<Self, ServeError> {
        let address = listener
            .local_addr()
            .map_err(|source| ServeError::Listen { address: config.node.listen, source })?;
        let staging = open_staging(config).await?;
        let bots = store.list_bots().await.map_err(ServeError::Bots)?;
        let settings = config.node_settings(NodeId::from(Uuid::new_v4()));
        let role = config.node.role;
        let (runs_bots, runs_workers) = (role.runs_bots(), role.runs_workers());
        let node = Node { settings, seed: seed()?, bots, runs_bots, runs_workers };
        info!(node_id = %node.settings.node_id, ?role, bots = node.bots.len(), "starting");
        let processors = processors(config).await?;
        let files = Arc::new(OnDisk(Arc::clone(&staging)));
        let webhooks = config.webhooks()?;
        let presence = Presence {
            node_id: node.settings.node_id,
            role: role.name().to_owned(),
            listen: address.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let operations =
            Operations::new(Arc::clone(&store), node.settings.clone(), presence.clone());
        let book = Arc::clone(&store);
        let pools = if runs_workers { config.pool_slots() } else { Vec::new() };
        let (vitals, store) = Vitals::of(
            config.observe,
            &pools,
            store,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&staging),
        );
        let ports = Ports { clock, store, processors, files };
        let onlookers = Onlookers { recording, steps: vitals.steps() };
        let (handle, driver) = driver::start_watched(node, ports, onlookers)?;
        for (bot_id, webhook) in webhooks {
            info!(bot_id = bot_id.as_str(), "callbacks are POSTed to the bot's webhook");
            let called = handle.call_consumer(bot_id, Arc::new(webhook)).await;
            called.map_err(|_| ServeError::DriverBroke)?;
        }
        let measuring = tokio::spawn(usage::keep_measured(Arc::clone(&staging)));
        let stop_http = CancellationToken::new();
        let state = HttpState::new(handle.clone(), staging).with_limits(config.http);
        let state = state.with_tokens(config.tokens()).accepting_v0(config.protocol.accept_v0);
        let state = state.with_operations(operations);
        let state = state.running_bots(runs_bots).with_vitals(vitals);
        let http = tokio::spawn(http::serve(listener, state, stop_http.clone()));
        announce(address);
        let signed_in = SignedIn::keep(book, presence);
        let _measuring = AbortOnDropHandle::new(measuring);
        let (stop_max, lines_max) = (config.stop_max(), config.http.shutdown_grace);
        Ok(Self { handle, driver, http, stop_http, stop_max, lines_max, signed_in, _measuring })
    }

    /// Works until it is told to end, then stops in order.
    async fn until_told(mut self, mut signals: Signals) -> Result<(), ServeError> {
        tokio::select! {
            biased;
            _ = &mut self.driver => {
                error!("the driver broke");
                self.stop_http.cancel();
                return Err(ServeError::DriverBroke);
            }
            ended = &mut self.http => {
                let reason = match ended {
                    Ok(Ok(())) => "without a reason".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                error!(reason, "the listener ended by itself");
                let _ = timeout(self.stop_max, self.handle.shutdown()).await;
                return Err(ServeError::ListenerEnded(reason));
            }
            signal = signals.next() => info!(signal, "stopping; once more to exit at once"),
        }
        let stop_max = self.stop_max;
        tokio::select! {
            biased;
            stopped = timeout(stop_max, self.stop()) => {
                stopped.unwrap_or(Err(ServeError::StopTimeout(stop_max)))
            }
            signal = signals.next() => {
                warn!(signal, "exiting at once");
                process::exit(EXIT_INTERRUPTED)
            }
        }
    }

    /// The machine first, then the listeners; a machine that waits for consumers too long goes on without
    /// their lines.
    async fn stop(self) -> Result<(), ServeError> {
        if timeout(self.lines_max, self.handle.shutdown()).await.is_err() {
            info!("not everything was acknowledged in time: closing the lines");
        }
        self.stop_http.cancel();
        if let Ok(Err(error)) = self.http.await {
            warn!(%error, "the listener did not end well");
        }
        self.handle.shutdown().await;
        self.driver.await.map_err(|_| ServeError::DriverBroke)?;
        self.signed_in.end().await;
        info!("stopped");
        Ok(())
    }
}

fn seed() -> Result<Seed, ServeError> {
    let mut bytes = [0; 32];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(Seed(bytes)),
        Err(error) => Err(ServeError::System { what: "randomness", detail: error.to_string() }),
    }
}

async fn open_staging(config: &Config) -> Result<Arc<Staging>, ServeError> {
    let directory = config.staging_directory();
    match Staging::open(&directory, config.staging_limits()).await {
        Ok(staging) => Ok(Arc::new(staging)),
        Err(source) => Err(ServeError::Staging { directory, source }),
    }
}

/// What turns media into text on this machine, said in the log.
async fn processors(config: &Config) -> Result<BTreeMap<PoolName, Arc<dyn Processor>>, ServeError> {
    let own_program = env::current_exe()
        .map_err(|error| ServeError::System { what: "our own path", detail: error.to_string() })?;
    let directory = config.scratch_directory();
    let scratch = Scratch::open(&directory, config.staging_limits().min_free_bytes)
        .map_err(|source| ServeError::Scratch { directory, source })?;
    let workshop = Workshop { own_program, scratch };
    let Engines { processors, reports } =
        engines::assemble(&config.pool_choices(), &config.engines, workshop).await?;
    for report in reports {
        info!("pool {report}");
    }
    Ok(processors)
}

/// The one line on standard output, for people and for programs that wait for it.
fn announce(address: SocketAddr) {
    let mut out = io::stdout().lock();
    let said = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
    if let Err(error) = said {
        warn!(%error, %address, "nobody reads standard output");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves on any free loopback port, in a directory of its own, but for what `change` changes.
    async fn refused(change: impl FnOnce(&mut NodeSection)) -> String {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config::default();
        config.node.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.node.data_dir = directory.path().join("data");
        change(&mut config.node);
        let error = serve(config, None).await.expect_err("it is refused");
        assert!(!directory.path().join("data").exists(), "nothing was touched");
        error.to_string()
    }

    /// Goal: a node that asks nobody for a token is reached from this machine only. Method: addresses
    /// that can be reached from elsewhere.
    #[tokio::test]
    async fn an_address_that_others_reach_is_refused() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let listen = address.parse().expect("an address");
            let why = refused(|node| node.listen = listen).await;
            assert!(why.contains("other machines"), "{why}");
        }
    }

    /// Goal: a store that is not there is refused with what to do instead. Method: a place of an unknown
    /// kind, and an address of MongoDB that makes no sense.
    #[tokio::test]
    async fn a_store_that_is_none_is_refused() {
        let why = refused(|node| node.store = Some("postgres://localhost".into())).await;
        assert!(why.contains("sqlite:DIRECTORY"), "{why}");
        let why = refused(|node| node.store = Some("mongodb://".into())).await;
        assert!(why.contains("the address of MongoDB is not understood"), "{why}");
    }
}
