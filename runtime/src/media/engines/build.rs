//! How engines are made: from the configuration, or from what was found.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anteroom_core::id::PoolName;
use secrecy::ExposeSecret;

use super::found::{Found, Program};
use super::{Choice, EngineError, Workshop};
use crate::media::by_type::ByType;
use crate::media::command::{CommandProcessor, Template};
use crate::media::document::{DocumentProcessor, Reader, Scans};
use crate::media::explain::{Corrupt, Unsupported};
use crate::media::ffmpeg::Ffmpeg;
use crate::media::openai::{Endpoint, Transcriber, TranscriptionSettings, Viewer, VisionSettings};
use crate::media::processor::Processor;
use crate::media::settings::{EngineSettings, EngineTable, ProcessorKind};
use crate::media::sound::Converted;
use crate::media::stub::Stub;
use crate::media::video::Video;

/// The engines that need no section in the configuration.
const KNOWN: [&str; 8] = [
    "corrupt",
    "document",
    "openai",
    "pocketsphinx",
    "tesseract",
    "unsupported",
    "video",
    "whisper",
];

/// What a server is asked for that only the environment names.
const TRANSCRIPTION_MODEL: &str = "whisper-1";

/// What whisper.cpp prints where nobody speaks.
const WHISPER_SILENCE: &str = "[BLANK_AUDIO]";
const VISION_MODEL: &str = "gpt-4o-mini";

/// How many languages tesseract reads at once unless configured otherwise; each takes its time.
const LANGUAGES_MAX: usize = 3;

pub(super) struct Builder<'a> {
    pub table: &'a EngineTable,
    pub found: Found,
    pub workshop: Workshop,
}

impl Builder<'_> {
    /// The engine called `engine`, which `user` asks for; `under_way` are those that are being made.
    pub fn named(
        &self,
        user: &str,
        engine: &str,
        under_way: &mut Vec<String>,
    ) -> Result<Choice, EngineError> {
        let Some(settings) = self.table.get(engine) else {
            return self.known(user, engine);
        };
        if under_way.iter().any(|name| name == engine) {
            return Err(EngineError::Circle { engine: engine.to_owned() });
        }
        under_way.push(engine.to_owned());
        let choice = self.configured(engine, settings, under_way)?;
        under_way.pop();
        required(engine, choice)
    }

    /// What a pool of this name uses that says nothing of an engine.
    pub fn usual(&self, pool: &PoolName) -> Result<Choice, EngineError> {
        Ok(match pool.as_str() {
            "audio" => self.sound()?,
            "video" => self.video()?,
            "image" => self.pictures()?,
            "document" => self.documents(&EngineSettings::default(), self.pictures()?.processor()),
            "corrupt" => Choice::new(Corrupt, "says why there is no file"),
            "unsupported" => Choice::new(Unsupported, "says that nothing reads the type"),
            _ => return Err(EngineError::NotNamed { pool: pool.clone() }),
        })
    }

    /// An engine that needs no section.
    fn known(&self, user: &str, engine: &str) -> Result<Choice, EngineError> {
        let choice = match engine {
            "corrupt" | "unsupported" | "document" | "video" => return self.usual(&engine.into()),
            "tesseract" => self.tesseract(&[]),
            "pocketsphinx" => self.pocketsphinx(),
            "whisper" => self.whisper(&EngineSettings::default()),
            "openai" => self.found_server(true, true),
            _ => {
                return Err(EngineError::Unknown {
                    user: user.to_owned(),
                    engine: engine.to_owned(),
                    known: KNOWN.join(", "),
                });
            }
        };
        required(engine, choice)
    }

    fn configured(
        &self,
        name: &str,
        settings: &EngineSettings,
        under_way: &mut Vec<String>,
    ) -> Result<Choice, EngineError> {
        let unusable = |reason: String| EngineError::Unusable { engine: name.to_owned(), reason };
        let Some(processor) = settings.processor.or_else(|| ProcessorKind::named(name)) else {
            let known: Vec<_> = ProcessorKind::NAMES.iter().map(|(name, _)| *name).collect();
            return Err(unusable(format!("it has no processor; there are {}", known.join(", "))));
        };
        match processor {
            ProcessorKind::Openai => self.openai(name, settings).map_err(unusable),
            ProcessorKind::Command => self.command(name, settings).map_err(unusable),
            ProcessorKind::Tesseract => Ok(self.tesseract(&settings.languages)),
            ProcessorKind::Pocketsphinx => Ok(self.pocketsphinx()),
            ProcessorKind::Whisper => Ok(self.whisper(settings)),
            ProcessorKind::Video => {
                let sound = self.optional(name, settings.sound.as_deref(), under_way)?;
                let frames = self.optional(name, settings.frames.as_deref(), under_way)?;
                let sound = sound.as_ref().and_then(Choice::processor);
                let frames = frames.as_ref().and_then(Choice::processor);
                Ok(self.video_of(sound, frames, settings))
            }
            ProcessorKind::Document => {
                let scans = self.optional(name, settings.scans.as_deref(), under_way)?;
                Ok(self.documents(settings, scans.as_ref().and_then(Choice::processor)))
            }
            ProcessorKind::Stub => {
                let text = settings.text.clone().unwrap_or_default();
                let line = format!("stub, which says a fixed text after {:?}", settings.delay);
                Ok(Choice::new(Stub { delay: settings.delay, text }, line))
            }
        }
    }

    /// The engine that another one names, if it names one.
    fn optional(
        &self,
        user: &str,
        engine: Option<&str>,
        under_way: &mut Vec<String>,
    ) -> Result<Option<Choice>, EngineError> {
        let user = format!("the engine {user:?}");
        engine.map(|engine| self.named(&user, engine, under_way)).transpose()
    }

    /// The usual engine for recordings: the configured server, a program of this machine, the server
    /// that the environment names.
    fn sound(&self) -> Result<Choice, EngineError> {
        if let Some(choice) = self.meant("openai", |openai| openai.transcription_model.is_some())? {
            return Ok(choice);
        }
        if let Some(choice) = self.meant("whisper", |whisper| whisper.model.is_some())? {
            return Ok(choice);
        }
        let mut hints = Vec::new();
        let nothing_said = EngineSettings::default();
        for choice in
            [self.whisper(&nothing_said), self.pocketsphinx(), self.found_server(true, false)]
        {
            match choice {
                Choice::Engine { .. } => return Ok(choice),
                Choice::None { hint } => hints.extend(hint),
            }
        }
        Ok(Choice::none(hints.join("; ")))
    }

    /// The usual engine for pictures, in the same order.
    fn pictures(&self) -> Result<Choice, EngineError> {
        if let Some(choice) = self.meant("openai", |openai| openai.vision_model.is_some())? {
            return Ok(choice);
        }
        if let Some(choice) = self.meant("tesseract", |_| true)? {
            return Ok(choice);
        }
        let local = self.tesseract(&[]);
        Ok(match (&local, self.found_server(false, true)) {
            (Choice::None { .. }, server @ Choice::Engine { .. }) => server,
            _ => local,
        })
    }

    /// The engine of this name when it is configured and does what is asked for; it must work then.
    fn meant(
        &self,
        name: &str,
        does: impl Fn(&EngineSettings) -> bool,
    ) -> Result<Option<Choice>, EngineError> {
        match self.table.get(name) {
            Some(settings) if does(settings) => self.named("", name, &mut Vec::new()).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// The usual engine for videos: the usual ones for what is said and seen in them.
    fn video(&self) -> Result<Choice, EngineError> {
        let (sound, frames) = (self.sound()?, self.pictures()?);
        Ok(self.video_of(sound.processor(), frames.processor(), &EngineSettings::default()))
    }

    fn video_of(
        &self,
        sound: Option<&Arc<dyn Processor>>,
        frames: Option<&Arc<dyn Processor>>,
        settings: &EngineSettings,
    ) -> Choice {
        let Some(ffmpeg) = &self.found.ffmpeg else {
            return Choice::none("ffmpeg is not installed");
        };
        if sound.is_none() && frames.is_none() {
            return Choice::none("there is an engine neither for sound nor for pictures");
        }
        let heard = sound.map_or("nothing", |engine| engine.name());
        let seen = frames.map_or("nothing", |engine| engine.name());
        let line = format!("{}, sound by {heard}, frames by {seen}", ffmpeg.shown("ffmpeg"));
        let video = Video::new(
            self.ffmpeg(ffmpeg),
            self.workshop.scratch.clone(),
            sound.cloned(),
            frames.cloned(),
        );
        Choice::new(video.with_frames_max(settings.max_frames), line)
    }

    fn ffmpeg(&self, ffmpeg: &Program) -> Ffmpeg {
        Ffmpeg::new(ffmpeg.path.clone(), self.workshop.own_program.clone())
    }

    fn documents(&self, settings: &EngineSettings, scans: Option<&Arc<dyn Processor>>) -> Choice {
        let mut documents = DocumentProcessor::new(self.workshop.own_program.clone());
        let pdf = match &self.found.pdftotext {
            Some(program) => program.shown("pdftotext"),
            None => "the built-in reader, pdftotext is not installed".to_owned(),
        };
        let scanned = match (scans, &self.found.pdftoppm) {
            (None, _) => "scans are not read, there is no engine for pictures".to_owned(),
            (_, None) => "scans are not read, pdftoppm is not installed".to_owned(),
            (Some(engine), Some(pdftoppm)) => {
                let scans = Scans::new(
                    pdftoppm.path.clone(),
                    self.workshop.own_program.clone(),
                    self.workshop.scratch.clone(),
                    Arc::clone(engine),
                );
                documents = documents.with_scans(scans.with_pages_max(settings.max_scanned_pages));
                format!("scans by {}", engine.name())
            }
        };
        Choice::new(documents, format!("built in (PDF: {pdf}; {scanned})"))
    }

    fn tesseract(&self, languages: &[String]) -> Choice {
        let Some(tesseract) = &self.found.tesseract else {
            return Choice::none("tesseract is not installed");
        };
        if let Some(missing) = languages.iter().find(|it| !tesseract.languages.contains(it)) {
            return Choice::none(format!(
                "tesseract has no language {missing:?}, it has {}",
                tesseract.languages.join(", ")
            ));
        }
        let languages = match languages {
            [] => usual_languages(&tesseract.languages),
            languages => languages.to_vec(),
        };
        let line = format!("{} ({})", tesseract.program.shown("tesseract"), languages.join(", "));
        let pictures = DocumentProcessor::for_pictures(self.workshop.own_program.clone());
        Choice::new(pictures.with_languages(languages.join("+")), line)
    }

    fn pocketsphinx(&self) -> Choice {
        let Some(program) = &self.found.pocketsphinx else {
            return Choice::none("pocketsphinx_continuous is not installed");
        };
        let Some(model) = &self.found.pocketsphinx_model else {
            return Choice::none("pocketsphinx has no model, install pocketsphinx-en-us");
        };
        let part = |name: &str| model.join(name).display().to_string();
        let argv = [
            program.path.display().to_string(),
            "-infile".to_owned(),
            "{path}".to_owned(),
            "-hmm".to_owned(),
            part("en-us"),
            "-dict".to_owned(),
            part("cmudict-en-us.dict"),
            "-lm".to_owned(),
            part("en-us.lm.bin"),
            "-logfn".to_owned(),
            "/dev/null".to_owned(),
        ];
        self.converted("pocketsphinx", &argv, None, "pocketsphinx (English)")
    }

    fn whisper(&self, settings: &EngineSettings) -> Choice {
        let Some(program) = &self.found.whisper_cli else {
            return Choice::none("whisper-cli is not installed");
        };
        let Some(model) = &settings.model else {
            return Choice::none("whisper-cli has no model, name its file in [engines.whisper]");
        };
        if !model.is_file() {
            return Choice::none(format!(
                "whisper-cli has no model, {} is no file",
                model.display()
            ));
        }
        let argv = [
            program.path.display().to_string(),
            "--no-prints".to_owned(),
            "--no-timestamps".to_owned(),
            "--model".to_owned(),
            model.display().to_string(),
            "--language".to_owned(),
            settings.language.clone().unwrap_or_else(|| "auto".to_owned()),
            "--file".to_owned(),
            "{path}".to_owned(),
        ];
        let name = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.converted("whisper", &argv, Some(WHISPER_SILENCE), &format!("whisper-cli ({name})"))
    }

    /// A program that reads WAV only, behind ffmpeg; `silence` is what it prints where nobody speaks.
    fn converted(
        &self,
        name: &str,
        argv: &[String],
        silence: Option<&'static str>,
        line: &str,
    ) -> Choice {
        let Some(ffmpeg) = &self.found.ffmpeg else {
            return Choice::none(format!("{name} needs ffmpeg, which is not installed"));
        };
        match Template::parse(argv) {
            Ok(template) => {
                let engine = CommandProcessor::new(name, template).with_silence(silence);
                let engine = Arc::new(engine);
                let scratch = self.workshop.scratch.clone();
                let line = format!("{line} behind {}", ffmpeg.shown("ffmpeg"));
                Choice::new(Converted::new(engine, self.ffmpeg(ffmpeg), scratch), line)
            }
            // A path with braces in it.
            Err(error) => Choice::none(error.to_string()),
        }
    }

    fn command(&self, name: &str, settings: &EngineSettings) -> Result<Choice, String> {
        let template = Template::parse(&settings.command).map_err(|error| error.to_string())?;
        let program = template.program_name();
        if !is_there(template.program()) {
            return Err(format!("the program {program} is not there, or cannot be executed"));
        }
        let engine = CommandProcessor::new(name, template).with_output_bytes_max(
            usize::try_from(settings.max_output_bytes).unwrap_or(usize::MAX),
        );
        let line = format!("{name} ({program})");
        if !settings.convert_to_wav {
            return Ok(Choice::new(engine, line));
        }
        let ffmpeg = self.found.ffmpeg.as_ref();
        let ffmpeg = ffmpeg.ok_or("convert_to_wav needs ffmpeg, which is not installed")?;
        let scratch = self.workshop.scratch.clone();
        let line = format!("{line} behind {}", ffmpeg.shown("ffmpeg"));
        Ok(Choice::new(Converted::new(Arc::new(engine), self.ffmpeg(ffmpeg), scratch), line))
    }

    /// The server that the environment names, for recordings, for pictures, or for both.
    fn found_server(&self, sound: bool, pictures: bool) -> Choice {
        let Some(server) = &self.found.openai else {
            return Choice::none("neither OPENAI_API_KEY nor OPENAI_BASE_URL is set");
        };
        let settings = EngineSettings {
            base_url: Some(server.base_url.clone()),
            api_key: server.api_key.clone(),
            transcription_model: sound.then(|| TRANSCRIPTION_MODEL.to_owned()),
            vision_model: pictures.then(|| VISION_MODEL.to_owned()),
            ..EngineSettings::default()
        };
        self.openai("openai", &settings).unwrap_or_else(Choice::none)
    }

    fn openai(&self, name: &str, settings: &EngineSettings) -> Result<Choice, String> {
        let base_url = settings.base_url.as_deref().unwrap_or(super::found::OPENAI_BASE_URL);
        let key = settings.api_key.as_ref().map(ExposeSecret::expose_secret);
        let endpoint = Endpoint::new(base_url, key).map_err(|error| error.to_string())?;
        let mut models = Vec::new();
        let mut engine = ByType::new(name);
        if let Some(model) = &settings.transcription_model {
            models.push(model.as_str());
            let transcription = transcription(model, settings);
            engine = engine.for_sound(Transcriber::new(name, endpoint.clone(), transcription));
        }
        if let Some(model) = &settings.vision_model {
            models.push(model.as_str());
            let reader = Reader::new(self.workshop.own_program.clone());
            let mut vision = VisionSettings::new(model);
            if let Some(prompt) = &settings.vision_prompt {
                vision.prompt.clone_from(prompt);
            }
            engine = engine.for_pictures(Viewer::new(name, endpoint.clone(), reader, vision));
        }
        if models.is_empty() {
            return Err("name a transcription_model, a vision_model, or both".to_owned());
        }
        if let Some(ffmpeg) = &self.found.ffmpeg {
            let scratch = self.workshop.scratch.clone();
            engine = engine.for_videos(self.ffmpeg(ffmpeg), scratch, settings.max_frames);
        }
        let key = if key.is_some() { "with a key" } else { "without a key" };
        let line = format!("{} at {}, {key}", models.join(" and "), endpoint.shown_url());
        Ok(Choice::new(engine, line))
    }
}

/// An engine that is asked for by name must work.
fn required(engine: &str, choice: Choice) -> Result<Choice, EngineError> {
    match choice {
        Choice::Engine { .. } => Ok(choice),
        Choice::None { hint } => Err(EngineError::Unusable {
            engine: engine.to_owned(),
            reason: hint.unwrap_or_else(|| "nothing on this machine does it".to_owned()),
        }),
    }
}

fn transcription(model: &str, settings: &EngineSettings) -> TranscriptionSettings {
    TranscriptionSettings {
        model: model.to_owned(),
        language: settings.language.clone(),
        prompt: settings.transcription_prompt.clone(),
        answer_format: settings.answer_format,
        no_speech_probability_max: f64::from(settings.max_no_speech_percent) / 100.0,
        file_bytes_max: Some(settings.max_upload_bytes),
    }
}

/// English first, where it is installed: most models of other languages were made beside it.
fn usual_languages(installed: &[String]) -> Vec<String> {
    let (english, others): (Vec<_>, Vec<_>) =
        installed.iter().cloned().partition(|language| language == "eng");
    english.into_iter().chain(others).take(LANGUAGES_MAX).collect()
}

/// Whether a program can be started, by its path or by its name on `PATH`.
fn is_there(program: &Path) -> bool {
    let is_a_name = program.components().count() == 1;
    let named = program.to_str().filter(|_| is_a_name);
    match named {
        Some(name) => crate::media::programs::find(name).is_some(),
        None => is_executable(program.to_owned()),
    }
}

fn is_executable(program: PathBuf) -> bool {
    program.is_file() && rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok()
}
