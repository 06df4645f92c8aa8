//! Outside observers: what providers sent and were told, what consumers got, what the store holds.
//! Never the machine's own word.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use anteroom_core::bot::event::{AckAnswer, Callback};
use anteroom_core::draft::Draft;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{
    Attempt, BotId, CallbackKey, CorrespondentId, MediaId, MessageId, ProviderMessageId, RequestId,
};
use anteroom_core::receipt::Receipt;
use anteroom_core::store::{ArchiveAnswer, MarkAnswer, StoreReply, StoreRequest, StoreResult};

use super::Report;
use crate::store::{CallbackState, StoreModel};

#[derive(Debug, Default)]
pub(super) struct Checker {
    /// Events and effects are printed as they come.
    pub traced: bool,
    broken: Option<String>,
    /// What providers were told: accepted under which id.
    accepted: BTreeMap<(BotId, CorrespondentId, ProviderMessageId), MessageId>,
    /// The last attempt at each callback.
    attempts: BTreeMap<(BotId, CallbackKey), Attempt>,
    asked: BTreeMap<RequestId, (BotId, CallbackKey)>,
    /// Callbacks whose acknowledgement was answered.
    confirmed: BTreeSet<(BotId, CallbackKey)>,
    archived_media: BTreeSet<MediaId>,
    /// The last text called back for the first time, by correspondent.
    last_text: BTreeMap<(BotId, CorrespondentId), MessageId>,
    steps: u64,
    callbacks: u64,
    repeated: u64,
    crashes: u64,
    hasher: DefaultHasher,
}

impl Checker {
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub fn break_rule(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub fn report(&self) -> Report {
        Report {
            steps: self.steps,
            callbacks: self.callbacks,
            repeated: self.repeated,
            crashes: self.crashes,
            hash: self.hasher.finish(),
        }
    }

    pub fn crashed(&mut self) {
        self.crashes += 1;
    }

    pub fn stepped(&mut self, event: &Event) {
        self.steps += 1;
        if self.traced {
            println!("{} > {event:?}", self.steps);
        }
        format!("{event:?}").hash(&mut self.hasher);
    }

    pub fn effect(&mut self, effect: &Effect) {
        if self.traced {
            println!("    < {effect:?}");
        }
        format!("{effect:?}").hash(&mut self.hasher);
    }

    /// S8: `duplicate` only of what is durable, and always the same id.
    pub fn receipt(&mut self, bot: usize, draft: &Draft, receipt: &Receipt) {
        let bot_id: BotId = format!("bot-{bot}").into();
        let key = (bot_id, draft.correspondent_id.clone(), draft.provider_message_id.clone());
        let message_id = match receipt {
            Receipt::Accepted { message_id } | Receipt::Duplicate { message_id } => {
                *message_id.get()
            }
            Receipt::Rejected { .. } => return,
            Receipt::Evicted { .. } => {
                if self.accepted.contains_key(&key) {
                    self.break_rule(format!("S4: accepted {key:?} evicted"));
                }
                return;
            }
        };
        let known = *self.accepted.entry(key.clone()).or_insert(message_id);
        if known != message_id {
            self.break_rule(format!("S8: {key:?} is {known} and {message_id}"));
        }
    }

    /// S1: attempts grow, and nothing is said after a confirmed acknowledgement.
    pub fn called_back(&mut self, bot_id: &BotId, callback: &Callback) {
        self.callbacks += 1;
        let key = (bot_id.clone(), callback.key());
        if self.confirmed.contains(&key) {
            self.break_rule(format!("S1: {key:?} called back after its acknowledgement"));
        }
        match self.attempts.insert(key.clone(), callback.attempt) {
            Some(last) if last >= callback.attempt => {
                self.break_rule(format!(
                    "S1: {key:?}: attempt {:?} after {last:?}",
                    callback.attempt
                ));
            }
            Some(_) => self.repeated += 1,
            None => self.first_time(bot_id, callback),
        }
        if callback.message.is_placeholder() {
            self.break_rule(format!("S4: placeholder {key:?} called back"));
        }
    }

    /// Texts of a correspondent come in the order of their ids.
    fn first_time(&mut self, bot_id: &BotId, callback: &Callback) {
        if callback.message.media.is_some() {
            return;
        }
        let key = (bot_id.clone(), callback.correspondent_id.clone());
        let id = callback.message.id;
        if let Some(last) = self.last_text.insert(key.clone(), id)
            && last >= id
        {
            self.break_rule(format!("S7: {key:?}: text {id} after {last}"));
        }
    }

    pub fn acknowledging(&mut self, request_id: RequestId, bot_id: &BotId, key: &CallbackKey) {
        self.asked.insert(request_id, (bot_id.clone(), key.clone()));
    }

    pub fn ack_answered(
        &mut self,
        bot_id: &BotId,
        request_id: RequestId,
        answer: Option<&AckAnswer>,
    ) {
        let Some(asked) = self.asked.remove(&request_id) else {
            return self.break_rule(format!("{bot_id}: {request_id} answered twice"));
        };
        if answer.is_some_and(|answer| answer.acknowledged == 1) {
            self.confirmed.insert(asked);
        } else if answer.is_some() {
            self.break_rule(format!("an acknowledgement of {asked:?} is unknown"));
        }
    }

    pub fn applied(&mut self, request: &StoreRequest, result: &StoreResult) {
        let (StoreRequest::Archive { items, .. }, Ok(StoreReply::Archive(answers))) =
            (request, result)
        else {
            if let Ok(StoreReply::MarkCalledBack(answers)) = result
                && answers.contains(&MarkAnswer::Unknown)
            {
                self.break_rule(format!("an unknown callback was marked: {request:?}"));
            }
            return;
        };
        for (item, answer) in items.iter().zip(answers) {
            if item.message.is_placeholder() {
                self.break_rule(format!("S4: placeholder archived: {:?}", item.message));
            }
            match answer {
                ArchiveAnswer::Stored { .. } | ArchiveAnswer::AlreadyStored { .. } => {
                    self.archived_media.extend(item.message.media_id());
                }
                ArchiveAnswer::DuplicateProviderMessage { .. } | ArchiveAnswer::StaleLease => {}
            }
        }
    }

    /// Whether the media's message is archived: its provider would not bring the file again.
    pub fn is_settled_media(&self, media_id: MediaId) -> bool {
        self.archived_media.contains(&media_id)
    }

    /// L1: a message that was accepted and is not archived, or not called back and acknowledged.
    pub fn unconfirmed(&self, store: &StoreModel) -> Option<String> {
        let rows: BTreeMap<_, _> = store
            .archive_rows()
            .map(|row| {
                let message = &row.message;
                let id = message.provider_message_id.clone();
                ((row.bot_id.clone(), row.correspondent_id.clone(), id), row)
            })
            .collect();
        for (key, id) in &self.accepted {
            let Some(row) = rows.get(key) else {
                return Some(format!("accepted {key:?} is not archived"));
            };
            if row.message.id != *id {
                return Some(format!("accepted {key:?} as {id}, archived as {}", row.message.id));
            }
            if row.callback == CallbackState::Owed {
                return Some(format!("accepted {key:?} is owed: {row:?}"));
            }
            let callback = CallbackKey {
                correspondent_id: key.1.clone(),
                message_id: *id,
                revision: row.revision,
            };
            if !self.attempts.contains_key(&(key.0.clone(), callback)) {
                return Some(format!("accepted {key:?} was never called back"));
            }
        }
        None
    }

    /// Each provider message is archived once.
    pub fn archive_is_exact(&self, store: &StoreModel) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for row in store.archive_rows() {
            let id = &row.message.provider_message_id;
            if !seen.insert((row.bot_id.clone(), row.correspondent_id.clone(), id.clone())) {
                return Err(format!("S3: {id} is archived twice"));
            }
        }
        Ok(())
    }
}
