//! What may stand behind a key, and how it is written.
//!
//! Plain types are values by themselves; numbers with a bound, lengths of time, sizes and words are
//! views on the field that they set, made where the key is described: `&mut time(&mut self.ttl)`.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anteroom_core::time::Millis;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};

use super::raw::Raw;

/// What stands behind a key.
pub trait Value {
    /// What may be written, for people: `a length of time, as in "15s"`.
    fn form(&self) -> String;

    /// Takes what was written.
    ///
    /// # Errors
    /// What is wrong with it, in words, without the key.
    fn set(&mut self, raw: &Raw) -> Result<(), String>;

    /// The value as it could be written; none when there is none.
    fn shown(&self) -> Option<Json>;

    /// Whether it is never shown, and may be given by a file.
    fn is_secret(&self) -> bool {
        false
    }
}

/// More of anything than this is a mistake, and below it no sum overflows.
const COUNT_MAX: u64 = 1_000_000_000;

/// A hundred years: below it no sum of a moment and a length overflows.
const TIME_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

impl Value for bool {
    fn form(&self) -> String {
        "true or false".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        *self = match raw {
            Raw::Boolean(value) => *value,
            Raw::Word(word) if word == "true" => true,
            Raw::Word(word) if word == "false" => false,
            other => return Err(other.is_not(&self.form())),
        };
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        Some(json!(self))
    }
}

impl Value for Option<bool> {
    fn form(&self) -> String {
        false.form()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        self.get_or_insert_default().set(raw)
    }

    fn shown(&self) -> Option<Json> {
        self.as_ref().map(|value| json!(value))
    }
}

impl Value for PathBuf {
    fn form(&self) -> String {
        "a path; a relative one is taken from the directory that the node is started in".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        match raw.text() {
            Some(text) if !text.is_empty() => *self = text.into(),
            _ => return Err(raw.is_not("a path")),
        }
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        Some(json!(self.to_string_lossy()))
    }
}

impl Value for Option<PathBuf> {
    fn form(&self) -> String {
        PathBuf::new().form()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        self.get_or_insert_default().set(raw)
    }

    fn shown(&self) -> Option<Json> {
        self.as_ref().and_then(Value::shown)
    }
}

impl Value for SocketAddr {
    fn form(&self) -> String {
        "an address and a port, as in \"127.0.0.1:8787\"; port 0 takes any free one".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let parsed = raw.text().and_then(|text| text.parse().ok());
        *self = parsed.ok_or_else(|| raw.is_not(&self.form()))?;
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        Some(json!(self.to_string()))
    }
}

/// A secret: it is never shown, and `KEY_file` names a file that holds it.
impl Value for Option<SecretString> {
    fn form(&self) -> String {
        "a text that is never shown".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        match raw.text() {
            Some("") => Err("it is empty".to_owned()),
            Some(text) => {
                *self = Some(text.into());
                Ok(())
            }
            // What was written is not repeated: it may be the secret without its quotation marks.
            None => Err(format!("{} is no text: put it in quotation marks", raw.kind())),
        }
    }

    fn shown(&self) -> Option<Json> {
        self.as_ref().map(|secret| {
            debug_assert!(!secret.expose_secret().is_empty(), "an empty secret is refused");
            json!("(set)")
        })
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// A whole number that a field holds.
pub trait Number: Copy + Display + TryFrom<u64> {
    /// Its value.
    fn get(self) -> u64;
}

impl Number for u32 {
    fn get(self) -> u64 {
        self.into()
    }
}

impl Number for u64 {
    fn get(self) -> u64 {
        self
    }
}

impl Number for usize {
    fn get(self) -> u64 {
        u64::try_from(self).unwrap_or(u64::MAX)
    }
}

struct Count<'a, N> {
    field: &'a mut N,
    range: RangeInclusive<u64>,
}

/// A number of things, at least one.
pub fn count<N: Number>(field: &mut N) -> impl Value {
    Count { field, range: 1..=COUNT_MAX }
}

/// A number of things, or none.
pub fn count_or_none<N: Number>(field: &mut N) -> impl Value {
    Count { field, range: 0..=COUNT_MAX }
}

impl<N: Number> Value for Count<'_, N> {
    fn form(&self) -> String {
        match self.range.start() {
            0 => "a whole number".to_owned(),
            least => format!("a whole number, at least {least}"),
        }
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let number = raw.integer().ok_or_else(|| raw.is_not(&self.form()))?;
        let fits = u64::try_from(number).ok().filter(|number| self.range.contains(number));
        let fits = fits.and_then(|number| N::try_from(number).ok());
        let (least, most) = (self.range.start(), self.range.end());
        *self.field = fits.ok_or_else(|| format!("{number} is not from {least} to {most}"))?;
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        Some(json!(self.field.get()))
    }
}

impl Value for NonZeroU32 {
    fn form(&self) -> String {
        count(&mut self.get()).form()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let mut number = self.get();
        count(&mut number).set(raw)?;
        *self = Self::MIN.saturating_add(number.saturating_sub(1));
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        Some(json!(self.get()))
    }
}

/// A length of time that a field holds.
pub trait Length {
    /// Its value.
    fn length(&self) -> Duration;
    /// Changes it, to a length of whole milliseconds within [`TIME_MAX`].
    fn set_length(&mut self, length: Duration);
}

impl Length for Duration {
    fn length(&self) -> Duration {
        *self
    }

    fn set_length(&mut self, length: Duration) {
        *self = length;
    }
}

impl Length for Millis {
    fn length(&self) -> Duration {
        Self::into(*self)
    }

    fn set_length(&mut self, length: Duration) {
        *self = length.into();
    }
}

struct Time<'a, L> {
    field: &'a mut L,
    least: Duration,
}

/// A length of time that is not zero.
pub fn time<L: Length>(field: &mut L) -> impl Value {
    Time { field, least: Duration::from_millis(1) }
}

/// A length of time, or none.
pub fn time_or_none<L: Length>(field: &mut L) -> impl Value {
    Time { field, least: Duration::ZERO }
}

/// A length of time as it is written in a configuration.
pub fn written(length: impl Into<Duration>) -> String {
    humantime::format_duration(length.into()).to_string()
}

impl<L: Length> Value for Time<'_, L> {
    fn form(&self) -> String {
        "a time with its unit, as in \"15s\" or \"1h 30min\"".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let text = raw.text().ok_or_else(|| raw.is_not(&self.form()))?;
        let length = humantime::parse_duration(text).map_err(|_| raw.is_not(&self.form()))?;
        if length > TIME_MAX {
            return Err(format!("{text:?} is longer than a hundred years"));
        }
        if length < self.least {
            return Err(format!("{text:?} is too short: it must be at least a millisecond"));
        }
        if !length.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(format!("{text:?} is finer than a millisecond"));
        }
        self.field.set_length(length);
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        Some(json!(written(self.field.length())))
    }
}

struct Size<'a>(&'a mut u64);

/// A number of bytes.
pub fn size(field: &mut u64) -> impl Value {
    Size(field)
}

/// The units of sizes, the largest first.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl Value for Size<'_> {
    fn form(&self) -> String {
        "a size, as in \"256KiB\" or \"25GB\"; a plain number is bytes".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let plain = raw.integer().and_then(|bytes| u64::try_from(bytes).ok());
        let bytes = plain.or_else(|| raw.text().and_then(bytes));
        *self.0 = bytes.ok_or_else(|| raw.is_not(&self.form()))?;
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        let bytes = *self.0;
        let exact =
            UNITS.into_iter().find(|&(_, unit)| bytes >= unit && bytes.is_multiple_of(unit));
        Some(match exact {
            Some((name, unit)) => json!(format!("{}{name}", bytes / unit)),
            None => json!(format!("{bytes}B")),
        })
    }
}

/// The bytes that a text such as `25GB` means.
fn bytes(text: &str) -> Option<u64> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits_end);
    let known = |&&(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit.trim());
    let (_, factor) = UNITS.iter().find(known)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

struct Word<'a, T: 'static> {
    field: &'a mut T,
    words: &'static [(&'static str, T)],
}

/// One of some words.
pub fn word<'a, T>(field: &'a mut T, words: &'static [(&'static str, T)]) -> impl Value + 'a
where
    T: Copy + PartialEq + 'static,
{
    Word { field, words }
}

/// The words, to choose from.
fn listed<T>(words: &[(&str, T)]) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    words.join(", ")
}

fn meaning<T: Copy>(words: &[(&str, T)], given: &Raw) -> Option<T> {
    let given = given.text()?;
    words.iter().find(|(word, _)| *word == given).map(|(_, meaning)| *meaning)
}

fn word_for<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> Option<&'static str> {
    words.iter().find(|(_, meaning)| meaning == value).map(|(word, _)| *word)
}

impl<T: Copy + PartialEq> Value for Word<'_, T> {
    fn form(&self) -> String {
        format!("one of {}", listed(self.words))
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        *self.field = meaning(self.words, raw).ok_or_else(|| raw.is_not(&self.form()))?;
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        word_for(self.words, self.field).map(|word| json!(word))
    }
}

struct Words<'a, T: 'static> {
    field: &'a mut Vec<T>,
    words: &'static [(&'static str, T)],
}

/// A list of some words.
pub fn words<'a, T>(field: &'a mut Vec<T>, words: &'static [(&'static str, T)]) -> impl Value + 'a
where
    T: Copy + PartialEq + 'static,
{
    Words { field, words }
}

impl<T: Copy + PartialEq> Value for Words<'_, T> {
    fn form(&self) -> String {
        format!("a list of some of {}", listed(self.words))
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let given = raw.list().ok_or_else(|| raw.is_not(&self.form()))?;
        let read = |raw: &Raw| meaning(self.words, raw).ok_or_else(|| raw.is_not(&self.form()));
        *self.field = given.iter().map(read).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        let shown = self.field.iter().filter_map(|value| word_for(self.words, value));
        Some(shown.collect())
    }
}

impl Value for Vec<String> {
    fn form(&self) -> String {
        "a list of texts; in a variable, with commas between them".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let given = raw.list().ok_or_else(|| raw.is_not("a list of texts"))?;
        let read = |raw: &Raw| raw.text().map(str::to_owned).ok_or_else(|| raw.is_not("a text"));
        *self = given.iter().map(read).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        Some(json!(self))
    }
}

/// A text that must be understood by `understand`, which says what is wrong with it.
pub fn text_checked<'a>(
    field: &'a mut Option<String>,
    form: &'static str,
    understand: fn(&str) -> Result<(), String>,
) -> impl Value + 'a {
    Text { field, form, understand }
}

struct Text<'a> {
    field: &'a mut Option<String>,
    form: &'static str,
    understand: fn(&str) -> Result<(), String>,
}

impl Value for Text<'_> {
    fn form(&self) -> String {
        self.form.to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let text = raw.text().ok_or_else(|| raw.is_not(self.form))?;
        (self.understand)(text)?;
        *self.field = Some(text.to_owned());
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        self.field.as_ref().map(|text| json!(text))
    }
}
