//! One engine that reads several types, each in its own way.

use std::sync::Arc;

use anteroom_core::message::{MediaKind, Outcome};

use super::ffmpeg::Ffmpeg;
use super::processor::{BoxFuture, Failure, Processor, Work};
use super::scratch::Scratch;
use super::video::Video;

/// Gives each file to the processor of its type.
#[derive(Clone)]
pub struct ByType {
    name: String,
    sound: Option<Arc<dyn Processor>>,
    pictures: Option<Arc<dyn Processor>>,
    videos: Option<Arc<dyn Processor>>,
}

impl ByType {
    /// An engine called `name` that reads nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), sound: None, pictures: None, videos: None }
    }

    /// Has recordings read by `processor`.
    pub fn for_sound(mut self, processor: impl Processor + 'static) -> Self {
        self.sound = Some(Arc::new(processor));
        self
    }

    /// Has pictures read by `processor`.
    pub fn for_pictures(mut self, processor: impl Processor + 'static) -> Self {
        self.pictures = Some(Arc::new(processor));
        self
    }

    /// Has videos taken apart by `ffmpeg` for the processors of sound and pictures that are there.
    pub fn for_videos(mut self, ffmpeg: Ffmpeg, scratch: Scratch, frames_max: u32) -> Self {
        let video = Video::new(ffmpeg, scratch, self.sound.clone(), self.pictures.clone());
        self.videos = Some(Arc::new(video.with_frames_max(frames_max)));
        self
    }

    fn processor(&self, work: &Work) -> Option<&Arc<dyn Processor>> {
        let kind = work.mime_type.split('/').next().unwrap_or_default().trim();
        let kind = match kind.to_ascii_lowercase().as_str() {
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            "image" => MediaKind::Image,
            _ => work.kind,
        };
        match kind {
            MediaKind::Audio => self.sound.as_ref(),
            MediaKind::Video => self.videos.as_ref(),
            MediaKind::Image | MediaKind::Sticker => self.pictures.as_ref(),
            MediaKind::Document => None,
        }
    }
}

impl Processor for ByType {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        match self.processor(&work) {
            Some(processor) => processor.process(work),
            None => {
                let detail = Some(format!("{} does not read this type", self.name));
                Box::pin(async move { Ok(Outcome::Unsupported { detail }) })
            }
        }
    }
}
