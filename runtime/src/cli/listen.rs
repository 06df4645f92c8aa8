//! `anteroom listen`: a webhook's receiver on this machine, to see what a bot would get.
//!
//! Owns the receiver's half of "exactly once", as a bot's own program would: it verifies the signature over
//! the very bytes that came, acts once on each callback id, and acknowledges what it has acted upon, again if
//! need be.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anteroom_core::protocol::{CallbackBatch, CallbackFrame};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use clap::Args;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::exit::{Exit, complain};
use super::print;
use super::seen::Seen;
use super::webhook::{SECRET, unix_now};
use crate::webhook::signature::{self, Headers, Secret, verify};

/// Where, and what is answered.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListenArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9099")]
    listen: SocketAddr,
    /// The secret that both sides know; twice while it is being changed
    #[arg(long, value_name = "WHSEC", env = SECRET, hide_env_values = true)]
    secret: Vec<String>,
    /// Believe everybody: no signature is asked for
    #[arg(long, conflicts_with = "secret")]
    insecure: bool,
    /// Answer with this reply, which Anteroom then sends to the correspondent
    #[arg(long, value_name = "TEXT")]
    reply: Option<String>,
    /// Answer with this status, and act upon nothing unless it is a 2xx
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = status)]
    status: StatusCode,
    /// Print each callback as one line of JSON
    #[arg(long)]
    json: bool,
    /// End after so many callbacks
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
    /// Remember callback ids in this file, across restarts
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  anteroom listen --secret whsec_…                   print what a bot's webhook gets
  anteroom listen --secret whsec_… --reply 'got it'  and answer it
  anteroom listen --secret whsec_… --status 503      see how Anteroom tries again

Says where it listens on stderr. Any path will do.
Exit codes: 0 --count reached, or ended by Ctrl-C; 1 failed; 2 wrong usage";

/// Bytes of one request that are read.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How many callbacks are remembered.
const SEEN_MAX: usize = 100_000;

fn status(text: &str) -> Result<StatusCode, String> {
    text.parse().map_err(|_| "a status is a number from 100 to 999".to_owned())
}

/// Receives until there is a reason to end.
pub(super) async fn run(args: ListenArgs) -> Exit {
    let secrets: Result<Vec<_>, _> =
        args.secret.iter().map(|secret| Secret::parse(secret)).collect();
    let secrets = match secrets {
        Ok(secrets) if secrets.is_empty() && !args.insecure => {
            complain("whose signature is to be believed? --secret whsec_…, or --insecure");
            return Exit::Usage;
        }
        Ok(secrets) => secrets,
        Err(error) => return Exit::failed(error),
    };
    let memory = match Memory::open(args.remember.as_deref()) {
        Ok(memory) => memory,
        Err(error) => return Exit::failed(format_args!("--remember: {error}")),
    };
    let listener = match TcpListener::bind(args.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            return Exit::failed(format_args!("cannot listen on {}: {error}", args.listen));
        }
    };
    match listener.local_addr() {
        Ok(address) => eprintln!("listening on http://{address}"),
        Err(error) => return Exit::failed(error),
    }
    let done = Arc::new(Notify::new());
    let receiver =
        Arc::new(Receiver { args, secrets, memory: Mutex::new(memory), done: Arc::clone(&done) });
    let router = Router::new()
        .fallback(receive)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(receiver);
    let until_done = async move {
        tokio::select! {
            () = done.notified() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    match axum::serve(listener, router).with_graceful_shutdown(until_done).await {
        Ok(()) => Exit::Done,
        Err(error) => Exit::failed(error),
    }
}

struct Receiver {
    args: ListenArgs,
    secrets: Vec<Secret>,
    memory: Mutex<Memory>,
    done: Arc<Notify>,
}

/// The callbacks that were acted upon.
struct Memory {
    seen: Seen,
    count: u64,
    file: Option<File>,
}

impl Memory {
    fn open(path: Option<&Path>) -> io::Result<Self> {
        let mut seen = Seen::new(SEEN_MAX);
        let Some(path) = path else { return Ok(Self { seen, count: 0, file: None }) };
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        for line in BufReader::new(&file).lines() {
            seen.printed(&line?);
        }
        Ok(Self { seen, count: 0, file: Some(file) })
    }

    /// Remembers a callback; on disk before it is acknowledged.
    fn remember(&mut self, id: &str) -> io::Result<()> {
        self.seen.printed(id);
        self.count += 1;
        let Some(file) = &mut self.file else { return Ok(()) };
        writeln!(file, "{id}")?;
        file.sync_data()
    }
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    receiver.receive(&headers, &body).unwrap_or_else(|(status, why)| {
        complain(&why);
        (status, format!("{why}\n")).into_response()
    })
}

type Refusal = (StatusCode, String);

impl Receiver {
    fn receive(&self, headers: &HeaderMap, body: &[u8]) -> Result<Response, Refusal> {
        self.believe(headers, body)?;
        let callbacks = callbacks(body)?;
        if !self.args.status.is_success() {
            let ids = callbacks.iter().map(|(frame, _)| frame.callback_id.to_string());
            let ids = ids.collect::<Vec<_>>().join(", ");
            return Err((self.args.status, format!("{ids}: answered with {}", self.args.status)));
        }
        let mut memory = self.memory.lock().expect("nothing panics while it holds the memory");
        for (frame, json) in &callbacks {
            let id = frame.callback_id.to_string();
            if memory.seen.was_printed(&id) {
                complain(format_args!("{id} came again, as attempt {}", frame.attempt.0));
                continue;
            }
            let failed = |error: io::Error| {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("{id} was not acted upon: {error}"))
            };
            self.print(frame, json).map_err(failed)?;
            memory.remember(&id).map_err(failed)?;
        }
        if self.args.count.is_some_and(|count| memory.count >= count.get()) {
            self.done.notify_one();
        }
        let Some(reply) = &self.args.reply else { return Ok(self.args.status.into_response()) };
        Ok((self.args.status, axum::Json(json!({ "reply": reply }))).into_response())
    }

    /// Whether a request is signed by somebody who knows the secret.
    fn believe(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        if self.args.insecure {
            return Ok(());
        }
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let headers = Headers {
            id: header(signature::ID),
            timestamp: header(signature::TIMESTAMP),
            signature: header(signature::SIGNATURE),
        };
        let now = unix_now();
        let mut refusal = None;
        for secret in &self.secrets {
            match verify(secret, headers, body, now) {
                Ok(()) => return Ok(()),
                Err(why) => refusal = Some(why),
            }
        }
        let why = refusal.map_or_else(|| "there is no secret".to_owned(), |why| why.to_string());
        Err((StatusCode::UNAUTHORIZED, format!("a request is not believed: {why}")))
    }

    fn print(&self, frame: &CallbackFrame, json: &Value) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.args.json {
            writeln!(stdout, "{json}")?;
        } else {
            stdout.write_all(print::block(frame).as_bytes())?;
        }
        stdout.flush()
    }
}

/// The callbacks of a request, each with its JSON as it came.
fn callbacks(body: &[u8]) -> Result<Vec<(CallbackFrame, Value)>, Refusal> {
    let bad = |error: serde_json::Error| {
        (StatusCode::BAD_REQUEST, format!("a request is no callback: {error}"))
    };
    let json: Value = serde_json::from_slice(body).map_err(bad)?;
    if json["type"] == "messages" {
        let batch: CallbackBatch = serde_json::from_value(json.clone()).map_err(bad)?;
        let each = json["callbacks"].as_array().cloned().unwrap_or_default();
        return Ok(batch.callbacks.into_iter().zip(each).collect());
    }
    let frame = serde_json::from_value(json.clone()).map_err(bad)?;
    Ok(vec![(frame, json)])
}
