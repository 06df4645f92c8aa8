//! What operators read: log lines on standard error, and spans where a collector is named.
//!
//! Owns the set-up of `tracing`. Standard output stays free for what programs read. Lines and spans are
//! filtered apart: how much is logged says nothing of what is sent.

#[cfg(feature = "otlp")]
mod otlp;

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One line an event, for people.
    #[default]
    Compact,
    /// One JSON object an event, for programs.
    Json,
    /// Several lines an event, for people who look for something.
    Pretty,
}

/// What is logged, and how.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: a level (`info`), or directives as in `RUST_LOG`
    /// (`warn,anteroom_runtime=debug`). Without it `RUST_LOG` decides, and without that `info`.
    pub level: Option<String>,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level makes no sense.
    #[error(
        "the log level {directives:?} makes no sense ({source}): use error, warn, info, debug or \
         trace, or directives such as \"info,anteroom_runtime=debug\""
    )]
    Level {
        /// What was given.
        directives: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Spans cannot be sent.
    #[cfg(feature = "otlp")]
    #[error("spans cannot be sent to the OpenTelemetry endpoint: {0}")]
    Otlp(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Somebody else has set it up in this process.
    #[error("logging is set up already")]
    AlreadySetUp,
}

/// What is set up, until the process ends.
#[derive(Debug, Default)]
#[must_use = "what is left of the spans is sent by `finish`"]
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    sending: Option<otlp::Sending>,
}

impl Telemetry {
    /// Sends what is left of the spans, for a while. Blocks.
    pub fn finish(self) {
        #[cfg(feature = "otlp")]
        if let Some(sending) = self.sending {
            sending.finish();
        }
    }
}

/// Sets logging up for the process. Colours are used only on a terminal, and not with `NO_COLOR`.
///
/// # Errors
/// A level that makes no sense, or a second call.
pub fn init(options: &LogOptions) -> Result<Telemetry, TelemetryError> {
    let filter = filter(options.level.clone().or_else(|| env::var("RUST_LOG").ok()))?;
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines =
        fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal() && !no_color);
    let lines = match options.format {
        LogFormat::Compact => lines.compact().boxed(),
        LogFormat::Pretty => lines.pretty().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let lines = registry().with(lines.with_filter(filter));
    #[cfg(feature = "otlp")]
    if let Some((spans, sending)) = otlp::start()? {
        lines.with(spans).try_init().map_err(|_| TelemetryError::AlreadySetUp)?;
        sending.announce();
        return Ok(Telemetry { sending: Some(sending) });
    }
    lines.try_init().map_err(|_| TelemetryError::AlreadySetUp)?;
    Ok(Telemetry::default())
}

/// Whether a level or directives make sense.
///
/// # Errors
/// [`TelemetryError::Level`].
pub fn check_level(level: &str) -> Result<(), TelemetryError> {
    filter(Some(level.to_owned())).map(drop)
}

/// The filter that `directives` ask for; `info` when there are none.
fn filter(directives: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let directives = directives.filter(|directives| !directives.trim().is_empty());
    let directives = directives.unwrap_or_else(|| "info".to_owned());
    EnvFilter::try_new(&directives).map_err(|source| TelemetryError::Level { directives, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: levels and directives are understood, nothing means `info`, nonsense is refused by name.
    #[test]
    fn log_levels_are_understood_or_refused() {
        for (given, expected) in [
            (None, "info"),
            (Some(" "), "info"),
            (Some("debug"), "debug"),
            (Some("warn,anteroom_runtime=trace"), "anteroom_runtime=trace,warn"),
        ] {
            let filter = filter(given.map(str::to_owned)).expect("a valid level");
            assert_eq!(filter.to_string(), expected);
        }
        let error = filter(Some("anteroom=loud".to_owned())).expect_err("no level");
        assert!(error.to_string().contains("\"anteroom=loud\""), "{error}");
    }
}
