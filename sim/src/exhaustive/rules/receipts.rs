//! What providers are told: S8, S3, S4.

use anteroom_core::draft::Draft;
use anteroom_core::id::{BotId, MessageId};
use anteroom_core::job::Job;
use anteroom_core::receipt::{EvictReason, Receipt, RejectReason};
use anteroom_core::time::Timestamp;

use super::{Rules, Said};
use crate::store::{ArchiveRow, StoreModel};

impl Rules {
    /// S8, S3: what is called durable is durable, under that id; S4: it is never evicted, and nothing is
    /// given up for a reason that it does not give.
    pub fn receipt(
        &mut self,
        now: Timestamp,
        bot: &BotId,
        draft: &Draft,
        receipt: &Receipt,
        store: &StoreModel,
    ) {
        let said = (bot.clone(), draft.correspondent_id.clone(), draft.provider_message_id.clone());
        let id = match receipt {
            Receipt::Accepted { message_id } | Receipt::Duplicate { message_id } => {
                *message_id.get()
            }
            Receipt::Rejected { reason, .. } => {
                if *reason == RejectReason::Invalid && !names_anothers_medium(draft, &said, store) {
                    self.break_rule("S8", format!("{said:?} is called invalid"));
                }
                return;
            }
            Receipt::Evicted { reason, .. } => {
                if self.accepted.contains_key(&said) {
                    self.break_rule("S4", format!("accepted {said:?} is evicted"));
                }
                let age = self.said_at.get(&said).map(|at| now.since(*at)).unwrap_or_default();
                if *reason == EvictReason::Age && age <= self.max_age {
                    self.break_rule("S4", format!("{said:?} is evicted for its age of {age}"));
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
}

/// Whether the store knows a message's medium as that of another message.
fn names_anothers_medium(draft: &Draft, said: &Said, store: &StoreModel) -> bool {
    let Some(media) = &draft.media else { return false };
    let mut rows = store.archive_rows().filter(|row| !is_in_row(said, row));
    let mut jobs = store.jobs().filter(|job| !is_in_job(said, job));
    rows.any(|row| row.message.media_id() == Some(media.media_id))
        || jobs.any(|job| job.media_id == media.media_id)
}

/// Under which id the store has a message, archived or as a job.
fn durable_id(said: &Said, store: &StoreModel) -> Option<MessageId> {
    let rows = store.archive_rows().filter(|row| is_in_row(said, row));
    let jobs = store.jobs().filter(|job| is_in_job(said, job));
    let archived = rows.map(|row| row.message.id).next();
    archived.or_else(|| jobs.map(|job| job.placeholder_message.id).next())
}

fn is_in_row((bot_id, correspondent_id, provider_message_id): &Said, row: &ArchiveRow) -> bool {
    row.bot_id == *bot_id
        && row.correspondent_id == *correspondent_id
        && row.message.provider_message_id == *provider_message_id
}

fn is_in_job((bot_id, correspondent_id, provider_message_id): &Said, job: &Job) -> bool {
    job.bot_id == *bot_id
        && job.correspondent_id == *correspondent_id
        && job.placeholder_message.provider_message_id == *provider_message_id
}
