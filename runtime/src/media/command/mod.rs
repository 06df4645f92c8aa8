//! The command processor: any local program that prints the text of a file.
//!
//! The program is started without a shell, from a [`Template`]; what it prints is the text, nothing
//! printed is "nothing found", and anything but success is a failure with the program's last words.

mod template;

use std::ffi::OsString;
use std::path::Path;

use anteroom_core::message::{Extracted, Outcome};
use tokio::process::Command;

pub use self::template::{Template, TemplateError};
use super::child::{self, End, Finished};
use super::processor::{BoxFuture, Failure, Processor, Work, require_staged_file};

/// How many bytes of a program's output are kept unless configured otherwise.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Variables with this prefix configure Anteroom, secrets included; a program does not inherit them.
const OWN_VARIABLES: &str = "ANTEROOM_";

/// Runs one program a file.
#[derive(Debug, Clone)]
pub struct CommandProcessor {
    name: String,
    template: Template,
    output_bytes_max: usize,
    silence: Option<&'static str>,
}

impl CommandProcessor {
    /// A processor called `name` that runs `template`, keeping [`OUTPUT_BYTES_MAX`] of its output.
    pub fn new(name: impl Into<String>, template: Template) -> Self {
        Self { name: name.into(), template, output_bytes_max: OUTPUT_BYTES_MAX, silence: None }
    }

    /// Takes these words for nothing, wherever the program prints them.
    pub(super) fn with_silence(mut self, words: Option<&'static str>) -> Self {
        self.silence = words;
        self
    }

    /// Keeps `bytes` of the output; a program that prints more is killed and its text is marked as
    /// truncated.
    pub fn with_output_bytes_max(mut self, bytes: usize) -> Self {
        self.output_bytes_max = bytes;
        self
    }

    async fn run(self, work: Work) -> Result<Outcome, Failure> {
        require_staged_file(&work.path).await?;
        let arguments = self.template.arguments(&work);
        let inherited = std::env::vars_os().map(|(name, _)| name);
        let mut command = command(self.template.program(), inherited);
        command.args(arguments);
        let finished = child::run(command, self.output_bytes_max, &work.cancel)
            .await
            .map_err(|error| child::start_failure(&self.template.program_name(), &error))?;
        outcome(finished, self.silence)
    }
}

impl Processor for CommandProcessor {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        Box::pin(self.clone().run(work))
    }
}

/// A program with the environment that processors give: the `inherited` one without our own settings,
/// and with one thread for engines that would otherwise take every core for each slot.
fn command(program: &Path, inherited: impl IntoIterator<Item = OsString>) -> Command {
    let mut command = Command::new(program);
    for name in inherited {
        if name.as_encoded_bytes().starts_with(OWN_VARIABLES.as_bytes()) {
            command.env_remove(name);
        }
    }
    command.env("OMP_THREAD_LIMIT", "1");
    command
}

/// Reads the end of a program as an outcome; `silence` is what it prints where there is nothing to print.
fn outcome(finished: Finished, silence: Option<&str>) -> Result<Outcome, Failure> {
    let truncated = match finished.end {
        End::Cancelled => return Err(Failure::Cancelled),
        End::Exited(status) if !status.success() => {
            return Err(Failure::engine(child::last_words(status, &finished.stderr)));
        }
        End::Exited(_) => false,
        End::SaidTooMuch => true,
    };
    let bytes = match truncated {
        true => whole_characters(&finished.stdout),
        false => &finished.stdout,
    };
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if let Some(silence) = silence {
        text = text.replace(silence, "");
    }
    let text = text.trim();
    Ok(match text.is_empty() {
        true => Outcome::Nothing,
        false => {
            Outcome::Text(Extracted { text: text.to_owned(), truncated, ..Extracted::default() })
        }
    })
}

/// The bytes without a character that the cut at their end split.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        Ok(_) | Err(_) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: our settings, secrets included, stay with us; everything else is passed on as it is.
    #[test]
    fn own_settings_are_not_inherited() {
        let command = command(Path::new("program"), ["ANTEROOM_TOKEN".into(), "PATH".into()]);
        let changes: Vec<_> = command.as_std().get_envs().collect();
        assert_eq!(
            changes,
            [("ANTEROOM_TOKEN".as_ref(), None), ("OMP_THREAD_LIMIT".as_ref(), Some("1".as_ref()))]
        );
    }

    /// Goal: a cut never leaves half a character, and never touches bytes that are no UTF-8 at all.
    #[test]
    fn a_cut_leaves_whole_characters() {
        assert_eq!(whole_characters("aé".as_bytes()), "aé".as_bytes());
        assert_eq!(whole_characters(&"aé".as_bytes()[..2]), b"a");
        assert_eq!(whole_characters(b"\xff\xfe"), b"\xff\xfe");
    }
}
