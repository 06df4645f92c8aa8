//! The processor port: what every engine looks like to a worker, and the walls around it.
//!
//! Owns the shapes that go in and come out, and [`run_isolated`], the only way a worker calls a
//! processor: a panic, a hang or a cancellation costs its own job and nothing else, and a slot is
//! free only when the work in it has ended.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::message::{FailureKind, MediaKind, Outcome};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A future that can be sent between threads, as the port needs it to be usable as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How long a processor that was told to stop may take before its task is aborted.
const WIND_DOWN_MAX: Duration = Duration::from_secs(10);

/// Something that turns one media file into an outcome.
pub trait Processor: Send + Sync {
    /// What it is called in logs, metrics and `doctor`.
    fn name(&self) -> &str;

    /// Works on one file until it is done or `work.cancel` is cancelled.
    ///
    /// Dropping the future ends the work too. The file is never deleted or changed.
    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>>;
}

/// One file to work on.
#[derive(Debug, Clone)]
pub struct Work {
    /// The staged file, as an absolute path.
    pub path: PathBuf,
    /// The declared MIME type, parameters included.
    pub mime_type: String,
    /// What a person would call it.
    pub kind: MediaKind,
    /// The file name its sender gave it.
    pub filename: Option<String>,
    /// The provider had no space for it (only with a corrupt type).
    pub quota_exceeded: bool,
    /// The provider's reason (only with a corrupt type).
    pub detail: Option<String>,
    /// How long the work may take.
    pub timeout: Duration,
    /// Tells the work to stop.
    pub cancel: CancellationToken,
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It would fail again.
    #[error("{error:?}: {detail}")]
    Permanent {
        /// What kind of failure.
        error: FailureKind,
        /// What the processor said.
        detail: String,
    },
    /// It may succeed later.
    #[error("for now: {detail}")]
    Transient {
        /// When the engine said it wants to be asked again.
        retry_after: Option<Duration>,
        /// What the processor said.
        detail: String,
    },
    /// It did not end in time; the work has ended.
    #[error("timed out")]
    TimedOut,
    /// It was told to stop; the work has ended.
    #[error("cancelled")]
    Cancelled,
}

impl Failure {
    /// A permanent failure of the engine itself.
    pub fn engine(detail: impl Into<String>) -> Self {
        Self::Permanent { error: FailureKind::Engine, detail: detail.into() }
    }

    /// The file cannot be read as what it is.
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::Permanent { error: FailureKind::Unreadable, detail: detail.into() }
    }

    /// The file is not there.
    pub fn file_missing() -> Self {
        Self::Permanent {
            error: FailureKind::FileMissing,
            detail: "the staged file is not there".to_owned(),
        }
    }
}

/// What a worker does when the work is to stop early.
enum Stop {
    TimedOut,
    Cancelled,
}

/// Runs `processor` on `work` in a task of its own and returns when that task has ended.
///
/// A panic becomes a permanent failure. When `work.timeout` has passed or `work.cancel` is
/// cancelled, the processor is told to stop and *awaited*, so that its slot is never given away
/// while it goes on; a processor that ignores the request is aborted after ten seconds. An outcome that
/// arrives while the work is winding down is kept, since it was paid for.
///
/// Dropping the returned future cancels and aborts the task without awaiting it.
pub async fn run_isolated(
    processor: Arc<dyn Processor>,
    mut work: Work,
) -> Result<Outcome, Failure> {
    let timeout = work.timeout;
    let outer = std::mem::take(&mut work.cancel);
    let inner = outer.child_token();
    work.cancel = inner.clone();
    let mut task =
        Task { cancel: inner, handle: tokio::spawn(async move { processor.process(work).await }) };
    let stop = tokio::select! {
        biased;
        ended = &mut task.handle => return ended.unwrap_or_else(|_| Err(panicked())),
        () = outer.cancelled() => Stop::Cancelled,
        () = tokio::time::sleep(timeout) => Stop::TimedOut,
    };
    match (task.wind_down().await, stop) {
        (Some(Ok(outcome)), _) => Ok(outcome),
        (Some(Err(_)) | None, Stop::TimedOut) => Err(Failure::TimedOut),
        (Some(Err(_)) | None, Stop::Cancelled) => Err(Failure::Cancelled),
    }
}

/// The failure of a processor that broke.
fn panicked() -> Failure {
    Failure::engine("the processor panicked")
}

/// The running work; it cannot outlive this value.
struct Task {
    cancel: CancellationToken,
    handle: JoinHandle<Result<Outcome, Failure>>,
}

impl Task {
    /// Asks the work to stop, insists after a while, and returns when it has ended.
    async fn wind_down(&mut self) -> Option<Result<Outcome, Failure>> {
        self.cancel.cancel();
        let ended = match tokio::time::timeout(WIND_DOWN_MAX, &mut self.handle).await {
            Ok(ended) => ended,
            Err(_) => {
                self.handle.abort();
                (&mut self.handle).await
            }
        };
        ended.ok()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.handle.abort();
    }
}

/// Refuses what is no regular file, so that no processor follows a link out of staging or waits on a
/// pipe.
#[cfg(not(madsim))]
pub(crate) async fn require_staged_file(path: &std::path::Path) -> Result<(), Failure> {
    match tokio::fs::symlink_metadata(path).await {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(Failure::unreadable("the staged file is not a regular file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Failure::file_missing()),
        Err(error) => Err(Failure::Transient {
            retry_after: None,
            detail: format!("the staged file could not be looked at: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor made of a closure.
    struct Fake<F>(F);

    impl<F, R> Processor for Fake<F>
    where
        F: Fn(Work) -> R + Send + Sync,
        R: Future<Output = Result<Outcome, Failure>> + Send + 'static,
    {
        fn name(&self) -> &str {
            "fake"
        }

        fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
            Box::pin(self.0(work))
        }
    }

    fn work(timeout: Duration) -> Work {
        Work {
            path: "/nowhere".into(),
            mime_type: "audio/ogg".to_owned(),
            kind: MediaKind::Audio,
            filename: None,
            quota_exceeded: false,
            detail: None,
            timeout,
            cancel: CancellationToken::new(),
        }
    }

    /// Goal: a panic costs its own job only. Method: panic, then see a typed failure.
    #[tokio::test]
    async fn a_panic_is_a_permanent_failure() {
        async fn broken(_: Work) -> Result<Outcome, Failure> {
            panic!("deliberate, by the test")
        }
        let ended = run_isolated(Arc::new(Fake(broken)), work(Duration::from_secs(5))).await;
        assert_eq!(ended, Err(panicked()));
    }

    /// Goal: the slot is not free before the work has ended. Method: a processor that notes its end
    /// only after it was told to stop.
    #[tokio::test]
    async fn a_timeout_awaits_the_end_of_the_work() {
        let ended = CancellationToken::new();
        let seen = ended.clone();
        let slow = move |work: Work| {
            let ended = ended.clone();
            async move {
                work.cancel.cancelled().await;
                tokio::task::yield_now().await;
                ended.cancel();
                Err(Failure::Cancelled)
            }
        };
        let result = run_isolated(Arc::new(Fake(slow)), work(Duration::from_millis(10))).await;
        assert_eq!(result, Err(Failure::TimedOut));
        assert!(seen.is_cancelled());
    }

    /// Goal: a processor that ignores the request to stop is ended all the same. Method: paused time,
    /// a future that never ends.
    #[cfg(not(madsim))]
    #[tokio::test(start_paused = true)]
    async fn a_processor_that_ignores_cancellation_is_aborted() {
        let deaf = |_: Work| std::future::pending();
        let result = run_isolated(Arc::new(Fake(deaf)), work(Duration::from_secs(1))).await;
        assert_eq!(result, Err(Failure::TimedOut));
    }

    /// Goal: cancellation reaches the processor, and its end is told as such.
    #[tokio::test]
    async fn cancellation_is_passed_on() {
        let obedient = |work: Work| async move {
            work.cancel.cancelled().await;
            Err(Failure::engine("killed by signal 9"))
        };
        let work = work(Duration::from_secs(60));
        let cancel = work.cancel.clone();
        let running = tokio::spawn(run_isolated(Arc::new(Fake(obedient)), work));
        cancel.cancel();
        assert_eq!(running.await.expect("no panic"), Err(Failure::Cancelled));
    }

    /// Goal: what was paid for is kept. Method: an outcome that arrives while winding down.
    #[tokio::test]
    async fn an_outcome_that_arrives_late_is_kept() {
        let late = |work: Work| async move {
            work.cancel.cancelled().await;
            Ok(Outcome::Nothing)
        };
        let result = run_isolated(Arc::new(Fake(late)), work(Duration::from_millis(5))).await;
        assert_eq!(result, Ok(Outcome::Nothing));
    }

    /// Goal: nothing goes on when the caller is gone. Method: drop the running call and wait for the
    /// token to be cancelled.
    #[tokio::test]
    async fn dropping_the_call_cancels_the_work() {
        let (started, mut tokens) = tokio::sync::mpsc::unbounded_channel();
        let waiting = move |work: Work| {
            started.send(work.cancel).expect("the test listens");
            std::future::pending()
        };
        let call =
            tokio::spawn(run_isolated(Arc::new(Fake(waiting)), work(Duration::from_secs(60))));
        let token = tokens.recv().await.expect("it started");
        call.abort();
        token.cancelled().await;
    }
}
