//! Recordings for engines that read one format only: each is made into plain WAV first.

use std::sync::Arc;

use anteroom_core::message::{Extracted, Outcome};

use super::ffmpeg::{Ffmpeg, Sound};
use super::processor::{BoxFuture, Failure, Processor, Work, require_staged_file};
use super::scratch::Scratch;

/// What the converted recording is declared as.
pub(super) const WAV: &str = "audio/wav";

/// Gives recordings of any format to an engine as WAV, one channel, 16,000 samples a second.
#[derive(Clone)]
pub struct Converted {
    engine: Arc<dyn Processor>,
    ffmpeg: Ffmpeg,
    scratch: Scratch,
}

impl Converted {
    /// `engine` behind `ffmpeg`, with the sound in `scratch` meanwhile.
    pub fn new(engine: Arc<dyn Processor>, ffmpeg: Ffmpeg, scratch: Scratch) -> Self {
        Self { engine, ffmpeg, scratch }
    }

    async fn run(self, work: Work) -> Result<Outcome, Failure> {
        require_staged_file(&work.path).await?;
        let directory = self.scratch.take()?;
        let path = directory.path().join("sound.wav");
        let Sound { duration_ms, is_cut } = self.ffmpeg.sound(&work, &path).await?;
        if duration_ms == 0 {
            return Ok(Outcome::Nothing);
        }
        let converted = Work { path, mime_type: WAV.to_owned(), ..work };
        Ok(match self.engine.process(converted).await? {
            Outcome::Text(extracted) => Outcome::Text(Extracted {
                duration_ms: extracted.duration_ms.or(Some(duration_ms)),
                truncated: extracted.truncated || is_cut,
                ..extracted
            }),
            other => other,
        })
    }
}

impl Processor for Converted {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        Box::pin(self.clone().run(work))
    }
}
