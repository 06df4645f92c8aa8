//! `anteroom tail`: a consumer that prints.
//!
//! Owns the consumer's half of "exactly once": it remembers what it printed, acknowledges only what
//! it printed, and counts only what the server confirmed. It reconnects by itself for ever, but never
//! after another consumer took the stream over: two that did would take it from each other for ever.

mod sse;

use std::convert::Infallible;
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU64;
use std::time::Duration;

use anteroom_core::id::CallbackId;
use anteroom_core::protocol::consumer::AckRequest;
use anteroom_core::protocol::limits::ACK_IDS_MAX;
use anteroom_core::protocol::{AckResponse, CallbackBatch, CallbackFrame};
use clap::Args;
use futures_util::FutureExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Response, StatusCode};
use tokio::time::sleep;

use self::sse::{SseEvent, SseParser};
use super::ClientArgs;
use super::answer::{self, Answered};
use super::back_off::BackOff;
use super::exit::{Exit, complain};
use super::print;
use super::seen::Seen;

/// Which callbacks, and for how long.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TailArgs {
    /// The bot whose callbacks are printed
    #[arg(long)]
    bot: String,
    /// Print each callback as one line of JSON
    #[arg(long)]
    json: bool,
    /// End after so many callbacks, each confirmed
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
    /// End after so long
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Only look: acknowledge nothing, so that everything comes again
    #[arg(long)]
    no_ack: bool,
}

const EXAMPLES: &str = "\
Examples:
  anteroom tail --bot demo
  anteroom tail --bot demo --json --count 1 --timeout 60

A bot has one live stream: a newer one takes over, and this one ends.
Exit codes: 0 --count reached, or ended by --timeout or Ctrl-C without --count; 1 refused; 2 wrong
usage; 3 --timeout passed before --count was reached, or without a server; 4 another consumer took
the stream over; 130 Ctrl-C before --count was reached";

/// How many callbacks are remembered as printed.
const SEEN_MAX: usize = 100_000;

/// The longest that anybody means by a time-out; what is longer overflows clocks.
const TIMEOUT_SECONDS_MAX: u64 = 365 * 24 * 3_600;

/// Bytes of the stream after which what has come is printed.
const GATHERED_BYTES_MAX: usize = 1024 * 1024;

/// How long an acknowledgement that is not durable yet waits, if the server names no time.
const ACK_WAIT: Duration = Duration::from_millis(500);

/// How long it waits at the most, whatever the server names.
const ACK_WAIT_MAX: Duration = Duration::from_secs(5);

/// Prints callbacks until there is a reason to end.
pub(super) async fn run(args: TailArgs, client: ClientArgs) -> Exit {
    let http = match answer::http_client() {
        Ok(http) => http,
        Err(error) => return Exit::failed(error),
    };
    let counting = args.count.is_some();
    let timeout = args.timeout.map(|secs| Duration::from_secs(secs.min(TIMEOUT_SECONDS_MAX)));
    let mut tail = Tail {
        args,
        client,
        http,
        seen: Seen::new(SEEN_MAX),
        unconfirmed: Vec::new(),
        reached: false,
        printed: 0,
        counted: 0,
    };
    let passed = tokio::select! {
        biased;
        exit = tail.follow() => return exit,
        _ = tokio::signal::ctrl_c() => {
            return if counting { Exit::Interrupted } else { Exit::Done };
        }
        passed = after(timeout) => passed,
    };
    match tail.args.count {
        Some(count) => {
            complain(format_args!("only {} of {count} came in {passed:?}", tail.counted));
            Exit::NotReached
        }
        None if tail.reached => Exit::Done,
        None => Exit::NotReached,
    }
}

/// Waits until the time-out has passed, if there is one.
async fn after(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(timeout) => {
            sleep(timeout).await;
            timeout
        }
        None => std::future::pending().await,
    }
}

/// Why a stream, or the whole command, ends.
#[derive(Debug)]
enum End {
    /// The command ends.
    Exit(Exit),
    /// The stream ended; what was not confirmed comes again on the next one.
    Lost(String),
}

struct Tail {
    args: TailArgs,
    client: ClientArgs,
    http: Client,
    seen: Seen,
    /// What was printed and is not confirmed; at most as many as one acknowledgement may have.
    unconfirmed: Vec<CallbackId>,
    /// Whether there was a stream.
    reached: bool,
    /// How many callbacks were printed.
    printed: u64,
    /// How many of them count: they are confirmed, or nobody wants them to be.
    counted: u64,
}

impl Tail {
    async fn follow(&mut self) -> Exit {
        let mut back_off = BackOff::new();
        let mut told = String::new();
        loop {
            let Err(end) = self.follow_one_stream(&mut back_off, &mut told).await;
            match end {
                End::Exit(exit) => return exit,
                End::Lost(trouble) if trouble == told => {}
                End::Lost(trouble) => {
                    complain(format_args!("{trouble} (trying again)"));
                    told = trouble;
                }
            }
            sleep(back_off.wait()).await;
        }
    }

    /// Follows one stream to its end.
    async fn follow_one_stream(
        &mut self,
        back_off: &mut BackOff,
        told: &mut String,
    ) -> Result<Infallible, End> {
        let mut response = self.open().await?;
        told.clear();
        self.reached = true;
        // An acknowledgement whose answer was lost may be durable: then its callback never comes again.
        self.acknowledge().await?;
        let mut parser = SseParser::default();
        loop {
            let gathered = gather(&mut response, &mut parser).await;
            if gathered.is_ok() {
                back_off.reset();
            }
            // What came before the end counts.
            self.take_all(&mut parser).await?;
            gathered?;
        }
    }

    async fn open(&self) -> Result<Response, End> {
        let url = self.client.server.at(&["v1", "bots", &self.args.bot, "callbacks"]);
        let request = self.http.get(url).header(ACCEPT, "text/event-stream");
        match answer::answered(self.client.authorized(request)).await {
            Answered::Well(response) => Ok(response),
            Answered::Badly { status, detail, .. } => Err(refusal(status, detail)),
            Answered::Not(error) if error.is_connect() => {
                Err(End::Lost(self.client.server.unreachable()))
            }
            Answered::Not(error) => Err(End::Lost(format!("no answer: {error}"))),
        }
    }

    /// Prints and acknowledges what has come.
    async fn take_all(&mut self, parser: &mut SseParser) -> Result<(), End> {
        while let Some(event) = parser.next() {
            match event.event_type.as_str() {
                "message" | "message.revised" => self.take(&event)?,
                "messages" => self.take_burst(&event)?,
                "replaced" => {
                    complain("another consumer took the stream over; this one ends");
                    return Err(End::Exit(Exit::Replaced));
                }
                other => {
                    complain(format_args!("an event of an unknown type was skipped: {other:?}"))
                }
            }
            if self.unconfirmed.len() >= ACK_IDS_MAX {
                self.acknowledge().await?;
            }
        }
        self.acknowledge().await
    }

    /// Takes callbacks that came together one by one: each is acknowledged by itself.
    fn take_burst(&mut self, event: &SseEvent) -> Result<(), End> {
        let batch: CallbackBatch = match serde_json::from_str(&event.data) {
            Ok(batch) => batch,
            Err(error) => {
                complain(format_args!("callbacks that cannot be read were skipped: {error}"));
                return Ok(());
            }
        };
        for frame in batch.callbacks {
            let json = serde_json::to_string(&frame)
                .expect("a callback is an object of strings, numbers and lists: JSON can write it");
            self.take_one(&json, frame)?;
        }
        Ok(())
    }

    /// Prints a callback, unless it was printed, and lists it for its acknowledgement. What comes
    /// beyond `--count` is left for the next consumer.
    fn take(&mut self, event: &SseEvent) -> Result<(), End> {
        let frame: CallbackFrame = match serde_json::from_str(&event.data) {
            Ok(frame) => frame,
            Err(error) => {
                complain(format_args!("a callback that cannot be read was skipped: {error}"));
                return Ok(());
            }
        };
        self.take_one(&event.data, frame)
    }

    fn take_one(&mut self, json: &str, frame: CallbackFrame) -> Result<(), End> {
        let id = frame.callback_id.to_string();
        if !self.seen.was_printed(&id) {
            if self.args.count.is_some_and(|count| self.printed >= count.get()) {
                return Ok(());
            }
            self.print(json, &frame)?;
            self.printed += 1;
            self.seen.printed(&id);
        }
        if self.args.no_ack {
            return if self.seen.confirmed(&id) { self.count() } else { Ok(()) };
        }
        self.unconfirmed.push(frame.callback_id);
        Ok(())
    }

    fn print(&self, json: &str, frame: &CallbackFrame) -> Result<(), End> {
        let mut stdout = io::stdout().lock();
        let written = if self.args.json {
            writeln!(stdout, "{json}")
        } else {
            stdout.write_all(print::block(frame).as_bytes())
        };
        written.and_then(|()| stdout.flush()).map_err(|error| {
            End::Exit(match error.kind() {
                // Whoever read has read enough.
                ErrorKind::BrokenPipe => Exit::Done,
                _ => Exit::failed(format_args!("stdout cannot be written: {error}")),
            })
        })
    }

    /// Acknowledges what was printed, as often as it takes until the server confirms it or the line
    /// breaks; then it is still listed.
    async fn acknowledge(&mut self) -> Result<(), End> {
        if self.unconfirmed.is_empty() {
            return Ok(());
        }
        let callback_ids = std::mem::take(&mut self.unconfirmed);
        let request = AckRequest { callback_ids, unknown: Vec::new() };
        let confirmed = self.confirmed(&request).await;
        let confirmed = match confirmed {
            Ok(confirmed) => confirmed,
            Err(end) => {
                self.unconfirmed = request.callback_ids;
                return Err(end);
            }
        };
        for callback_id in request.callback_ids {
            let id = callback_id.to_string();
            if !confirmed.unknown.contains(&id) && self.seen.confirmed(&id) {
                self.count()?;
            }
        }
        Ok(())
    }

    async fn confirmed(&self, request: &AckRequest) -> Result<AckResponse, End> {
        let body = serde_json::to_string(request)
            .expect("an acknowledgement is a list of strings: JSON can write it");
        loop {
            match self.acknowledge_once(body.clone()).await? {
                Acknowledged::Confirmed(response) => return Ok(response),
                Acknowledged::Later(wait) => sleep(wait).await,
            }
        }
    }

    async fn acknowledge_once(&self, body: String) -> Result<Acknowledged, End> {
        let url = self.client.server.at(&["v1", "bots", &self.args.bot, "callbacks", "ack"]);
        let request = self.http.post(url).header(CONTENT_TYPE, "application/json").body(body);
        match answer::answered(self.client.authorized(request)).await {
            Answered::Well(response) => match response.json::<AckResponse>().await {
                Ok(response) => Ok(Acknowledged::Confirmed(response)),
                Err(error) => Err(End::Lost(format!("an acknowledgement broke off: {error}"))),
            },
            Answered::Badly { status: StatusCode::SERVICE_UNAVAILABLE, retry_after, .. } => {
                Ok(Acknowledged::Later(retry_after.unwrap_or(ACK_WAIT).min(ACK_WAIT_MAX)))
            }
            Answered::Badly { status, detail, .. } => Err(refusal(status, detail)),
            Answered::Not(error) => {
                Err(End::Lost(format!("an acknowledgement got no answer: {error}")))
            }
        }
    }

    fn count(&mut self) -> Result<(), End> {
        self.counted += 1;
        match self.args.count {
            Some(count) if self.counted >= count.get() => Err(End::Exit(Exit::Done)),
            Some(_) | None => Ok(()),
        }
    }
}

/// Waits for the next piece of the stream and takes along what has come besides, so that it is
/// acknowledged in one request: each of them takes a durable write.
async fn gather(response: &mut Response, parser: &mut SseParser) -> Result<(), End> {
    let mut bytes_left = GATHERED_BYTES_MAX;
    let mut piece = response.chunk().await;
    loop {
        let bytes = match piece {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(End::Lost("the server ended the stream".to_owned())),
            Err(error) => return Err(End::Lost(format!("the stream broke: {error}"))),
        };
        parser.push(&bytes).map_err(|error| End::Lost(error.to_string()))?;
        bytes_left = bytes_left.saturating_sub(bytes.len());
        if bytes_left == 0 {
            return Ok(());
        }
        match response.chunk().now_or_never() {
            Some(next) => piece = next,
            None => return Ok(()),
        }
    }
}

/// What became of an acknowledgement.
enum Acknowledged {
    Confirmed(AckResponse),
    Later(Duration),
}

fn refusal(status: StatusCode, detail: String) -> End {
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    if status.is_client_error() && !passing.contains(&status) {
        return End::Exit(Exit::failed(detail));
    }
    End::Lost(detail)
}
