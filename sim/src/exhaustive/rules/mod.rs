//! What must hold, judged from outside: by what providers and the consumer are told, and by what the
//! store durably holds at that very moment. Never by a machine's own word.
//!
//! The rules have the names of the simulation's design: S1 callbacks, S2 conservation and bounds, S3
//! ids, S4 placeholders and acknowledged messages, S5 leases, S6 one owner, S7 gating, S8 receipts, S10
//! files; L1 to L5 are judged when everything has come to rest ([`super::rest`]).

mod callbacks;
mod jobs;
mod messages;
mod owners;
mod receipts;

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{
    Attempt, BotId, CallbackKey, CorrespondentId, Epoch, LeaseToken, MediaId, MessageId, NodeId,
    ProviderMessageId, RequestId, WorkerId,
};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{
    ArchiveAnswer, FinishedJob, MarkAnswer, StoreReply, StoreRequest, StoreResult, TokenAnswer,
};
use anteroom_core::time::{Millis, Timestamp};

use crate::store::{CallbackState, StoreModel};

/// What a provider calls a message.
pub(crate) type Said = (BotId, CorrespondentId, ProviderMessageId);

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
    /// The callbacks that the consumer has acknowledged, whether anybody heard it or not.
    acknowledged: BTreeSet<(BotId, CallbackKey)>,
    /// Who was given each token, for which job.
    holders: BTreeMap<(LeaseToken, MediaId), (MediaId, WorkerId, Timestamp)>,
    /// Which node was given each epoch.
    epochs: BTreeMap<(BotId, Epoch), NodeId>,
    /// The epochs that their owners have given up.
    given_up: BTreeSet<(BotId, Epoch)>,
    /// How often each job's worker was lost, and the job given out again.
    lost: BTreeMap<MediaId, u32>,
    /// Since when each restored job is with a running bot.
    active_since: BTreeMap<MediaId, Timestamp>,
    /// How many claims have passed over bots that had work.
    passed_over: BTreeMap<BotId, u64>,
    /// Texts that were told and are not archived, with how many of each other correspondent were.
    waiting: BTreeMap<Said, BTreeMap<CorrespondentId, u64>>,
    /// When each text was last told.
    said_at: BTreeMap<Said, Timestamp>,
    max_age: Millis,
    single_message_max: u64,
    /// Characters of a queue, overflow included.
    queue_max: u64,
    media_text_max: u64,
    batch_max: u64,
    media_fail_first: bool,
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

    /// A bot is to be started; whether it was told to stop before.
    pub fn starting(&mut self, node: usize, bot_id: &BotId) -> bool {
        self.stopped.remove(&(node, bot_id.clone()))
    }

    pub fn shutting_down(&mut self, node: usize) {
        self.shutting_down.insert(node);
    }

    pub fn process_ended(&mut self, node: usize) {
        self.stopped.retain(|(at, _)| *at != node);
        self.shutting_down.remove(&node);
        // Each process begins its rotation anew.
        self.passed_over.clear();
    }

    /// A text is on its way in.
    pub fn said(&mut self, now: Timestamp, said: Said) {
        self.said_at.insert(said.clone(), now);
        self.waiting.insert(said, BTreeMap::new());
    }

    /// A line has ended, or an operation was lost: how long somebody waits is nobody's fault.
    pub fn forget_who_waits(&mut self) {
        self.waiting.clear();
    }

    /// A text is on its way in no more: its line has ended, or it was put off.
    pub fn unsaid(&mut self, said: &Said) {
        self.waiting.remove(said);
    }

    /// What the settings say.
    pub fn set(&mut self, settings: &NodeSettings, media_fail_first: bool) {
        let bot = &settings.bot_defaults;
        self.gated = bot.gating.enabled.then_some(bot.gating.max_wait);
        self.max_age = bot.limits.max_age;
        self.single_message_max = bot.limits.max_characters_single_message;
        self.queue_max = bot.limits.max_characters + bot.limits.overflow.characters();
        self.media_text_max = bot.limits.max_characters_media_text;
        self.batch_max = bot.limits.archive_batch_messages as u64;
        self.media_fail_first = media_fail_first;
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
            (StoreRequest::Archive { fence, items }, Ok(StoreReply::Archive(answers))) => {
                self.takes_turns(&fence.bot_id, items);
                for (item, answer) in items.iter().zip(answers) {
                    self.archived(&item.message);
                    if matches!(answer, ArchiveAnswer::Stored { .. }) {
                        self.failure_is_kept(&item.message, after);
                    }
                    if let (ArchiveAnswer::Stored { .. }, Some(job)) = (answer, item.job) {
                        self.finished(before, job);
                    }
                }
            }
            (StoreRequest::Complete { completions }, Ok(StoreReply::Complete(answers))) => {
                for (completion, answer) in completions.iter().zip(answers) {
                    let (media_id, token) = (completion.media_id, Some(completion.token));
                    if *answer == TokenAnswer::Ok {
                        self.finished(before, FinishedJob { media_id, token, worked: None });
                    }
                }
            }
            (StoreRequest::Release { releases }, Ok(StoreReply::Release(lost))) => {
                let released = releases.iter().filter(|it| !lost.contains(&it.media_id));
                self.leases.extend(released.map(|release| (release.token, Timestamp::ZERO)));
            }
            (
                StoreRequest::MarkCalledBack { fence, marks },
                Ok(StoreReply::MarkCalledBack(ends)),
            ) => {
                if ends.contains(&MarkAnswer::Unknown) {
                    self.break_rule("S1", format!("an unknown callback was marked: {marks:?}"));
                }
                self.marked(&fence.bot_id, marks);
            }
            (StoreRequest::InsertJobs { fence, jobs }, Ok(_)) => {
                for new in jobs {
                    self.has_size(&new.job.placeholder_message, self.single_message_max);
                }
                self.fits(&fence.bot_id, jobs, before);
            }
            (StoreRequest::RestoreBot { .. }, Ok(StoreReply::RestoreBot(page))) => {
                self.restored(now, page);
            }
            (StoreRequest::ExpireJobs { active_ttl, .. }, Ok(StoreReply::ExpireJobs(swept))) => {
                self.expired(now, before, swept, *active_ttl);
            }
            (StoreRequest::ReclaimLeases { .. }, Ok(StoreReply::ReclaimLeases(swept))) => {
                self.reclaimed(swept);
            }
            (StoreRequest::Claim { .. }, Ok(StoreReply::Claim(claimed))) => {
                self.claimed(before, claimed);
            }
            _ => {}
        }
        self.owned(before, request, result);
        self.results_stay(before, after);
        self.look_at_leases(now, after);
        self.look_at_ids(after);
    }
}

/// Whether nothing is owed any more.
pub(super) fn has_ended(callback: CallbackState) -> bool {
    match callback {
        CallbackState::Ended { .. } => true,
        CallbackState::NotOwed { .. } | CallbackState::Owed => false,
    }
}
