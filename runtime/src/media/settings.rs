//! What can be chosen about an engine.
//!
//! Owns plain values; nothing here is looked for or opened: [`super::engines`] does that.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::openai::AnswerFormat;

/// Engines by the names that pools use.
pub type EngineTable = BTreeMap<String, EngineSettings>;

/// What an engine works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessorKind {
    /// An OpenAI-compatible server.
    Openai,
    /// A local program that prints the text of a file.
    Command,
    /// Pictures, through tesseract.
    Tesseract,
    /// Recordings, through pocketsphinx behind ffmpeg.
    Pocketsphinx,
    /// Recordings, through whisper.cpp's `whisper-cli` behind ffmpeg.
    Whisper,
    /// Videos, taken apart by ffmpeg for two other engines.
    Video,
    /// Documents, in a limited child process.
    Document,
    /// Waits, and says a fixed text: for tests and demonstrations.
    Stub,
}

impl ProcessorKind {
    /// All of them, by the names that users write.
    pub const NAMES: &[(&str, Self)] = &[
        ("openai", Self::Openai),
        ("command", Self::Command),
        ("tesseract", Self::Tesseract),
        ("pocketsphinx", Self::Pocketsphinx),
        ("whisper", Self::Whisper),
        ("video", Self::Video),
        ("document", Self::Document),
        ("stub", Self::Stub),
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let known = Self::NAMES.iter().find(|(_, kind)| *kind == self);
        known.map_or("", |(name, _)| name)
    }
}

/// One engine. Which values matter depends on the processor.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// What it works with; none for what its name says.
    pub processor: Option<ProcessorKind>,
    /// `openai`: where the server is.
    pub base_url: Option<String>,
    /// `openai`: the key for it.
    pub api_key: Option<SecretString>,
    /// `openai`: the model that transcribes; none when the server does not.
    pub transcription_model: Option<String>,
    /// `openai`: the model that describes pictures; none when the server does not.
    pub vision_model: Option<String>,
    /// `openai`: words that are likely to be heard.
    pub transcription_prompt: Option<String>,
    /// `openai`: what is asked about a picture.
    pub vision_prompt: Option<String>,
    /// `openai`: what the server is asked to answer a transcription with.
    pub answer_format: AnswerFormat,
    /// `openai`: from which probability of silence on words are left out, in percent.
    pub max_no_speech_percent: u32,
    /// `openai`: how large a file the server takes, in bytes.
    pub max_upload_bytes: u64,
    /// `openai`, `whisper`: the language that is spoken; none to let the model find out.
    pub language: Option<String>,
    /// `command`: the program and its arguments.
    pub command: Vec<String>,
    /// `command`: sound is made into WAV first.
    pub convert_to_wav: bool,
    /// `command`: how much of the output is kept, in bytes.
    pub max_output_bytes: u64,
    /// `tesseract`: the languages; empty for those that are installed.
    pub languages: Vec<String>,
    /// `whisper`: the model's file.
    pub model: Option<PathBuf>,
    /// `video`: the engine for the sound; none when it is not to be heard.
    pub sound: Option<String>,
    /// `video`: the engine for the frames; none when they are not to be looked at.
    pub frames: Option<String>,
    /// `video`, `openai`: how many frames are looked at.
    pub max_frames: u32,
    /// `document`: the engine for the pages of scans; none when they are not to be read.
    pub scans: Option<String>,
    /// `document`: how many pages of a scan are read.
    pub max_scanned_pages: u32,
    /// `stub`: how long it waits.
    pub delay: Duration,
    /// `stub`: what it says; none for "nothing found".
    pub text: Option<String>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            processor: None,
            base_url: None,
            api_key: None,
            transcription_model: None,
            vision_model: None,
            transcription_prompt: None,
            vision_prompt: None,
            answer_format: AnswerFormat::default(),
            max_no_speech_percent: 60,
            max_upload_bytes: 2 * 1024 * 1024 * 1024,
            language: None,
            command: Vec::new(),
            convert_to_wav: false,
            max_output_bytes: super::command::OUTPUT_BYTES_MAX as u64,
            languages: Vec::new(),
            model: None,
            sound: None,
            frames: None,
            max_frames: super::video::FRAMES_MAX,
            scans: None,
            max_scanned_pages: super::document::PAGES_MAX,
            delay: Duration::ZERO,
            text: None,
        }
    }
}
