//! `anteroom send`: a provider with one message.
//!
//! Owns the patience: it connects, and connects again, and sends the same message under the same
//! provider message id until its receipt settles it or the time is over. What happens on one
//! connection is [`connection`]'s, how a file gets to the server is [`staging`]'s.

mod connection;
mod message;
mod staging;

use std::path::PathBuf;
use std::time::Duration;

use anteroom_core::id::{BotId, CallbackId, CallbackKey, MessageId};
use clap::{ArgGroup, Args};
use tokio::time::{Instant, sleep, timeout_at};

use self::connection::{Connection, Verdict};
use self::message::Outgoing;
pub(super) use self::message::{Kind, kind_of, mime_of};
use super::ClientArgs;
use super::back_off::BackOff;
use super::exit::{Exit, complain};

/// What to send, from whom, to which bot.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").args(["text", "file", "mime"]).required(true).multiple(true),
    after_help = EXAMPLES
)]
pub(super) struct SendArgs {
    /// The bot that is written to
    #[arg(long)]
    bot: String,
    /// Who writes: the correspondent, or a member of --group
    #[arg(long)]
    from: String,
    /// The text; - reads it from stdin
    #[arg(long, conflicts_with_all = ["file", "mime"])]
    text: Option<String>,
    /// The file: a voice note, picture, video, document …
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// The file's MIME type [default: by its name]; media_corrupt_<kind> needs no file
    #[arg(long)]
    mime: Option<String>,
    /// What the file is [default: by its MIME type]
    #[arg(long, conflicts_with = "text")]
    kind: Option<Kind>,
    /// The text beside the file
    #[arg(long, conflicts_with = "text")]
    caption: Option<String>,
    /// The group that it is written in; the group is the correspondent then
    #[arg(long)]
    group: Option<String>,
    /// The kind of provider to be [default: cli, or what the bot has]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The name that people see
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// The message's id at the provider; sent again under the same id it is a duplicate [default: new]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// How long to try
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Upload the file even where the server's staging directory can be written to
    #[arg(long, requires = "file")]
    upload: bool,
}

const EXAMPLES: &str = "\
Examples:
  anteroom send --bot demo --from alice --text \"hello\"
  anteroom send --bot demo --from alice --file note.pdf --caption \"the invoice\"
  anteroom send --bot demo --from bob --group football --file voice.ogg
  echo \"a longer text\" | anteroom send --bot demo --from alice --text -

Prints one line when the message is durable: accepted demo/alice/1
Exit codes: 0 accepted or duplicate, 1 refused, 2 wrong usage, 3 not reached or not in time";

/// The provider that a bot gets by default.
const PROVIDER: &str = "cli";

/// The longest that anybody means by a time-out; what is longer overflows clocks.
const TIMEOUT_SECONDS_MAX: u64 = 365 * 24 * 3_600;

/// Sends the message, and says what became of it.
pub(super) async fn run(args: SendArgs, client: ClientArgs) -> Exit {
    let timeout_secs = args.timeout.min(TIMEOUT_SECONDS_MAX);
    let deadline = Instant::now() + Duration::from_secs(timeout_secs);
    let chosen = args.provider.is_some();
    let provider = args.provider.clone().unwrap_or_else(|| PROVIDER.to_owned());
    let outgoing = match Outgoing::prepare(args).await {
        Ok(outgoing) => outgoing,
        Err(wrong) => {
            complain(wrong);
            return Exit::Usage;
        }
    };
    let mut sender = Sender { client, outgoing, provider, chosen, timeout_secs, trouble: None };
    match timeout_at(deadline, sender.send()).await {
        Ok(Ok(line)) => {
            println!("{line}");
            Exit::Done
        }
        Ok(Err(refusal)) => Exit::failed(refusal),
        Err(_) => {
            let trouble = sender.trouble.as_deref().unwrap_or("no answer");
            complain(format_args!("not sent in {timeout_secs} s: {trouble}"));
            Exit::NotReached
        }
    }
}

/// The server, or the way to it, settled that the message will not be taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

struct Sender {
    client: ClientArgs,
    outgoing: Outgoing,
    provider: String,
    /// The provider's name was chosen by the caller, and is not replaced by the bot's.
    chosen: bool,
    timeout_secs: u64,
    /// What stood in the way last.
    trouble: Option<String>,
}

impl Sender {
    /// Tries until the message is settled; the line to print when it is durable.
    async fn send(&mut self) -> Result<String, Refusal> {
        let mut back_off = BackOff::new();
        loop {
            match self.attempt(&mut back_off).await {
                Verdict::Accepted(id) => return Ok(format!("accepted {}", self.callback_id(id))),
                Verdict::Duplicate(id) => return Ok(format!("duplicate {}", self.callback_id(id))),
                Verdict::Refused(why) => return Err(Refusal(why)),
                Verdict::OtherProvider { expected, detail } => self.be(expected, detail)?,
                Verdict::Lost(trouble) => {
                    self.note(trouble);
                    sleep(back_off.wait()).await;
                }
            }
        }
    }

    async fn attempt(&mut self, back_off: &mut BackOff) -> Verdict {
        match Connection::open(&self.client, &self.outgoing, &self.provider).await {
            Err(verdict) => verdict,
            Ok(mut connection) => {
                back_off.reset();
                let noted = &mut self.trouble;
                let trouble = |trouble| note(noted, trouble, self.timeout_secs);
                let verdict = connection.hand_over(&mut self.outgoing, trouble).await;
                connection.end().await;
                verdict
            }
        }
    }

    /// Says hello as the provider that the bot has, unless the caller chose another.
    fn be(&mut self, expected: Option<String>, detail: String) -> Result<(), Refusal> {
        match expected {
            Some(expected) if !self.chosen && expected != self.provider => {
                self.provider = expected;
                Ok(())
            }
            Some(expected) => Err(Refusal(format!(
                "the bot is connected through another provider: use --provider {expected}"
            ))),
            None => Err(Refusal(detail)),
        }
    }

    fn note(&mut self, trouble: String) {
        note(&mut self.trouble, trouble, self.timeout_secs);
    }

    fn callback_id(&self, message_id: MessageId) -> CallbackId {
        CallbackId {
            bot_id: BotId::from(self.outgoing.bot()),
            key: CallbackKey {
                correspondent_id: self.outgoing.draft().correspondent_id.clone(),
                message_id,
                revision: 0,
            },
        }
    }
}

/// Says what stands in the way, once.
fn note(noted: &mut Option<String>, trouble: String, timeout_secs: u64) {
    if noted.as_ref() != Some(&trouble) {
        complain(format_args!("{trouble} (trying for {timeout_secs} s)"));
        *noted = Some(trouble);
    }
}
