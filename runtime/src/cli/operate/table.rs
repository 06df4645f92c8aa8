//! Tables, ages and times, for people.

use std::env;
use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A table with a heading, as wide as its longest cells. The heading is bold on a terminal, unless
/// `NO_COLOR` is set.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    let mut lines = vec![bold(&line(&heading))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

fn bold(text: &str) -> String {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !no_color {
        format!("\u{1b}[1m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// A member as a cell; `-` when there is none. A stranger's text must not command the terminal.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => {
            text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
        }
        other => other.to_string(),
    }
}

/// Milliseconds as an age, in its two largest units.
pub(super) fn age(value: &Value) -> String {
    let Some(ms) = value.as_u64() else { return "-".to_owned() };
    let secs = ms / 1_000;
    match secs {
        0 => format!("{ms}ms"),
        1..60 => format!("{secs}s"),
        60..3_600 => format!("{}m {}s", secs / 60, secs % 60),
        3_600..86_400 => format!("{}h {}m", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{}d {}h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

/// Milliseconds since the epoch as a time.
pub(super) fn time(value: &Value) -> String {
    let time = value.as_u64().and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
    // The last moment that can be written.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    match time.filter(|time: &SystemTime| *time <= last) {
        Some(time) => humantime::format_rfc3339_millis(time).to_string(),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Goal: columns stand under each other, and nothing in them can command a terminal.
    #[test]
    fn columns_stand_under_each_other() {
        let rows = [
            vec!["a".to_owned(), cell(&json!("\u{1b}[2J"))],
            vec!["longer".to_owned(), cell(&Value::Null)],
        ];
        assert_eq!(table(&["X", "Y"], &rows), "X       Y\na       \u{fffd}[2J\nlonger  -");
    }

    /// Goal: ages and times read well, whatever the number.
    #[test]
    fn ages_and_times_read_well() {
        for (ms, expected) in [
            (0, "0ms"),
            (1_500, "1s"),
            (61_000, "1m 1s"),
            (3_660_000, "1h 1m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(age(&json!(ms)), expected);
        }
        assert_eq!(time(&json!(1_000)), "1970-01-01T00:00:01.000Z");
        assert_eq!(time(&json!(u64::MAX)), "-");
        assert_eq!(age(&Value::Null), "-");
    }
}
