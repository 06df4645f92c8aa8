//! `[engines.ENGINE]`: what turns media into text.

use super::named::check_name;
use super::section::{Faults, Keys, Section};
use super::value::{count, size, text_checked, time_or_none, word};
use crate::media::openai::AnswerFormat;
use crate::media::settings::{EngineSettings, ProcessorKind};

const PROCESSORS: &[(&str, Option<ProcessorKind>)] = &[
    ("openai", Some(ProcessorKind::Openai)),
    ("command", Some(ProcessorKind::Command)),
    ("tesseract", Some(ProcessorKind::Tesseract)),
    ("pocketsphinx", Some(ProcessorKind::Pocketsphinx)),
    ("whisper", Some(ProcessorKind::Whisper)),
    ("video", Some(ProcessorKind::Video)),
    ("document", Some(ProcessorKind::Document)),
    ("stub", Some(ProcessorKind::Stub)),
];

const ANSWER_FORMATS: &[(&str, AnswerFormat)] =
    &[("verbose_json", AnswerFormat::VerboseJson), ("json", AnswerFormat::Json)];

/// Any text but an empty one.
fn said(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("it is empty".to_owned()) } else { Ok(()) }
}

impl Section for EngineSettings {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self {
            processor,
            base_url,
            api_key,
            transcription_model,
            vision_model,
            transcription_prompt,
            vision_prompt,
            answer_format,
            max_no_speech_percent,
            max_upload_bytes,
            language,
            command,
            convert_to_wav,
            max_output_bytes,
            languages,
            model,
            sound,
            frames,
            max_frames,
            scans,
            max_scanned_pages,
            delay,
            text,
        } = self;
        keys.key(
            "processor",
            &mut word(processor, PROCESSORS),
            "What it works with; without it, what its name says",
        );
        let mut openai = |name, value: &mut Option<String>, form, about| {
            keys.key(name, &mut text_checked(value, form, said), about);
        };
        openai(
            "base_url",
            base_url,
            "an address, as in \"https://api.openai.com/v1\", which is also the default",
            "`openai`: where the server is",
        );
        openai(
            "transcription_model",
            transcription_model,
            "a text",
            "`openai`: the model that transcribes recordings; without it, the server does not",
        );
        openai(
            "vision_model",
            vision_model,
            "a text",
            "`openai`: the model that describes pictures; without it, the server does not",
        );
        openai(
            "transcription_prompt",
            transcription_prompt,
            "a text",
            "`openai`: words that are likely to be heard",
        );
        openai("vision_prompt", vision_prompt, "a text", "`openai`: what is asked about a picture");
        openai(
            "language",
            language,
            "a code, as in \"en\"",
            "`openai`, `whisper`: the language that is spoken; without it, the model finds out",
        );
        keys.key("api_key", api_key, "`openai`: the key for the server");
        keys.key(
            "answer_format",
            &mut word(answer_format, ANSWER_FORMATS),
            "`openai`: what the server is asked to answer a transcription with; `json` is for models \
             that know nothing else, and cannot tell silence from speech",
        );
        keys.key(
            "max_no_speech_percent",
            &mut count(max_no_speech_percent),
            "`openai`: up to which probability of silence words are kept",
        );
        keys.key(
            "max_upload_bytes",
            &mut size(max_upload_bytes),
            "`openai`: how large a file the server takes",
        );
        keys.key(
            "command",
            command,
            "`command`: the program and its arguments, with {path}, {mime} and {filename} in them",
        );
        keys.key(
            "convert_to_wav",
            convert_to_wav,
            "`command`: sound is made into WAV first, of one channel and 16,000 samples a second",
        );
        keys.key(
            "max_output_bytes",
            &mut size(max_output_bytes),
            "`command`: how much of what the program prints is kept",
        );
        keys.key(
            "languages",
            languages,
            "`tesseract`: the languages, as it calls them; without any, up to three that are installed",
        );
        keys.key("model", model, "`whisper`: the file of the model");
        let name = "the name of an engine";
        keys.key(
            "sound",
            &mut text_checked(sound, name, check_name),
            "`video`: the engine for what is said; without it, that is not heard",
        );
        keys.key(
            "frames",
            &mut text_checked(frames, name, check_name),
            "`video`: the engine for what is seen; without it, that is not looked at",
        );
        keys.key(
            "max_frames",
            &mut count(max_frames),
            "`video`, `openai`: how many frames of a video are looked at",
        );
        keys.key(
            "scans",
            &mut text_checked(scans, name, check_name),
            "`document`: the engine for the pages of scans; without it, they hold nothing",
        );
        keys.key(
            "max_scanned_pages",
            &mut count(max_scanned_pages),
            "`document`: how many pages of a scan are read",
        );
        keys.key("delay", &mut time_or_none(delay), "`stub`: how long it waits");
        keys.key(
            "text",
            &mut text_checked(text, "a text", |_| Ok(())),
            "`stub`: what it says; without it, that nothing was found",
        );
    }

    fn check(&self, faults: &mut Faults) {
        if self.max_no_speech_percent > 100 {
            faults.add(&["max_no_speech_percent"], "a probability is at most 100 percent");
        }
    }
}
