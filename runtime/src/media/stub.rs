//! A processor for tests and demonstrations: it waits, then says what it was told to say.

use std::time::Duration;

use anteroom_core::message::{Extracted, Outcome};

use super::processor::{BoxFuture, Failure, Processor, Work};

/// Waits for `delay`, then ends every file with `text`. Never in a default configuration.
#[derive(Debug, Clone)]
pub struct Stub {
    /// How long the work pretends to take.
    pub delay: Duration,
    /// What every file says; empty for "nothing found".
    pub text: String,
}

impl Processor for Stub {
    fn name(&self) -> &str {
        "stub"
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        let Self { delay, text } = self.clone();
        Box::pin(async move {
            tokio::select! {
                biased;
                () = work.cancel.cancelled() => Err(Failure::Cancelled),
                () = tokio::time::sleep(delay) => Ok(match text.is_empty() {
                    true => Outcome::Nothing,
                    false => Outcome::Text(Extracted { text, ..Extracted::default() }),
                }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use anteroom_core::message::MediaKind;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn work(cancel: &CancellationToken) -> Work {
        Work {
            path: "/nowhere".into(),
            mime_type: "audio/ogg".to_owned(),
            kind: MediaKind::Audio,
            filename: None,
            quota_exceeded: false,
            detail: None,
            timeout: Duration::from_secs(1),
            cancel: cancel.clone(),
        }
    }

    /// Goal: it says its text when its time has come, and stops when told to.
    #[cfg(not(madsim))]
    #[tokio::test(start_paused = true)]
    async fn it_waits_and_speaks_unless_cancelled() {
        let stub = Stub { delay: Duration::from_secs(3), text: "see you at eight".to_owned() };
        let cancel = CancellationToken::new();
        let start = tokio::time::Instant::now();
        let spoken = stub.process(work(&cancel)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        let expected = Extracted { text: "see you at eight".to_owned(), ..Extracted::default() };
        assert_eq!(spoken, Ok(Outcome::Text(expected)));
        cancel.cancel();
        assert_eq!(stub.process(work(&cancel)).await, Err(Failure::Cancelled));
    }
}
