//! What a speech model said it heard, and what of it was speech.
//!
//! Speech models put words to silence ("You", "Thank you for watching"). Each segment comes with the
//! model's own doubt, and what it doubts most is left out.

use anteroom_core::message::{Extracted, Outcome};
use serde::Deserialize;

use crate::media::processor::Failure;

/// The answer of `/audio/transcriptions`, in either format.
#[derive(Debug, Deserialize)]
struct Transcript {
    text: String,
    #[serde(default)]
    language: Option<String>,
    /// Seconds.
    #[serde(default)]
    duration: Option<f64>,
    #[serde(default)]
    segments: Option<Vec<Segment>>,
}

#[derive(Debug, Deserialize)]
struct Segment {
    text: String,
    #[serde(default)]
    no_speech_prob: Option<f64>,
}

impl Segment {
    fn is_speech(&self, no_speech_probability_max: f64) -> bool {
        self.no_speech_prob.is_none_or(|probability| probability <= no_speech_probability_max)
    }
}

/// Reads an answer; segments that are silence with a higher probability than the given one are left
/// out.
///
/// # Errors
/// Permanent: the answer is none. The work behind it was done, so it is not asked for again.
pub(super) fn outcome(answer: &[u8], no_speech_probability_max: f64) -> Result<Outcome, Failure> {
    let Transcript { text, language, duration, segments } = serde_json::from_slice(answer)
        .map_err(|error| Failure::engine(format!("the answer is no transcript: {error}")))?;
    let segments = segments.unwrap_or_default();
    let is_speech = |segment: &&Segment| segment.is_speech(no_speech_probability_max);
    let text = match segments.iter().all(|segment| is_speech(&segment)) {
        true => text,
        false => segments.iter().filter(is_speech).map(|segment| segment.text.as_str()).collect(),
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Text(Extracted {
        text: text.to_owned(),
        language: language.filter(|language| !language.is_empty()),
        duration_ms: duration.and_then(milliseconds),
        truncated: false,
    }))
}

/// Whole milliseconds; none for what is no length of time.
fn milliseconds(seconds: f64) -> Option<u64> {
    let milliseconds = (seconds * 1_000.0).round();
    // Up to here every whole number is a float.
    (0.0..=9e15).contains(&milliseconds).then_some(milliseconds as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(answer: serde_json::Value) -> Result<Outcome, Failure> {
        outcome(answer.to_string().as_bytes(), 0.6)
    }

    fn text(text: &str) -> Result<Outcome, Failure> {
        Ok(Outcome::Text(Extracted { text: text.to_owned(), ..Extracted::default() }))
    }

    /// Goal: silence is no speech, whatever words were put to it; speech beside it is kept (K55).
    #[test]
    fn silence_is_left_out() {
        let segment = |text: &str, no_speech_prob: f64| json!({"text": text, "no_speech_prob": no_speech_prob});
        let answer = |text: &str, segments: &[serde_json::Value]| json!({"text": text, "segments": segments});
        assert_eq!(read(answer(" You", &[segment(" You", 0.8)])), Ok(Outcome::Nothing));
        let mixed = [segment(" See you", 0.1), segment(" You", 0.9), segment(" at eight.", 0.6)];
        assert_eq!(read(answer(" See you You at eight.", &mixed)), text("See you at eight."));
        assert_eq!(read(answer(" hello ", &[segment(" hello", 0.2)])), text("hello"));
        assert_eq!(read(answer("", &[])), Ok(Outcome::Nothing));
    }

    /// Goal: language and length are told where the server tells them, and what it leaves out is no
    /// error.
    #[test]
    fn language_and_length_are_told() {
        let answer = json!({"task": "transcribe", "text": "hallo", "language": "german", "duration": 1.2345});
        let expected = Extracted {
            text: "hallo".to_owned(),
            language: Some("german".to_owned()),
            duration_ms: Some(1_235),
            truncated: false,
        };
        assert_eq!(read(answer), Ok(Outcome::Text(expected)));
        assert_eq!(read(json!({"text": "hallo", "segments": null, "duration": -1})), text("hallo"));
        assert_eq!(read(json!({"text": "a", "segments": [{"text": "a"}]})), text("a"));
    }

    /// Goal: what is no transcript is a failure that is not tried again.
    #[test]
    fn garbage_is_permanent() {
        for garbage in ["", "null", "[]", "{}", "{\"text\": 1}", "{\"text\": \"cut", "<html>"] {
            let read = outcome(garbage.as_bytes(), 0.6);
            assert!(matches!(read, Err(Failure::Permanent { .. })), "{garbage}: {read:?}");
        }
    }
}
