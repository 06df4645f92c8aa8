//! The processors that only explain: what a provider could not download, and what nobody reads.

use anteroom_core::message::Outcome;

use super::processor::{BoxFuture, Failure, Processor, Work};

/// Ends media that the provider reported as corrupt (`media_corrupt_*`), with its reason.
#[derive(Debug, Clone, Copy, Default)]
pub struct Corrupt;

impl Processor for Corrupt {
    fn name(&self) -> &str {
        "corrupt"
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        let Work { quota_exceeded, detail, .. } = work;
        Box::pin(async move { Ok(Outcome::Corrupt { quota_exceeded, detail }) })
    }
}

/// Ends media of a type that no pool takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsupported;

impl Processor for Unsupported {
    fn name(&self) -> &str {
        "unsupported"
    }

    fn process(&self, _work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        Box::pin(async { Ok(Outcome::Unsupported { detail: None }) })
    }
}

/// Ends media of a pool that has no engine on this machine, and says so.
#[derive(Debug, Clone)]
pub struct Unconfigured {
    /// What has no processor, `audio` for example.
    pub what: String,
}

impl Unconfigured {
    /// The reason, as the message, the start-up log and `doctor` say it.
    pub fn reason(&self) -> String {
        format!("no processor configured for {}", self.what)
    }
}

impl Processor for Unconfigured {
    fn name(&self) -> &str {
        "unconfigured"
    }

    fn process(&self, _work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        let detail = Some(self.reason());
        Box::pin(async move { Ok(Outcome::Unsupported { detail }) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anteroom_core::message::MediaKind;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn work() -> Work {
        Work {
            path: "/nowhere".into(),
            mime_type: "media_corrupt_image".to_owned(),
            kind: MediaKind::Image,
            filename: None,
            quota_exceeded: true,
            detail: Some("disk full".to_owned()),
            timeout: Duration::from_secs(1),
            cancel: CancellationToken::new(),
        }
    }

    /// Goal: each of the three says what is known, and needs no file to say it.
    #[tokio::test]
    async fn each_explains_what_it_knows() {
        assert_eq!(
            Corrupt.process(work()).await,
            Ok(Outcome::Corrupt { quota_exceeded: true, detail: Some("disk full".to_owned()) })
        );
        assert_eq!(Unsupported.process(work()).await, Ok(Outcome::Unsupported { detail: None }));
        assert_eq!(
            Unconfigured { what: "audio".to_owned() }.process(work()).await,
            Ok(Outcome::Unsupported {
                detail: Some("no processor configured for audio".to_owned())
            })
        );
    }
}
