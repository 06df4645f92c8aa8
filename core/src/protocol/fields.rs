//! Reading the fields of a JSON object, with errors that name the field and say what it should be.
//!
//! Owns the rules that hold for every frame: a field that is not known is ignored, an optional field
//! may be absent or null, a required one may be neither, and nothing is converted (`"1"` is no
//! number, `1.0` no whole one). A reading returns a detail in words; the path is put on here.

use serde_json::{Map, Value};

use super::error::{ErrorCode, FrameError};
use super::limits::{ID_BYTES_MAX, SHOWN_CHARACTERS_MAX, TIME_MS_MAX};
use crate::id::MediaId;
use crate::message::truncate;
use crate::time::Timestamp;

/// The fields of one object, taken out one by one.
pub(super) struct Fields {
    /// The path of the object, with its dot; empty for the frame itself.
    prefix: String,
    object: Map<String, Value>,
}

/// What is wrong with one field.
#[derive(Debug, Clone)]
pub(super) struct FieldError {
    pub(super) code: ErrorCode,
    pub(super) field: String,
    pub(super) detail: String,
}

/// A value, or what is wrong with it in words.
pub(super) type Reading<T> = Result<T, String>;

impl From<FieldError> for FrameError {
    fn from(error: FieldError) -> Self {
        Self::new(error.code, Some(error.field), error.detail)
    }
}

impl Fields {
    /// The fields of a frame.
    pub(super) fn of_frame(object: Map<String, Value>) -> Self {
        Self { prefix: String::new(), object }
    }

    /// A field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Reading<T>,
    ) -> Result<T, FieldError> {
        self.optional(name, read)?.ok_or_else(|| self.missing(name))
    }

    /// A field that may be absent, or null.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Reading<T>,
    ) -> Result<Option<T>, FieldError> {
        match self.object.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|detail| self.invalid(name, detail)),
        }
    }

    /// An object in a field that may be absent, or null.
    pub(super) fn nested(&mut self, name: &str) -> Result<Option<Self>, FieldError> {
        let prefix = format!("{}{name}.", self.prefix);
        Ok(self.optional(name, object)?.map(|object| Self { prefix, object }))
    }

    /// A list of at most `count_max` in a field that may be absent, or null.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        count_max: usize,
        read: impl Fn(Value) -> Reading<T>,
    ) -> Result<Option<Vec<T>>, FieldError> {
        let Some(values) = self.optional(name, |value| array(value, count_max))? else {
            return Ok(None);
        };
        let element = |(index, value)| {
            read(value).map_err(|detail| self.invalid(&format!("{name}[{index}]"), detail))
        };
        values.into_iter().enumerate().map(element).collect::<Result<_, _>>().map(Some)
    }

    /// Says that a required field is not there.
    pub(super) fn missing(&self, name: &str) -> FieldError {
        FieldError {
            code: ErrorCode::MissingField,
            field: format!("{}{name}", self.prefix),
            detail: "required, but absent or null".to_owned(),
        }
    }

    fn invalid(&self, name: &str, detail: String) -> FieldError {
        FieldError {
            code: ErrorCode::InvalidField,
            field: format!("{}{name}", self.prefix),
            detail,
        }
    }
}

/// Any text.
pub(super) fn text(value: Value) -> Reading<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(expected("a string", &other)),
    }
}

/// A text for people, cut to `limit` characters.
pub(super) fn text_cut_to(limit: u64) -> impl Fn(Value) -> Reading<String> {
    move |value| {
        let mut text = text(value)?;
        truncate(&mut text, limit);
        Ok(text)
    }
}

/// A text that must be told apart from others: not empty, at most `bytes_max`, no control characters.
pub(super) fn name_up_to(bytes_max: usize) -> impl Fn(Value) -> Reading<String> {
    move |value| {
        let text = text(value)?;
        check_name(&text, bytes_max)?;
        Ok(text)
    }
}

/// An id.
pub(super) fn id<T: From<String>>(value: Value) -> Reading<T> {
    name_up_to(ID_BYTES_MAX)(value).map(T::from)
}

/// Whether a text may be an id.
pub(super) fn is_id(text: &str) -> bool {
    check_name(text, ID_BYTES_MAX).is_ok()
}

fn check_name(text: &str, bytes_max: usize) -> Reading<()> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > bytes_max {
        return Err(format!("at most {bytes_max} bytes, not {}", text.len()));
    }
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        return Err(format!("must hold no control character, but has U+{:04X}", control as u32));
    }
    Ok(())
}

/// A whole number from 0 to 2⁶⁴−1.
pub(super) fn natural(value: Value) -> Reading<u64> {
    value.as_u64().ok_or_else(|| expected("a whole number from 0 to 2^64-1", &value))
}

/// A moment.
pub(super) fn timestamp(value: Value) -> Reading<Timestamp> {
    match value.as_u64() {
        Some(ms) if ms <= TIME_MS_MAX => Ok(Timestamp::from_ms(ms)),
        Some(_) | None => {
            let range = format!("milliseconds since the epoch, whole, from 0 to {TIME_MS_MAX}");
            Err(expected(&range, &value))
        }
    }
}

/// A yes or no.
pub(super) fn flag(value: Value) -> Reading<bool> {
    value.as_bool().ok_or_else(|| expected("true or false", &value))
}

/// A media id: a UUID in its hyphenated form, and nothing that could be a path.
pub(super) fn media_id(value: Value) -> Reading<MediaId> {
    let wanted = "a UUID such as 8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11";
    value.as_str().and_then(MediaId::parse).ok_or_else(|| expected(wanted, &value))
}

/// A SHA-256 in hexadecimal digits, given back in lower case.
pub(super) fn sha256(value: Value) -> Reading<String> {
    match value.as_str() {
        Some(digits) if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(digits.to_ascii_lowercase())
        }
        Some(_) | None => Err(expected("64 hexadecimal digits", &value)),
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(choices: &[(&str, T)]) -> impl Fn(Value) -> Reading<T> {
    move |value| {
        let chosen = choices.iter().find(|(word, _)| value.as_str() == Some(word));
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            expected(&format!("one of {}", words.join(", ")), &value)
        })
    }
}

/// An object.
pub(super) fn object(value: Value) -> Reading<Map<String, Value>> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(expected("an object", &other)),
    }
}

fn array(value: Value, count_max: usize) -> Reading<Vec<Value>> {
    match value {
        Value::Array(values) if values.len() <= count_max => Ok(values),
        Value::Array(values) => Err(format!("at most {count_max} entries, not {}", values.len())),
        other => Err(expected("a list", &other)),
    }
}

/// What should be there, and what is.
pub(super) fn expected(wanted: &str, actual: &Value) -> String {
    let actual = match actual {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => shown(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("expected {wanted}, got {actual}")
}

/// A stranger's text, quoted, on one line and short.
fn shown(text: &str) -> String {
    let mut start = text.to_owned();
    let cut = truncate(&mut start, SHOWN_CHARACTERS_MAX);
    format!("{start:?}{}", if cut { "…" } else { "" })
}
