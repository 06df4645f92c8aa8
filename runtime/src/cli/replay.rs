//! `anteroom replay`: a trace through the core again, and as a page to look at.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use anteroom_core::time::Millis;
use anteroom_trace::line::LINE_BYTES_MAX;
use anteroom_trace::page::Pages;
use anteroom_trace::replay::{Replay, ReplayError};
use clap::Args;

use super::exit::{Exit, complain};

/// Which traces, and what is wanted of them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArgs {
    /// The files of the trace, oldest first; each replays alone
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also write a page that shows what happened, for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  anteroom replay trace.jsonl
  anteroom replay trace.jsonl.2 trace.jsonl.1 trace.jsonl --html trace.html

Every step of the trace is made again by this version's core. The first effect that is not the same is
shown: the file, the line, the event, what was recorded, and what is done now. A last line that was cut
off by a crash is said and left out.
Exit codes: 0 identical, 1 an effect is another, 2 wrong usage, 3 a file cannot be read or is no trace";

/// Replays the files, one after the other.
pub(super) fn run(args: &ReplayArgs) -> Exit {
    let mut shown = args.html.is_some().then(Pages::default);
    let mut exit = Exit::Done;
    for file in &args.files {
        match replay(file, shown.as_mut()) {
            Ok(()) => {}
            Err(failure) => {
                println!("{}: {}", file.display(), failure.word());
                complain(format_args!("{}: {failure}", file.display()));
                exit = exit.max(failure.exit());
            }
        }
    }
    if let (Some(path), Some(shown)) = (&args.html, shown) {
        let names: Vec<_> = args.files.iter().map(|file| file.display().to_string()).collect();
        if let Err(error) = std::fs::write(path, shown.page(names.join(", "))) {
            complain(format_args!("cannot write {}: {error}", path.display()));
            return Exit::NotReached;
        }
        println!("{}: written, open it in a browser", path.display());
    }
    exit
}

/// Why a file is not identical.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Unreadable(String),
    #[error("{0}")]
    Replay(#[from] ReplayError),
}

impl Failure {
    fn word(&self) -> &'static str {
        match self {
            Self::Replay(ReplayError::Differs(_)) => "differs",
            Self::Unreadable(_) | Self::Replay(_) => "cannot be replayed",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Replay(ReplayError::Differs(_)) => Exit::Refused,
            Self::Unreadable(_) | Self::Replay(_) => Exit::NotReached,
        }
    }
}

fn replay(path: &Path, mut shown: Option<&mut Pages>) -> Result<(), Failure> {
    let unreadable = |error: io::Error| Failure::Unreadable(error.to_string());
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(unreadable)?);
    let mut replay = Replay::default();
    let mut line = String::new();
    let mut is_cut = false;
    while next_line(&mut reader, &mut line, replay.lines())? {
        let is_whole = line.ends_with('\n');
        let replayed = match replay.line(line.trim_end_matches('\n')) {
            Ok(replayed) => replayed,
            Err(ReplayError::Unreadable { line, .. }) if !is_whole && line > 1 => {
                is_cut = true;
                break;
            }
            Err(error) => {
                if let (Some(shown), ReplayError::Differs(difference)) = (shown, &error) {
                    shown.difference(difference);
                }
                return Err(error.into());
            }
        };
        if let Some(shown) = shown.as_deref_mut() {
            shown.line(replay.lines(), replayed);
        }
    }
    if replay.lines() == 0 {
        return Err(Failure::Unreadable("it is empty".to_owned()));
    }
    let lasted = replay.span().map_or(Millis::ZERO, |(first, last)| last.since(first));
    let seconds = lasted.as_ms() as f64 / 1_000.0;
    let steps = replay.steps();
    println!("{}: identical: {steps} steps in {seconds} s of the trace", path.display());
    if is_cut {
        let line = replay.lines();
        println!("{}: line {line}, the last one, was cut off and is left out", path.display());
    }
    Ok(())
}

/// Reads the next line; false at the end.
fn next_line(
    reader: &mut BufReader<File>,
    line: &mut String,
    lines: usize,
) -> Result<bool, Failure> {
    line.clear();
    let number = lines + 1;
    let failed = |what: String| Failure::Unreadable(format!("line {number}: {what}"));
    match reader.by_ref().take(LINE_BYTES_MAX).read_line(line) {
        Ok(0) => Ok(false),
        Ok(bytes) if bytes as u64 == LINE_BYTES_MAX && !line.ends_with('\n') => {
            Err(failed(format!("it has more than {LINE_BYTES_MAX} bytes: this is no trace")))
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(failed("it is no text: this is no trace".to_owned()))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}
