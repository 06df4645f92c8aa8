//! Reading what an address or a body asks for.
//!
//! Strictly: a word that is not understood is refused by its name, so that a filter that was misspelt
//! never finds, or changes, more than was meant.

use std::collections::BTreeMap;
use std::str::FromStr;

use anteroom_core::id::{ArchiveSeq, BotId, CallbackId, CorrespondentId, MediaId, PoolName};
use anteroom_core::protocol::limits::ID_BYTES_MAX;
use anteroom_core::time::{Millis, Timestamp};
use axum::body::Body;
use axum::http::{StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::http::body;
use crate::http::problem::Problem;
use crate::store::views::{JobFilter, JobState, REASONS, StatusName};

/// Bytes of a body of an operator.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a page holds, if nothing is said.
const PAGE: u32 = 50;

/// What a page holds at the most.
pub(super) const PAGE_MAX: u32 = 500;

/// What is asked for, by name.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeMap<String, String>);

impl Asked {
    /// What stands behind the question mark, where only `known` may stand.
    pub(super) fn in_address(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let mut asked = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
            is_known(&name, known)?;
            if asked.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(invalid(&name, "it is given twice"));
            }
        }
        Ok(Self(asked))
    }

    /// The members of a JSON object, where only `known` may stand. Numbers and truths are as their words.
    pub(super) async fn in_body(body: Body, known: &[&str]) -> Result<Self, Problem> {
        let text = body::text(body, BODY_BYTES_MAX).await?;
        let text = if text.trim().is_empty() { "{}" } else { &text };
        let members: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            let detail = format!("the body is no JSON object: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
        })?;
        let mut asked = BTreeMap::new();
        for (name, value) in members {
            is_known(&name, known)?;
            let word = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    return Err(invalid(
                        &name,
                        "it is neither a text, nor a number, nor true or false",
                    ));
                }
            };
            asked.insert(name, word);
        }
        Ok(Self(asked))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| invalid(name, "it is missing"))
    }

    /// A value that is read from its word.
    pub(super) fn parsed<T: FromStr>(&self, name: &str, form: &str) -> Result<Option<T>, Problem> {
        let parse =
            |text: &str| text.parse().map_err(|_| invalid(name, &format!("it is no {form}")));
        self.text(name).map(parse).transpose()
    }

    /// One of several words.
    pub(super) fn one_of<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let expected = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| invalid(name, &format!("it is none of {}", expected())))
    }

    /// A truth that is false when nothing is said.
    pub(super) fn truth(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.one_of(name, &[("true", true), ("false", false)])?.unwrap_or(false))
    }

    /// How many a page holds.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        match self.parsed("limit", "number")? {
            None => Ok(PAGE),
            Some(limit @ 1..=PAGE_MAX) => Ok(limit),
            Some(_) => Err(invalid("limit", &format!("it is not from 1 to {PAGE_MAX}"))),
        }
    }

    pub(super) fn bot(&self) -> Result<Option<BotId>, Problem> {
        self.text("bot").map(bot_id).transpose()
    }

    /// Which jobs.
    pub(super) fn job_filter(&self, state: JobState, now: Timestamp) -> Result<JobFilter, Problem> {
        let statuses = [
            ("pending", StatusName::Pending),
            ("processing", StatusName::Processing),
            ("completed", StatusName::Completed),
        ];
        let reasons = REASONS.map(|reason| (reason, reason));
        let older: Option<u64> = self.parsed("older_than_ms", "number of milliseconds")?;
        Ok(JobFilter {
            state,
            bot_id: self.bot()?,
            pool: self.text("pool").map(PoolName::from),
            status: self.one_of("status", &statuses)?,
            reason: self.one_of("reason", &reasons)?.map(str::to_owned),
            before: older.map(|ms| now.minus(Millis::from_ms(ms))),
        })
    }
}

/// What [`Asked::job_filter`] understands.
pub(super) const FILTER: [&str; 5] = ["bot", "pool", "status", "reason", "older_than_ms"];

fn is_known(name: &str, known: &[&str]) -> Result<(), Problem> {
    if known.contains(&name) {
        return Ok(());
    }
    Err(invalid(name, &format!("it is not known here; known are {}", known.join(", "))))
}

/// Something that was asked for is not understood.
pub(super) fn invalid(name: &str, why: &str) -> Problem {
    let detail = format!("{name} is not understood: {why}");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
        .with_field(Some(name.to_owned()))
}

/// A bot's id as strangers may write it.
pub(super) fn bot_id(text: &str) -> Result<BotId, Problem> {
    is_id(text).then(|| BotId::from(text)).ok_or_else(|| {
        let detail = "a bot id is UTF-8, at most 512 bytes, without control characters";
        Problem::new(StatusCode::BAD_REQUEST, "invalid_bot_id", detail)
    })
}

/// A correspondent's id as strangers may write it.
pub(super) fn correspondent_id(text: &str) -> Result<CorrespondentId, Problem> {
    is_id(text).then(|| CorrespondentId::from(text)).ok_or_else(|| {
        let detail = "a correspondent id is UTF-8, at most 512 bytes, without control characters";
        Problem::new(StatusCode::BAD_REQUEST, "invalid_correspondent_id", detail)
    })
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_BYTES_MAX && !text.chars().any(char::is_control)
}

/// A callback's or a message's id.
pub(super) fn callback_id(text: &str) -> Result<CallbackId, Problem> {
    text.parse().map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_callback_id", format!("{text:?}: {error}"))
    })
}

/// Where a page of jobs ended, as a word.
pub(super) fn job_cursor(at: Timestamp, media_id: MediaId) -> String {
    format!("{}_{media_id}", at.as_ms())
}

/// The place that such a word stands for.
pub(super) fn read_job_cursor(word: &str) -> Result<(Timestamp, MediaId), Problem> {
    let read = || {
        let (at, media_id) = word.split_once('_')?;
        Some((Timestamp::from_ms(at.parse().ok()?), MediaId::parse(media_id)?))
    };
    read().ok_or_else(|| invalid("after", "it is no `next` of an answer"))
}

/// Where a page of callbacks ended, as a word.
pub(super) fn callback_cursor(bot_id: &BotId, seq: ArchiveSeq) -> String {
    format!("{}_{}", seq.0, utf8_percent_encode(bot_id.as_str(), NON_ALPHANUMERIC))
}

/// The place that such a word stands for.
pub(super) fn read_callback_cursor(word: &str) -> Result<(BotId, ArchiveSeq), Problem> {
    let read = || {
        let (seq, bot) = word.split_once('_')?;
        let bot = percent_decode_str(bot).decode_utf8().ok()?;
        Some((BotId::from(bot.as_ref()), ArchiveSeq(seq.parse().ok()?)))
    };
    read().ok_or_else(|| invalid("after", "it is no `next` of an answer"))
}
