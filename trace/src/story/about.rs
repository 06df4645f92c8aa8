//! What requests, replies and notices are about, and what they teach of who is who.

use anteroom_core::id::{BotId, CallbackKey, CorrespondentId};
use anteroom_core::job::Job;
use anteroom_core::message::Message;
use anteroom_core::notice::Notice;
use anteroom_core::store::{StoreReply, StoreRequest};

use super::{Story, Subject};

impl Story {
    /// Which id a message has.
    pub(super) fn learn_message(
        &mut self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
        message: &Message,
    ) {
        let provider_id = message.provider_message_id.clone();
        self.ids.insert((bot_id.clone(), correspondent_id.clone(), provider_id), message.id);
        if let Some(media_id) = message.media_id() {
            let message = (bot_id.clone(), correspondent_id.clone(), message.id);
            self.jobs.insert(media_id, message);
        }
    }

    fn learn_job(&mut self, job: &Job) {
        self.learn_message(&job.bot_id, &job.correspondent_id, &job.placeholder_message);
    }

    pub(super) fn learn_from_request(&mut self, request: &StoreRequest) {
        match request {
            StoreRequest::InsertJobs { jobs, .. } => {
                jobs.iter().for_each(|new| self.learn_job(&new.job));
            }
            StoreRequest::Archive { fence, items } => {
                for item in items {
                    self.learn_message(&fence.bot_id, &item.correspondent_id, &item.message);
                }
            }
            _ => {}
        }
    }

    pub(super) fn learn_from_reply(&mut self, bot_id: Option<&BotId>, reply: &StoreReply) {
        match (reply, bot_id) {
            (StoreReply::RestoreBot(page) | StoreReply::CompletedJobs(page), _) => {
                page.jobs.iter().for_each(|job| self.learn_job(job));
            }
            (StoreReply::Claim(claimed), _) => {
                claimed.jobs.iter().for_each(|job| self.learn_job(job));
            }
            (StoreReply::OwedCallbacks { callbacks, .. }, Some(bot_id)) => {
                for owed in callbacks {
                    self.learn_message(bot_id, &owed.correspondent_id, &owed.message);
                }
            }
            _ => {}
        }
    }

    pub(super) fn about_request(request: &StoreRequest) -> Vec<Subject> {
        match request {
            StoreRequest::InsertJobs { jobs, .. } => {
                jobs.iter().map(|new| Subject::Job(new.job.media_id)).collect()
            }
            StoreRequest::Archive { fence, items } => {
                let message = |correspondent_id: &CorrespondentId, message: &Message| {
                    let (bot_id, id) = (fence.bot_id.clone(), message.id);
                    Subject::Message(bot_id, correspondent_id.clone(), id)
                };
                let messages = items.iter().map(|it| message(&it.correspondent_id, &it.message));
                let jobs = items.iter().filter_map(|it| Some(Subject::Job(it.job?.media_id)));
                messages.chain(jobs).collect()
            }
            StoreRequest::Revise { media_id, .. }
            | StoreRequest::DiscardJob { media_id }
            | StoreRequest::RetryJob { media_id, .. } => vec![Subject::Job(*media_id)],
            StoreRequest::Redeliver { fence, key, .. } => vec![of_key(&fence.bot_id, key)],
            StoreRequest::RaiseAttempts { fence, callbacks } => {
                callbacks.iter().map(|(key, _)| of_key(&fence.bot_id, key)).collect()
            }
            StoreRequest::MarkCalledBack { fence, marks } => {
                marks.iter().map(|mark| of_key(&fence.bot_id, &mark.key)).collect()
            }
            StoreRequest::Renew { leases, .. } => {
                leases.iter().map(|(media_id, _)| Subject::Job(*media_id)).collect()
            }
            StoreRequest::Release { releases } => {
                releases.iter().map(|it| Subject::Job(it.media_id)).collect()
            }
            StoreRequest::Complete { completions } => {
                completions.iter().map(|it| Subject::Job(it.media_id)).collect()
            }
            StoreRequest::KnownMedia { media_ids } => {
                media_ids.iter().copied().map(Subject::Job).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn about_reply(bot_id: Option<&BotId>, reply: &StoreReply) -> Vec<Subject> {
        match (reply, bot_id) {
            (StoreReply::RestoreBot(page) | StoreReply::CompletedJobs(page), _) => {
                page.jobs.iter().map(|job| Subject::Job(job.media_id)).collect()
            }
            (StoreReply::Claim(claimed), _) => {
                claimed.jobs.iter().map(|job| Subject::Job(job.media_id)).collect()
            }
            (StoreReply::OwedCallbacks { callbacks, .. }, Some(bot_id)) => {
                let message = |owed: &anteroom_core::store::OwedCallback| {
                    let whom = owed.correspondent_id.clone();
                    Subject::Message(bot_id.clone(), whom, owed.message.id)
                };
                callbacks.iter().map(message).collect()
            }
            (StoreReply::ReclaimLeases(swept) | StoreReply::ExpireJobs(swept), _) => {
                swept.iter().map(|it| Subject::Job(it.media_id)).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn about_notice(notice: &Notice) -> Vec<Subject> {
        match notice {
            Notice::MessageEvicted { bot_id, correspondent_id, message_id, .. }
            | Notice::DuplicateMessage { bot_id, correspondent_id, message_id } => {
                let (bot_id, whom) = (bot_id.clone(), correspondent_id.clone());
                vec![Subject::Message(bot_id, whom, *message_id)]
            }
            Notice::CallbackUndeliverable { bot_id, key }
            | Notice::GatingReleased { bot_id, key } => vec![of_key(bot_id, key)],
            Notice::MediaEnded { media_id, .. }
            | Notice::LeaseReclaimed { media_id, .. }
            | Notice::LeaseLost { media_id }
            | Notice::StaleResult { media_id }
            | Notice::TransientFailure { media_id, .. }
            | Notice::ProcessorTimedOut { media_id }
            | Notice::JobExpired { media_id, .. }
            | Notice::OrphanFileDeleted { media_id } => vec![Subject::Job(*media_id)],
            _ => Vec::new(),
        }
    }
}

fn of_key(bot_id: &BotId, key: &CallbackKey) -> Subject {
    Subject::Message(bot_id.clone(), key.correspondent_id.clone(), key.message_id)
}
