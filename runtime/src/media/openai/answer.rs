//! What a server answered, and whether it is worth asking again.
//!
//! The rule is what an attempt may have cost. A server that was not reached, that said "later"
//! (429), or that stands behind a gateway which did not reach it (502, 503, 504) has done nothing:
//! the job comes back later. A bare 500 may be a stumble or the file itself, so it is asked once
//! more. Everything else, a success that arrived broken among it, may have been done and charged: it
//! is permanent.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::media::processor::Failure;

/// How large an answer may be.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How much of a refusal is read.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

/// How many characters of it are told.
const DETAIL_CHARACTERS_MAX: usize = 300;

/// Why there is no answer to be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The work was not done, and may be later.
    Later { retry_after: Option<Duration>, detail: String },
    /// The server broke on it.
    Broken { detail: String },
    /// It would be refused again, or may have been done.
    Final { detail: String },
}

impl Refusal {
    /// The same without the key, should a server repeat it.
    pub fn without(self, key: Option<&str>) -> Self {
        let Some(key) = key else { return self };
        let clean = |detail: String| detail.replace(key, "…");
        match self {
            Self::Later { retry_after, detail } => {
                Self::Later { retry_after, detail: clean(detail) }
            }
            Self::Broken { detail } => Self::Broken { detail: clean(detail) },
            Self::Final { detail } => Self::Final { detail: clean(detail) },
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Later { retry_after, detail } => Self::Transient { retry_after, detail },
            Refusal::Broken { detail } | Refusal::Final { detail } => Self::engine(detail),
        }
    }
}

/// The request did not get an answer. `all_sent`: the server has all of it.
pub(super) fn unsent(error: &reqwest::Error, all_sent: bool) -> Refusal {
    let detail = chain(error);
    if error.is_connect() {
        let detail = format!("the server was not reached: {detail}");
        return Refusal::Later { retry_after: None, detail };
    }
    match all_sent {
        false => {
            let detail = format!("the upload broke: {detail}");
            Refusal::Later { retry_after: None, detail }
        }
        true => Refusal::Final { detail: format!("the server did not answer: {detail}") },
    }
}

/// Reads an answer.
pub(super) async fn read(response: Response) -> Result<Vec<u8>, Refusal> {
    let status = response.status();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    if status.is_success() {
        return match body(response, ANSWER_BYTES_MAX).await {
            Ok(Body { whole: true, bytes }) => Ok(bytes),
            Ok(Body { whole: false, .. }) => {
                Err(Refusal::Final { detail: "the answer was too long".to_owned() })
            }
            Err(error) => {
                Err(Refusal::Final { detail: format!("the answer broke off: {}", chain(&error)) })
            }
        };
    }
    let said = match body(response, REFUSAL_BYTES_MAX).await {
        Ok(Body { bytes, .. }) => words(&bytes),
        Err(_) => String::new(),
    };
    Err(refusal(status, retry_after, &said))
}

/// What a status means.
fn refusal(status: StatusCode, retry_after: Option<Duration>, said: &str) -> Refusal {
    let detail = match said.is_empty() {
        true => format!("the server answered {status}"),
        false => format!("the server answered {status}: {said}"),
    };
    match status.as_u16() {
        429 | 502..=504 => Refusal::Later { retry_after, detail },
        500 | 520..=599 => Refusal::Broken { detail },
        _ => Refusal::Final { detail },
    }
}

struct Body {
    bytes: Vec<u8>,
    whole: bool,
}

/// Reads at most `bytes_max` of a body.
async fn body(mut response: Response, bytes_max: usize) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > bytes_max {
            return Ok(Body { bytes, whole: false });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes, whole: true })
}

/// What a refusal says, on one line: the message of an OpenAI error object, or the text as it is.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Wrapped {
        error: Inner,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Inner {
        Object { message: String },
        Text(String),
    }
    let text = match serde_json::from_slice(body) {
        Ok(Wrapped { error: Inner::Object { message } | Inner::Text(message) }) => message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let line: Vec<_> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    line.join(" ").chars().take(DETAIL_CHARACTERS_MAX).collect()
}

/// How long the server wants to be left alone: seconds, or the moment from which on it may be asked.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = http_date(value)?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// A date such as `Wed, 21 Oct 2015 07:28:00 GMT` (RFC 9110, section 5.6.7).
fn http_date(value: &str) -> Option<SystemTime> {
    let mut words = value.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<u64>());
    let mut next = || time.next()?.ok();
    let seconds_of_day = next()? * 3_600 + next()? * 60 + next()?;
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || seconds_of_day > 86_400 {
        return None;
    }
    // Days since 1970 by Howard Hinnant's `days_from_civil`, for years after it.
    let (shifted_year, shifted_month) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + seconds_of_day))
}

/// An error with its causes; the outer one alone says next to nothing.
fn chain(error: &reqwest::Error) -> String {
    let mut said = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&error.to_string());
        cause = error.source();
    }
    if said.is_empty() { "the connection broke".to_owned() } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Refusal {
        let status = StatusCode::from_u16(code).expect("a status");
        refusal(status, Some(Duration::from_secs(7)), "said")
    }

    /// Goal: what was not done comes back, what may have been done does not, and 500 stands between.
    #[test]
    fn statuses_are_classified() {
        for code in [429, 502, 503, 504] {
            let Refusal::Later { retry_after, detail } = status(code) else { panic!("{code}") };
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
            assert!(detail.contains("said") && detail.contains(&code.to_string()), "{detail}");
        }
        for code in [500, 520, 599] {
            assert!(matches!(status(code), Refusal::Broken { .. }), "{code}");
        }
        for code in [301, 400, 401, 403, 404, 408, 413, 415, 422, 501, 505] {
            assert!(matches!(status(code), Refusal::Final { .. }), "{code}");
        }
    }

    /// Goal: both forms of `Retry-After` are understood, a date in the past means now, and nonsense
    /// means nothing.
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // Wed, 21 Oct 2015 07:28:00 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        for (value, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("Wed, 21 Oct 2015 07:29:30 GMT", Some(90)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800 - 1_445_412_480)),
            ("Tue, 20 Oct 2015 07:28:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("Wed, 99 Oct 2015 07:29:30 GMT", None),
            ("Wed, 21 Oct 0000 07:29:30 GMT", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().expect("a value"));
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
        }
    }

    /// Goal: a refusal is told in the server's words, on one line, in bounds, and without the key.
    #[test]
    fn refusals_are_told_in_words() {
        let openai = br#"{"error": {"message": "Invalid file\nformat", "type": "x"}}"#;
        assert_eq!(words(openai), "Invalid file format");
        assert_eq!(words(br#"{"error": "no"}"#), "no");
        assert_eq!(words(b"<html>\r\n\x07oops"), "<html> oops");
        assert_eq!(words(&[b'x'; 5_000]).len(), DETAIL_CHARACTERS_MAX);
        let repeated = Refusal::Final { detail: "wrong key sk-1234".to_owned() };
        assert_eq!(
            repeated.without(Some("sk-1234")),
            Refusal::Final { detail: "wrong key …".to_owned() }
        );
    }
}
