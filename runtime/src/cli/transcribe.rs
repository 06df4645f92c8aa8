//! `anteroom transcribe`: one file through the engine that a node here would use, without a node.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom_core::content::{self, About};
use anteroom_core::id::PoolName;
use anteroom_core::message::{FailureKind, MediaKind, Outcome};
use anteroom_core::pool::routing::Routing;
use anteroom_core::settings::Limits;
use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::engines_here::{EnginesHere, NotHere};
use super::exit::Exit;
use super::send::{Kind, kind_of, mime_of};
use crate::media::processor::{Failure, Processor, Work, run_isolated};

/// Which file, and what it is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TranscribeArgs {
    /// The file
    file: PathBuf,
    /// Its MIME type [default: what its name stands for]
    #[arg(long, value_name = "TYPE")]
    mime: Option<String>,
    /// What a person would call it [default: what the MIME type stands for]
    #[arg(long)]
    kind: Option<Kind>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    here: EnginesHere,
}

const EXAMPLES: &str = "\
Examples:
  anteroom transcribe voice.ogg
  anteroom transcribe sign.jpg --kind sticker --json

Exit codes: 0 it was read, also when there was nothing in it; 1 it was not; 2 wrong usage;
130 interrupted";

/// What became of the file.
struct Taken {
    pool: PoolName,
    engine: String,
    mime_type: String,
    kind: MediaKind,
    elapsed: Duration,
    result: Result<Outcome, Failure>,
}

/// Reads the file and prints what was found.
pub(super) async fn run(args: TranscribeArgs) -> Exit {
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let as_json = args.json;
    let taken = match take(args).await {
        Ok(Some(taken)) => taken,
        Ok(None) => return Exit::Interrupted,
        Err(error) => return error.complain(),
    };
    let printed = match as_json {
        true => print_json(&taken, name),
        false => print_table(&taken, name),
    };
    match (printed, &taken.result) {
        (Err(error), _) => Exit::failed(error),
        (Ok(()), Ok(Outcome::Text(_) | Outcome::Nothing)) => Exit::Done,
        (Ok(()), Ok(_) | Err(_)) => Exit::Refused,
    }
}

/// Gives the file to the engine; none when Ctrl-C came first.
async fn take(args: TranscribeArgs) -> Result<Option<Taken>, NotHere> {
    let path = std::fs::canonicalize(&args.file)
        .with_context(|| format!("the file {} cannot be read", args.file.display()))?;
    if !path.is_file() {
        return Err(anyhow!("{} is not a file", args.file.display()).into());
    }
    let mime_type = args.mime.clone().unwrap_or_else(|| mime_of(&args.file));
    let kind = args.kind.map_or_else(|| kind_of(&mime_type), MediaKind::from);
    let here = args.here.find().await?;
    let pools: Vec<_> = here.config.pools.iter().map(|pool| pool.settings.clone()).collect();
    let pool = Routing::new(&pools).map_err(anyhow::Error::from)?.route(&mime_type).clone();
    let settings = pools.iter().find(|settings| settings.name == pool);
    let timeout = settings.map_or(Duration::from_secs(600), |settings| settings.timeout.into());
    let processor: Arc<dyn Processor> = match here.engines.processors.get(&pool) {
        Some(processor) => Arc::clone(processor),
        None => return Err(anyhow!("the pool {pool} has no processor").into()),
    };
    let report = here.engines.reports.iter().find(|report| report.pool == pool);
    let engine = report.map(|report| report.line.clone()).unwrap_or_default();
    let work = work(&path, mime_type.clone(), kind, timeout);
    let (cancel, start) = (work.cancel.clone(), Instant::now());
    let running = run_isolated(processor, work);
    tokio::pin!(running);
    let result = tokio::select! {
        biased;
        result = &mut running => result,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            let _ = running.await;
            return Ok(None);
        }
    };
    Ok(Some(Taken { pool, engine, mime_type, kind, elapsed: start.elapsed(), result }))
}

fn work(path: &Path, mime_type: String, kind: MediaKind, timeout: Duration) -> Work {
    Work {
        path: path.to_owned(),
        mime_type,
        kind,
        filename: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        quota_exceeded: false,
        detail: None,
        timeout,
        cancel: CancellationToken::new(),
    }
}

fn print_table(taken: &Taken, name: Option<String>) -> io::Result<()> {
    let Taken { pool, engine, mime_type, elapsed, result, .. } = taken;
    let mut out = io::stdout().lock();
    writeln!(out, "type    {mime_type}")?;
    writeln!(out, "pool    {pool}")?;
    writeln!(out, "engine  {engine}")?;
    writeln!(out, "took    {:.2} s", elapsed.as_secs_f64())?;
    if let Err(failure) = result {
        writeln!(out, "failed  {failure}")?;
    }
    writeln!(out, "says    {}", said(taken, name))
}

fn print_json(taken: &Taken, name: Option<String>) -> io::Result<()> {
    let Taken { pool, engine, mime_type, kind, elapsed, result } = taken;
    let object = json!({
        "mime_type": mime_type,
        "kind": kind,
        "pool": pool,
        "engine": engine,
        "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        "outcome": outcome(result),
        "failure": result.as_ref().err().map(ToString::to_string),
        "content": said(taken, name),
    });
    writeln!(io::stdout().lock(), "{object}")
}

/// What a node would make of the end.
fn outcome(result: &Result<Outcome, Failure>) -> Outcome {
    match result {
        Ok(outcome) => outcome.clone(),
        Err(Failure::TimedOut | Failure::Cancelled) => Outcome::TimedOut,
        Err(Failure::Permanent { error, detail }) => {
            Outcome::Failed { error: *error, detail: Some(detail.clone()) }
        }
        Err(Failure::Transient { detail, .. }) => {
            let detail = Some(detail.clone());
            Outcome::Failed { error: FailureKind::RetriesExhausted, detail }
        }
    }
}

/// What a bot would read.
fn said(taken: &Taken, name: Option<String>) -> String {
    let about = About {
        kind: taken.kind,
        mime_type: &taken.mime_type,
        filename: name.as_deref(),
        caption: None,
    };
    let limit = Limits::default().max_characters_media_text;
    content::of(about, &mut outcome(&taken.result), limit).text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(result: Result<Outcome, Failure>) -> Taken {
        Taken {
            pool: "audio".into(),
            engine: "an engine".to_owned(),
            mime_type: "audio/ogg".to_owned(),
            kind: MediaKind::Audio,
            elapsed: Duration::ZERO,
            result,
        }
    }

    /// Goal: what is printed is what a bot would read, whatever the end.
    #[test]
    fn every_end_reads_as_a_bot_reads_it() {
        let later = Failure::Transient { retry_after: None, detail: "busy".to_owned() };
        for (result, expected) in [
            (Ok(Outcome::Nothing), "[Audio transcript: no speech]"),
            (Err(Failure::TimedOut), "[Audio processing timed out]"),
            (Err(Failure::engine("x")), "[Audio processing failed]"),
            (Err(later), "[Audio processing failed]"),
        ] {
            assert_eq!(said(&taken(result), None), expected);
        }
    }
}
