//! Videos: what is said in them, by the engine for sound, and what is seen, by the engine for pictures.

use std::sync::Arc;

use anteroom_core::message::{Extracted, MediaKind, Outcome};

use super::ffmpeg::Ffmpeg;
use super::parts::Parts;
use super::processor::{BoxFuture, Failure, Processor, Work, require_staged_file};
use super::scratch::Scratch;
use super::sound::WAV;

/// How many frames are looked at unless configured otherwise.
pub const FRAMES_MAX: u32 = 8;

/// Reads videos through the engines of sound and pictures; either may be missing.
#[derive(Clone)]
pub struct Video {
    ffmpeg: Ffmpeg,
    scratch: Scratch,
    sound: Option<Arc<dyn Processor>>,
    frames: Option<Arc<dyn Processor>>,
    frames_max: u32,
}

impl Video {
    /// A processor that takes videos apart with `ffmpeg`.
    pub fn new(
        ffmpeg: Ffmpeg,
        scratch: Scratch,
        sound: Option<Arc<dyn Processor>>,
        frames: Option<Arc<dyn Processor>>,
    ) -> Self {
        Self { ffmpeg, scratch, sound, frames, frames_max: FRAMES_MAX }
    }

    /// Looks at so many frames.
    pub fn with_frames_max(mut self, frames_max: u32) -> Self {
        self.frames_max = frames_max;
        self
    }

    async fn run(self, work: Work) -> Result<Outcome, Failure> {
        require_staged_file(&work.path).await?;
        let directory = self.scratch.take()?;
        let mut parts = Parts::of(&work);
        let mut whole = Extracted::default();
        let mut lines = Vec::new();
        if let Some(engine) = &self.sound {
            let path = directory.path().join("sound.wav");
            match self.ffmpeg.sound(&work, &path).await {
                Ok(sound) if sound.duration_ms == 0 => {}
                Ok(sound) => {
                    whole.duration_ms = Some(sound.duration_ms);
                    if sound.is_cut {
                        parts.leave_out();
                    }
                    let part = Work {
                        path,
                        mime_type: WAV.to_owned(),
                        kind: MediaKind::Audio,
                        filename: None,
                        ..work.clone()
                    };
                    if let Some(said) = parts.read(engine, part).await? {
                        whole.language = said.language;
                        lines.push(format!("Said: {}", said.text));
                    }
                }
                Err(failure) => no_part(&mut parts, failure)?,
            }
        }
        if let Some(engine) = &self.frames {
            let seen = self.see(engine, &work, directory.path(), &mut parts).await?;
            lines.extend(seen.into_iter().map(|seen| format!("Seen: {seen}")));
        }
        parts.finish(lines.join("\n"), whole)
    }

    /// What is seen in the frames, without what the frame before showed already.
    async fn see(
        &self,
        engine: &Arc<dyn Processor>,
        work: &Work,
        directory: &std::path::Path,
        parts: &mut Parts,
    ) -> Result<Vec<String>, Failure> {
        let frames = match self.ffmpeg.frames(work, directory, self.frames_max).await {
            Ok(frames) => frames,
            Err(failure) => {
                no_part(parts, failure)?;
                Vec::new()
            }
        };
        let mut seen: Vec<String> = Vec::new();
        for path in frames {
            if !parts.has_time() {
                parts.leave_out();
                break;
            }
            if let Some(Extracted { text, .. }) = parts.read_picture(engine, work, path).await?
                && seen.last() != Some(&text)
            {
                seen.push(text);
            }
        }
        Ok(seen)
    }
}

/// A part that ffmpeg could not bring; the others may still be read, unless all is to end.
fn no_part(parts: &mut Parts, failure: Failure) -> Result<(), Failure> {
    match failure {
        Failure::Permanent { .. } => {
            parts.fail(failure);
            Ok(())
        }
        Failure::Transient { .. } | Failure::TimedOut | Failure::Cancelled => Err(failure),
    }
}

impl Processor for Video {
    fn name(&self) -> &str {
        "video"
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        Box::pin(self.clone().run(work))
    }
}
