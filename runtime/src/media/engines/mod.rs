//! Which processor each pool has on this machine, by configuration or by looking around.
//!
//! Without configuration documents are always read, pictures where `tesseract` is installed, recordings
//! where a speech program and its model are, or by a server that the environment names, and videos
//! where there is an engine for what is said or seen in them. A pool without an engine is not dead: its
//! jobs end as *unsupported* with the reason, and the start-up log and `doctor` say the same in one
//! line a pool.

mod build;
mod found;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anteroom_core::id::PoolName;

use self::build::Builder;
use self::found::Found;
use super::explain::Unconfigured;
use super::processor::Processor;
use super::scratch::Scratch;
use super::settings::EngineTable;

/// The processors of the pools, and what to tell about them.
#[derive(Clone)]
pub struct Engines {
    /// One processor a pool.
    pub processors: BTreeMap<PoolName, Arc<dyn Processor>>,
    /// One report a pool, in the order of the pools.
    pub reports: Vec<PoolReport>,
}

/// What a pool uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolReport {
    /// Which pool.
    pub pool: PoolName,
    /// What it uses, for people: `tesseract 5.3.0 (eng)`.
    pub line: String,
    /// Whether anything reads its media.
    pub has_engine: bool,
}

impl std::fmt::Display for PoolReport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.pool, self.line)
    }
}

/// An engine cannot be what the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is no engine of this name.
    #[error(
        "{user} uses the engine {engine:?}, which is neither in the configuration nor one of {known}"
    )]
    Unknown {
        /// Who uses it.
        user: String,
        /// Its name.
        engine: String,
        /// The names that are always known.
        known: String,
    },
    /// It cannot work.
    #[error("the engine {engine:?} cannot work: {reason}")]
    Unusable {
        /// Its name.
        engine: String,
        /// Why.
        reason: String,
    },
    /// A pool says nothing of an engine, and has no name that would.
    #[error("the pool {pool} names no engine: give it `engine = \"…\"`")]
    NotNamed {
        /// Which pool.
        pool: PoolName,
    },
    /// Engines use one another in a circle.
    #[error("the engine {engine:?} uses itself, by way of others or directly")]
    Circle {
        /// One of them.
        engine: String,
    },
}

/// What engines are made from.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// This project's binary, whose subcommands read hostile files.
    pub own_program: PathBuf,
    /// Where engines put what they make on the way.
    pub scratch: Scratch,
}

/// A pool, and the engine that it names.
pub type PoolChoice = (PoolName, Option<String>);

/// Finds out what each of `pools` uses. `table` holds the configured engines.
///
/// # Errors
/// [`EngineError`], for what the configuration asks for. What was only found and does not work is no
/// error: the pool has no engine then, and its report says so.
pub async fn assemble(
    pools: &[PoolChoice],
    table: &EngineTable,
    workshop: Workshop,
) -> Result<Engines, EngineError> {
    let found = Found::look(|name| std::env::var(name).ok()).await;
    let builder = Builder { table, found, workshop };
    let mut engines = Engines { processors: BTreeMap::new(), reports: Vec::new() };
    for (pool, engine) in pools {
        let choice = match engine {
            Some(engine) => builder.named(&format!("the pool {pool}"), engine, &mut Vec::new())?,
            None => builder.usual(pool)?,
        };
        engines.add(pool, choice);
    }
    Ok(engines)
}

/// An engine, or why there is none.
enum Choice {
    Engine { processor: Arc<dyn Processor>, line: String },
    None { hint: Option<String> },
}

impl Choice {
    fn new(processor: impl Processor + 'static, line: impl Into<String>) -> Self {
        Self::Engine { processor: Arc::new(processor), line: line.into() }
    }

    fn none(hint: impl Into<String>) -> Self {
        Self::None { hint: Some(hint.into()) }
    }

    fn processor(&self) -> Option<&Arc<dyn Processor>> {
        match self {
            Self::Engine { processor, .. } => Some(processor),
            Self::None { .. } => None,
        }
    }
}

impl Engines {
    fn add(&mut self, pool: &PoolName, choice: Choice) {
        let (processor, line, has_engine) = match choice {
            Choice::Engine { processor, line } => (processor, line, true),
            Choice::None { hint } => {
                let unconfigured = Unconfigured { what: pool.to_string() };
                let line = match hint {
                    None => format!("none ({})", unconfigured.reason()),
                    Some(hint) => format!("none ({}; {hint})", unconfigured.reason()),
                };
                (Arc::new(unconfigured) as Arc<dyn Processor>, line, false)
            }
        };
        self.reports.push(PoolReport { pool: pool.clone(), line, has_engine });
        self.processors.insert(pool.clone(), processor);
    }
}
