//! Short accounts, told step by step, for the rules' tests.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{About, Violation};
use crate::frames;
use crate::torture::account::Account;
use crate::torture::ledger::{
    Callback, Death, Entry, Expected, Fact, LineId, Message, MessageNumber, Side, Verdict, Victim,
    Way,
};
use crate::torture::remains::{Archived, Remains};

/// An account in the making. Everything is of one bot, on one line at a time.
#[derive(Debug, Clone)]
pub(super) struct Story {
    messages: Vec<Message>,
    entries: Vec<Entry>,
    now: Duration,
    line: LineId,
    pub remains: Remains,
}

/// What a rule says of a story that breaks it; a message is named before.
pub(super) fn broken_by(story: &Story, rule: fn(&Account) -> Result<(), Violation>) -> String {
    let account = story.account();
    let violation = rule(&account).expect_err("the story breaks the rule");
    match violation.about {
        About::Message(number) => {
            format!("{} {}", account.message(number).provider_message_id, violation.what)
        }
        About::Nothing | About::File(_) | About::Line(_) => violation.what,
    }
}

impl Story {
    pub fn new() -> Self {
        let mut story = Self {
            messages: Vec::new(),
            entries: Vec::new(),
            now: Duration::ZERO,
            line: LineId(0),
            remains: Remains::default(),
        };
        story.another_stream();
        story
    }

    fn account(&self) -> Account {
        let (messages, entries) = (self.messages.clone(), self.entries.clone());
        Account::of(messages, entries, 0, self.remains.clone())
    }

    /// Asserts that a rule is kept.
    pub fn keeps(&self, rule: fn(&Account) -> Result<(), Violation>) {
        assert_eq!(rule(&self.account()), Ok(()));
    }

    fn tell(&mut self, fact: Fact) {
        self.now += Duration::from_millis(1);
        self.entries.push(Entry { at: self.now, fact });
    }

    /// Lets so many seconds pass.
    pub fn pass(&mut self, seconds: u64) {
        // Less the millisecond that the next fact takes.
        self.now += Duration::from_secs(seconds) - Duration::from_millis(1);
    }

    pub fn texts<const N: usize>(&mut self, ids: [&str; N]) -> [MessageNumber; N] {
        ids.map(|id| self.text_of("alice", id))
    }

    pub fn text_of(&mut self, correspondent_id: &str, id: &str) -> MessageNumber {
        self.message(correspondent_id, id, Expected::Text(format!("text of {id}")))
    }

    pub fn medium(&mut self, id: &str) -> MessageNumber {
        let words = format!("words of {id}");
        let expected = Expected::Media { outcome: "text", begins: words, ends: String::new() };
        self.message("alice", id, expected)
    }

    fn message(&mut self, correspondent_id: &str, id: &str, expected: Expected) -> MessageNumber {
        self.messages.push(Message {
            bot_id: Arc::from("bot"),
            correspondent_id: Arc::from(correspondent_id),
            provider_message_id: id.to_owned(),
            expected,
        });
        MessageNumber(self.messages.len() - 1)
    }

    /// The id of a message's file.
    pub fn media_id(&self, number: MessageNumber) -> Uuid {
        Uuid::from_u128(number.0 as u128 + 1)
    }

    pub fn written(&mut self, number: MessageNumber) {
        let media_id = Some(self.media_id(number));
        self.tell(Fact::Written { number, line: self.line, media_id });
    }

    pub fn accepted(&mut self, number: MessageNumber, message_id: u64) {
        self.receipt(number, Verdict::Durable { message_id, duplicate: false });
    }

    pub fn duplicate(&mut self, number: MessageNumber, message_id: u64) {
        self.receipt(number, Verdict::Durable { message_id, duplicate: true });
    }

    pub fn later(&mut self, number: MessageNumber, reason: &str) {
        self.receipt(number, Verdict::Later(reason.to_owned()));
    }

    pub fn invalid(&mut self, number: MessageNumber, detail: &str) {
        self.receipt(number, Verdict::Invalid(detail.to_owned()));
    }

    fn receipt(&mut self, number: MessageNumber, verdict: Verdict) {
        let media_id = Some(self.media_id(number));
        self.tell(Fact::Receipt { number, line: self.line, media_id, verdict });
    }

    pub fn uploading(&mut self, number: MessageNumber) {
        self.staging(number, Way::Uploaded);
    }

    pub fn breaking_off(&mut self, number: MessageNumber) {
        self.staging(number, Way::BrokenOff);
    }

    fn staging(&mut self, number: MessageNumber, way: Way) {
        let media_id = self.media_id(number);
        self.tell(Fact::Staging { number, media_id, way });
    }

    pub fn staged(&mut self, number: MessageNumber) {
        let media_id = self.media_id(number);
        self.tell(Fact::Staged { number, media_id });
    }

    /// Calls a message back as its row says, or as a text.
    pub fn received(&mut self, number: MessageNumber, message_id: u64, attempt: u64) {
        let id = self.messages[number.0].provider_message_id.clone();
        self.tell_callback(number, message_id, attempt, format!("text of {id}"), None, None);
    }

    pub fn received_as(
        &mut self,
        number: MessageNumber,
        content: &str,
        outcome: &str,
        error: Option<&str>,
    ) {
        self.tell_callback(number, 1, 1, content.to_owned(), Some(outcome), error);
    }

    fn tell_callback(
        &mut self,
        number: MessageNumber,
        message_id: u64,
        attempt: u64,
        content: String,
        outcome: Option<&str>,
        error: Option<&str>,
    ) {
        let message = &self.messages[number.0];
        let callback = Callback {
            line: self.line,
            callback_id: callback_id(message, message_id),
            attempt,
            bot_id: message.bot_id.to_string(),
            correspondent_id: message.correspondent_id.to_string(),
            message_id,
            provider_message_id: message.provider_message_id.clone(),
            content,
            outcome: outcome.map(str::to_owned),
            error: error.map(str::to_owned),
        };
        self.tell(Fact::Received(callback));
    }

    pub fn received_of_a_stranger(&mut self) {
        let [stranger] = self.texts(["stranger"]);
        self.received(stranger, 99, 1);
        self.messages.pop();
    }

    pub fn confirmed(&mut self, number: MessageNumber, message_id: u64) {
        let callback_id = callback_id(&self.messages[number.0], message_id);
        self.tell(Fact::Confirmed { line: self.line, callback_id });
    }

    pub fn unknown(&mut self, number: MessageNumber, message_id: u64) {
        let callback_id = callback_id(&self.messages[number.0], message_id);
        self.tell(Fact::Unknown { line: self.line, callback_id });
    }

    pub fn unexpected(&mut self, what: &str) {
        self.tell(Fact::Unexpected(what.to_owned()));
    }

    pub fn death(&mut self) {
        self.tell(Fact::Ending(Victim::Node, Death::Killed));
        self.tell(Fact::Ended(Victim::Node, Death::Killed));
        self.tell(Fact::Ready);
    }

    pub fn another_stream(&mut self) {
        self.line.0 += 1;
        self.tell(Fact::LineOpened { line: self.line, who: Arc::from("somebody") });
    }

    pub fn line_ends(&mut self, by: Side) {
        self.tell(Fact::LineEnded { line: self.line, by });
    }

    /// Archives a message, acknowledged, after as many attempts as anybody needs.
    pub fn row(&mut self, number: MessageNumber, id: u64) {
        let message = &self.messages[number.0];
        let row = Archived {
            bot_id: message.bot_id.to_string(),
            provider_name: frames::PROVIDER_NAME.to_owned(),
            correspondent_id: message.correspondent_id.to_string(),
            id,
            provider_message_id: message.provider_message_id.clone(),
            media_id: None,
            seq: id,
            callback: "acknowledged".to_owned(),
            attempts: 9,
            archived_at_ms: u64::try_from(self.now.as_millis()).expect("a short story"),
            content: format!("text of {}", message.provider_message_id),
        };
        self.remains.archive.push(row);
    }

    /// The archived rows, to be spoiled.
    pub fn rows(&mut self) -> &mut [Archived] {
        &mut self.remains.archive
    }
}

fn callback_id(message: &Message, message_id: u64) -> String {
    format!("{}/{}/{message_id}", message.bot_id, message.correspondent_id)
}
