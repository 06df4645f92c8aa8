//! What this machine has: programs on the `PATH`, their models, a server that the environment names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::media::child::{self, End};
use crate::media::programs;

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of it is read.
const VERSION_BYTES_MAX: usize = 16 * 1024;

/// Where pocketsphinx keeps its English model.
const POCKETSPHINX_MODELS: [&str; 2] =
    ["/usr/share/pocketsphinx/model/en-us", "/usr/local/share/pocketsphinx/model/en-us"];

/// What the parts of that model are called: sounds, words, sentences.
const POCKETSPHINX_PARTS: [&str; 3] = ["en-us", "cmudict-en-us.dict", "en-us.lm.bin"];

/// What tesseract calls models that are no languages.
const NO_LANGUAGES: [&str; 2] = ["osd", "equ"];

/// OpenAI's own address.
pub(super) const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// What was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub tesseract: Option<Tesseract>,
    pub ffmpeg: Option<Program>,
    pub pdftotext: Option<Program>,
    pub pdftoppm: Option<Program>,
    pub pocketsphinx: Option<Program>,
    /// Where pocketsphinx's model is.
    pub pocketsphinx_model: Option<PathBuf>,
    pub whisper_cli: Option<Program>,
    pub openai: Option<Server>,
}

/// A program, and its version where it says one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub path: PathBuf,
    pub version: Option<String>,
}

/// Tesseract and the languages it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tesseract {
    pub program: Program,
    pub languages: Vec<String>,
}

/// A server that the environment names.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub base_url: String,
    pub api_key: Option<SecretString>,
}

impl Found {
    /// Looks around. `environment` says what a variable holds.
    pub async fn look(environment: impl Fn(&str) -> Option<String>) -> Self {
        let (tesseract, ffmpeg, pdftotext) =
            tokio::join!(tesseract(), program("ffmpeg", "-version"), program("pdftotext", "-v"),);
        let without_version =
            |name: &str| programs::find(name).map(|path| Program { path, version: None });
        Self {
            tesseract,
            ffmpeg,
            pdftotext,
            pdftoppm: without_version("pdftoppm"),
            pocketsphinx: without_version("pocketsphinx_continuous"),
            pocketsphinx_model: POCKETSPHINX_MODELS
                .map(PathBuf::from)
                .into_iter()
                .find(|model| is_pocketsphinx_model(model)),
            whisper_cli: without_version("whisper-cli"),
            openai: server(environment),
        }
    }
}

impl Program {
    /// The name and the version, for people.
    pub fn shown(&self, name: &str) -> String {
        match &self.version {
            Some(version) => format!("{name} {version}"),
            None => name.to_owned(),
        }
    }
}

fn is_pocketsphinx_model(directory: &Path) -> bool {
    POCKETSPHINX_PARTS.iter().all(|part| directory.join(part).exists())
}

/// The server that the environment names, as OpenAI's own programs take it.
fn server(environment: impl Fn(&str) -> Option<String>) -> Option<Server> {
    let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let (key, base_url) = (set("OPENAI_API_KEY"), set("OPENAI_BASE_URL"));
    if key.is_none() && base_url.is_none() {
        return None;
    }
    Some(Server {
        base_url: base_url.unwrap_or_else(|| OPENAI_BASE_URL.to_owned()),
        api_key: key.map(SecretString::from),
    })
}

async fn program(name: &str, option: &str) -> Option<Program> {
    let path = programs::find(name)?;
    let said = says(&path, option).await.unwrap_or_default();
    Some(Program { path, version: version(&said) })
}

async fn tesseract() -> Option<Tesseract> {
    let program = program("tesseract", "--version").await?;
    let said = says(&program.path, "--list-langs").await.unwrap_or_default();
    // The first line says where they are.
    let languages = said.lines().skip(1).map(str::trim).filter(|line| !line.is_empty());
    let languages: Vec<String> =
        languages.filter(|language| !NO_LANGUAGES.contains(language)).map(str::to_owned).collect();
    Some(Tesseract { program, languages })
}

/// The first word of the first line that starts with a digit.
fn version(said: &str) -> Option<String> {
    let mut words = said.lines().next()?.split_whitespace();
    words.find(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
}

/// What a program says when it is asked for one thing.
async fn says(program: &Path, option: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.arg(option);
    let stop = CancellationToken::new();
    let said = {
        let run = child::run(command, VERSION_BYTES_MAX, &stop);
        tokio::pin!(run);
        tokio::select! {
            biased;
            said = &mut run => said,
            () = tokio::time::sleep(VERSION_TIMEOUT) => {
                stop.cancel();
                run.await
            }
        }
    };
    let said = said.ok().filter(|said| matches!(said.end, End::Exited(_)))?;
    // Some programs say it on standard error.
    Some(String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_of(variables: &[(&str, &str)]) -> Option<Server> {
        server(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    /// Goal: a key or an address is enough to know a server, and the key is not shown.
    #[test]
    fn a_server_is_found_in_the_environment() {
        assert!(server_of(&[]).is_none());
        assert!(server_of(&[("OPENAI_API_KEY", " ")]).is_none());
        let hosted = server_of(&[("OPENAI_API_KEY", "sk-1")]).expect("found");
        assert_eq!(hosted.base_url, OPENAI_BASE_URL);
        assert!(hosted.api_key.is_some() && !format!("{hosted:?}").contains("sk-1"));
        let local = server_of(&[("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")]).expect("found");
        assert_eq!(local.base_url, "http://127.0.0.1:8000/v1");
        assert!(local.api_key.is_none());
    }

    /// Goal: versions are found where programs put them.
    #[test]
    fn versions_are_found() {
        for (said, expected) in [
            ("tesseract 5.3.0\n leptonica-1.82.0", Some("5.3.0")),
            ("ffmpeg version 5.1.9-0+deb12u1 Copyright (c)", Some("5.1.9-0+deb12u1")),
            ("pdftotext version 22.12.0\nCopyright", Some("22.12.0")),
            ("no number here", None),
            ("", None),
        ] {
            assert_eq!(version(said).as_deref(), expected, "{said}");
        }
    }
}
