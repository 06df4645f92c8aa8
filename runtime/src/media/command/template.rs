//! The argument template of a command: which program, and where the file's path, type and name go.
//!
//! An argument stays one argument whatever is put into it: there is no shell, and a value that comes
//! from a stranger never starts an argument with a dash, so it cannot become an option.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::media::processor::Work;

/// What stands for a file without a name.
const UNNAMED: &str = "unnamed";

/// What stands for a declared type that is none.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A program and the shape of its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    program: PathBuf,
    arguments: Vec<Vec<Piece>>,
}

/// A part of one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Path,
    Mime,
    Filename,
}

/// The template cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no program.
    #[error("a command needs a program")]
    NoProgram,
    /// No argument says where the file is.
    #[error("no argument of the command holds {{path}}, so it could not read the file")]
    NoPath,
    /// A placeholder that does not exist.
    #[error(
        "unknown placeholder {{{placeholder}}} (known are {{path}}, {{mime}} and {{filename}})"
    )]
    UnknownPlaceholder {
        /// Its name.
        placeholder: String,
    },
}

impl Template {
    /// Parses `[program, argument, …]`.
    ///
    /// `{path}`, `{mime}` and `{filename}` are replaced, anywhere in an argument. Another word in
    /// braces is an error; any other brace stands for itself.
    ///
    /// # Errors
    /// What makes the template unusable.
    pub fn parse<S: AsRef<str>>(argv: &[S]) -> Result<Self, TemplateError> {
        let (program, arguments) = argv.split_first().ok_or(TemplateError::NoProgram)?;
        if program.as_ref().is_empty() {
            return Err(TemplateError::NoProgram);
        }
        let arguments = arguments
            .iter()
            .map(|argument| pieces(argument.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        if !arguments.iter().flatten().any(|piece| *piece == Piece::Path) {
            return Err(TemplateError::NoPath);
        }
        Ok(Self { program: program.as_ref().into(), arguments })
    }

    /// The program, by path or by its name on `PATH`.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The program, for people.
    pub fn program_name(&self) -> String {
        self.program.display().to_string()
    }

    /// The arguments for one file.
    pub(super) fn arguments(&self, work: &Work) -> Vec<OsString> {
        self.arguments.iter().map(|pieces| argument(pieces, work)).collect()
    }
}

/// Splits one argument at its placeholders.
fn pieces(argument: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = argument;
    while let Some(open) = rest.find('{') {
        let (before, from_open) = rest.split_at(open);
        literal.push_str(before);
        let Some(word) = word_in_braces(from_open) else {
            literal.push('{');
            rest = &from_open[1..];
            continue;
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(match word {
            "path" => Piece::Path,
            "mime" => Piece::Mime,
            "filename" => Piece::Filename,
            other => {
                return Err(TemplateError::UnknownPlaceholder { placeholder: other.to_owned() });
            }
        });
        rest = &from_open[word.len() + 2..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// The lower-case word that `text`, which starts with a brace, encloses.
fn word_in_braces(text: &str) -> Option<&str> {
    let inside = &text[1..];
    let word = &inside[..inside.find('}')?];
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_word.then_some(word)
}

/// Puts one argument together.
fn argument(pieces: &[Piece], work: &Work) -> OsString {
    let mut argument = OsString::new();
    for piece in pieces {
        let starts_argument = argument.is_empty();
        match piece {
            Piece::Literal(text) => argument.push(text),
            Piece::Path => push_value(&mut argument, work.path.as_os_str(), starts_argument),
            Piece::Mime => argument.push(mime(&work.mime_type)),
            Piece::Filename => {
                let name = filename(work.filename.as_deref());
                push_value(&mut argument, OsStr::new(&name), starts_argument);
            }
        }
    }
    argument
}

/// Appends a value that is not to be taken for an option.
fn push_value(argument: &mut OsString, value: &OsStr, starts_argument: bool) {
    if starts_argument && value.as_encoded_bytes().starts_with(b"-") {
        argument.push("./");
    }
    argument.push(value);
}

/// The file's name without control characters, of which one, NUL, no argument can hold.
fn filename(name: Option<&str>) -> String {
    match name {
        None | Some("") => UNNAMED.to_owned(),
        Some(name) => name.chars().map(|c| if c.is_control() { '_' } else { c }).collect(),
    }
}

/// The declared type, as long as it looks like one.
fn mime(declared: &str) -> &str {
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    let starts_well = declared.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && declared.chars().all(plain) { declared } else { UNKNOWN_TYPE }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anteroom_core::message::MediaKind;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn work(filename: Option<&str>, mime_type: &str) -> Work {
        Work {
            path: "/staging/one".into(),
            mime_type: mime_type.to_owned(),
            kind: MediaKind::Document,
            filename: filename.map(str::to_owned),
            quota_exceeded: false,
            detail: None,
            timeout: Duration::from_secs(1),
            cancel: CancellationToken::new(),
        }
    }

    fn arguments(template: &[&str], work: &Work) -> Vec<String> {
        let template = Template::parse(template).expect("a template");
        let arguments = template.arguments(work);
        arguments.into_iter().map(|argument| argument.into_string().expect("UTF-8")).collect()
    }

    /// Goal: placeholders are replaced once, wherever they stand; other braces stand for themselves.
    #[test]
    fn placeholders_are_replaced_within_their_argument() {
        let work = work(Some("{path} $(id); a b.pdf"), "application/pdf; x=1");
        assert_eq!(
            arguments(
                &["p", "-i", "{path}", "--name={filename}", "{mime}", "{}{0}{ a}{", ""],
                &work
            ),
            [
                "-i",
                "/staging/one",
                "--name={path} $(id); a b.pdf",
                "application/pdf; x=1",
                "{}{0}{ a}{",
                ""
            ]
        );
    }

    /// Goal: what a stranger chose is never read as an option, and always fits into an argument.
    #[test]
    fn a_filename_never_becomes_an_option() {
        for (name, expected) in [
            (Some("--output=/etc/passwd"), "./--output=/etc/passwd"),
            (Some("-"), "./-"),
            (Some("a\0b\nc"), "a_b_c"),
            (Some(""), "unnamed"),
            (None, "unnamed"),
        ] {
            let work = work(name, "-x");
            assert_eq!(
                arguments(&["p", "{path}", "{filename}", "{mime}"], &work)[1..],
                [expected, "application/octet-stream"]
            );
        }
    }

    /// Goal: a template that cannot work is refused when it is configured, not when a job comes.
    #[test]
    fn unusable_templates_are_refused() {
        assert_eq!(Template::parse::<&str>(&[]), Err(TemplateError::NoProgram));
        assert_eq!(Template::parse(&["", "{path}"]), Err(TemplateError::NoProgram));
        assert_eq!(Template::parse(&["cat"]), Err(TemplateError::NoPath));
        assert_eq!(
            Template::parse(&["cat", "{path}", "{file}"]),
            Err(TemplateError::UnknownPlaceholder { placeholder: "file".to_owned() })
        );
    }
}
