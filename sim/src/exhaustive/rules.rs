//! What must hold, judged from outside: by what providers and the consumer are told, and by what the
//! store durably holds at that very moment. Never by a machine's own word.
//!
//! The rules have the names of the simulation's design: S1 callbacks, S2 conservation and bounds, S3
//! ids, S4 placeholders and acknowledged messages, S5 leases, S6 one owner, S7 gating, S8 receipts, S10
//! files; L1 to L5 are judged when everything has come to rest ([`super::rest`]).

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::bot::event::{AckAnswer, Callback};
use anteroom_core::draft::Draft;
use anteroom_core::id::{
    Attempt, BotId, CallbackKey, CorrespondentId, LeaseToken, MediaId, MessageId, NodeId,
    ProviderMessageId, RequestId,
};
use anteroom_core::message::{Message, size_of};
use anteroom_core::pool::event::Work;
use anteroom_core::receipt::Receipt;
use anteroom_core::store::{
    ArchiveAnswer, FinishedJob, MarkAnswer, StoreReply, StoreRequest, StoreResult, TokenAnswer,
};
use anteroom_core::time::{Millis, Timestamp};

use super::node::Processor;
use crate::store::{CallbackState, StoreModel};

/// What a provider calls a message.
pub(super) type Said = (BotId, CorrespondentId, ProviderMessageId);

/// What outside observers remember.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    broken: Option<Broken>,
    /// What providers were told: under which id a message is durable.
    pub(super) accepted: BTreeMap<Said, MessageId>,
    /// Whose each id is, as soon as its message was durable.
    ids: BTreeMap<(BotId, CorrespondentId, MessageId), ProviderMessageId>,
    /// The last attempt at each callback.
    pub(super) attempts: BTreeMap<(BotId, CallbackKey), Attempt>,
    asked: BTreeMap<RequestId, (BotId, CallbackKey)>,
    /// Callbacks whose acknowledgement was answered.
    confirmed: BTreeSet<(BotId, CallbackKey)>,
    /// Until when each lease lasts, as the store says; zero once it was given back.
    leases: BTreeMap<LeaseToken, Timestamp>,
    /// The bots that nodes were told to stop.
    stopped: BTreeSet<(usize, BotId)>,
    /// The nodes that were told to stop.
    shutting_down: BTreeSet<usize>,
    /// How long a callback waits for media in front of it, where callbacks are gated.
    pub(super) gated: Option<Millis>,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub rule: &'static str,
    /// How, in a sentence.
    pub what: String,
}

impl Rules {
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    pub fn break_rule(&mut self, rule: &'static str, what: String) {
        self.broken.get_or_insert(Broken { rule, what });
    }

    pub fn stopping(&mut self, node: usize, bot_id: BotId) {
        self.stopped.insert((node, bot_id));
    }

    pub fn starting(&mut self, node: usize, bot_id: &BotId) {
        self.stopped.remove(&(node, bot_id.clone()));
    }

    pub fn shutting_down(&mut self, node: usize) {
        self.shutting_down.insert(node);
    }

    pub fn process_ended(&mut self, node: usize) {
        self.stopped.retain(|(at, _)| *at != node);
        self.shutting_down.remove(&node);
    }

    /// S8, S3: what is called durable is durable, under that id; S4: it is never evicted.
    pub fn receipt(&mut self, bot: &BotId, draft: &Draft, receipt: &Receipt, store: &StoreModel) {
        let said = (bot.clone(), draft.correspondent_id.clone(), draft.provider_message_id.clone());
        let id = match receipt {
            Receipt::Accepted { message_id } | Receipt::Duplicate { message_id } => {
                *message_id.get()
            }
            Receipt::Rejected { .. } => return,
            Receipt::Evicted { .. } => {
                if self.accepted.contains_key(&said) {
                    self.break_rule("S4", format!("accepted {said:?} is evicted"));
                }
                return;
            }
        };
        if durable_id(&said, store) != Some(id) {
            let durable = durable_id(&said, store);
            self.break_rule("S8", format!("{said:?} is said to be {id}, and is {durable:?}"));
        }
        let known = *self.accepted.entry(said.clone()).or_insert(id);
        if known != id {
            self.break_rule("S3", format!("{said:?} is {known} and {id}"));
        }
    }

    /// S1, S6: a callback goes out.
    pub fn called_back(
        &mut self,
        now: Timestamp,
        node: usize,
        node_id: NodeId,
        bot_id: &BotId,
        callback: &Callback,
        store: &StoreModel,
    ) {
        let key = (bot_id.clone(), callback.key());
        let row = store.archive_row(bot_id, &callback.correspondent_id, callback.message.id);
        match row {
            None => self.break_rule("S1", format!("{key:?} is called back and not archived")),
            Some(row) if row.revision == callback.revision => {
                if *row.message != *callback.message {
                    self.break_rule("S1", format!("{key:?} has another content than its row"));
                }
                if row.attempts < callback.attempt {
                    let attempt = callback.attempt;
                    self.break_rule("S1", format!("{key:?}: {attempt:?} is not durable"));
                }
            }
            Some(_) => {}
        }
        if self.confirmed.contains(&key) {
            self.break_rule("S1", format!("{key:?} comes after its acknowledgement"));
        }
        let last = self.attempts.insert(key.clone(), callback.attempt);
        if last.is_some_and(|last| last >= callback.attempt) {
            let attempt = callback.attempt;
            self.break_rule("S1", format!("{key:?}: {attempt:?} after {last:?}"));
        }
        let mut owners = store.ownerships().filter(|(owned, _)| *owned == bot_id);
        let owner = owners.next().and_then(|(_, ownership)| ownership.owner);
        if !owner.is_some_and(|owner| owner.node_id == node_id && now < owner.expires_at) {
            self.break_rule("S6", format!("{key:?} comes from a node that does not own its bot"));
        }
        if self.stopped.contains(&(node, bot_id.clone())) || self.shutting_down.contains(&node) {
            self.break_rule("S6", format!("{key:?} comes after its bot was told to stop"));
        }
        self.gating(now, bot_id, callback, store);
    }

    pub fn acknowledging(&mut self, request_id: RequestId, bot_id: &BotId, key: &CallbackKey) {
        self.asked.insert(request_id, (bot_id.clone(), key.clone()));
    }

    pub fn acknowledgement_answered(&mut self, request_id: RequestId, answer: Option<&AckAnswer>) {
        match (self.asked.remove(&request_id), answer) {
            (None, _) => self.break_rule("S8", format!("{request_id} is answered twice")),
            (Some(asked), Some(answer)) if answer.acknowledged == 1 => {
                self.confirmed.insert(asked);
            }
            (Some(asked), Some(_)) => {
                self.break_rule("S1", format!("the acknowledgement of {asked:?} is unknown"));
            }
            (Some(_), None) => {}
        }
    }

    /// S5: two processors work on one job only when the earlier lease has ended.
    pub fn processing(&mut self, now: Timestamp, node: usize, work: &Work, others: &[Processor]) {
        let held = |token: &LeaseToken| self.leases.get(token).is_some_and(|end| now < *end);
        let other = others.iter().find(|other| {
            other.work.media_id == work.media_id && !other.cancelled && held(&other.work.token)
        });
        if let Some(other) = other {
            let (media_id, other) = (work.media_id, other.node);
            self.break_rule("S5", format!("{media_id} is worked on at {node} and at {other}"));
        }
    }

    /// S10: no file is deleted that a job may still need.
    pub fn deleted(&mut self, media_id: MediaId, store: &StoreModel) {
        let job = store.job(media_id).map(|job| &job.status);
        let copy = store.failed_copies().find(|copy| copy.job.media_id == media_id);
        if job.is_some() || copy.is_some() {
            let kept = if copy.is_some() { "a failed copy" } else { "none" };
            self.break_rule("S10", format!("file {media_id} deleted: job {job:?}, copy {kept}"));
        }
    }

    /// A store operation took effect.
    pub fn applied(
        &mut self,
        now: Timestamp,
        before: &StoreModel,
        after: &StoreModel,
        request: &StoreRequest,
        result: &StoreResult,
    ) {
        match (request, result) {
            (StoreRequest::Archive { items, .. }, Ok(StoreReply::Archive(answers))) => {
                for (item, answer) in items.iter().zip(answers) {
                    self.archived(&item.message);
                    if let (ArchiveAnswer::Stored { .. }, Some(job)) = (answer, item.job) {
                        self.finished(before, job);
                    }
                }
            }
            (StoreRequest::Complete { completions }, Ok(StoreReply::Complete(answers))) => {
                for (completion, answer) in completions.iter().zip(answers) {
                    let (media_id, token) = (completion.media_id, Some(completion.token));
                    if *answer == TokenAnswer::Ok {
                        self.finished(before, FinishedJob { media_id, token });
                    }
                }
            }
            (StoreRequest::Release { releases }, Ok(StoreReply::Release(lost))) => {
                let released = releases.iter().filter(|it| !lost.contains(&it.media_id));
                self.leases.extend(released.map(|release| (release.token, Timestamp::ZERO)));
            }
            (StoreRequest::MarkCalledBack { marks, .. }, Ok(StoreReply::MarkCalledBack(ends)))
                if ends.contains(&MarkAnswer::Unknown) =>
            {
                self.break_rule("S1", format!("an unknown callback was marked: {marks:?}"));
            }
            _ => {}
        }
        self.look_at(now, after);
    }

    /// S5: a result came from the lease that held the job.
    fn finished(&mut self, before: &StoreModel, finished: FinishedJob) {
        let Some(token) = finished.token else { return };
        let Some(job) = before.job(finished.media_id) else { return };
        let held = job.lease().is_some_and(|lease| lease.token == token);
        let completed = match &job.status {
            anteroom_core::job::Status::Completed { token: done, .. } => *done == Some(token),
            _ => false,
        };
        if !held && !completed {
            let media_id = finished.media_id;
            self.break_rule("S5", format!("a result of {media_id} under a stale lease is taken"));
        }
    }

    /// S4, S2: what is archived is no placeholder, and as long as it says.
    fn archived(&mut self, message: &Message) {
        if message.is_placeholder() {
            self.break_rule("S4", format!("placeholder {} archived", message.id));
        }
        if message.message_size != size_of(&message.content) {
            self.break_rule("S2", format!("{} is longer or shorter than it says", message.id));
        }
    }

    /// S3, S5: ids belong to one message, and leases are remembered.
    fn look_at(&mut self, now: Timestamp, store: &StoreModel) {
        for job in store.jobs() {
            if let Some(lease) = job.lease() {
                let until = self.leases.entry(lease.token).or_default();
                *until = lease.expires_at.max(*until);
            }
        }
        self.leases.retain(|_, until| *until > now);
        let rows = store.archive_rows().map(|row| {
            let id = (row.bot_id.clone(), row.correspondent_id.clone(), row.message.id);
            (id, row.message.provider_message_id.clone())
        });
        let jobs = store.jobs().map(|job| {
            let message = &job.placeholder_message;
            let id = (job.bot_id.clone(), job.correspondent_id.clone(), message.id);
            (id, message.provider_message_id.clone())
        });
        let mut messages = BTreeSet::new();
        for (id, said) in rows {
            if !messages.insert((id.0.clone(), id.1.clone(), said.clone())) {
                self.break_rule("S3", format!("{said} of {} is archived twice", id.1));
            }
            self.id_of(id, said);
        }
        for (id, said) in jobs {
            self.id_of(id, said);
        }
    }

    fn id_of(&mut self, id: (BotId, CorrespondentId, MessageId), said: ProviderMessageId) {
        let known = self.ids.entry(id.clone()).or_insert_with(|| said.clone()).clone();
        if known != said {
            self.break_rule("S3", format!("{id:?} is {known} and {said}"));
        }
    }

    /// S7: a gated callback does not pass an open medium in front of it; in a tiny world no gate's
    /// time is over unless time passed.
    fn gating(&mut self, now: Timestamp, bot_id: &BotId, callback: &Callback, store: &StoreModel) {
        let Some(max_wait) = self.gated else { return };
        let passed = store.jobs().find(|job| {
            let placeholder = &job.placeholder_message;
            job.bot_id == *bot_id
                && job.correspondent_id == callback.correspondent_id
                && job.revision == 0
                && placeholder.id < callback.message.id
                && now < placeholder.accepted_time + max_wait
        });
        if let Some(job) = passed {
            let (key, media_id) = (callback.key(), job.media_id);
            self.break_rule("S7", format!("{key:?} passes {media_id}"));
        }
    }
}

/// Under which id the store has a message, archived or as a job.
fn durable_id(said: &Said, store: &StoreModel) -> Option<MessageId> {
    let (bot_id, correspondent_id, provider_message_id) = said;
    let rows = store.archive_rows().filter(|row| {
        row.bot_id == *bot_id
            && row.correspondent_id == *correspondent_id
            && row.message.provider_message_id == *provider_message_id
    });
    let jobs = store.jobs().filter(|job| {
        job.bot_id == *bot_id
            && job.correspondent_id == *correspondent_id
            && job.placeholder_message.provider_message_id == *provider_message_id
    });
    let archived = rows.map(|row| row.message.id).next();
    archived.or_else(|| jobs.map(|job| job.placeholder_message.id).next())
}

/// Whether nothing is owed any more.
pub(super) fn has_ended(callback: CallbackState) -> bool {
    match callback {
        CallbackState::Ended { .. } => true,
        CallbackState::NotOwed { .. } | CallbackState::Owed => false,
    }
}
