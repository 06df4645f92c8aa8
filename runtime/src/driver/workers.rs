//! The processors at work.
//!
//! Owns the means to cancel each of them. What a processor is, how it is walled in, and when it is
//! aborted, is `run_isolated`'s; here it is started, cancelled, and its end is told in the machine's
//! words.

use std::collections::BTreeMap;
use std::sync::Arc;

use anteroom_core::id::{LeaseToken, MediaId, PoolName};
use anteroom_core::message::{FailureKind, Outcome};
use anteroom_core::pool::event::{ProcessorFailure, Work};
use anteroom_core::time::Millis;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info_span};

use super::ports::StagedFiles;
use super::tasks::{Completion, Tasks};
use crate::media::processor::{self, Failure, Processor, run_isolated};

/// The processors of a node and what they work on.
pub(super) struct Workers {
    processors: BTreeMap<PoolName, Arc<dyn Processor>>,
    files: Arc<dyn StagedFiles>,
    at_work: BTreeMap<(MediaId, LeaseToken), CancellationToken>,
}

impl Workers {
    pub fn new(
        processors: BTreeMap<PoolName, Arc<dyn Processor>>,
        files: Arc<dyn StagedFiles>,
    ) -> Self {
        Self { processors, files, at_work: BTreeMap::new() }
    }

    /// Starts the pool's processor. Its end comes as one [`Completion::Worked`], whatever happens.
    pub fn start(&mut self, tasks: &mut Tasks, work: Work) {
        let (media_id, token) = (work.media_id, work.token);
        let cancel = CancellationToken::new();
        self.at_work.insert((media_id, token), cancel.clone());
        let processor = self.processors.get(&work.pool).cloned();
        let files = Arc::clone(&self.files);
        let span = info_span!(
            "job",
            bot_id = work.bot_id.as_str(),
            %media_id,
            pool = work.pool.as_str()
        );
        let ending = async move {
            let result = match processor {
                None => Ok(no_processor(&work.pool)),
                Some(processor) => {
                    let path = files.path(media_id);
                    run_isolated(processor, isolated(work, path, cancel)).await.map_err(told)
                }
            };
            Completion::Worked { media_id, token, result }
        };
        let ending = ending.instrument(span);
        let broken = Err(ProcessorFailure::Permanent {
            error: FailureKind::Engine,
            detail: Some("the processor panicked".to_owned()),
        });
        tasks.spawn(ending, Completion::Worked { media_id, token, result: broken });
    }

    /// Tells a processor to end.
    pub fn cancel(&self, media_id: MediaId, token: LeaseToken) {
        match self.at_work.get(&(media_id, token)) {
            Some(cancel) => cancel.cancel(),
            None => debug!(%media_id, "a processor was to be cancelled that is not at work"),
        }
    }

    /// Tells all processors to end.
    pub fn cancel_all(&self) {
        self.at_work.values().for_each(CancellationToken::cancel);
    }

    /// A processor has ended.
    pub fn ended(&mut self, media_id: MediaId, token: LeaseToken) {
        self.at_work.remove(&(media_id, token));
    }
}

/// What media of a pool without a processor end as.
fn no_processor(pool: &PoolName) -> Outcome {
    Outcome::Unsupported { detail: Some(format!("no processor configured for {pool}")) }
}

/// The machine's work as processors know it.
fn isolated(work: Work, path: std::path::PathBuf, cancel: CancellationToken) -> processor::Work {
    processor::Work {
        path,
        mime_type: work.mime_type,
        kind: work.kind,
        filename: work.original_filename,
        quota_exceeded: work.quota_exceeded,
        detail: work.detail,
        timeout: work.timeout.into(),
        cancel,
    }
}

/// A processor's failure as the machine knows it.
fn told(failure: Failure) -> ProcessorFailure {
    match failure {
        Failure::Permanent { error, detail } => {
            ProcessorFailure::Permanent { error, detail: Some(detail) }
        }
        Failure::Transient { retry_after, detail } => {
            ProcessorFailure::Transient { retry_after: retry_after.map(Millis::from), detail }
        }
        Failure::TimedOut => ProcessorFailure::TimedOut,
        Failure::Cancelled => ProcessorFailure::Cancelled,
    }
}
