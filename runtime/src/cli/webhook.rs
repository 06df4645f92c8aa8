//! `anteroom webhook`: secrets, and signatures by hand.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};

use super::exit::Exit;
use crate::webhook::signature::{Headers, Secret, signatures, verify};

/// What is to be done.
#[derive(Debug, Args)]
pub(super) struct WebhookArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a new secret
    Secret,
    /// Print the headers with which a body would be sent
    #[command(after_help = SIGN)]
    Sign {
        /// The secret that both sides know; twice while it is being changed
        #[arg(long, required = true, value_name = "WHSEC", env = SECRET, hide_env_values = true)]
        secret: Vec<String>,
        /// The webhook-id
        #[arg(long)]
        id: String,
        /// The webhook-timestamp, in seconds since the epoch [default: now]
        #[arg(long, value_name = "SECONDS")]
        timestamp: Option<u64>,
        /// The body [default: standard input]
        body: Option<PathBuf>,
    },
    /// Check whether a request comes from somebody who knows the secret
    #[command(after_help = VERIFY)]
    Verify {
        /// The secret that both sides know
        #[arg(long, value_name = "WHSEC", env = SECRET, hide_env_values = true)]
        secret: String,
        /// The webhook-id
        #[arg(long)]
        id: String,
        /// The webhook-timestamp
        #[arg(long, value_name = "SECONDS")]
        timestamp: String,
        /// The webhook-signature
        #[arg(long)]
        signature: String,
        /// Take this for the present time, in seconds since the epoch [default: now]
        #[arg(long, value_name = "SECONDS")]
        now: Option<u64>,
        /// The body, byte by byte [default: standard input]
        body: Option<PathBuf>,
    },
}

/// Where a secret may be given without other programs seeing it.
pub(super) const SECRET: &str = "ANTEROOM_WEBHOOK_SECRET";

const SIGN: &str = "\
Example:
  anteroom webhook sign --id demo/alice/1 body.json
Exit codes: 0 signed, 1 failed, 2 wrong usage";

const VERIFY: &str = "\
Example:
  anteroom webhook verify --id demo/alice/1 --timestamp 1790000000 --signature v1,… body.json
Exit codes: 0 it is to be believed, 1 it is not, 2 wrong usage";

/// Does it.
pub(super) fn run(args: WebhookArgs) -> Exit {
    let done = match args.what {
        What::Secret => make_secret(),
        What::Sign { secret, id, timestamp, body } => sign(&secret, &id, timestamp, body),
        What::Verify { secret, id, timestamp, signature, now, body } => {
            let headers =
                Headers { id: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature) };
            check(&secret, headers, now, body)
        }
    };
    match done {
        Ok(()) => Exit::Done,
        Err(why) => Exit::failed(why),
    }
}

fn make_secret() -> Result<(), String> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| format!("the system gives no randomness: {error}"))?;
    println!("{}", Secret::written(random));
    Ok(())
}

fn sign(
    secrets: &[String],
    id: &str,
    timestamp: Option<u64>,
    body: Option<PathBuf>,
) -> Result<(), String> {
    let secrets: Result<Vec<_>, _> = secrets.iter().map(|secret| Secret::parse(secret)).collect();
    let secrets = secrets.map_err(|error| error.to_string())?;
    let body = read(body)?;
    let timestamp = timestamp.unwrap_or_else(unix_now);
    println!("webhook-id: {id}");
    println!("webhook-timestamp: {timestamp}");
    println!("webhook-signature: {}", signatures(&secrets, id, timestamp, &body));
    Ok(())
}

fn check(
    secret: &str,
    headers: Headers<'_>,
    now: Option<u64>,
    body: Option<PathBuf>,
) -> Result<(), String> {
    let secret = Secret::parse(secret).map_err(|error| error.to_string())?;
    let body = read(body)?;
    verify(&secret, headers, &body, now.unwrap_or_else(unix_now)).map_err(|why| why.to_string())?;
    println!("ok");
    Ok(())
}

/// The body, byte by byte.
fn read(path: Option<PathBuf>) -> Result<Vec<u8>, String> {
    match path {
        Some(path) => fs::read(&path).map_err(|error| format!("{}: {error}", path.display())),
        None => {
            let mut body = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut body);
            read.map(|_| body).map_err(|error| format!("standard input cannot be read: {error}"))
        }
    }
}

/// Seconds since the epoch.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
