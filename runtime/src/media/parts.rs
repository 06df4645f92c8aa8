//! A file that is read in parts, each by another engine: the pages of a scan, the sound and the frames
//! of a video.
//!
//! Invariants: what an engine has done is never asked for again, so once one part was read the whole
//! does not fail for now: the part that keeps failing is left out and the text marked as cut. A file of
//! which nothing could be read fails as its last part did.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::message::{Extracted, MediaKind, Outcome};
use tokio::time::{Instant, sleep, timeout_at};

use super::processor::{Failure, Processor, Work};

/// What pages and frames are made as.
const PNG: &str = "image/png";

/// How often a part that fails for now is tried again while others have been read.
const RETRIES_MAX: u32 = 2;

/// How long it waits before that, at the most.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(20);

/// How long it waits when nobody said how long.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// The parts of one file that were read so far.
#[derive(Debug)]
pub(super) struct Parts {
    deadline: Instant,
    /// An engine has done work that must not be asked for again.
    some_done: bool,
    is_incomplete: bool,
    last_failure: Option<Failure>,
}

impl Parts {
    /// Begins. A tenth of the whole's time is kept for what comes after the parts.
    pub fn of(whole: &Work) -> Self {
        Self {
            deadline: Instant::now() + whole.timeout.mul_f64(0.9),
            some_done: false,
            is_incomplete: false,
            last_failure: None,
        }
    }

    /// Notes that there are parts which are not read.
    pub fn leave_out(&mut self) {
        self.is_incomplete = true;
    }

    /// Notes that a part could not be had at all.
    pub fn fail(&mut self, failure: Failure) {
        self.is_incomplete = true;
        self.last_failure = Some(failure);
    }

    /// Whether there is time for another part.
    pub fn has_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// Has a picture of ours read, which is a part of `whole`; none when it holds nothing, or could not be read.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_picture(
        &mut self,
        engine: &Arc<dyn Processor>,
        whole: &Work,
        path: PathBuf,
    ) -> Result<Option<Extracted>, Failure> {
        let picture = Work {
            path,
            mime_type: PNG.to_owned(),
            kind: MediaKind::Image,
            filename: None,
            ..whole.clone()
        };
        self.read(engine, picture).await
    }

    /// Has one part read; none when it holds nothing, or could not be read.
    ///
    /// # Errors
    /// The whole was cancelled, or fails for now before anything was read.
    pub async fn read(
        &mut self,
        engine: &Arc<dyn Processor>,
        part: Work,
    ) -> Result<Option<Extracted>, Failure> {
        let cancel = part.cancel.clone();
        let mut retries = 0;
        loop {
            let ended = match timeout_at(self.deadline, engine.process(part.clone())).await {
                Ok(ended) => ended,
                Err(_) => Err(Failure::TimedOut),
            };
            match ended {
                Ok(Outcome::Text(extracted)) => {
                    self.some_done = true;
                    self.is_incomplete |= extracted.truncated;
                    return Ok(Some(extracted));
                }
                Ok(_) => {
                    self.some_done = true;
                    return Ok(None);
                }
                Err(Failure::Cancelled) => return Err(Failure::Cancelled),
                Err(failure @ Failure::Transient { .. }) if !self.some_done => return Err(failure),
                Err(Failure::Transient { retry_after, .. }) if retries < RETRIES_MAX => {
                    retries += 1;
                    let pause = retry_after.unwrap_or(RETRY_PAUSE * retries).min(RETRY_PAUSE_MAX);
                    tokio::select! {
                        biased;
                        () = cancel.cancelled() => return Err(Failure::Cancelled),
                        () = sleep(pause) => {}
                    }
                }
                Err(failure) => {
                    self.fail(failure);
                    return Ok(None);
                }
            }
        }
    }

    /// Puts the whole together from what was read.
    ///
    /// # Errors
    /// Nothing was read, and the last part failed.
    pub fn finish(self, text: String, of: Extracted) -> Result<Outcome, Failure> {
        match (text.trim().is_empty(), self.last_failure) {
            // What failed for now before is not tried again after others were done.
            (true, Some(Failure::Transient { detail, .. })) if self.some_done => {
                Err(Failure::engine(detail))
            }
            (true, Some(failure)) => Err(failure),
            (true, None) => Ok(Outcome::Nothing),
            (false, _) => {
                Ok(Outcome::Text(Extracted { text, truncated: self.is_incomplete, ..of }))
            }
        }
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::media::processor::BoxFuture;

    /// An engine that ends each part as it was told to, and counts.
    struct Scripted(Mutex<(VecDeque<Result<Outcome, Failure>>, u32)>);

    impl Processor for Scripted {
        fn name(&self) -> &str {
            "scripted"
        }

        fn process(&self, _: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
            let mut script = self.0.lock().expect("no panic");
            script.1 += 1;
            let ended = script.0.pop_front().expect("not asked too often");
            Box::pin(async move { ended })
        }
    }

    fn work() -> Work {
        Work {
            path: "/nowhere".into(),
            mime_type: "image/png".to_owned(),
            kind: MediaKind::Image,
            filename: None,
            quota_exceeded: false,
            detail: None,
            timeout: Duration::from_secs(100),
            cancel: CancellationToken::new(),
        }
    }

    fn text(text: &str) -> Outcome {
        Outcome::Text(Extracted { text: text.to_owned(), ..Extracted::default() })
    }

    fn later() -> Result<Outcome, Failure> {
        Err(Failure::Transient { retry_after: None, detail: "busy".to_owned() })
    }

    /// Reads `parts` parts by this script; returns the end, and how often the engine was asked.
    async fn read(
        script: Vec<Result<Outcome, Failure>>,
        parts: usize,
    ) -> (Result<Outcome, Failure>, u32) {
        let scripted = Arc::new(Scripted(Mutex::new((script.into(), 0))));
        let engine: Arc<dyn Processor> = scripted.clone();
        let mut whole = Parts::of(&work());
        let mut texts = Vec::new();
        for _ in 0..parts {
            match whole.read(&engine, work()).await {
                Ok(extracted) => texts.extend(extracted.map(|extracted| extracted.text)),
                Err(failure) => return (Err(failure), scripted.0.lock().expect("no panic").1),
            }
        }
        let asked = scripted.0.lock().expect("no panic").1;
        (whole.finish(texts.join(" "), Extracted::default()), asked)
    }

    /// Goal: what was done is never asked for again, whatever happens to the parts after it.
    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_kept_when_a_later_part_fails() {
        let cut = |text: &str| {
            let text = text.to_owned();
            Ok(Outcome::Text(Extracted { text, truncated: true, ..Extracted::default() }))
        };
        let script = vec![Ok(text("one")), later(), later(), later(), Ok(text("three"))];
        assert_eq!(read(script, 3).await, (cut("one three"), 5));
        let script = vec![Ok(text("one")), later(), Ok(text("two"))];
        assert_eq!(read(script, 2).await, (Ok(text("one two")), 3));
        let script = vec![Err(Failure::engine("broken page")), Ok(text("two"))];
        assert_eq!(read(script, 2).await, (cut("two"), 2));
    }

    /// Goal: what nothing was read of fails as a whole: for now if the first part did, for good if an
    /// engine may have been paid.
    #[tokio::test(start_paused = true)]
    async fn a_whole_of_which_nothing_was_read_fails() {
        assert_eq!(read(vec![later()], 2).await, (later(), 1));
        let script = vec![Err(Failure::engine("a")), Err(Failure::engine("b"))];
        assert_eq!(read(script, 2).await, (Err(Failure::engine("b")), 2));
        let script = vec![Ok(Outcome::Nothing), later(), later(), later()];
        assert_eq!(read(script, 2).await, (Err(Failure::engine("busy")), 4));
        assert_eq!(read(vec![Ok(Outcome::Nothing)], 1).await, (Ok(Outcome::Nothing), 1));
    }
}
