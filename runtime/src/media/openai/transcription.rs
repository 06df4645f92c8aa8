//! Speech to text: `POST /audio/transcriptions`, the recording streamed from the disk.

use std::path::Path;

use anteroom_core::message::Outcome;
use futures_util::StreamExt;
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::endpoint::{AllSent, Endpoint, Request};
use super::transcript;
use crate::media::processor::{BoxFuture, Failure, Processor, Work, require_staged_file};

/// How much of a recording is in memory at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Has recordings transcribed by an OpenAI-compatible server.
#[derive(Debug, Clone)]
pub struct Transcriber {
    name: String,
    endpoint: Endpoint,
    settings: TranscriptionSettings,
}

/// How the server is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscriptionSettings {
    /// Which model, as the server calls it.
    pub model: String,
    /// The language that is spoken, as the server wants it (`en`); none to let it find out.
    pub language: Option<String>,
    /// Words that are likely to be heard.
    pub prompt: Option<String>,
    /// What the server is asked to answer with.
    pub answer_format: AnswerFormat,
    /// From which probability of silence on a segment is left out.
    pub no_speech_probability_max: f64,
    /// How large a file the server takes; larger ones fail without being sent.
    pub file_bytes_max: Option<u64>,
}

/// The formats of an answer that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerFormat {
    /// With segments, and for each the probability that it is silence.
    #[default]
    VerboseJson,
    /// The text alone, for models that know nothing else: silence cannot be told from speech.
    Json,
}

impl AnswerFormat {
    fn name(self) -> &'static str {
        match self {
            Self::VerboseJson => "verbose_json",
            Self::Json => "json",
        }
    }
}

impl TranscriptionSettings {
    /// The defaults for one model.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            language: None,
            prompt: None,
            answer_format: AnswerFormat::default(),
            no_speech_probability_max: 0.6,
            file_bytes_max: None,
        }
    }
}

impl Transcriber {
    /// A processor called `name` that asks `endpoint`.
    pub fn new(
        name: impl Into<String>,
        endpoint: Endpoint,
        settings: TranscriptionSettings,
    ) -> Self {
        Self { name: name.into(), endpoint, settings }
    }

    async fn transcribe(&self, work: &Work) -> Result<Outcome, Failure> {
        require_staged_file(&work.path).await?;
        let request =
            || -> BoxFuture<'_, _> { Box::pin(self.request(&work.path, &work.mime_type)) };
        let answer = self.endpoint.ask(&work.cancel, request).await?;
        transcript::outcome(&answer, self.settings.no_speech_probability_max)
    }

    async fn request(&self, path: &Path, mime_type: &str) -> Result<Request, Failure> {
        let (recording, all_sent) = self.recording(path, mime_type).await?;
        let mut form = Form::new()
            .text("model", self.settings.model.clone())
            .text("response_format", self.settings.answer_format.name());
        if let Some(language) = &self.settings.language {
            form = form.text("language", language.clone());
        }
        if let Some(prompt) = &self.settings.prompt {
            form = form.text("prompt", prompt.clone());
        }
        // Last, so that a server that reads in order knows what to do with it.
        form = form.part("file", recording);
        Ok(Request {
            builder: self.endpoint.post("audio/transcriptions").multipart(form),
            all_sent,
        })
    }

    /// The recording as a part of known length.
    async fn recording(&self, path: &Path, mime_type: &str) -> Result<(Part, AllSent), Failure> {
        let file = File::open(path).await.map_err(not_opened)?;
        let bytes = file.metadata().await.map_err(not_opened)?.len();
        if let Some(bytes_max) = self.settings.file_bytes_max
            && bytes > bytes_max
        {
            return Err(Failure::engine(format!(
                "the file has {bytes} bytes, and the server takes {bytes_max}"
            )));
        }
        let all_sent = AllSent::default();
        let mark = all_sent.clone();
        // Not more than was announced, should somebody write to the file.
        let chunks = ReaderStream::with_capacity(file.take(bytes), CHUNK_BYTES);
        let mut left = bytes;
        let chunks = chunks.inspect(move |chunk| {
            let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            left = left.saturating_sub(length);
            if left == 0 {
                mark.set();
            }
        });
        let essence = essence(mime_type);
        let part = Part::stream_with_length(Body::wrap_stream(chunks), bytes)
            .file_name(format!("recording.{}", extension(&essence)));
        // Servers tell formats by name or content; a type that cannot be sent is left out.
        let typed = match essence.parse::<mime_guess::mime::Mime>() {
            Ok(_) => part.mime_str(&essence).map_err(|error| Failure::engine(error.to_string()))?,
            Err(_) => part,
        };
        Ok((typed, all_sent))
    }
}

impl Processor for Transcriber {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        let transcriber = self.clone();
        Box::pin(async move { transcriber.transcribe(&work).await })
    }
}

fn not_opened(error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => Failure::file_missing(),
        _ => Failure::Transient {
            retry_after: None,
            detail: format!("the staged file could not be opened: {error}"),
        },
    }
}

/// The declared type without parameters, in small letters.
fn essence(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What a file of this type is usually called; servers go by that. The sender's name for it stays
/// here.
fn extension(essence: &str) -> &'static str {
    match essence {
        "audio/mpeg" | "audio/mp3" | "audio/mpga" => "mp3",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" | "audio/mp4a-latm" => "m4a",
        "audio/aac" | "audio/aacp" | "audio/x-aac" => "aac",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/webm" | "video/webm" => "webm",
        "audio/flac" | "audio/x-flac" => "flac",
        "audio/amr" | "audio/amr-nb" | "audio/3gpp" => "amr",
        "video/mp4" => "mp4",
        // Voice notes, and what nobody has heard of.
        _ => "ogg",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: servers that go by the name's end get one that fits, whatever the sender declared.
    #[test]
    fn names_end_as_their_type_does() {
        for (mime_type, expected) in [
            ("audio/ogg; codecs=opus", "ogg"),
            ("AUDIO/MPEG", "mp3"),
            ("audio/x-m4a", "m4a"),
            ("audio/../../etc/passwd", "ogg"),
            ("", "ogg"),
        ] {
            assert_eq!(extension(&essence(mime_type)), expected, "{mime_type}");
        }
    }
}
