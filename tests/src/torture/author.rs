//! Authors: they make the messages, stage their files, and hand them to a provider.
//!
//! An author has correspondents of its own and hands their messages over in the order of their
//! making; files reach staging before their message does. Now and then it hands one over again, with or
//! without its file, as a provider does that has lost its memory. **Invariant**: so many messages at the
//! most are under way, for the torture is about deaths and not about floods.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::torture::dice::Dice;
use crate::torture::ledger::{Counts, Expected, Fact, Ledger, Message, MessageNumber, Way};
use crate::torture::media::Medium;
use crate::torture::upload;
use crate::{PATIENCE, frames, staging};

/// Messages under way at once.
const UNDER_WAY_MAX: u64 = 500;

/// Messages with media under way at once.
const MEDIA_UNDER_WAY_MAX: u64 = 150;

/// How many characters of a text are kept.
const TEXT_CHARACTERS_MAX: usize = 700;

/// A message on its way to a provider's line.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Which message.
    pub number: MessageNumber,
    /// Whose.
    pub bot_id: Arc<str>,
    /// Its frame, without `seq`.
    pub frame: Value,
    /// The medium that the frame names.
    pub media_id: Option<Uuid>,
}

/// An author.
#[derive(Debug)]
pub struct Author {
    /// What it is called; its messages' ids begin with it.
    pub name: String,
    /// With whom its messages are, and whose they are.
    pub correspondents: Vec<(Arc<str>, Arc<str>)>,
    /// Of a hundred messages, how many carry media.
    pub media_percent: u64,
    /// How long it rests between two messages, at the most, in milliseconds.
    pub rest_ms_max: u64,
    /// Its draws.
    pub dice: Dice,
    /// Where everything is entered.
    pub ledger: Ledger,
    /// The server's address.
    pub url: String,
    /// The staging directory that is shared.
    pub staging: std::path::PathBuf,
}

impl Author {
    /// Makes messages until it is told to stop; what is begun is handed over.
    pub async fn run(mut self, provider: mpsc::Sender<Outgoing>, mut stop: watch::Receiver<bool>) {
        let mut made: Vec<Made> = Vec::new();
        for count in 0.. {
            let room = |counts: &Counts| {
                counts.messages - counts.called_back < UNDER_WAY_MAX
                    && counts.media - counts.media_called_back < MEDIA_UNDER_WAY_MAX
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = self.ledger.reaches(PATIENCE, room) => {}
            }
            if self.dice.chance(3) && !made.is_empty() {
                let again = self.dice.pick(&made).clone();
                self.hand_over_again(again, &provider).await;
            } else {
                let new = self.make(count);
                self.stage(&new, new.media_id).await;
                hand_over(&provider, new.outgoing.clone()).await;
                made.push(new);
                // What is long forgotten by everybody else needs not be remembered here.
                made.drain(..made.len().saturating_sub(64));
            }
            // Bursts, with rests between them.
            if self.dice.chance(30) {
                tokio::time::sleep(self.dice.millis(0..self.rest_ms_max)).await;
            }
        }
    }

    fn make(&mut self, count: u64) -> Made {
        let (bot_id, correspondent_id) = self.dice.pick(&self.correspondents).clone();
        let id = format!("{}-{count}", self.name);
        if self.dice.chance(self.media_percent) {
            let medium = Medium::draw(&mut self.dice, &format!("words of {id}"));
            let caption =
                if self.dice.chance(50) { format!("caption of {id}") } else { String::new() };
            let media_id = self.dice.uuid();
            let frame = medium.frame(&correspondent_id, &id, &caption, media_id);
            let expected = medium.expected(&caption);
            let file = medium.file.map(Arc::from);
            return self.entered(
                bot_id,
                correspondent_id,
                id,
                expected,
                frame,
                Some(media_id),
                file,
            );
        }
        let size = usize::try_from(self.dice.below(12).pow(3)).expect("it is small");
        let text = format!("text of {id} {}", "grüße 🦀 ".repeat(size / 8));
        let kept = text.chars().take(TEXT_CHARACTERS_MAX).collect();
        let frame = frames::text(&correspondent_id, &id, &text);
        self.entered(bot_id, correspondent_id, id, Expected::Text(kept), frame, None, None)
    }

    #[expect(clippy::too_many_arguments, reason = "a message has as many parts")]
    fn entered(
        &self,
        bot_id: Arc<str>,
        correspondent_id: Arc<str>,
        provider_message_id: String,
        expected: Expected,
        mut frame: Value,
        media_id: Option<Uuid>,
        file: Option<Arc<[u8]>>,
    ) -> Made {
        frame["bot_id"] = Value::from(&*bot_id);
        let message = Message {
            bot_id: Arc::clone(&bot_id),
            correspondent_id,
            provider_message_id,
            expected,
        };
        let number = self.ledger.make(message);
        Made { outgoing: Outgoing { number, bot_id, frame, media_id }, media_id, file }
    }

    /// Hands a message over once more: its frame alone, with its file under the same id, or with its
    /// file under another one.
    async fn hand_over_again(&mut self, mut made: Made, provider: &mpsc::Sender<Outgoing>) {
        if made.file.is_some() {
            match self.dice.below(3) {
                0 => self.stage(&made, made.media_id).await,
                // While a message is under way, the other file of a resend that joins it is left to
                // the sweep for orphans.
                1 if self.ledger.is_durable(made.outgoing.number) => {
                    let media_id = self.dice.uuid();
                    made.outgoing.frame["media"]["media_id"] = media_id.to_string().into();
                    made.outgoing.media_id = Some(media_id);
                    self.stage(&made, Some(media_id)).await;
                }
                _ => {}
            }
        }
        hand_over(provider, made.outgoing).await;
    }

    /// Gets a message's file into staging, however often that takes.
    async fn stage(&mut self, made: &Made, media_id: Option<Uuid>) {
        let (Some(file), Some(media_id)) = (&made.file, media_id) else { return };
        let number = made.outgoing.number;
        if self.dice.chance(40) {
            self.ledger.record(Fact::Staging { number, media_id, way: Way::Shared });
            share(&self.staging, media_id, file);
        } else {
            if self.dice.chance(10) {
                self.ledger.record(Fact::Staging { number, media_id, way: Way::BrokenOff });
                let part = self.dice.below(file.len() as u64 + 1);
                let part = usize::try_from(part).expect("it is within the file");
                upload::broken_off(&self.url, media_id, file, part).await;
            }
            self.ledger.record(Fact::Staging { number, media_id, way: Way::Uploaded });
            if let Err(what) = upload::whole(&self.url, media_id, file).await {
                self.ledger.record(Fact::Unexpected(what));
                return;
            }
        }
        self.ledger.record(Fact::Staged { number, media_id });
    }
}

fn share(directory: &Path, media_id: Uuid, file: &[u8]) {
    staging::share(directory, media_id, file);
}

/// A message that was made, and what its file holds.
#[derive(Debug, Clone)]
struct Made {
    outgoing: Outgoing,
    media_id: Option<Uuid>,
    file: Option<Arc<[u8]>>,
}

async fn hand_over(provider: &mpsc::Sender<Outgoing>, outgoing: Outgoing) {
    let handed = provider.send(outgoing).await;
    handed.expect("a provider takes messages for longer than authors make them");
}

/// How long an author may take to get what it has begun out of its hands.
pub const HAND_OVER_PATIENCE: Duration = Duration::from_secs(90);
